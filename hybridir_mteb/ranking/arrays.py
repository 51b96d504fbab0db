"""Which passages are relevant to which query, as arrays; the array types of the package."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatMatrix = npt.NDArray[np.float32]
Run = Mapping[str, Mapping[str, float]]  # query -> passage -> score
Qrels = Mapping[str, Mapping[str, int]]  # query -> passage -> grade


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


def distinct(values: Iterable[Hashable]) -> tuple[IntArray, IntArray]:
    """Each value once: equal texts or vectors share a row, so they score equally to the bit.

    Returns:
        (n_distinct,) the first position of each value, and (n_values,) the row of each among them.
    """
    rows: dict[Hashable, int] = {}
    columns = np.array([rows.setdefault(value, len(rows)) for value in values], np.int64)
    return np.unique(columns, return_index=True)[1].astype(np.int64), columns
