"""The types that everything from encoders to measures exchanges: arrays, relevance, runs."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import EmbeddingError

IntArray = npt.NDArray[np.int64]
FloatMatrix = npt.NDArray[np.float32]  # embeddings, a row for each text
FloatArray = npt.NDArray[np.floating]  # of any precision
Values = npt.NDArray[np.float64]
ScoreBlock = Values  # a row for each query, a column for each passage

Run = Mapping[str, Mapping[str, float]]  # query id -> passage id -> score
Qrels = Mapping[str, Mapping[str, int]]  # query id -> passage id -> grade
# Queries and passages -> (n_queries, n_passages) scores, as an array or a tensor.
ScoreFunction = Callable[[FloatMatrix, FloatMatrix], object]
# Texts -> positions and their vectors, batch by batch in any order.
BatchEncoder = Callable[[Sequence[str]], Iterator[tuple[Sequence[int], FloatMatrix]]]


SMALLEST_NORM = 1e-12  # by which vectors are divided, as in torch.nn.functional.normalize


class Similarity(StrEnum):
    """The two similarity functions that dense encoders use."""

    COSINE = "cosine"
    DOT = "dot"

    @classmethod
    def named(cls, name: str | None, function: ScoreFunction) -> Similarity | ScoreFunction:
        """The similarity of a model, by its name there or, for any other, by what computes it."""
        return cls(name) if name in set(cls) else function


def check_embeddings(
    vectors: FloatArray,
    what: str,
    dimension: int | None = None,
    positions: Sequence[int] | None = None,
) -> None:
    """Refuse embeddings that cannot be ranked.

    Args:
        vectors: (n, dimension).
        what: What they are embeddings of, for the message.
        dimension: Expected width; any if None.
        positions: (n,) of the texts among all that are to be encoded, where these are some of them.

    Raises:
        EmbeddingError: Not a matrix, wrong width, NaN or infinite.
    """
    width = vectors.shape[1] if vectors.ndim == 2 else 0
    if not width or (dimension is not None and width != dimension):
        wanted = "1 or more" if dimension is None else str(dimension)
        raise EmbeddingError(
            f"embeddings of {what} have shape {vectors.shape}, expected (n, {wanted})"
        )
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        whole = positions is not None and len(positions) == len(vectors)
        at = positions[row] if positions is not None and whole else None
        error = EmbeddingError(
            f"the embedding of {what} number {row if at is None else at} holds NaN or infinity; "
            f"{int((~finite).sum())} of {len(vectors)} do"
        )
        error.position = at
        raise error


@dataclass(frozen=True)
class QueryRows:
    """Compressed sparse rows: any number of entries for each query.

    Attributes:
        indptr: (n_queries + 1,) int64; the entries of query i are ``indptr[i]:indptr[i + 1]``.
    """

    indptr: IntArray

    @property
    def n_queries(self) -> int:
        """Number of queries, those without entries included."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> IntArray:
        """(n_queries,) number of entries."""
        return np.diff(self.indptr)

    @property
    def query_of_entry(self) -> IntArray:
        """(n_entries,) the query of each entry."""
        return np.repeat(np.arange(self.n_queries), self.counts)

    def entries_of(self, queries: IntArray) -> IntArray:
        """Numbers of the entries of some queries, one query's after the other's."""
        counts = self.counts[queries]
        skipped = self.indptr[queries] - (np.cumsum(counts) - counts)
        found: IntArray = np.repeat(skipped, counts) + np.arange(counts.sum())
        return found


@dataclass(frozen=True)
class Relevance(QueryRows):
    """Relevant passages of each query.

    Attributes:
        passages: (n_entries,) int64, columns of the pool.
    """

    passages: IntArray

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]]) -> Relevance:
        """From the columns of the relevant passages of each query."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        flat = [column for row in rows for column in row]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return cls(indptr, np.array(flat, np.int64))


def are_whole(vectors: FloatArray) -> bool:
    """Whether no number has a fraction, as of quantised embeddings."""
    return bool((vectors == np.rint(vectors)).all())


def distinct(values: Iterable[Hashable]) -> tuple[IntArray, IntArray]:
    """Each value once: equal texts or vectors share a row, so they score equally to the bit.

    Returns:
        (n_distinct,) the first position of each value, and (n_values,) the row of each among them.
    """
    rows: dict[Hashable, int] = {}
    columns = np.array([rows.setdefault(value, len(rows)) for value in values], np.int64)
    return np.unique(columns, return_index=True)[1].astype(np.int64), columns
