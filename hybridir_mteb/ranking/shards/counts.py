"""Exact ranks of relevant passages, by counting what is better while blocks pass by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.ranking.arrays import IntArray, Values
from hybridir_mteb.ranking.shards.shard import HashArray
from hybridir_mteb.ranking.shards.tiles import Cells, Tiles, above, at_most

MOST_ROUNDS = 16
NOTHING = Cells(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True)
class Entries:
    """The relevant passages of some queries.

    Attributes:
        place: (n,) of each among all that were asked for.
        query: (n,) the query of each.
        row: (n,) the row of each in the pool.
        score: (n,) float64, their exact scores.
        hash: (n,) of the tie rule.
    """

    place: IntArray
    query: IntArray
    row: IntArray
    score: Values
    hash: HashArray

    def part(self, at: IntArray) -> Entries:
        """Some of them."""
        return Entries(self.place[at], self.query[at], self.row[at], self.score[at], self.hash[at])

    def renumbered(self, query: IntArray) -> Entries:
        """With other numbers of queries."""
        return replace(self, query=query)


@dataclass
class Counted:
    """Relevant passages and how many are better.

    Attributes:
        entries: (n,) relevant passages.
        better: (n,) passages that are better for certain, so far.
    """

    entries: Entries
    better: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self.better = np.zeros(len(self.entries.row), np.int64)

    def unclear(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Count what is better for certain in one tile; the rest that may be is returned.

        Args:
            tiles: The device.
            tile: Values.
            columns: The queries of the group that the tile has.
            slack: (n_columns,) how far scores may be off.

        Returns:
            Rows of the tile, numbers of entries (as ``columns``), and scores.
        """
        raise NotImplementedError


class Round(Counted):
    """One relevant passage of each of the first queries of a group, in the order of queries."""

    def unclear(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Compares whole rows of the tile."""
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


class Many(Counted):
    """Many relevant passages of one query: its scores are sorted rather than compared."""

    def unclear(self, tiles: Tiles, tile: Any, columns: slice, slack: Values) -> Cells:
        """Sorts one column of the tile."""
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


def _limits(
    score: Values, slack: Values, tile: Any
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Scores of at least the first may be better than given ones, of at least the second are."""
    if tile.dtype == np.float64:  # scores of a function, which are not off
        return score, np.nextafter(score, np.inf)
    return at_most(score - slack), above(score + slack)


def counted(entries: Entries, n_queries: int) -> list[Counted]:
    """Deal the entries out: one of each query in each round, the rest of a query together.

    Args:
        entries: Of queries 0 to ``n_queries``, which are sorted by their number of entries, most
            first; in the order of the queries.
        n_queries: In the group.
    """
    counts = np.bincount(entries.query, minlength=n_queries)
    first = np.cumsum(counts) - counts
    number = np.arange(len(entries.query)) - first[entries.query]
    rounds = range(min(MOST_ROUNDS, counts.max(initial=0)))
    dealt: list[Counted] = [Round(entries.part(np.flatnonzero(number == at))) for at in rounds]
    for query in np.flatnonzero(counts > MOST_ROUNDS):
        own = np.arange(first[query] + MOST_ROUNDS, first[query] + counts[query])
        dealt.append(Many(entries.part(own)))
    return dealt


def is_better(scores: Values, hashes: HashArray, than: Entries) -> npt.NDArray[np.bool_]:
    """Whether passages rank before relevant ones: by score, then by the smaller hash."""
    better: npt.NDArray[np.bool_] = (scores > than.score) | (
        (scores == than.score) & (hashes < than.hash)
    )
    return better
