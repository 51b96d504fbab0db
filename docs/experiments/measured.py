"""Research code: encoders measured on a collection, question by question, with intervals.

What was measured by the same code is kept in the store and not measured again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from embedder import Embedder, code_hash, device, embed, fingerprint, load
from per_query import TESTED, Values, by_question, means, values_of
from side_by_side import kept, on_every_core
from training_runs import Run, train_all

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.token_budget import Precision

COLLECTION = "XQuADR"
DRAWS, SEED = 2000, 0
LEVEL = 95  # per cent
ROOMS = ("collections", "debias", "encoders", "measures", "ranking")
SCRIPTS = ("debiased", "embedder", "measured", "per_query")
CODE = (
    *(f"hybridir_mteb/{room}/**/*.py" for room in ROOMS),
    *(f"docs/experiments/{script}.py" for script in SCRIPTS),
)
Questions = dict[str, dict[str, float]]  # measure of a setting -> question -> value
Scores = dict[str, Any]  # "means": measure of a setting -> mean over subsets; "questions"


@dataclass(frozen=True)
class Job:
    """One encoder on one collection.

    Attributes:
        backbone: Name of the backbone.
        folder: The encoder's; None is the backbone itself.
        collection: Name of the collection.
        languages: Of the collection.
        precision: Arithmetic of the forward pass.
    """

    backbone: str
    folder: Path | None
    collection: str
    languages: tuple[str, ...]
    precision: Precision

    def scores(self) -> Scores:
        """Values of all measures, from the cache or computed."""
        key = hashlib.sha256("\n".join((code_hash(CODE), *self.decides())).encode()).hexdigest()
        cache = paths.model_store_dir() / ".measured" / f"{key[:40]}.json"
        return kept(cache, self.measure)

    @property
    def identity(self) -> str:
        """Fingerprint of the encoder."""
        return fingerprint(self.backbone, self.folder)

    def decides(self) -> tuple[str, ...]:
        """What decides the result, besides the code."""
        of_encoder = (self.identity, self.precision.value, device())
        return (*of_encoder, self.collection, *self.languages)

    def embedder(self) -> Embedder:
        """The encoder, loaded."""
        return Embedder(load(self.backbone, self.folder), self.precision, self.identity)

    def measure(self) -> Scores:
        """Values of all measures, computed."""
        collection, queries, passages = embed(self.collection, self.embedder(), self.languages)
        return scores_of(values_of(collection, queries, passages, f"{self.collection} ranks"))


def scores_of(values: Values) -> Scores:
    """Means as the tasks report them, and one value of each question, for every measure."""
    questions = {name: by_question(of_measure) for name, of_measure in values.items()}
    return {"means": means(values), "questions": questions}


def measure_all(jobs: Sequence[Job]) -> list[Scores]:
    """All jobs, as many at a time as there are cores."""
    return on_every_core(Job.scores, jobs)


def measured(runs: Sequence[Run]) -> tuple[list[trained.StoredEncoder], list[Questions]]:
    """Train what is missing, measure all on XQuAD-R: encoders and values, in the runs' order."""
    found = train_all(runs)
    encoders = [found[run] for run in runs]
    jobs = [
        Job(
            encoder.record["backbone"]["name"],
            encoder.path,
            COLLECTION,
            tuple(encoder.record["languages"]),
            Precision.FP32,
        )
        for encoder in encoders
    ]
    return encoders, [found["questions"] for found in measure_all(jobs)]


def row(encoders: Sequence[trained.StoredEncoder], values: Sequence[Questions]) -> dict[str, Any]:
    """Every tested measure of the seeds of one contender, and its held-out criteria."""
    selections = [encoder.record["selection"]["encoder"] for encoder in encoders]
    return {
        **{measure: interval([of[measure] for of in values]) for measure in TESTED},
        "held_out_criterion": [selection["criterion"] for selection in selections],
    }


def interval(values: Sequence[Mapping[str, float]]) -> dict[str, Any]:
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
