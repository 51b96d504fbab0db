"""Experiment: the encoders of the package, which are the median seeds of the comparison.

python docs/experiments/train_pocket.py [METHOD …]

The median is by the criterion on held-out documents; no evaluation set decides anything. What
``make compare-methods BACKBONES=pocket`` has recorded of a seed is not asked for again: of these,
only the one that ships is trained, and only where the store does not have it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from compare_methods import CAMPAIGNS
from provenance import RESULTS, provenance
from shipping import ship
from side_by_side import named
from training_runs import Run, median_seed, train_all

from hybridir_mteb.files import write_text

BACKBONE = "pocket"
METHODS = CAMPAIGNS[BACKBONE].methods
COMMAND = "make train-pocket"
COMPARED = RESULTS / f"compare-methods-{BACKBONE}.json"
OUTPUT = RESULTS / "train-pocket.json"


def held_out_scores(runs: dict[str, list[Run]]) -> dict[str, list[dict[str, Any]]]:
    """Method -> held-out scores of every seed; those that nobody has recorded are trained."""
    known = json.loads(COMPARED.read_text())["held_out"] if COMPARED.is_file() else {}
    found = {method: known.get(method, [])[: len(of)] for method, of in runs.items()}
    unknown = [run for method, of in runs.items() for run in of[len(found[method]) :]]
    # The same seed of all methods before the next seed.
    encoders = train_all(sorted(unknown, key=lambda run: run.seed))
    for run in unknown:
        found[run.method].append(encoders[run].record["selection"]["encoder"])
    return found


def main() -> None:
    """Choose, train what is missing, copy, and record what was chosen from."""
    methods = named(sys.argv[1:], METHODS)
    made_by = provenance(COMMAND)  # before the package changes
    runs = {name: of for name, of in CAMPAIGNS[BACKBONE].runs(BACKBONE).items() if name in methods}
    held_out = held_out_scores(runs)
    chosen = {name: of[median_seed(held_out[name])] for name, of in runs.items()}
    encoders = train_all(chosen.values())
    # Methods that were shipped on another day stay.
    shipped = json.loads(OUTPUT.read_text())["methods"] if OUTPUT.is_file() else {}
    for method, run in chosen.items():
        encoder = encoders[run]
        ship(encoder.path)
        scores = dict(enumerate(held_out[method]))
        scores[run.seed] = encoder.record["selection"]["encoder"]  # of what ships
        shipped[method] = {
            "shipped_seed": run.seed,
            "fingerprint": encoder.fingerprint,
            "held_out": {str(seed): of_seed for seed, of_seed in scores.items()},
        }
    result = {
        "made_by": made_by,
        "backbone": next(iter(encoders.values())).record["selection"]["backbone"],
        "methods": {method: shipped[method] for method in METHODS if method in shipped},
    }
    write_text(OUTPUT, json.dumps(result, indent=1) + "\n")
    print(OUTPUT)


if __name__ == "__main__":
    main()
