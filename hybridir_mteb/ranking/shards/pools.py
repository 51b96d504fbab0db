"""Several folders of shards, as one pool whose rows are numbered through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import HashArray, Shard

T = TypeVar("T", bound=np.generic)


class Pools:
    """One pool made of folders.

    Args:
        folders: Complete ones, of one dimension.

    Attributes:
        n_passages: Of all together.
        dimension: Of the vectors.

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
        return self._gather(rows, found, ShardFolder.vectors)

    def hashes(self, rows: IntArray) -> HashArray:
        """(n,) hashes of the tie rule of any rows."""
        return self._gather(rows, np.empty(len(rows), np.uint64), ShardFolder.hashes)

    def _gather(
        self,
        rows: IntArray,
        found: npt.NDArray[T],
        read: Callable[[ShardFolder, IntArray], npt.NDArray[np.generic]],
    ) -> npt.NDArray[T]:
        pool = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(pool):
            at = np.flatnonzero(pool == number)
            found[at] = read(self._folders[number], rows[at] - self._starts[number])
        return found
