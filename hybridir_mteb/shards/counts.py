"""Exact ranks of relevant passages, by counting what is better while blocks pass by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.relevance import IntArray
from hybridir_mteb.shards.pairs import Scores
from hybridir_mteb.shards.shard import HashArray
from hybridir_mteb.shards.tiles import Cells, Tiles, above, at_most


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
    score: Scores
    hash: HashArray

    def part(self, at: IntArray) -> Entries:
        """Some of them."""
        return Entries(self.place[at], self.query[at], self.row[at], self.score[at], self.hash[at])

    def renumbered(self, query: IntArray) -> Entries:
        """With other numbers of queries."""
        return replace(self, query=query)


@dataclass
class Round:
    """One relevant passage of each of the first queries of a group.

    Attributes:
        entries: In the order of the queries 0, 1, 2 … of the group.
        better: (n,) passages that are better for certain, so far.
    """

    entries: Entries
    better: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self.better = np.zeros(len(self.entries.row), np.int64)

    def unclear(self, tiles: Tiles, tile: Any, columns: slice, slack: Scores) -> Cells:
        """Count what is better for certain in one tile; the rest that may be is returned.

        Args:
            tiles: The device.
            tile: Scores.
            columns: The queries of the group that the tile has.
            slack: (n_columns,) how far scores may be off.
        """
        score = self.entries.score[columns]
        low, high = score - slack[: len(score)], score + slack[: len(score)]
        first: npt.NDArray[np.floating]
        behind: npt.NDArray[np.floating]
        if tile.dtype == np.float64:  # scores of a function, which are not off
            first, behind = low, np.nextafter(high, np.inf)
        else:
            first, behind = at_most(low), above(high)
        better = tiles.count(tile, behind)
        self.better[columns.start : columns.start + len(score)] += better
        open_ = np.flatnonzero(tiles.count(tile, first) > better)
        return _numbered(tiles.between(tile, open_, first[open_], behind[open_]), open_)


def _numbered(cells: Cells, columns: IntArray) -> Cells:
    return Cells(cells.rows, columns[cells.columns], cells.scores)


def rounds_of(entries: Entries, n_queries: int) -> list[Round]:
    """Deal the entries out into rounds, at most one of each query in each.

    Args:
        entries: Of queries 0 to ``n_queries``, which are sorted by their number of entries, most
            first; in the order of the queries.
        n_queries: In the group.
    """
    counts = np.bincount(entries.query, minlength=n_queries)
    first = np.cumsum(counts) - counts
    number = np.arange(len(entries.query)) - first[entries.query]
    return [
        Round(entries.part(np.flatnonzero(number == at))) for at in range(counts.max(initial=0))
    ]


def is_better(scores: Scores, hashes: HashArray, than: Entries) -> npt.NDArray[np.bool_]:
    """Whether passages rank before relevant ones: by score, then by the smaller hash."""
    better: npt.NDArray[np.bool_] = (scores > than.score) | (
        (scores == than.score) & (hashes < than.hash)
    )
    return better
