"""Search with a model's own similarity function, whose scores are used as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from tqdm import tqdm

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Values
from hybridir_mteb.ranking.exact import check_scores
from hybridir_mteb.ranking.shards.blocks import Block, read_blocks
from hybridir_mteb.ranking.shards.group import Group
from hybridir_mteb.ranking.shards.request import Asked, Hits, deal, order_of
from hybridir_mteb.ranking.shards.tiles import NumpyTiles
from hybridir_mteb.ranking.shards.top import Top

ScoreFunction = Callable[[FloatMatrix, FloatMatrix], object]


class FunctionSearch:
    """One search; the function always sees the same blocks, so its scores are always the same.

    Args:
        asked: The search.
        function: (n, dimension) queries and (m, dimension) passages -> (n, m) scores.
    """

    def __init__(self, asked: Asked, function: ScoreFunction) -> None:
        self._asked, self._function = asked, function
        self._rows = max(1, asked.block_bytes // (12 * asked.queries.shape[1]))
        self._rows = min(self._rows, asked.pools.n_passages)
        self._columns = max(1, asked.block_bytes // (8 * self._rows))
        self._order = order_of(asked.relevance.counts)

    def run(self) -> Hits:
        """Search.

        Raises:
            EmbeddingError: The function returns another shape, NaN or infinity.
            ShardError: A file cannot be read.
        """
        asked = self._asked
        n_queries = len(asked.queries)
        entries = asked.entries(self._scores_of)
        ((numbers, own),) = deal(entries, n_queries, 1)
        hashes, top = asked.pools.hashes, None
        if asked.found:
            top = Top(n_queries, asked.found, lambda query, _: np.empty(len(query)), hashes)
        group = Group(numbers, own, top, NumpyTiles(), None, hashes)
        with tqdm(
            total=asked.pools.n_passages,
            desc=asked.label or "searching",
            unit="passage",
            unit_scale=True,
            leave=False,
        ) as bar:
            for block in read_blocks(asked.pools, self._rows):
                for columns in self._parts():
                    tile = self._tile(numbers[columns], block)
                    group.see(tile, block.start, columns, np.zeros(tile.shape[1]), block)
                group.end_block(block)
                bar.update(len(block))
        none = np.empty((n_queries, 0))
        found = (none.astype(np.int64), none) if top is None else top.best()
        return asked.hits([(group, *found)])

    def _tile(self, numbers: IntArray, block: Block) -> Values:
        """(n_rows, n_columns) float64 scores of a block and some queries."""
        queries, vectors = self._asked.queries[numbers], block.vectors.astype(np.float32)
        scores = torch.as_tensor(self._function(queries, vectors))
        expected = (len(queries), len(vectors))
        if tuple(scores.shape) != expected:
            raise EmbeddingError(
                f"the model's similarity returned shape {tuple(scores.shape)}, expected {expected}"
            )
        wide: Values = scores.detach().double().cpu().numpy()
        check_scores(wide, 0)
        return np.ascontiguousarray(wide.T)

    def _scores_of(self, query: IntArray, row: IntArray) -> Values:
        """Scores of pairs, from the same blocks as in the search."""
        found = np.empty(len(query))
        if not len(query):
            return found
        place = np.argsort(self._order)
        for block in read_blocks(self._asked.pools, self._rows):
            inside = (row >= block.start) & (row < block.start + len(block))
            for columns in self._parts():
                column = place[query]
                own = np.flatnonzero(inside & (column >= columns.start) & (column < columns.stop))
                if len(own):
                    tile = self._tile(self._order[columns], block)
                    found[own] = tile[row[own] - block.start, column[own] - columns.start]
        return found

    def _parts(self) -> Iterator[slice]:
        n_queries = len(self._order)
        for at in range(0, n_queries, self._columns):
            yield slice(at, min(at + self._columns, n_queries))
