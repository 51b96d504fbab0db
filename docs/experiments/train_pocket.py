"""Experiment: the encoders of the package, which are the median seeds of the comparison.

python docs/experiments/train_pocket.py [METHOD …]

``make compare-methods BACKBONES=pocket`` has said which seed of a method is the median, by the
criterion on held-out documents; no evaluation set decides anything. Only that one is trained, and
only where the store does not have it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from compare_methods import CAMPAIGNS
from provenance import RESULTS, provenance
from side_by_side import named
from training_runs import median_seed, train_all

from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text

BACKBONE = "pocket"
METHODS = CAMPAIGNS[BACKBONE].methods
COMMAND = "make train-pocket"
OUTPUT = RESULTS / "train-pocket.json"


def compared() -> dict[str, Any]:
    """What the comparison found, for all seeds that were planned.

    Raises:
        SystemExit: There is no comparison yet, or some of its seeds are missing.
    """
    path = RESULTS / f"compare-methods-{BACKBONE}.json"
    asked = f"make compare-methods BACKBONES={BACKBONE}"
    if not path.is_file():
        sys.exit(f"{COMMAND}: {path} is missing; {asked} writes it")
    found: dict[str, Any] = json.loads(path.read_text())
    seeds = found["seeds"]
    if seeds["made"] < seeds["planned"]:
        sys.exit(f"{COMMAND}: {seeds['made']} of {seeds['planned']} seeds are there; {asked}")
    return found


def main() -> None:
    """Choose, train what is missing, copy, and record what was chosen from."""
    methods = named(sys.argv[1:], METHODS)
    made_by = provenance(COMMAND)  # before the package changes
    found = compared()
    held_out: Mapping[str, Sequence[Mapping[str, Any]]] = found["held_out"]
    runs = CAMPAIGNS[BACKBONE].runs(BACKBONE)
    chosen = {name: runs[name][median_seed(held_out[name])] for name in methods}
    encoders = train_all(chosen.values())
    # Methods that were shipped on another day stay.
    shipped = json.loads(OUTPUT.read_text())["methods"] if OUTPUT.is_file() else {}
    for method, run in chosen.items():
        encoder = encoders[run]
        target = trained.PACKAGED / f"{BACKBONE}-{method}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(encoder.path, target)
        shipped[method] = {
            "shipped_seed": run.seed,
            "fingerprint": encoder.fingerprint,
            "held_out_as_shipped": encoder.record["selection"]["encoder"],
            "compared_fingerprint": found["fingerprints"][method][run.seed],
            "held_out": {str(seed): scores for seed, scores in enumerate(held_out[method])},
        }
    result = {
        "made_by": made_by,
        "data": data_of(encoders[next(iter(chosen.values()))]),
        "backbone": found["backbone"],
        "methods": {method: shipped[method] for method in METHODS if method in shipped},
    }
    write_text(OUTPUT, json.dumps(result, indent=1) + "\n")
    print(OUTPUT)


def data_of(encoder: trained.StoredEncoder) -> list[dict[str, Any]]:
    """Source, items and held-out items of what an encoder was trained on."""
    kept = ("source", "items", "held_out_items")
    return [{key: row[key] for key in kept if key in row} for row in encoder.record["data"]]


if __name__ == "__main__":
    main()
