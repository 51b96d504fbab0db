"""What a measure sees, ranks and languages, and how its values are taken and averaged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import MESSAGE_LIMIT, one_line
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Measure, PerQuery
from hybridir_mteb.ranking.arrays import IntArray, QueryRows, Relevance
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED

__all__ = ["Measure", "PerQuery", "RankTable", "evaluate_measures", "failing", "measure_values"]

logger = logging.getLogger(__name__)

FAILED = "it failed"  # how the reason begins for which a measure has no value


@dataclass(frozen=True)
class RankTable(QueryRows):
    """The ranks of all relevant passages of a set of queries: everything a measure sees.

    Attributes:
        ranks: (n_entries,) int64, 1-based, ascending within a query; ``NOT_RETRIEVED`` for a
            passage that a system that does not rank the whole pool left out.
        pool_size: Number of candidates.
        gains: (n_entries,) float64 relevance grades, aligned with ``ranks``; 1 by default.
        languages: Languages of queries and passages; None where they play no part.
        known: Measures that were computed and their values, which several look at, by ``id``.
    """

    ranks: IntArray
    pool_size: int
    gains: npt.NDArray[np.float64]
    languages: LanguageView | None = None
    known: dict[int, tuple[Measure, npt.NDArray[np.float64]]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def build(
        cls,
        relevance: Relevance,
        ranks: IntArray,
        pool_size: int,
        gains: npt.NDArray[np.float64] | None = None,
        languages: LanguageView | None = None,
    ) -> RankTable:
        """Sort the entries of each query, with their gains and languages, by rank."""
        order = np.lexsort((ranks, relevance.query_of_entry))
        grades = np.ones(len(ranks)) if gains is None else gains
        view = None if languages is None else languages.reordered(order)
        return cls(relevance.indptr, ranks[order], pool_size, grades[order], view)

    @property
    def complete(self) -> npt.NDArray[np.bool_]:
        """(n_queries,) whether all relevant passages of a query have a rank."""
        lost = self.sum_by_query((self.ranks >= NOT_RETRIEVED).astype(np.float64))
        return np.asarray(lost == 0)

    @property
    def place_in_query(self) -> IntArray:
        """(n_entries,) Place among the query's relevant passages: 1 for the best-ranked."""
        return np.arange(len(self.ranks)) - np.repeat(self.indptr[:-1], self.counts) + 1

    def sum_by_query(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n_queries,) sums of a value per entry; 0 for queries without entries."""
        return np.bincount(self.query_of_entry, values, self.n_queries).astype(np.float64)


def measure_values(measure: Measure, table: RankTable) -> npt.NDArray[np.float64]:
    """(n_queries,) values of one measure, NaN where it is undefined; computed once for a table.

    Raises:
        ValueError: The measure returned something else than one finite number, or NaN, a query.
    """
    if id(measure) in table.known:
        return table.known[id(measure)][1]
    values = np.asarray(measure.compute(table), np.float64).view()
    values.flags.writeable = False  # others see them, too
    if values.shape != (table.n_queries,):
        raise ValueError(
            f"measure {measure.name} returned shape {values.shape} for {table.n_queries} queries"
        )
    if np.isinf(values).any():
        raise ValueError(f"measure {measure.name} returned an infinite value")
    table.known[id(measure)] = measure, values
    return values


def evaluate_measures(
    measures: Iterable[Measure], table: RankTable, setting: Setting
) -> dict[str, float | None]:
    """Means over queries of all measures that the setting reports.

    Every judged query counts; only queries for which a measure is undefined are left out of its
    mean, and a measure that is undefined for all of them is None.

    Raises:
        ValueError: A measure returned something else than one finite number, or NaN, a query.
    """
    scores: dict[str, float | None] = {}
    for measure in measures:
        if setting in measure.settings:
            values = measure_values(measure, table)
            defined = values[~np.isnan(values)]
            scores[measure.name] = float(defined.mean()) if len(defined) else None
    return scores


def failing(measures: Iterable[Measure], table: RankTable) -> dict[str, str]:
    """Those measures that fail, each with a reason that begins with ``FAILED``; they are logged.

    Args:
        measures: Measures of other people, one of which must not cost the values of the others.
        table: What they are to be computed from.
    """
    found = {}
    for measure in measures:
        try:
            measure_values(measure, table)
        except Exception as error:  # noqa: BLE001 -- other people's code raises anything
            found[measure.name] = failed(f"measure {measure.name}", error)
    return found


def failed(what: str, error: Exception) -> str:
    """The reason for which something has no value; what failed is logged with it."""
    reason = f"{FAILED}: {type(error).__name__}: {one_line(error, MESSAGE_LIMIT)}"
    logger.error("%s is left out: %s", what, reason)
    return reason
