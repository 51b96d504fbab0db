"""Experiment: whether more steps or larger batches than its recipe has make ``hybrid`` better.

python docs/experiments/budget.py [BACKBONE …]

Every trial is one encoder of the recipe with another setting or two, and held-out questions of the
training data judge it, and nothing else. Encoders in the store are not trained again.
"""

from __future__ import annotations

import sys
from typing import Any

from provenance import RESULTS, provenance
from side_by_side import named, put_part
from training_runs import Run, judged_run, train_all

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


def settings(run: Run) -> dict[str, Any]:
    """What a run's recipe says of what the trials change."""
    recipe = run.wanted.model_dump(mode="json")
    return {name: recipe[name] for name in SETTINGS}


def main() -> None:
    """Train, judge, write; backbones that are done on another day stay."""
    for backbone in named(sys.argv[1:], tuple(TRIALS)):
        made_by = provenance(f"{COMMAND} BACKBONES={backbone}")
        recipe = f"{backbone}-{METHOD}"
        runs = [Run(recipe, METHOD, 0, (), tuple(told.items())) for told in TRIALS[backbone]]
        found = train_all(runs)
        trials = [{"settings": settings(run), **judged_run(run, found[run])} for run in runs]
        put_part(OUTPUT, backbone, {"made_by": made_by, "method": METHOD, "trials": trials})
        print(OUTPUT)


if __name__ == "__main__":
    main()
