"""Experiment: pocket-base and every seed of the pocket encoders on XQuAD-R and MLQA-R.

python docs/experiments/compare_pocket.py

Encoders come from the store (all seeds) and, where the store lacks them, from the package. Two are
evaluated side by side, a core each. Results of an encoder, by the same code, are kept in the store,
so an interrupted run goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from embedder import Embedder, code_hash, fingerprint, load, per_query
from per_query import TESTED, means, tested_questions
from provenance import RESULTS, provenance
from side_by_side import kept, on_every_core
from significance import pairwise_tests
from train_pocket import METHODS, SEEDS, stored

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.pocket.weights import FILE_SHA256
from hybridir_mteb.files import write_text

COLLECTIONS = ("XQuADR", "MLQAR")
COMMAND = "make compare-pocket"


def evaluated(key: str, folder: Path | None) -> dict[str, Any]:
    """Scores of one encoder on all collections, from the cache or computed.

    Args:
        key: Name in the cache.
        folder: The encoder's; None is the backbone.
    """
    return kept(paths.model_store_dir() / ".compared" / f"{key}.json", partial(evaluate, folder))


def evaluate(folder: Path | None) -> dict[str, Any]:
    """Scores of one encoder on all collections."""
    embedder = Embedder(load("pocket", folder), fingerprint=fingerprint("pocket", folder))
    result = {}
    for name in COLLECTIONS:
        values = per_query(name, embedder)
        result[name] = {
            "means": means(values),
            "questions": tested_questions(values),
        }
    return result


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
    jobs: list[tuple[str, int, str, Path | None]] = [("base", 0, FILE_SHA256, None)]
    jobs += [(method, seed, e.fingerprint, e.path) for method, seed, e in encoders()]
    code = code_hash()
    keys = [f"{identity}-{code}" for _, _, identity, _ in jobs]
    results = on_every_core(evaluated, keys, [path for *_, path in jobs])
    scores: dict[str, dict[str, Any]] = {}
    fingerprints: dict[str, dict[str, str]] = {}
    for (method, seed, identity, path), found in zip(jobs, results, strict=True):
        scores.setdefault(method, {})[str(seed)] = found
        if path is not None:
            fingerprints.setdefault(method, {})[str(seed)] = identity
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
