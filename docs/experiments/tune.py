"""Experiment: hyperparameters of hybrid batches and of adversarial training, with equal effort.

python docs/experiments/tune.py [BACKBONE …]

Both methods get the same number of trials on a backbone: learning rates crossed with the values of
the one option that is each method's own, and where the best is at an edge of these, what lies
beyond it. Held-out questions of the training data judge them, and nothing else. Recipes are written
by hand from what this finds; a test compares them.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from typing import Any

from provenance import RESULTS, provenance
from training_runs import Run, criterion, train_all

from hybridir_mteb.files import write_text

OUTPUT = RESULTS / "tuned.json"
COMMAND = "make tune"
OPTIONS = {"hybrid": "alpha", "adversarial": "strength"}
Grid = tuple[tuple[str, ...], tuple[str, ...]]  # learning rates, and values of the option
ALPHAS, STRENGTHS = ("0.25", "0.5", "0.75"), ("0.1", "0.3", "1.0")
# Backbone -> method -> grids. A step of the large ones is dear.
GRIDS: dict[str, dict[str, tuple[Grid, ...]]] = {
    "muse": {
        "hybrid": ((("7.5e-5", "1.5e-4", "3e-4", "6e-4", "1.2e-3"), ALPHAS),),
        "adversarial": (
            (("1.5e-4", "3e-4", "6e-4"), STRENGTHS),
            (("7.5e-5",), ("0.03", "0.1", "0.3")),
            (("1.5e-4", "3e-4", "6e-4"), ("0.03",)),
        ),
    },
    "pocket": {
        "hybrid": ((("2e-4", "4e-4", "8e-4"), ALPHAS),),
        "adversarial": ((("2e-4", "4e-4", "8e-4"), STRENGTHS),),
    },
    "gemma3-270m": {
        "hybrid": ((("3e-4", "1e-3"), ("0.25", "0.5")),),
        "adversarial": ((("3e-4", "1e-3"), ("0.3", "1.0")),),
    },
}


def trials(backbone: str) -> dict[str, list[Run]]:
    """Method -> its runs, equally many of each."""
    return {
        method: [
            Run(backbone, method, 0, ((OPTIONS[method], value),), (("learning_rate", rate),))
            for grid in grids
            for rate, value in product(*grid)
        ]
        for method, grids in GRIDS[backbone].items()
    }


def main() -> None:
    """Train, judge, write; backbones that are done on another day stay."""
    report = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    for backbone in sys.argv[1:] or GRIDS:
        made_by = provenance(COMMAND)
        runs = trials(backbone)
        encoders = train_all(run for of_method in runs.values() for run in of_method)
        methods: dict[str, Any] = {}
        for method, of_method in runs.items():
            best = max(of_method, key=lambda run: criterion(encoders[run]))
            methods[method] = {
                "chosen": values_of(best),
                "trials": [
                    {
                        **values_of(run),
                        "command": " ".join(run.command),
                        "held_out": encoders[run].record["selection"]["encoder"],
                    }
                    for run in of_method
                ],
            }
        report[backbone] = {"made_by": made_by, "methods": methods}
        write_text(OUTPUT, json.dumps(report, indent=1) + "\n")
        print(OUTPUT)


def values_of(run: Run) -> dict[str, float]:
    """What a trial tries."""
    return {name: float(value) for name, value in (*run.options, *run.settings)}


if __name__ == "__main__":
    main()
