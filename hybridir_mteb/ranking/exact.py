"""Exact ranks of relevant passages over the whole pool, by counting.

``rank(d) = 1 + #{d' : s(d') > s(d)} + #{d' : s(d') = s(d), h(d') < h(d)}`` with a stable hash ``h``
of the passage id. Breaking ties by the id itself would favour one language wherever ids carry the
language. No ranking is sorted below the last relevant passage.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import numpy as np

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import IntArray, Relevance, ScoreBlock, Values
from hybridir_mteb.ranking.ranking import Ranking, Ties

DEFAULT_BLOCK_BYTES = 16 << 20
SMALL_POOL = 4096  # passages, up to which a query takes longer to be called than to be compared
COMPARED = 1 << 16  # scores at a time, which stay in the processor's own cache


@runtime_checkable
class Scorer(Protocol):
    """Gives the scores of a block of queries against the whole pool."""

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        ...

    @property
    def n_passages(self) -> int:
        """Size of the pool."""
        ...

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores, higher is better; equal texts score equally."""
        ...


def exact_ranks(
    scorer: Scorer,
    relevance: Relevance,
    order: IntArray,
    *,
    ties: Ties = Ties.HASH,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> IntArray:
    """1-based ranks of all relevant passages.

    Args:
        scorer: Scores, block by block.
        relevance: The relevant passages of each query.
        order: From :func:`tie_order`.
        ties: ``TREC_EVAL`` compares scores in float32, as trec_eval does.
        block_bytes: Memory for one block of scores; does not change the result.

    Returns:
        (n_entries,) int64, in the order of ``relevance.passages``.

    Raises:
        EmbeddingError: A score is NaN or infinite, the pool is empty, or sizes do not fit.
    """
    return ranks_and_top(scorer, relevance, order, 0, ties=ties, block_bytes=block_bytes).ranks


def ranks_and_top(
    scorer: Scorer,
    relevance: Relevance,
    order: IntArray,
    depth: int,
    *,
    ties: Ties = Ties.HASH,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> Ranking:
    """As :func:`exact_ranks`, and the best ``depth`` passages, from one pass over the scores."""
    check_sizes(scorer, relevance, order)
    depth = min(depth, scorer.n_passages)
    ranking = Ranking.nothing(relevance, depth)
    step = max(1, block_bytes // (8 * scorer.n_passages))
    query_of = relevance.query_of_entry
    for start in range(0, relevance.n_queries, step):
        stop = min(start + step, relevance.n_queries)
        if not depth and relevance.indptr[start] == relevance.indptr[stop]:
            continue
        scores = scorer.block(start, stop)
        check_scores(scores, start)
        if ties is Ties.TREC_EVAL:
            scores = scores.astype(np.float32)
        if not depth and scorer.n_passages <= SMALL_POOL:
            part = slice(relevance.indptr[start], relevance.indptr[stop])
            rows, columns = query_of[part] - start, relevance.passages[part]
            ranking.ranks[part] = _ranks_together(scores, rows, columns, order)
            continue

        def rank_query(query: int, scores: ScoreBlock = scores, start: int = start) -> None:
            entries = slice(relevance.indptr[query], relevance.indptr[query + 1])
            row = scores[query - start]
            ranking.ranks[entries] = _rank(row, relevance.passages[entries], order)
            if depth:
                ranking.top[query] = best_columns(row, order, depth)
                ranking.scores[query] = row[ranking.top[query]]

        for_each(range(start, stop), rank_query)
    return ranking


def for_each(queries: range, work: Callable[[int], None]) -> None:
    """Call ``work`` for each query, shared out over the cores: NumPy releases the lock."""
    threads = cores()
    share = -(-len(queries) // threads)

    def do(part: range) -> None:
        for query in part:
            work(query)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(do, (queries[at : at + share] for at in range(0, len(queries), share))))


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_sizes(scorer: Scorer, relevance: Relevance, order: IntArray) -> None:
    """Refuse what cannot be ranked.

    Raises:
        EmbeddingError: The pool is empty, or sizes do not fit.
    """
    n_passages = scorer.n_passages
    if n_passages == 0:
        raise EmbeddingError("the pool of passages is empty: there is nothing to rank")
    if scorer.n_queries != relevance.n_queries or len(order) != n_passages:
        raise EmbeddingError(
            f"{scorer.n_queries} queries and {n_passages} passages have scores, but relevance is "
            f"given for {relevance.n_queries} queries and tie places for {len(order)} passages"
        )
    passages = relevance.passages
    if len(passages) and not (passages.min() >= 0 and passages.max() < n_passages):
        raise EmbeddingError(f"a relevant passage lies outside the pool of {n_passages}")


def check_scores(scores: ScoreBlock, start: int) -> None:
    """Refuse scores that cannot be ranked.

    Raises:
        EmbeddingError: A score is NaN or infinite.
    """
    if np.isfinite(scores.sum()):  # one pass; whatever is not finite makes the sum so
        return
    broken = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(broken):
        row = start + int(broken[0])
        raise EmbeddingError(
            f"the scores of query {row} are NaN or infinite: an embedding or the similarity "
            "function is broken"
        )


def _rank(row: Values, relevant: IntArray, order: IntArray) -> IntArray:
    """Ranks of the relevant passages of one query; no loop over passages."""
    if not len(relevant):
        return np.empty(0, np.int64)
    own = row[relevant]
    near = np.flatnonzero(row >= own.min())  # few, if relevant passages are near the top
    scores = row[near]
    ascending = np.sort(scores)
    first, end = (np.searchsorted(ascending, own, side) for side in ("left", "right"))
    ranks: IntArray = len(near) + 1 - end
    for at in np.flatnonzero(end - first > 1):
        tied = near[scores == own[at]]
        ranks[at] += np.count_nonzero(order[tied] < order[relevant[at]])
    return ranks


def _ranks_together(
    scores: ScoreBlock, query: IntArray, passage: IntArray, order: IntArray
) -> IntArray:
    """Ranks of relevant passages of several queries: row and column of each in the scores."""
    ranks = np.empty(len(query), np.int64)
    step = max(1, COMPARED // scores.shape[1])
    for start in range(0, len(query), step):
        part = slice(start, start + step)
        rows, columns = scores[query[part]], passage[part]
        own = np.take_along_axis(rows, columns[:, None], axis=1)
        ranks[part] = np.count_nonzero(rows > own, axis=1) + 1
        for at in np.flatnonzero(np.count_nonzero(rows == own, axis=1) > 1):
            tied = order[rows[at] == own[at]]
            ranks[start + at] += np.count_nonzero(tied < order[columns[at]])
    return ranks


def best_columns(row: ScoreBlock, order: IntArray, k: int) -> IntArray:
    """Columns of the best k passages of one query under the tie rule, best first.

    Args:
        row: (n_passages,) scores.
        order: From :func:`tie_order`.
        k: At most ``n_passages``.
    """
    last = np.partition(row, len(row) - k)[len(row) - k]
    above, tied = np.flatnonzero(row > last), np.flatnonzero(row == last)
    room = k - len(above)
    if len(tied) > room:
        tied = tied[np.argsort(order[tied])[:room]]
    found = np.concatenate([above, tied])
    best: IntArray = found[np.lexsort((order[found], -row[found]))]
    return best
