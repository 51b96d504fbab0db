"""Research code: trained encoders measured on XQuAD-R, question by question, with intervals.

In the languages that an encoder was trained on. What was measured by the same code is kept in the
store and not measured again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from compare_pocket import Embedder, code_hash, per_query
from per_query import TESTED, by_question
from side_by_side import kept, on_every_core
from training_runs import Run, train_all

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.load import load_sentence_transformer
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.installed import installed_plugins

COLLECTION = "XQuADR"
DRAWS, SEED = 2000, 0
LEVEL = 95  # per cent
Questions = dict[str, dict[str, float]]  # measure of a setting -> question -> value


def questions_of(key: str, folder: Path) -> Questions:
    """Values of one encoder, from the cache or computed."""
    return kept(paths.model_store_dir() / ".measured" / f"{key}.json", partial(measure, folder))


def measure(folder: Path) -> Questions:
    """Values of one encoder."""
    encoder = trained.read_encoder(folder)
    model = load_sentence_transformer(encoder, installed_plugins().backbones.__getitem__)
    embed = Embedder(model, Precision.FP32)
    values = per_query(COLLECTION, embed, tuple(encoder.record["languages"]))
    return {name: by_question(values[name]) for name in TESTED}


def measured(runs: Sequence[Run]) -> tuple[list[trained.StoredEncoder], list[Questions]]:
    """Train what is missing, and measure all: encoders and values, in the order of the runs."""
    found = train_all(runs)
    encoders = [found[run] for run in runs]
    code = code_hash()
    keys = [f"{encoder.fingerprint}-{code}" for encoder in encoders]
    return encoders, on_every_core(questions_of, keys, [one.path for one in encoders])


def row(encoders: Sequence[trained.StoredEncoder], values: Sequence[Questions]) -> dict[str, Any]:
    """Every measure of the seeds of one contender, and its held-out criteria."""
    selections = [encoder.record["selection"]["encoder"] for encoder in encoders]
    return {
        **{measure: interval([of[measure] for of in values]) for measure in TESTED},
        "held_out_criterion": [selection["criterion"] for selection in selections],
    }


def interval(values: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Mean over seeds and questions, and its interval: a bootstrap over both.

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


def about(encoder: trained.StoredEncoder, values: Questions) -> dict[str, Any]:
    """What was measured, for a results file."""
    return {
        "collection": COLLECTION,
        "languages": encoder.record["languages"],
        "questions": len(values[TESTED[0]]),
        "precision": Precision.FP32.value,
        "level": LEVEL,
    }
