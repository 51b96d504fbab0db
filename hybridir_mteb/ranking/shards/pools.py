"""Several folders of shards, as one pool whose rows are numbered through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import HashArray, Shard, as_slice, by_number


class Pools:
    """One pool made of folders.

    Args:
        folders: Complete ones, of one dimension.
        part: Numbers of the shards to search, counted through all folders; by default all.

    Attributes:
        n_passages: Number of passages of all folders together.
        dimension: Width of the vectors.

    Raises:
        EmbeddingError: There are no folders, or their dimensions differ.
        ShardError: A folder is not complete, or a shard is damaged.
    """

    def __init__(self, folders: Sequence[ShardFolder], part: range | None = None) -> None:
        if not folders:
            raise EmbeddingError("the pool of passages is empty: there is nothing to search")
        self._folders, self._part = tuple(folders), part
        sizes = [folder.n_passages for folder in folders]
        self._starts: IntArray = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.n_passages = int(self._starts[-1])
        dimensions = sorted({folder.dimension for folder in folders})
        if len(dimensions) > 1:
            raise EmbeddingError(f"the passages to search have embeddings of widths {dimensions}")
        self.dimension = dimensions[0]

    def shards(self) -> Iterator[tuple[int, Shard]]:
        """Each shard of the part with its first row in the pool."""
        first = 0  # number of the folder's first shard
        for folder, start in zip(self._folders, self._starts, strict=False):
            for number in range(folder.n_shards):
                if self._part is None or first + number in self._part:
                    shard = folder.shard(number)
                    yield int(start) + shard.start, shard
            first += folder.n_shards

    def holds(self, rows: IntArray) -> npt.NDArray[np.bool_]:
        """(n,) whether rows lie in the part."""
        if self._part is None:
            return np.ones(len(rows), bool)
        shards = [folder.n_shards for folder in self._folders]
        firsts = np.concatenate([[0], np.cumsum(shards)])
        at = np.searchsorted(self._starts, rows, side="right") - 1
        sizes = np.array([folder.key.rows for folder in self._folders])
        number = firsts[at] + (rows - self._starts[at]) // sizes[at]
        inside: npt.NDArray[np.bool_] = (number >= self._part.start) & (number < self._part.stop)
        return inside

    def vectors(self, rows: IntArray, out: FloatMatrix | None = None) -> FloatMatrix:
        """(n, dimension) float32 embeddings of any rows; in ``out`` if it is given."""
        found = np.empty((len(rows), self.dimension), np.float32) if out is None else out
        for folder, at, own in self._by_folder(rows):
            if (piece := as_slice(at)) is not None:
                folder.vectors(own, found[piece])
            else:
                found[at] = folder.vectors(own)
        return found

    def hashes(self, rows: IntArray) -> HashArray:
        """(n,) hashes of the tie rule of any rows."""
        found = np.empty(len(rows), np.uint64)
        for folder, at, own in self._by_folder(rows):
            found[at] = folder.hashes(own)
        return found

    def _by_folder(self, rows: IntArray) -> Iterator[tuple[ShardFolder, IntArray, IntArray]]:
        """Each folder with the positions in ``rows`` that fall into it, and its own rows."""
        for number, at in by_number(np.searchsorted(self._starts, rows, side="right") - 1):
            yield self._folders[number], at, rows[at] - self._starts[number]
