"""Several folders of shards, as one pool whose rows are numbered through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import HashArray, Shard, by_number


class Pools:
    """One pool made of folders.

    Args:
        folders: Complete ones, of one dimension.

    Attributes:
        n_passages: Number of passages of all folders together.
        dimension: Width of the vectors.

    Raises:
        EmbeddingError: There are no folders, or their dimensions differ.
        ShardError: A folder is not complete, or a shard is damaged.
    """

    def __init__(self, folders: Sequence[ShardFolder]) -> None:
        if not folders:
            raise EmbeddingError("the pool of passages is empty: there is nothing to search")
        self._folders = tuple(folders)
        sizes = [folder.n_passages for folder in folders]
        self._starts: IntArray = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.n_passages = int(self._starts[-1])
        dimensions = sorted({folder.dimension for folder in folders})
        if len(dimensions) > 1:
            raise EmbeddingError(f"the passages to search have embeddings of widths {dimensions}")
        self.dimension = dimensions[0]

    def shards(self) -> Iterator[tuple[int, Shard]]:
        """Each shard with its first row in the pool."""
        for folder, start in zip(self._folders, self._starts, strict=False):
            for number in range(folder.n_shards):
                shard = folder.shard(number)
                yield int(start) + shard.start, shard

    def vectors(self, rows: IntArray) -> FloatMatrix:
        """(n, dimension) float32 embeddings of any rows."""
        found = np.empty((len(rows), self.dimension), np.float32)
        for folder, at, own in self._by_folder(rows):
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
