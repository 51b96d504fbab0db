"""Tiles of scores, small enough for the processor's cache, and what is asked of them.

A tile has a row for each passage and a column for each query, so that everything runs along rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, IntArray, Values
from hybridir_mteb.ranking.shards.pairs import Product

GROUPS = 4  # for each passage to be found, where the least score that is of interest is looked for
COUNTED = 128  # rows whose count fits into a byte, in which they are added up


@dataclass(frozen=True)
class Cells:
    """Some scores of a tile: ``rows`` and ``columns`` within it, and ``scores`` in float64."""

    rows: IntArray
    columns: IntArray
    scores: Values


class NumpyTiles:
    """On the processor; one object for each thread.

    Args:
        product: Of two matrices; by default that of BLAS.
    """

    def __init__(self, product: Product | None = None) -> None:
        self._product = product or Product()
        self._scores = np.empty(0, np.float32)
        self._flags = np.empty(0, bool)

    def load(self, passages: FloatMatrix) -> FloatMatrix:
        """The same (n, dimension) float32 vectors: they are where they are needed."""
        return passages

    def ready(self, queries: FloatMatrix, rows: int) -> Any:
        """Some queries as :meth:`product` takes them, with tiles of about ``rows`` passages."""
        return self._product.ready(queries, rows)

    def product(self, passages: FloatMatrix, queries: Any) -> FloatMatrix:
        """(n, m) float32 products of passages and queries; the next call may overwrite them."""
        size = len(passages) * queries.shape[0]
        if len(self._scores) < size:
            self._scores = np.empty(size, np.float32)
        tile = self._scores[:size].reshape(len(passages), queries.shape[0])
        return self._product.of(passages, queries, tile)

    def reaching(self, tile: npt.NDArray[Any], limits: FloatArray) -> Cells:
        """Scores of at least the limit of their column, row by row."""
        flags = np.greater_equal(tile, limits, out=self._flags_of(*tile.shape))
        place = np.flatnonzero(flags.reshape(-1))
        rows = place // tile.shape[1]
        return _cells(tile, rows, place - rows * tile.shape[1])

    def reached(self, tile: npt.NDArray[Any], depth: int) -> Values:
        """(n_columns,) float64: what at least ``depth`` rows of each column reach.

        The best rows are in groups of their own, nearly all: the maxima of groups tell as well as
        all rows do, and are fewer to be partitioned.
        """
        size = max(1, len(tile) // (GROUPS * depth))
        whole = len(tile) // size * size
        best = np.maximum.reduce(tile[:whole].reshape(-1, size, tile.shape[1]), axis=1)
        last = len(best) - depth
        found: Values = np.partition(best.T, last, axis=1)[:, last].astype(np.float64)
        return found

    def count(self, tile: npt.NDArray[Any], limits: FloatArray) -> IntArray:
        """How many scores of each of the first ``len(limits)`` columns reach the limit."""
        n, m = len(tile), len(limits)
        flags = np.greater_equal(tile[:, :m], limits, out=self._flags_of(n, m))
        whole = n // COUNTED * COUNTED
        ones = flags.view(np.uint8)
        parts = np.add.reduce(ones[:whole].reshape(-1, COUNTED, m), axis=1, dtype=np.uint8)
        found: IntArray = parts.sum(axis=0, dtype=np.int64)
        if whole < n:
            found += np.add.reduce(ones[whole:], axis=0, dtype=np.uint8)
        return found

    def _flags_of(self, n: int, m: int) -> npt.NDArray[np.bool_]:
        """(n, m) room for what is true of a tile."""
        if len(self._flags) < n * m:
            self._flags = np.empty(n * m, bool)
        return self._flags[: n * m].reshape(n, m)

    def column(self, tile: npt.NDArray[Any], number: int) -> FloatArray:
        """(n,) scores of one column, copied."""
        return tile[:, number].copy()

    def between(
        self, tile: npt.NDArray[Any], columns: IntArray, low: FloatArray, high: FloatArray
    ) -> Cells:
        """Scores of some columns, at least low and below high; columns count in ``columns``."""
        part = tile[:, columns]
        return _cells(part, *np.nonzero((part >= low) & (part < high)))


class TorchTiles:
    """On another device, such as a GPU; float32 products in full precision.

    Args:
        device: Name of a device of torch.
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch, self._device = torch, device

    def load(self, passages: FloatMatrix) -> Any:
        """(n, dimension) float32 vectors, copied to the device."""
        return self._torch.from_numpy(passages).to(self._device)

    def ready(self, queries: FloatMatrix, rows: int) -> Any:
        """Some queries as :meth:`product` takes them."""
        return self.load(queries)

    def product(self, passages: Any, queries: Any) -> Any:
        """(n, m) float32 products of what is loaded and ready; TF32 would exceed the bound."""
        backend = self._torch.backends.cuda.matmul
        before, backend.allow_tf32 = backend.allow_tf32, False
        try:
            return passages @ queries.T
        finally:
            backend.allow_tf32 = before

    def reaching(self, tile: Any, limits: FloatArray) -> Cells:
        """Scores of at least the limit of their column."""
        return self._found(tile, tile >= self._limits(limits))

    def reached(self, tile: Any, depth: int) -> Values:
        """(n_columns,) float64: what ``depth`` rows of each column reach."""
        found: Values = tile.topk(depth, dim=0).values[-1].cpu().double().numpy()
        return found

    def count(self, tile: Any, limits: FloatArray) -> IntArray:
        """How many scores of each of the first ``len(limits)`` columns reach the limit."""
        above = tile[:, : len(limits)] >= self._limits(limits)
        found: IntArray = above.sum(dim=0).cpu().numpy()
        return found

    def column(self, tile: Any, number: int) -> FloatArray:
        """(n,) scores of one column, copied from the device."""
        found: FloatArray = tile[:, number].cpu().numpy()
        return found

    def between(self, tile: Any, columns: IntArray, low: FloatArray, high: FloatArray) -> Cells:
        """Scores of some columns, at least low and below high; columns count in ``columns``."""
        part = tile[:, self._torch.from_numpy(columns).to(self._device)]
        flags = (part >= self._limits(low)) & (part < self._limits(high))
        return self._found(part, flags)

    def _limits(self, limits: FloatArray) -> Any:
        return self._torch.from_numpy(np.ascontiguousarray(limits)).to(self._device)

    def _found(self, tile: Any, flags: Any) -> Cells:
        rows, columns = self._torch.nonzero(flags, as_tuple=True)
        scores = tile[rows, columns].cpu().double().numpy()
        return Cells(rows.cpu().numpy(), columns.cpu().numpy(), scores)


Tiles = NumpyTiles | TorchTiles


def _cells(
    tile: npt.NDArray[Any], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Cells:
    return Cells(rows, columns, tile[rows, columns].astype(np.float64))


def at_most(limit: Values) -> FloatMatrix:
    """float32 numbers that are not above the given ones."""
    with np.errstate(over="ignore"):
        found = limit.astype(np.float32)
    lower: FloatMatrix = np.where(found > limit, np.nextafter(found, np.float32(-np.inf)), found)
    return lower


def above(limit: Values) -> FloatMatrix:
    """float32 numbers that are above the given ones."""
    with np.errstate(over="ignore"):
        found = limit.astype(np.float32)
    higher: FloatMatrix = np.where(found > limit, found, np.nextafter(found, np.float32(np.inf)))
    return higher
