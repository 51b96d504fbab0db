"""The best passages of some queries so far, known up to the error of float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hybridir_mteb.ranking.arrays import IntArray, Values
from hybridir_mteb.ranking.shards.shard import HashArray

SLACK = 256  # places beside depth, at least
PAIRS_AT_ONCE = 1 << 16  # scored together: their vectors are read in the order on the disk

Rescore = Callable[[IntArray, IntArray], Values]  # queries, rows -> float64 scores


def width_of(depth: int) -> int:
    """How many candidates of a query are held to find its best ``depth``."""
    return depth + max(depth // 2, SLACK)


class Top:
    """Candidates of a group of queries: whatever may still be among the best ``depth``.

    A score is known as an interval. What ends below the depth-th best lower end cannot be among
    the best. Only what is left is scored in float64: at the end, or when ties fill the places.

    Args:
        n_queries: Number of queries in the group.
        depth: How many passages to find.
        rescore: Gives float64 scores of (query of the group, row) pairs.
        hashes: Gives the tie rule's hashes of rows.

    Attributes:
        depth: How many passages to find.
        floor: (n_queries,) float64; passages with lower scores are of no interest.
    """

    def __init__(
        self,
        n_queries: int,
        depth: int,
        rescore: Rescore,
        hashes: Callable[[IntArray], HashArray],
    ) -> None:
        self.depth, self._rescore, self._hashes = depth, rescore, hashes
        self._width = width_of(depth)
        shape = (n_queries, self._width)
        self._low = np.full(shape, -np.inf)
        self._high = np.full(shape, -np.inf)
        self._row = np.full(shape, -1, np.int64)
        self._filled = np.zeros(n_queries, np.int64)
        self.floor = np.full(n_queries, -np.inf)

    def add(self, query: IntArray, row: IntArray, low: Values, high: Values) -> None:
        """Add candidates.

        Args:
            query: (n,) numbers within the group.
            row: (n,) rows of the pool; each pair comes once.
            low: (n,) the score is not lower.
            high: (n,) the score is not higher.
        """
        order = _by_query(query, len(self.floor))
        hits = query[order], row[order], low[order], high[order]
        while len(hits[0]):
            query, row, low, high = hits
            counts = np.bincount(query, minlength=len(self.floor))
            first = np.cumsum(counts) - counts
            place = self._filled[query] + np.arange(len(query)) - first[query]
            fits = place < self._width
            at = query[fits], place[fits]
            self._low[at], self._high[at], self._row[at] = low[fits], high[fits], row[fits]
            self._filled = np.minimum(self._filled + counts, self._width)
            if not fits.all() or self._filled.mean() > (self.depth + self._width) / 2:
                self._prune()
            left = ~fits & (high >= self.floor[query])
            hits = query[left], row[left], low[left], high[left]

    def raise_floor(self, queries: slice, floor: Values) -> None:
        """Say that as many passages as are to be found are at least that good.

        Args:
            queries: Numbers within the group.
            floor: (n_queries,) float64.
        """
        self.floor[queries] = np.maximum(self.floor[queries], floor)

    def tighten(self) -> None:
        """Raise the floor to what as many candidates as are to be found reach."""
        held = int(self._filled.max(initial=0))
        if held >= self.depth > 0:
            last = held - self.depth
            kth = np.partition(self._low[:, :held], last, axis=1)[:, last]
            self.floor = np.maximum(self.floor, kth)

    def best(self) -> tuple[IntArray, Values]:
        """Rows and scores, (n_queries, depth), best first; -1 and -inf where there are fewer."""
        self._prune()
        rows = np.full((len(self.floor), self.depth), -1, np.int64)
        scores = np.full((len(self.floor), self.depth), -np.inf)
        whole = np.cumsum(self._filled) // PAIRS_AT_ONCE
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(whole)) + 1):
            self._settle(part)
            rows[part] = self._row[part, : self.depth]
            scores[part] = self._low[part, : self.depth]
        return rows, scores

    def _prune(self) -> None:
        self.tighten()
        query, place = np.nonzero((self._high >= self.floor[:, None]) & (self._row >= 0))
        self._filled = np.bincount(query, minlength=len(self.floor))
        first = np.cumsum(self._filled) - self._filled
        moved = np.arange(len(query)) - first[query]
        for values, empty in ((self._low, -np.inf), (self._high, -np.inf), (self._row, -1)):
            kept = values[query, place]
            values[:] = empty
            values[query, moved] = kept
        full = np.flatnonzero(self._filled == self._width)
        if len(full):  # of ties: only float64 and the tie rule make room
            self._settle(full)

    def _settle(self, queries: IntArray) -> None:
        """Keep exactly the best of some queries, sorted."""
        at, place = np.nonzero(self._row[queries] >= 0)
        query = queries[at]
        row, low = self._row[query, place], self._low[query, place]
        unknown = np.flatnonzero(low < self._high[query, place])
        low[unknown] = self._rescore(query[unknown], row[unknown])
        order = self._order(query, row, low)
        counts = np.bincount(at, minlength=len(queries))
        rank = np.arange(len(at)) - (np.cumsum(counts) - counts)[at]
        for values in (self._low, self._high):
            values[queries] = -np.inf
        self._row[queries] = -1
        kept = rank < self.depth
        target = queries[at[kept]], rank[kept]
        source = order[kept]
        self._low[target] = self._high[target] = low[source]
        self._row[target] = row[source]
        self._filled[queries] = np.minimum(counts, self.depth)
        full = counts >= self.depth
        self.floor[queries[full]] = self._low[queries[full], self.depth - 1]

    def _order(self, query: IntArray, row: IntArray, score: Values) -> npt.NDArray[np.intp]:
        """By query, score descending and the tie rule; hashes are read for equal scores only."""
        order = np.lexsort((-score, query))
        equal = (np.diff(query[order]) == 0) & (np.diff(score[order]) == 0)
        if not equal.any():
            return order
        tied = np.zeros(len(order), bool)
        tied[:-1] |= equal
        tied[1:] |= equal
        hashes = np.zeros(len(order), np.uint64)
        hashes[order[tied]] = self._hashes(row[order[tied]])
        return best_first(row, hashes, score, query)


def _by_query(query: IntArray, n_queries: int) -> npt.NDArray[np.intp]:
    """A stable order by query: numbers of 16 bits are sorted in linear time."""
    short = query.astype(np.uint16) if n_queries <= 1 << 16 else query
    return np.argsort(short, kind="stable")


def best_first(
    row: IntArray, hashes: HashArray, score: Values, *before: IntArray
) -> npt.NDArray[np.intp]:
    """The order of passages along the last axis: score descending, hash, row.

    Args:
        row: (…, n) rows of the pool.
        hashes: (…, n) of the tie rule.
        score: (…, n) float64.
        before: (…, n) each; what decides before the score.
    """
    order: npt.NDArray[np.intp] = np.lexsort((row, hashes, -score, *before), axis=-1)
    return order
