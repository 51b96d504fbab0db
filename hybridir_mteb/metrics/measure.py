"""What a measure is: a name, what it means, and a function from ranks to one value a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hybridir_mteb.relevance import IntArray, Relevance
from hybridir_mteb.settings import Setting

ALL_SETTINGS = frozenset(Setting)


@dataclass(frozen=True)
class RankTable:
    """The ranks of all relevant passages of a set of queries: everything a measure sees.

    Attributes:
        indptr: (n_queries + 1,) int64; the entries of query i are ``indptr[i]:indptr[i + 1]``.
        ranks: (n_entries,) int64, 1-based, ascending within a query.
        pool_size: Number of candidates.
        gains: (n_entries,) float64 relevance grades, aligned with ``ranks``; 1 by default.
    """

    indptr: IntArray
    ranks: IntArray
    pool_size: int
    gains: npt.NDArray[np.float64]

    @classmethod
    def build(
        cls,
        relevance: Relevance,
        ranks: IntArray,
        pool_size: int,
        gains: npt.NDArray[np.float64] | None = None,
    ) -> RankTable:
        """Sort the entries of each query by rank."""
        order = np.lexsort((ranks, relevance.query_of_entry))
        grades = np.ones(len(ranks)) if gains is None else gains
        return cls(relevance.indptr, ranks[order], pool_size, grades[order])

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> IntArray:
        """(n_queries,) number of relevant passages."""
        return np.diff(self.indptr)

    @property
    def query_of_entry(self) -> IntArray:
        """(n_entries,) the query of each entry."""
        return np.repeat(np.arange(self.n_queries), self.counts)

    @property
    def place_in_query(self) -> IntArray:
        """(n_entries,) Place among the query's relevant passages: 1 for the best-ranked."""
        return np.arange(len(self.ranks)) - np.repeat(self.indptr[:-1], self.counts) + 1

    def sum_by_query(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n_queries,) sums of a value per entry; 0 for queries without entries."""
        sums: npt.NDArray[np.float64] = np.bincount(
            self.query_of_entry, values, self.n_queries
        ).astype(np.float64)
        return sums


PerQuery = Callable[[RankTable], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Measure:
    """One measure.

    Attributes:
        name: Key in result files, lower case.
        compute: Ranks -> (n_queries,) float64; NaN where the measure is undefined for a query.
        description: One sentence: range, direction, source.
        settings: Settings in which it is reported.
    """

    name: str
    compute: PerQuery
    description: str
    settings: frozenset[Setting] = field(default=ALL_SETTINGS)


def evaluate_measures(
    measures: Iterable[Measure], table: RankTable, setting: Setting
) -> dict[str, float | None]:
    """Means over queries of all measures that the setting reports.

    Every judged query counts; only queries for which a measure is undefined are left out of its
    mean, and a measure that is undefined for all of them is None.

    Raises:
        ValueError: A measure returned something else than one number a query.
    """
    scores: dict[str, float | None] = {}
    for measure in measures:
        if setting not in measure.settings:
            continue
        values = np.asarray(measure.compute(table), np.float64)
        if values.shape != (table.n_queries,):
            raise ValueError(
                f"measure {measure.name} returned shape {values.shape} for {table.n_queries} "
                "queries"
            )
        defined = values[~np.isnan(values)]
        scores[measure.name] = float(defined.mean()) if len(defined) else None
    return scores
