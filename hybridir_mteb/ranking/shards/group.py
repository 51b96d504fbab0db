"""What some of the queries have found so far; one thread works on one group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hybridir_mteb.ranking.arrays import IntArray, Values
from hybridir_mteb.ranking.shards.blocks import Block
from hybridir_mteb.ranking.shards.counts import Entries, counters_for, is_better
from hybridir_mteb.ranking.shards.shard import HashArray
from hybridir_mteb.ranking.shards.tiles import Tiles, at_most
from hybridir_mteb.ranking.shards.top import Top

# Numbers of queries, a block and as many places in it -> float64 scores of the pairs.
ScorePairs = Callable[[IntArray, Block, IntArray], Values]
Hashes = Callable[[IntArray], HashArray]

PENDING = 1 << 16  # candidates, or passages too close to tell, that wait for their turn


class QueryGroup:
    """Some queries: their best passages and the ranks of their relevant ones.

    Args:
        numbers: (n,) numbers of the queries; those with most relevant passages come first.
        entries: Their relevant passages, with queries numbered within the group, in order.
        top: Collects the best passages; None if only ranks are asked for.
        tiles: The device that computes.
        score_pairs: Gives float64 scores; None where tiles hold the scores that decide.
        hashes: Gives the tie rule's hashes of rows.

    Attributes:
        seen: How many passages all queries have seen.
    """

    def __init__(
        self,
        numbers: IntArray,
        entries: Entries,
        top: Top | None,
        tiles: Tiles,
        score_pairs: ScorePairs | None,
        hashes: Hashes,
    ) -> None:
        self.numbers, self.top, self.tiles = numbers, top, tiles
        self._score_pairs, self._hashes = score_pairs, hashes
        self.counters = counters_for(entries, len(numbers))
        self._candidates: list[tuple[IntArray, IntArray, Values, Values]] = []
        self._n_candidates = self._n_pending = self._raise_at = 0
        self.seen = 0

    def see(self, tile: Any, row: int, columns: slice, slack: Values, block: Block) -> None:
        """Take in one tile.

        Args:
            tile: (n_rows, n_columns) scores on the device.
            row: Row of the pool where the tile starts.
            columns: The queries of the group that the tile has.
            slack: (n_columns,) how far the scores may be off.
            block: The block that the tile is a part of.
        """
        if self.top is not None:
            if np.isneginf(self.top.floor[columns][0]) and len(tile) >= self.top.depth > 0:
                # As many passages are at least that good: all others need not be looked at.
                self.top.raise_floor(columns, self.tiles.reached(tile, self.top.depth) - slack)
            floor = self.top.floor[columns] - slack
            limits = floor if self._score_pairs is None else at_most(floor)
            cells = self.tiles.reaching(tile, limits)
            if len(cells.rows):
                off = slack[cells.columns]
                query = cells.columns + columns.start
                self._candidates.append(
                    (query, cells.rows + row, cells.scores - off, cells.scores + off)
                )
                self._n_candidates += len(query)
                first = np.isneginf(limits[0])  # every candidate counts
                if first or self._n_candidates > PENDING:
                    self._add_candidates(self.top)
        for counter in self.counters:
            cells = counter.count(self.tiles, tile, columns, slack)
            if len(cells.rows):
                counter.pending.append((cells.columns, cells.rows + row, cells.scores))
                self._n_pending += len(cells.rows)
                if self._n_pending > PENDING:
                    self._settle(block)

    def saw(self, n_rows: int) -> None:
        """All queries have seen more passages: the floor is raised whenever they have doubled."""
        self.seen += n_rows
        if self.top is not None and self.seen >= self._raise_at:
            self._raise_at = 2 * self.seen
            self._add_candidates(self.top)
            self.top.tighten()

    def end_block(self, block: Block) -> None:
        """Do what waits: the vectors of a block go with it."""
        if self.top is not None:
            self._add_candidates(self.top)
        self._settle(block)

    def best(self) -> tuple[IntArray, Values]:
        """Rows and scores of the best passages, each (n, depth), best first."""
        if self.top is None:
            none = np.empty((len(self.numbers), 0))
            return none.astype(np.int64), none
        return self.top.best()

    def _add_candidates(self, top: Top) -> None:
        if not self._candidates:
            return
        query, row, low, high = (
            np.concatenate(parts) for parts in zip(*self._candidates, strict=True)
        )
        self._candidates, self._n_candidates = [], 0
        top.add(query, row, low, high)

    def _settle(self, block: Block) -> None:
        """Compare what float32 could not tell from a relevant passage."""
        self._n_pending = 0
        for counter in self.counters:
            if not counter.pending:
                continue
            entry, row, scores = (
                np.concatenate(parts) for parts in zip(*counter.pending, strict=True)
            )
            counter.pending = []
            other = row != counter.entries.row[entry]
            entry, row, scores = entry[other], row[other], scores[other]
            than = counter.entries.part(entry)
            if self._score_pairs is not None:
                scores = self._score_pairs(self.numbers[than.query], block, row - block.start)
            hashes = np.zeros(len(row), np.uint64)
            equal = scores == than.score
            hashes[equal] = self._hashes(row[equal])
            better = is_better(scores, hashes, than)
            counter.better += np.bincount(entry[better], minlength=len(counter.better))
