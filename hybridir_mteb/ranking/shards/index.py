"""Indexes of FAISS beside the shards that they are made of: quick to ask, and not exact."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.collections.readers.digests import build_unless_sound
from hybridir_mteb.errors import SettingError, ShardError, from_extra, one_line, quoted
from hybridir_mteb.files import digest_of
from hybridir_mteb.files.progress import progress
from hybridir_mteb.ranking.arrays import (
    SMALLEST_NORM,
    FloatArray,
    FloatMatrix,
    IntArray,
    Similarity,
)
from hybridir_mteb.ranking.shards.blocks import read_blocks
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.pairs import lengths
from hybridir_mteb.ranking.shards.pools import Pools

FORMAT = 1  # of what is built; another format has other files
KINDS = ("hnsw", "ivfpq")
FEW = 1024  # passages, of which all are looked at: an index has nothing to gain
LINKS = 32  # of a passage in the graph
EFFORT = 200  # passages that are looked at to place one in the graph
TRAINED = 39  # passages for each centre, which is FAISS's least
SAMPLE_BYTES = 1 << 30  # of the passages that centres are learned from
MOST_LISTS = 1 << 14
PROBES = 64  # lists that are looked at for a query
BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Recipe:
    """What an index depends on; another recipe is another file.

    Attributes:
        kind: ``hnsw`` or ``ivfpq``.
        factory: How it is made, in the words of FAISS's ``index_factory``.
        sample: How many passages are learned from.
        shards: Digest of the key of the shards.
        passages: How many there are.
        similarity: Cosine or dot product.
        format: Of this module.
        effort: As :data:`EFFORT`.
    """

    kind: str
    factory: str
    sample: int
    shards: str
    passages: int
    similarity: Similarity
    format: int = FORMAT
    effort: int = EFFORT

    @classmethod
    def of(cls, folder: ShardFolder, kind: str, similarity: Similarity) -> Recipe:
        """For the passages of a complete folder."""
        n, dimension = folder.n_passages, folder.dimension
        sample, factory = 0, f"HNSW{LINKS}"
        if n < FEW:
            factory = "Flat"
        elif kind == "ivfpq":
            most = min(n, SAMPLE_BYTES // (4 * dimension))
            lists = max(1, min(int(4 * math.sqrt(n)), most // TRAINED, MOST_LISTS))
            sample = min(most, 64 * max(lists, 256))
            bits = min(8, int(math.log2(sample / TRAINED)))
            codes = max(m for m in range(1, max(1, dimension // 4) + 1) if dimension % m == 0)
            factory = f"IVF{lists},PQ{codes}x{bits}"
        return cls(kind, factory, sample, folder.key.digest, n, similarity)

    @property
    def identity(self) -> str:
        """All of it as one string."""
        return json.dumps(asdict(self), sort_keys=True)

    def place(self, folder: ShardFolder) -> Path:
        """The file of the index."""
        return folder.path / f"{self.kind}-{digest_of(self.identity)[:16]}.faiss"


def load_faiss() -> Any:
    """FAISS.

    Raises:
        MissingExtraError: It is not installed.
    """
    with from_extra("approximate", "approximate search (--approximate)"):
        import faiss

        return faiss


def check_kind(kind: str) -> None:
    """Refuse a kind of index that there is not.

    Raises:
        SettingError: The message names those that there are.
    """
    if kind not in KINDS:
        raise SettingError(
            f"approximate={quoted(kind, 80)} (--approximate): give {' or '.join(KINDS)}"
        )


class Index:
    """The index of one folder of shards; what is on disk is used, and else it is built.

    All of it is in memory while it is used, and while it is built: of ``hnsw`` the vectors in
    float32 and 272 bytes for each passage, of ``ivfpq`` a byte for four dimensions and eight more.

    Args:
        folder: A complete folder.
        kind: One of :data:`KINDS`.
        similarity: Cosine or dot product.

    Raises:
        MissingExtraError: FAISS is not installed.
        ShardError: A shard is damaged, or the index is of another version of FAISS.
        NoSpaceError: The disk is full.
    """

    def __init__(self, folder: ShardFolder, kind: str, similarity: Similarity) -> None:
        self._folder, self._faiss = folder, load_faiss()
        self._recipe = Recipe.of(folder, kind, similarity)
        place = self._recipe.place(folder)
        build_unless_sound(place, self._recipe.identity, self._write)
        try:
            self._index = self._faiss.read_index(str(place))
        except RuntimeError as error:
            raise ShardError(
                f"FAISS {self._faiss.__version__} cannot read {place}: {one_line(error, 200)}. "
                "Remove it: it is built again"
            ) from error

    def best(self, queries: FloatMatrix, wide: int) -> tuple[IntArray, FloatArray]:
        """Rows and approximate scores of what may be the best passages.

        Args:
            queries: (n_queries, dimension) float32.
            wide: How many of each to find.

        Returns:
            (n_queries, wide) rows, -1 where fewer were found, and scores.
        """
        name, value = {
            "HNSW": ("efSearch", max(2 * wide, 128)),
            "IVF": ("nprobe", PROBES),
            "Flat": ("", 0),
        }[self._recipe.factory.split(",")[0].rstrip("0123456789")]
        if name:
            self._faiss.ParameterSpace().set_index_parameter(self._index, name, value)
        scores, rows = self._index.search(self._as_indexed(queries), wide)
        return rows, np.where(rows < 0, -np.inf, scores)

    def _write(self, place: Path) -> None:
        self._faiss.write_index(self._build(), str(place))

    def _build(self) -> Any:
        """The index, its passages added block by block."""
        faiss, folder, recipe = self._faiss, self._folder, self._recipe
        metric = faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(folder.dimension, recipe.factory, metric)
        if not index.is_trained:
            index.do_polysemous_training = False  # takes most of the time, for a search of its own
            rows = np.unique(np.random.default_rng(0).integers(0, recipe.passages, recipe.sample))
            if recipe.sample >= recipe.passages:
                rows = np.arange(recipe.passages)
            index.train(self._as_indexed(folder.vectors(rows)))
        if recipe.factory.startswith("HNSW"):
            index.hnsw.efConstruction = recipe.effort
        label = f"{recipe.kind} index of {folder.key.source} {folder.key.encoder}"
        with progress(desc=label, total=recipe.passages, unit="passage", unit_scale=True) as bar:
            for block in read_blocks(Pools([folder]), BLOCK_ROWS):
                index.add(self._as_indexed(block.vectors))
                bar.update(len(block))
        return index

    def _as_indexed(self, vectors: FloatArray) -> FloatMatrix:
        """Vectors whose inner product is the similarity."""
        plain = np.ascontiguousarray(vectors, np.float32)
        if self._recipe.similarity is Similarity.DOT:
            return plain
        wide = plain / np.maximum(lengths(plain), SMALLEST_NORM)[:, None]
        return wide.astype(np.float32)
