"""Exact ranks of relevant passages, by counting what is better while blocks pass by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.ranking.arrays import FloatArray, IntArray, Values
from hybridir_mteb.ranking.shards.shard import HashArray
from hybridir_mteb.ranking.shards.tiles import Cells, Tiles, above, at_most

MOST_ROUNDS = 16
NOTHING = Cells(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Entries:
    """The relevant passages of some queries.

    Attributes:
        place: (n,) position of each among all that were asked for.
        query: (n,) number of the query of each.
        row: (n,) row of each in the pool.
        score: (n,) float64 exact score of each.
        hash: (n,) hash of each for the tie rule.
    """

    place: IntArray
    query: IntArray
    row: IntArray
    score: Values
    hash: HashArray

    def part(self, at: IntArray) -> Entries:
        """The entries at some positions."""
        return Entries(self.place[at], self.query[at], self.row[at], self.score[at], self.hash[at])

    def renumbered(self, query: IntArray) -> Entries:
        """The same passages, with other numbers of queries."""
        return replace(self, query=query)


@dataclass(frozen=True)
class Known:
    """Scores and hashes of relevant passages, as far as they are known.

    Attributes:
        there: (n,) whether they are.
        score: (n,) float64 exact score of each.
        hash: (n,) hash of each for the tie rule.
    """

    there: npt.NDArray[np.bool_]
    score: Values
    hash: HashArray

    @classmethod
    def nothing(cls, n: int) -> Known:
        """Of n passages nothing yet."""
        return cls(np.zeros(n, bool), np.zeros(n), np.zeros(n, np.uint64))

    def take(self, at: npt.NDArray[np.bool_], score: Values, hashes: HashArray) -> None:
        """Note what was found out of some."""
        self.there[at], self.score[at], self.hash[at] = True, score, hashes


class RankCounter(ABC):
    """Counts the passages that are better than some relevant ones.

    Args:
        entries: (n,) relevant passages.

    Attributes:
        entries: The same.
        better: (n,) number of passages that are better for certain, so far.
        pending: Entries, rows of the pool and scores that are still to be compared.
    """

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.better: IntArray = np.zeros(len(entries.row), np.int64)
        self.pending: list[tuple[IntArray, IntArray, Values]] = []

    @abstractmethod
    def count(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Count what is better for certain in one tile.

        Args:
            tiles: The device that computes.
            tile: (n_rows, n_columns) scores on that device.
            columns: The queries of the group that the tile has.
            slack: (n_columns,) how far scores may be off.

        Returns:
            Scores that may be better or not: their rows in the tile and, as ``columns``, the
            numbers of the entries.
        """


class RoundCounter(RankCounter):
    """One relevant passage of each of the first queries of a group, in the order of queries."""

    def count(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Compare whole rows of the tile."""
        own = slice(columns.start, min(columns.stop, len(self.better)))
        score = self.entries.score[own]
        if not len(score):
            return NOTHING
        first, behind = _limits(score, slack[: len(score)], tile)
        better = tiles.count(tile, behind)
        self.better[own] += better
        open_ = np.flatnonzero(tiles.count(tile, first) > better)
        cells = tiles.between(tile, open_, first[open_], behind[open_])
        return Cells(cells.rows, open_[cells.columns] + own.start, cells.scores)


class QueryCounter(RankCounter):
    """Many relevant passages of one query: its scores are sorted rather than compared."""

    def count(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Sort one column of the tile."""
        number = int(self.entries.query[0]) - columns.start
        if not 0 <= number < columns.stop - columns.start:
            return NOTHING
        first, behind = _limits(self.entries.score, slack[number], tile)
        scores = tiles.column(tile, number)
        order = np.argsort(scores)
        ordered = scores[order]
        low, high = np.searchsorted(ordered, first), np.searchsorted(ordered, behind)
        self.better += len(ordered) - high
        counts = high - low
        entry = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts) + low[entry]
        return Cells(order[place], entry, ordered[place].astype(np.float64))


def _limits(score: Values, slack: Values, tile: Any) -> tuple[FloatArray, FloatArray]:
    """Scores of at least the first may be better than given ones, of at least the second are."""
    if tile.dtype == np.float64:  # scores of a function, which are not off
        return score, np.nextafter(score, np.inf)
    return at_most(score - slack), above(score + slack)


def counters_for(entries: Entries, n_queries: int) -> list[RankCounter]:
    """Deal the entries out: one of each query in each round, the rest of a query together.

    Args:
        entries: Relevant passages of queries 0 to ``n_queries``, in the order of the queries;
            queries with most entries come first.
        n_queries: Number of queries in the group.
    """
    counts = np.bincount(entries.query, minlength=n_queries)
    first = np.cumsum(counts) - counts
    number = np.arange(len(entries.query)) - first[entries.query]
    rounds = range(min(MOST_ROUNDS, counts.max(initial=0)))
    dealt: list[RankCounter] = [
        RoundCounter(entries.part(np.flatnonzero(number == at))) for at in rounds
    ]
    for query in np.flatnonzero(counts > MOST_ROUNDS):
        own = np.arange(first[query] + MOST_ROUNDS, first[query] + counts[query])
        dealt.append(QueryCounter(entries.part(own)))
    return dealt


def is_better(scores: Values, hashes: HashArray, than: Entries) -> npt.NDArray[np.bool_]:
    """Whether passages rank before relevant ones: by score, then by the smaller hash."""
    better: npt.NDArray[np.bool_] = (scores > than.score) | (
        (scores == than.score) & (hashes < than.hash)
    )
    return better
