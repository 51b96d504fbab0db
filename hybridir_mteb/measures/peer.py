"""PEER: do passages of all languages have equal expected ranks? (Yang et al. 2024, SIGIR)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.files.numbers import number
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.ranking.arrays import IntArray, Values


class Unretrieved(StrEnum):
    """Which rank relevant passages below the cut-off get.

    ``PACKAGE`` is what ``peer-measure`` 0.0.1 computes, and so what published numbers use: they tie
    as if they followed as many passages as the level has. The branch that should put them behind
    the last rank found never runs there, so they may come before passages that were found.
    ``BELOW`` ties them below the cut-off.
    """

    PACKAGE = "package"
    BELOW = "below"


def check_weights(weights: Mapping[float, float]) -> None:
    """Refuse weights of relevance grades that give no mean.

    Raises:
        SettingError: One is negative or no number, or they do not sum to 1.
    """
    numbers = all(number(x) is not None for pair in weights.items() for x in pair)
    if not numbers or not all(weight >= 0 for weight in weights.values()):
        raise SettingError(f"weights={quoted(weights, 200)}: give each grade a weight of 0 or more")
    total = sum(weights.values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise SettingError(
            f"weights={quoted(weights, 200)}: they sum to {total:g}; make them sum to 1"
        )


def peer(
    table: RankTable,
    depth: int,
    *,
    weights: Mapping[float, float] | None = None,
    unretrieved: Unretrieved = Unretrieved.PACKAGE,
) -> Values:
    """Probability of Equal Expected Rank within the top ``depth``.

    The p-value of a Kruskal-Wallis test of the ranks of relevant passages, grouped by language: 1
    when all languages are ranked alike, near 0 when one is preferred.

    Args:
        table: Ranks, with languages.
        depth: How many ranks count.
        weights: Weight of each relevance grade, the grade 0 being passages that are not relevant;
            none is negative, and they sum to 1. By default all relevant passages are one level.
        unretrieved: The rank of relevant passages below the cut-off.

    Returns:
        (n_queries,) from 0 to 1; 1 where a level has passages of one language only, or none within
        the cut-off; NaN for queries without relevant passages and where languages are unknown.

    Raises:
        SettingError: Weights that are negative or do not sum to 1.
    """
    if weights is not None:
        check_weights(weights)
    if table.languages is None:
        return np.full(table.n_queries, np.nan)
    total = np.zeros(table.n_queries)
    if weights is None:
        total = _level(table, np.ones(len(table.ranks), bool), depth, unretrieved)
    for grade, weight in (weights or {}).items():
        if weight and grade > 0:
            total += weight * _level(table, table.gains == grade, depth, unretrieved)
        elif weight:
            total += weight * _not_relevant(table, depth)
    return np.where(table.counts > 0, total, np.nan)


def _level(
    table: RankTable, members: npt.NDArray[np.bool_], depth: int, unretrieved: Unretrieved
) -> Values:
    """Kruskal-Wallis p-value of the passages of one relevance level."""
    assert table.languages is not None  # noqa: S101 -- peer() has checked
    queries, ranks = table.query_of_entry[members], table.ranks[members]
    n = np.bincount(queries, minlength=table.n_queries)
    found = _retrieved(table, depth)[members]
    lost = n - np.bincount(queries[found], minlength=table.n_queries)
    behind = n if unretrieved is Unretrieved.PACKAGE else np.full(table.n_queries, depth)
    tied: Values = (2 * behind + lost + 1) / 2.0
    placed: Values = np.where(found, ranks, tied[queries]).astype(np.float64)
    shape = (table.n_queries, len(table.languages.codes))
    p = kruskal_wallis(placed, queries, table.languages.entries[members], shape)
    p[lost == n] = 1.0
    p[n == 0] = 0.0  # a level that a query lacks adds nothing
    return p


def _retrieved(table: RankTable, depth: int) -> npt.NDArray[np.bool_]:
    """(n_entries,) whether a relevant passage is in the top, and not behind a run's end."""
    assert table.languages is not None  # noqa: S101 -- peer() has checked
    top = table.languages.top
    found: npt.NDArray[np.bool_] = table.ranks <= depth
    seen = found & (table.ranks <= top.shape[1])
    found[seen] = top[table.query_of_entry[seen], table.ranks[seen] - 1] >= 0
    return found


def _not_relevant(table: RankTable, depth: int) -> Values:
    """Kruskal-Wallis p-value of the passages within the cut-off that are not relevant."""
    assert table.languages is not None  # noqa: S101 -- peer() has checked
    top = table.languages.top[:, :depth]
    irrelevant = top >= 0
    found = _retrieved(table, top.shape[1])
    irrelevant[table.query_of_entry[found], table.ranks[found] - 1] = False
    queries, places = np.nonzero(irrelevant)
    shape = (table.n_queries, len(table.languages.codes))
    ranks: Values = (places + 1).astype(np.float64)
    return kruskal_wallis(ranks, queries, top[irrelevant], shape)


def kruskal_wallis(
    values: Values, queries: IntArray, groups: IntArray, shape: tuple[int, int]
) -> Values:
    """p-values of Kruskal-Wallis tests, one for each query.

    ``H = (n - 1) * sum over groups of n_g (mean_g - mean)^2 / sum of (value - mean)^2``, compared
    with the chi-squared distribution of groups - 1 degrees of freedom. The values are ranks within
    the whole ranking, as in the paper, not ranks among themselves.

    Args:
        values: (n,) ranks.
        queries: (n,) query of each.
        groups: (n,) group of each.
        shape: Number of queries, number of groups.

    Returns:
        (n_queries,); 1 where there are fewer than two groups, or all values are equal.
    """
    n_queries, n_groups = shape
    cells = queries * n_groups + groups
    counts = np.bincount(cells, minlength=n_queries * n_groups).reshape(shape)
    sums = np.bincount(cells, values, n_queries * n_groups).reshape(shape)
    n = counts.sum(axis=1)
    mean = sums.sum(axis=1) / np.maximum(n, 1)
    group_means = sums / np.maximum(counts, 1)
    between = (counts * (group_means - mean[:, None]) ** 2).sum(axis=1)
    within = np.bincount(queries, (values - mean[queries]) ** 2, n_queries)
    used = (counts > 0).sum(axis=1)
    p = np.ones(n_queries)
    tested = (used >= 2) & (within > 0)
    h = (n[tested] - 1) * between[tested] / within[tested]
    p[tested] = chi2.sf(h, used[tested] - 1)
    return p
