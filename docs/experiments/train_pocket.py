"""Experiment: pocket encoders with several seeds; each method's median seed is the package's.

python docs/experiments/train_pocket.py [METHOD …]

Seeds that are in the store already, trained by the same recipe, are not trained again. The median
is by the criterion on held-out documents; no evaluation set decides anything.
"""

from __future__ import annotations

import json
import shutil
import sys

from provenance import RESULTS, provenance
from training_runs import Run, median, train_all

from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

METHODS = ("mono", "cross", "hybrid", "mixed", "adversarial")
SEEDS = (0, 1, 2)
COMMAND = "make train-pocket"


def stored(method: str, seed: int) -> trained.StoredEncoder | None:
    """The stored encoder of exactly this recipe and seed."""
    return Run(f"pocket-{method}", method, seed).stored()


def main() -> None:
    """Train, choose, copy, and record what was chosen from."""
    methods = tuple(sys.argv[1:]) or METHODS
    made_by = provenance(COMMAND)  # before the package changes
    # The same seed of all methods before the next seed.
    runs = [Run(f"pocket-{method}", method, seed) for seed in SEEDS for method in methods]
    found: dict[str, dict[int, trained.StoredEncoder]] = {method: {} for method in methods}
    for run, encoder in train_all(runs).items():
        found[run.method][run.seed] = encoder
    shipped = {}
    for method, by_seed in found.items():
        chosen = median(by_seed.values())
        target = trained.PACKAGED / f"pocket-{method}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(chosen.path, target)
        shipped[method] = {
            "shipped_seed": chosen.record["recipe"]["seed"],
            "fingerprint": chosen.fingerprint,
            "held_out": {
                str(seed): encoder.record["selection"]["encoder"]
                for seed, encoder in by_seed.items()
            },
        }
    record = next(iter(found[methods[0]].values())).record
    rows = {row["source"]: row for row in record["data"]}
    asked = [rows[name] for name in ("train", "held-out", "passages") if name in rows]
    data = {
        "items": rows["NTREX-128"]["items"],
        "questions": sum(row["items"] for row in asked),
        "held_out_questions": sum(row["held_out_items"] for row in asked),
    }
    path = RESULTS / "train-pocket.json"
    if path.is_file():  # methods trained on another day stay
        shipped = {**json.loads(path.read_text())["methods"], **shipped}
    result = {
        "made_by": made_by,
        "data": data,
        "backbone": record["selection"]["backbone"],
        "methods": shipped,
    }
    write_text(path, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
