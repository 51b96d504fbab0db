"""Experiment: whether more steps or larger batches than its recipe has make ``hybrid`` better.

python docs/experiments/budget.py [BACKBONE …]

Every trial is one encoder of the recipe with another setting or two, and held-out questions of the
training data judge it, and nothing else. Encoders in the store are not trained again.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from provenance import RESULTS, provenance
from side_by_side import named
from training_runs import Run, train_all

from hybridir_mteb.files import write_text

OUTPUT = RESULTS / "budget.json"
COMMAND = "make budget"
METHOD = "hybrid"
SETTINGS = ("steps", "batch_size", "learning_rate")
# Backbone -> what is told beside the recipe; the recipe itself first.
TRIALS: dict[str, tuple[dict[str, str], ...]] = {
    "pocket": (
        {},
        {"batch_size": "128"},
        {"steps": "300"},
        {"steps": "300", "learning_rate": "4e-4"},
    ),
}


def trial(run: Run, record: dict[str, Any]) -> dict[str, Any]:
    """What a trial was told, and what held-out text says of it.

    Args:
        run: The run.
        record: That of its encoder.
    """
    recipe = run.wanted.model_dump(mode="json")
    return {
        "command": " ".join(run.command),
        "settings": {name: recipe[name] for name in SETTINGS},
        "held_out": record["selection"]["encoder"],
        "seconds": record["machine"]["seconds"],
    }


def main() -> None:
    """Train, judge, write; backbones that are done on another day stay."""
    for backbone in named(sys.argv[1:], tuple(TRIALS)):
        made_by = provenance(f"{COMMAND} BACKBONES={backbone}")
        recipe = f"{backbone}-{METHOD}"
        runs = [Run(recipe, METHOD, 0, (), tuple(told.items())) for told in TRIALS[backbone]]
        found = train_all(runs)
        trials = [trial(run, found[run].record) for run in runs]
        # Read when all is done: another backbone may have been tried meanwhile.
        report = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
        report[backbone] = {"made_by": made_by, "method": METHOD, "trials": trials}
        write_text(OUTPUT, json.dumps(report, indent=1) + "\n")
        print(OUTPUT)


if __name__ == "__main__":
    main()
