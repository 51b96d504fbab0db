"""Encoders and searches that are functions of the text."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta, ScoringFunction


def hash_embedding(text: str, dimension: int = 16) -> np.ndarray:
    """A vector that is a function of the text alone: sums of hashed words, then normalised."""
    vector = np.zeros(dimension)
    for word in text.lower().split() or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector += np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def meta(name: str = "test/hash", **changes: Any) -> ModelMeta:
    """What MTEB knows of a made-up model."""
    known = {"name": name, "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
    return ModelMeta.create_empty({**known, **changes})


class HashEncoder(AbsEncoder):
    """Embeds by a function of the text; notes what it is asked to encode.

    Args:
        fingerprint: What it calls itself; None: nothing, so that its embeddings are not stored.
        embed: The function.
        shift: Added to queries.
    """

    def __init__(
        self,
        fingerprint: str | None = "hash-1",
        embed: Callable[[str], np.ndarray] = hash_embedding,
        shift: float = 0.0,
    ) -> None:
        self.embed, self.shift = embed, shift
        self.seen: list[tuple[str, str]] = []
        if fingerprint is not None:
            self.embedding_fingerprint = fingerprint
        self.mteb_model_meta = meta()

    def encode(self, inputs: Any, *, prompt_type: Any = None, **kwargs: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        self.seen += [(prompt_type.value, text) for text in texts]
        vectors = np.stack([self.embed(text) for text in texts])
        return vectors + np.float32(self.shift) if prompt_type.value == "query" else vectors

    def passages_seen(self) -> int:
        """How many passages were encoded."""
        return sum(role == "document" for role, _ in self.seen)


class Reversed(HashEncoder):
    """What is nearest to others is farthest to this one."""

    def similarity(self, a: Any, b: Any) -> torch.Tensor:
        return -(torch.as_tensor(a) @ torch.as_tensor(b).T)


class WordSearch:
    """A model that only searches: counts shared words.

    Args:
        most: How many passages it returns for a query.
    """

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.mteb_model_meta = meta("test/search")

    def index(self, corpus: Any, **kwargs: Any) -> None:
        self.corpus = {
            row["id"]: {*f"{row.get('title', '')} {row['text']}".lower().rstrip(".").split()}
            for row in corpus
        }

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> dict[str, dict[str, float]]:
        run = {}
        for row in queries:
            words = set(row["text"].lower().rstrip("?").split())
            scored = {i: float(len(words & found)) for i, found in self.corpus.items()}
            best = sorted(scored, key=lambda i: (-scored[i], i))[: self.most]
            run[row["id"]] = {i: scored[i] for i in best}
        return run
