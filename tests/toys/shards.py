"""Sources, encoders and folders for the tests of shards."""

import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.key import ShardKey


class Listed:
    """A source of given (id, text) pairs."""

    name = "Toy sw"
    fingerprint = "0" * 64

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self.pairs = list(pairs)
        self.read: list[tuple[int, int | None]] = []

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        self.read.append((start, stop))
        for identifier, text in self.pairs[start:stop]:
            yield StreamedPassage(identifier, text)


def numbered(n: int) -> Listed:
    """Passages d0, d1, … with texts of their own."""
    return Listed([(f"d{at}", f"text {at}") for at in range(n)])


def vector_of(text: str, dimension: int = 8) -> np.ndarray:
    """A function of the text alone."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


class Encoder:
    """Encodes in batches, the last texts first; remembers what it was given.

    Args:
        die_after: Number of texts after which the process kills itself.
        replace: Text -> vector that is returned instead.
    """

    def __init__(self, die_after: int | None = None, replace: dict | None = None) -> None:
        self.seen: list[str] = []
        self.die_after, self.replace = die_after, replace or {}

    def __call__(self, texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        for stop in range(len(texts), 0, -3):
            positions = list(range(max(0, stop - 3), stop))
            self.seen += [texts[at] for at in positions]
            if self.die_after is not None and len(self.seen) >= self.die_after:
                os.kill(os.getpid(), signal.SIGKILL)
            yield (
                positions,
                np.stack([self.replace.get(texts[at], vector_of(texts[at])) for at in positions]),
            )


def key(
    rows: int = 10, dtype: str = "float32", prefix: str = "p:sw:", source: str = "a"
) -> ShardKey:
    return ShardKey("Toy sw", source, prefix, "toy encoder", "e", dtype, rows)


def folder_of(
    parent: Path, vectors: np.ndarray, ids: Sequence[str], *, name: ShardKey | None = None
) -> ShardFolder:
    """A complete folder with given vectors."""
    name = name or key()
    folder = ShardFolder(parent, name)
    for number, start in enumerate(range(0, len(ids), name.rows)):
        part = slice(start, start + name.rows)
        folder.write(number, ids[part], vectors[part].astype(name.dtype))
    folder.finish(len(ids))
    return folder
