"""Models for MTEB, and an evaluation by MTEB itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mteb
import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction


def meta(name: str = "test/hash") -> ModelMeta:
    return ModelMeta.create_empty(
        {"name": name, "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
    )


class HashEncoder(AbsEncoder):
    """Embeds by a function of the text; counts what it is asked to encode."""

    def __init__(self, embed: Any) -> None:
        self.embed = embed
        self.seen: list[tuple[str | None, str]] = []
        self.mteb_model_meta = meta()

    def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        self.seen += [(prompt_type.value if prompt_type else None, text) for text in texts]
        return np.stack([self.embed(text) for text in texts])


def evaluate(model: Any, tasks: Any, tmp_path: Path, **kwargs: Any) -> Any:
    cache = mteb.ResultCache(tmp_path)
    return mteb.evaluate(
        model, tasks, cache=cache, co2_tracker=False, show_progress_bar=False, **kwargs
    )


def scores_of(result: Any, at: int = 0) -> dict[str, dict[str, Any]]:
    return {score["hf_subset"]: score for score in result.task_results[at].scores["test"]}


class WordSearch:
    """A model that only searches: counts shared words, returns at most one passage."""

    mteb_model_meta = meta("test/search")

    def index(self, corpus: Any, **kwargs: Any) -> None:
        self.corpus = {row["id"]: set(row["text"].lower().rstrip(".").split()) for row in corpus}

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> dict[str, dict[str, float]]:
        run = {}
        for row in queries:
            words = set(row["text"].lower().rstrip("?").split())
            scored = {i: float(len(words & found)) for i, found in self.corpus.items()}
            best = max(sorted(scored), key=scored.__getitem__)
            run[row["id"]] = {best: scored[best]}
        return run
