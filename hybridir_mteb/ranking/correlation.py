"""How alike the rankings are that translations of one query give to the same pool.

``mrc``, mean rank correlation (Yang et al. 2024/2025, arXiv 2509.06195): Spearman's correlation
between rankings, for each pair of languages. A ranking that ends before the pool does ties all the
rest behind its end. Rankings of one item at a time are in memory.

Whoever needs the exact ranks and the best passages besides has them from the same rankings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import IntArray, Relevance, ScoreBlock, Values
from hybridir_mteb.ranking.exact import (
    DEFAULT_BLOCK_BYTES,
    Scorer,
    best_columns,
    check_scores,
    check_sizes,
    for_each,
)
from hybridir_mteb.ranking.ranking import Ranking

# Number of a query, its scores, and its ranks from full_ranking.
Seen = Callable[[int, ScoreBlock, IntArray], None]


def full_ranking(row: ScoreBlock, order: IntArray) -> IntArray:
    """1-based ranks of the whole pool for one query, under the tie rule.

    Args:
        row: (n_passages,) scores.
        order: Place of each passage among equals, from ``ranking.ranking.tie_order``.

    Returns:
        (n_passages,) int64, a permutation of 1 to n_passages.
    """
    sequence = np.argsort(-row)  # not stable, but several times as fast; ties are put right
    found = row[sequence]
    equal = np.flatnonzero(found[1:] == found[:-1])
    if len(equal):
        members = np.unique(np.concatenate([equal, equal + 1]))
        places = sequence[members]
        sequence[members] = places[np.lexsort((order[places], -found[members]))]
    ranks = np.empty(len(row), np.int64)
    ranks[sequence] = np.arange(1, len(row) + 1)
    return ranks


class ReorderedScorer:
    """Another scorer with its queries in another order; neighbours are asked for together."""

    def __init__(self, scorer: Scorer, rows: IntArray) -> None:
        self._scorer, self._rows = scorer, rows
        self.n_queries, self.n_passages = len(rows), scorer.n_passages

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores; one that is not finite is named by its own query."""
        rows = self._rows[start:stop]
        parts = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        blocks = [self._scorer.block(int(part[0]), int(part[-1]) + 1) for part in parts]
        for part, block in zip(parts, blocks, strict=True):
            check_scores(block, int(part[0]))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def mean_rank_correlation(
    scorer: Scorer,
    items: IntArray,
    order: IntArray,
    *,
    depth: int | None = None,
    lengths: IntArray | None = None,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> Values:
    """Mean Spearman correlation of each query's ranking with those of its translations.

    Args:
        scorer: Scores of the queries; translations of one query are adjacent.
        items: (n_queries,) ascending numbers; translations of one query share a number.
        order: Place of each passage among equals, from ``tie_order``.
        depth: Rank only this many passages, and let all others tie at the mean of the ranks that
            are left; None is the whole pool.
        lengths: (n_queries,) where the ranking of each query ends, if not with the pool; what is
            behind ties too. An empty ranking is no ranking, and plays no part.
        block_bytes: Memory for one block of scores; does not change the result.

    Returns:
        (n_queries,) from -1 to 1; NaN for a query without a translation, where its ranking or
        those of all its translations are empty, and where the pool is one passage.

    Raises:
        EmbeddingError: A score is not finite, or ``items`` is not ascending.
    """
    return _correlations(scorer, items, order, _cuts(scorer, depth, lengths), block_bytes)


def ranking_and_correlation(
    scorer: Scorer,
    relevance: Relevance,
    items: IntArray,
    order: IntArray,
    depth: int,
    *,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> tuple[Ranking, Values]:
    """What ``exact.ranks_and_top`` and :func:`mean_rank_correlation` give, from one pass.

    The correlation sorts the whole pool for every query; ranks and the top are read off that.

    Args:
        scorer: Scores of the queries; translations of one query are adjacent.
        relevance: The relevant passages of each query.
        items: (n_queries,) ascending numbers; translations of one query share a number.
        order: Place of each passage among equals, from ``tie_order``.
        depth: How many of the best passages.
        block_bytes: Memory for one block of scores; does not change the result.

    Raises:
        EmbeddingError: A score is not finite, ``items`` is not ascending, the pool is empty, or
            sizes do not fit.
    """
    check_sizes(scorer, relevance, order)
    depth = min(depth, scorer.n_passages)
    ranking = Ranking.nothing(relevance, depth)

    def read(query: int, row: ScoreBlock, places: IntArray) -> None:
        entries = slice(relevance.indptr[query], relevance.indptr[query + 1])
        ranking.ranks[entries] = places[relevance.passages[entries]]
        first = np.flatnonzero(places <= depth)
        ranking.top[query, places[first] - 1] = first
        ranking.scores[query] = row[ranking.top[query]]

    values = _correlations(scorer, items, order, _cuts(scorer, None, None), block_bytes, read)
    return ranking, values


def _correlations(
    scorer: Scorer,
    items: IntArray,
    order: IntArray,
    cuts: IntArray,
    block_bytes: int,
    seen: Seen | None = None,
) -> Values:
    """(n_queries,) means; ``seen``, called by several threads, is told every full ranking."""
    if scorer.n_queries != len(items) or np.any(np.diff(items) < 0):
        raise EmbeddingError("the queries of a rank correlation must be grouped by item")
    if not len(items):
        return np.empty(0)
    values = np.full(len(items), np.nan)
    limit = max(1, block_bytes // (8 * scorer.n_passages))
    for start, stop in _blocks(items, limit):
        scores = scorer.block(start, stop)
        check_scores(scores, start)
        part = slice(start, stop)
        block = _Block(scores, order, cuts[part], start, seen)
        _correlate(block, items[part], values[part])
    return values


@dataclass(frozen=True)
class _Block:
    """Scores of some queries.

    Attributes:
        scores: (n_queries, n_passages).
        order: Place of each passage among equals.
        cuts: (n_queries,) how many passages of each ranking are told apart.
        start: Number of the first query.
        seen: Is told every ranking of the whole pool.
    """

    scores: ScoreBlock
    order: IntArray
    cuts: IntArray
    start: int
    seen: Seen | None

    def deviations(self, rows: IntArray) -> Values:
        """Ranks of some queries less their mean, which is the same for every ranking of a pool."""
        n = self.scores.shape[1]
        ranks = np.empty((len(rows), n))
        for at, found in zip(rows.tolist(), ranks, strict=True):
            row, cut = self.scores[at], int(self.cuts[at])
            if cut >= n:
                found[:] = places = full_ranking(row, self.order)
                if self.seen is not None:
                    self.seen(self.start + at, row, places)
            else:
                found[:] = (cut + 1 + n) / 2  # the mean of the ranks left over
                found[best_columns(row, self.order, cut)] = np.arange(1, cut + 1)
        return np.asarray(ranks - (n + 1) / 2)


def _correlate(block: _Block, items: IntArray, values: Values) -> None:
    """Fill in the values of a block of queries, which holds all translations of its items."""
    firsts = np.flatnonzero(np.diff(items, prepend=items[0] - 1))
    ends = np.append(firsts[1:], len(items))
    fewest = 2 if block.seen is None else 1

    def one(at: int) -> None:
        rows = np.arange(firsts[at], ends[at])
        rows = rows[block.cuts[rows] > 0]
        if len(rows) >= fewest:
            deviations = block.deviations(rows)
            if len(rows) > 1:
                values[rows] = _mean_of_others(deviations)

    for_each(range(len(firsts)), one)


def _blocks(items: IntArray, limit: int) -> Iterator[tuple[int, int]]:
    """Ranges of about ``limit`` queries that never part the translations of one item."""
    begin = 0
    ends = [*(np.flatnonzero(np.diff(items)) + 1).tolist(), len(items)]
    for end in ends:
        if end - begin >= limit or end == len(items):
            yield begin, end
            begin = end


def _cuts(scorer: Scorer, depth: int | None, lengths: IntArray | None) -> IntArray:
    """(n_queries,) how many passages of each ranking are told apart."""
    n = scorer.n_passages
    cuts = np.full(scorer.n_queries, n if depth is None else min(depth, n), np.int64)
    return cuts if lengths is None else np.minimum(cuts, lengths)


def _mean_of_others(deviations: Values) -> Values:
    """Mean correlation of each ranking with the others of its item."""
    products = deviations @ deviations.T
    spread = np.sqrt(np.diag(products))
    scale = np.outer(spread, spread)
    correlations = np.divide(products, scale, out=np.full_like(scale, np.nan), where=scale > 0)
    np.fill_diagonal(correlations, 0.0)
    return np.asarray(correlations.sum(axis=1) / (len(correlations) - 1))
