"""Experiment: hybrid batches with a share of monolingual ones from none to all, with intervals.

python docs/experiments/sweep_alpha.py [BACKBONE …]

The paper (Elmahdy et al. 2024) shows some values of alpha without intervals. Every value and seed
is trained by the same recipe, and measured on XQuAD-R in the languages that the backbone was
trained on. Nothing is chosen: the values were fixed beforehand. Intervals are percentiles of a
bootstrap over seeds and questions. Encoders and their results in the store are not made again.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from compare_pocket import Embedder, code_hash, per_query
from per_query import TESTED, by_question
from provenance import RESULTS, provenance
from training_runs import Run, train_all

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.load import load_sentence_transformer
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.files import replacing, write_text
from hybridir_mteb.installed import installed_plugins

OUTPUT = RESULTS / "sweep-alpha.json"
COMMAND = "make sweep-alpha"
COLLECTION = "XQuADR"
ALPHAS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
SEEDS = {"muse": range(3)}
DRAWS, SEED = 2000, 0
LEVEL = 95  # per cent


def questions_of(key: str, folder: Path) -> dict[str, dict[str, float]]:
    """Measure of a setting -> question -> value of one encoder, from the cache or computed."""
    cache = paths.model_store_dir() / ".swept" / f"{key}.json"
    if cache.is_file():
        return json.loads(cache.read_text())
    encoder = trained.read_encoder(folder)
    model = load_sentence_transformer(encoder, installed_plugins().backbones.__getitem__)
    embed = Embedder(model, Precision.FP32)
    values = per_query(COLLECTION, embed, tuple(encoder.record["languages"]))
    found = {measure: by_question(values[measure]) for measure in TESTED}
    with replacing(cache) as temporary:
        temporary.write_text(json.dumps(found))
    return found


def interval(values: list[dict[str, float]]) -> dict[str, Any]:
    """Mean over seeds and questions, and its interval.

    Args:
        values: Question -> value, of each seed.
    """
    matrix = np.array([[of_seed[name] for name in sorted(values[0])] for of_seed in values])
    rng = np.random.default_rng(SEED)
    seeds, questions = matrix.shape
    draws = [
        matrix[rng.integers(seeds, size=seeds)][:, rng.integers(questions, size=questions)].mean()
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(draws, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {
        "mean": round(float(matrix.mean()), 5),
        "interval": [round(float(low), 5), round(float(high), 5)],
        "seeds": [round(float(mean), 5) for mean in matrix.mean(axis=1)],
    }


def main() -> None:
    """Train, measure, write; backbones that are done on another day stay."""
    report = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    for backbone in sys.argv[1:] or SEEDS:
        made_by = provenance(COMMAND)
        runs = [
            Run(f"{backbone}-hybrid", "hybrid", seed, (("alpha", str(alpha)),))
            for seed in SEEDS[backbone]
            for alpha in ALPHAS
        ]
        encoders = train_all(runs)
        os.environ["OMP_NUM_THREADS"] = "1"  # of the workers: a core measures one encoder
        code = code_hash()
        keys = [f"{encoders[run].fingerprint}-{code}" for run in runs]
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            found = list(pool.map(questions_of, keys, [encoders[run].path for run in runs]))
        of_alpha: dict[str, list[int]] = {}
        for at, run in enumerate(runs):
            of_alpha.setdefault(dict(run.options)["alpha"], []).append(at)
        rows = {}
        for alpha, places in of_alpha.items():
            selections = [encoders[runs[at]].record["selection"]["encoder"] for at in places]
            rows[alpha] = {
                measure: interval([found[at][measure] for at in places]) for measure in TESTED
            } | {"held_out_criterion": [selection["criterion"] for selection in selections]}
        report[backbone] = {
            "made_by": made_by,
            "command_of_a_run": " ".join(runs[0].command),
            "collection": COLLECTION,
            "languages": encoders[runs[0]].record["languages"],
            "questions": len(found[0][TESTED[0]]),
            "level": LEVEL,
            "alphas": rows,
        }
        write_text(OUTPUT, json.dumps(report, indent=1) + "\n")
        print(OUTPUT)


if __name__ == "__main__":
    main()
