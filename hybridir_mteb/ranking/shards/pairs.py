"""Float64 scores of pairs, and how far float32 products may be from them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from hybridir_mteb.ranking.arrays import (
    SMALLEST_NORM,
    FloatArray,
    FloatMatrix,
    IntArray,
    Similarity,
    Values,
)
from hybridir_mteb.ranking.onednn import available, laid_out, onednn

AT_ONCE = 1 << 9  # pairs, of which the float64 vectors are in the processor's cache


def lengths(vectors: FloatArray, room: Values | None = None) -> Values:
    """(n,) Euclidean norms in float64; the same for a row whatever the others are.

    Args:
        vectors: (n, dimension).
        room: (n, dimension) float64 for their squares; by default an array of their own.
    """
    wide = np.asarray(vectors, np.float64)
    norms: Values = np.sqrt(np.add.reduce(np.multiply(wide, wide, out=room), axis=1))
    return norms


class _Scratch(threading.local):
    """A thread's memory for float64 vectors, which is used again.

    Fresh memory takes longer to get, page by page, than these scores take to compute.
    """

    def __init__(self, dimension: int) -> None:
        shape = AT_ONCE, dimension
        self.wide, self.products, self.shared = np.empty(shape), np.empty(shape), np.empty(shape)


class PairScorer:
    """The scores that decide: float64, the same whatever block or device a passage comes from.

    Every pair is summed by itself in one fixed order. A matrix product would give other last bits
    in another shape.

    Args:
        queries: (n_queries, dimension) float32.
        similarity: Cosine or dot product.

    Attributes:
        similarity: The same similarity.
        queries: (n_queries, dimension) float64, normalised for cosine.
    """

    def __init__(self, queries: FloatMatrix, similarity: Similarity) -> None:
        self.similarity = similarity
        self._scratch = _Scratch(queries.shape[1])
        self.queries: Values = np.empty(queries.shape)
        for start in range(0, len(queries), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            self._widen(queries[part], self.queries[part])

    def scores(self, of: IntArray, vectors: FloatArray, place: IntArray | None = None) -> Values:
        """Scores of pairs.

        Args:
            of: (n,) numbers of queries.
            vectors: (m, dimension) stored embeddings of the passages.
            place: (n,) which of them each pair has, all of them at least once; by default each
                pair has its own.

        Returns:
            (n,) float64.
        """
        found, room = np.empty(len(of)), self._scratch
        order = np.arange(len(of)) if place is None else np.argsort(place, kind="stable")
        for start in range(0, len(of), AT_ONCE):
            part = order[start : start + AT_ONCE]
            own = part if place is None else place[part]
            # In order, so these are the vectors from the first to the last.
            stored = vectors[own[0] : own[-1] + 1]
            wide = room.wide[: len(stored)]
            self._widen(stored, wide)
            if len(stored) < len(part):
                wide = _rows(wide, own - own[0], room.shared)
            products = _rows(self.queries, of[part], room.products)
            products *= wide
            found[part] = np.add.reduce(products, axis=1)
        return found

    def _widen(self, vectors: FloatArray, wide: Values) -> None:
        """Write at most ``AT_ONCE`` vectors in float64, normalised for cosine."""
        wide[:] = vectors
        if self.similarity is Similarity.COSINE:
            norms = lengths(wide, self._scratch.products[: len(wide)])
            wide /= np.maximum(norms, SMALLEST_NORM)[:, None]


def _rows(of: Values, numbers: IntArray, room: Values) -> Values:
    """Some rows of a matrix, copied to the beginning of another."""
    # Only this mode writes to its place at once; all numbers are inside.
    return np.take(of, numbers, axis=0, out=room[: len(numbers)], mode="clip")


def slack(dimension: int) -> float:
    """Largest error of a float32 product of two vectors of length 1, in any order of summation.

    ``(d + 3) u`` to first order in the unit roundoff ``u = 2**-24``: d for products and sum
    (Higham 2002, section 3.1), 1 for the query's rounding and 2 for the passage's. The rest covers
    higher orders, float64's own error and numbers too small for float32.
    """
    return (dimension + 8) * 2.0**-24 * 1.01


def are_unit(vectors: FloatArray) -> bool:
    """Whether vectors are float32 and of length 1, as far as float32 can tell.

    Their squared lengths are within ``d u`` of 1, and computed to ``d u``, for d numbers and the
    unit roundoff u: lengths are within :func:`unit_slack` of 1.
    """
    if vectors.dtype != np.float32:
        return False
    with np.errstate(over="ignore"):
        squares = np.vecdot(vectors, vectors)
    return bool((np.abs(squares - 1) <= vectors.shape[1] * 2.0**-24).all())


def unit_slack(dimension: int) -> float:
    """How far the length of a vector for which :func:`are_unit` holds may be from 1."""
    return dimension * 2.0**-24 * 1.01


TRIED = 192  # rows and columns of the product that is tried


class Product:
    """Products of float32 matrices by BLAS, as NumPy has it."""

    name = "blas"

    def ready(self, queries: FloatMatrix, rows: int) -> Any:
        """(m, dimension) queries as :meth:`of` takes them, with about ``rows`` passages each."""
        return queries

    def of(self, passages: FloatMatrix, queries: Any, out: FloatMatrix) -> FloatMatrix:
        """(n, m) float32.

        Args:
            passages: (n, dimension) float32.
            queries: From :meth:`ready`.
            out: (n, m) float32 where the result may go.
        """
        return np.matmul(passages, queries.T, out=out)


class OneDnnProduct(Product):
    """By oneDNN, into an array of its own; queries are laid out for it once."""

    name = "onednn"

    def ready(self, queries: FloatMatrix, rows: int) -> Any:
        """See :meth:`Product.ready`."""
        return laid_out(torch.from_numpy(queries), rows)

    def of(self, passages: FloatMatrix, queries: Any, out: FloatMatrix) -> FloatMatrix:
        """See :meth:`Product.of`."""
        with torch.inference_mode():
            scores: FloatMatrix = onednn(torch.from_numpy(passages), queries).numpy()
        return scores


def quickest_product() -> Product:
    """The product of oneDNN where it helps and rounds no more than it may; else that of BLAS."""
    # A lower precision that the user has chosen for PyTorch is oneDNN's, too.
    exact = torch.get_float32_matmul_precision() == "highest"
    return OneDnnProduct() if exact and _onednn_is_sound() else Product()


@lru_cache(maxsize=1)
def _onednn_is_sound() -> bool:
    """Whether its products are there, and within the bound of float32 on random vectors."""
    if not available():
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    rng = np.random.default_rng(0)
    passages, queries = (rng.standard_normal((TRIED, TRIED), np.float32) for _ in range(2))
    try:
        product = OneDnnProduct()
        found = product.of(passages, product.ready(queries, TRIED), np.empty(0, np.float32))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False  # another version of PyTorch
    wide = passages.astype(np.float64), queries.astype(np.float64)
    lengths = np.linalg.norm(wide[0], axis=1)[:, None] * np.linalg.norm(wide[1], axis=1)
    return bool((np.abs(found - wide[0] @ wide[1].T) <= slack(TRIED) * lengths).all())


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Threads of one product; threads that start meanwhile have to say so for themselves, too."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)
