"""Encoders that are functions of the text."""

from __future__ import annotations

import hashlib

import numpy as np


def hash_embedding(text: str, dimension: int = 16) -> np.ndarray:
    """A vector that is a function of the text alone: sums of hashed words, then normalised."""
    vector = np.zeros(dimension)
    for word in text.lower().split() or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        vector += np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)
