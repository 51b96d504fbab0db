"""Experiment: pocket-base and every seed of the pocket encoders on XQuAD-R and MLQA-R.

python docs/experiments/compare_pocket.py

Encoders come from the store (all seeds) and, where the store lacks them, from the package. Two are
evaluated side by side, a core each. Results of an encoder, by the same code, are kept in the store,
so an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from measured import Job, measure_all
from per_query import TESTED
from provenance import RESULTS, provenance
from significance import pairwise_tests
from train_pocket import METHODS, SEEDS, stored

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.files import write_text
from hybridir_mteb.installed import installed_plugins

COLLECTIONS = ("XQuADR", "MLQAR")
COMMAND = "make compare-pocket"


def encoders() -> Iterator[tuple[str, int, trained.StoredEncoder]]:
    """Method, seed, encoder; of the package alone where the store has no seeds."""
    for method in METHODS:
        seeds = {seed: stored(method, seed) for seed in SEEDS}
        if not all(seeds.values()):
            packaged = trained.get(f"hybridir/pocket-{method}")
            seeds = {packaged.record["recipe"]["seed"]: packaged}
        for seed, encoder in seeds.items():
            if encoder is not None:
                yield method, seed, encoder


def main() -> None:
    """Evaluate everything, test differences, write the result file."""
    made_by = provenance(COMMAND)
    contenders: list[tuple[str, int, trained.StoredEncoder | None]] = [("base", 0, None)]
    contenders += encoders()
    specs = installed_plugins().collections
    jobs = [
        Job("pocket", one and one.path, name, specs[name].languages, Precision.BF16)
        for *_, one in contenders
        for name in COLLECTIONS
    ]
    results = iter(measure_all(jobs))
    scores: dict[str, dict[str, Any]] = {}
    fingerprints: dict[str, dict[str, str]] = {}
    for method, seed, one in contenders:
        scores.setdefault(method, {})[str(seed)] = {name: next(results) for name in COLLECTIONS}
        if one is not None:
            fingerprints.setdefault(method, {})[str(seed)] = one.fingerprint
    result = {
        "made_by": made_by,
        "precision": "bf16",
        "fingerprints": fingerprints,
        "collections": {name: summary(name, scores) for name in COLLECTIONS},
    }
    write_text(RESULTS / "compare-pocket.json", json.dumps(result, indent=1) + "\n")
    print(RESULTS / "compare-pocket.json")


def summary(name: str, scores: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Means of every seed, mean and deviation over seeds, and tests between methods."""
    methods = {}
    for method, by_seed in scores.items():
        of_seeds = {seed: found[name]["means"] for seed, found in by_seed.items()}
        keys = next(iter(of_seeds.values()))
        columns = {key: [row[key] for row in of_seeds.values()] for key in keys}
        methods[method] = {
            "seeds": of_seeds,
            "mean": {key: round(float(np.mean(v)), 6) for key, v in columns.items()},
            "deviation": {
                key: round(float(np.std(v, ddof=1)), 6) if len(v) > 1 else None
                for key, v in columns.items()
            },
        }
    tests = {
        key: pairwise_tests(
            {
                method: [found[name]["questions"][key] for found in by_seed.values()]
                for method, by_seed in scores.items()
            }
        )
        for key in TESTED
    }
    return {"methods": methods, "tests": tests}


if __name__ == "__main__":
    main()
