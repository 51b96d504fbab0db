"""Experiment: hyperparameters of hybrid batches and of adversarial training, with equal effort.

python docs/experiments/tune.py [BACKBONE …]

Both methods get the same number of trials on a backbone: learning rates crossed with the values of
the one option that is each method's own. Held-out questions of the training data judge them, and
nothing else. Recipes are written by hand from what this finds; a test compares them.
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
# Backbone -> learning rates, and values of each method's option. A step of the large ones is dear.
GRIDS = {
    "muse": (("1.5e-4", "3e-4", "6e-4", "1.2e-3"), ("0.25", "0.5", "0.75"), ("0.1", "0.3", "1.0")),
    "pocket": (("2e-4", "4e-4", "8e-4"), ("0.25", "0.5", "0.75"), ("0.1", "0.3", "1.0")),
    "gemma3-270m": (("3e-4", "1e-3"), ("0.25", "0.5"), ("0.3", "1.0")),
}


def trials(backbone: str) -> dict[str, list[Run]]:
    """Method -> its runs, equally many of each."""
    rates, *values = GRIDS[backbone]
    return {
        method: [
            Run(backbone, method, 0, ((option, value),), (("learning_rate", rate),))
            for rate, value in product(rates, of_option)
        ]
        for (method, option), of_option in zip(OPTIONS.items(), values, strict=True)
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
