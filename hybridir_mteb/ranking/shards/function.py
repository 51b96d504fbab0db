"""Search with a model's own similarity function, whose scores are used as they are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybridir_mteb.ranking.arrays import IntArray, ScoreFunction, Values
from hybridir_mteb.ranking.exact import check_scores
from hybridir_mteb.ranking.scorers import function_scores
from hybridir_mteb.ranking.shards.blocks import Block, read_blocks
from hybridir_mteb.ranking.shards.group import QueryGroup
from hybridir_mteb.ranking.shards.request import Hits, SearchRequest, deal, order_of
from hybridir_mteb.ranking.shards.tiles import NumpyTiles
from hybridir_mteb.ranking.shards.top import Top


class FunctionSearch:
    """One search; the function always sees the same blocks, so its scores are always the same.

    Args:
        request: What to find.
        function: (n, dimension) queries and (m, dimension) passages -> (n, m) scores.
    """

    def __init__(self, request: SearchRequest, function: ScoreFunction) -> None:
        self._request, self._function = request, function
        self._rows = request.block_rows
        self._columns = max(1, request.options.block_bytes // (8 * self._rows))
        self._order = order_of(request.relevance.counts)

    def run(self) -> Hits:
        """Search.

        Raises:
            EmbeddingError: The function returns another shape, NaN or infinity.
            ShardError: A file cannot be read.
        """
        request, n_queries = self._request, len(self._request.queries)
        ((numbers, own),) = deal(request.entries(self._scores_of), n_queries, 1)
        hashes, top = request.pools.hashes, None
        if request.found:
            top = Top(n_queries, request.found, lambda query, _: np.empty(len(query)), hashes)
        group = QueryGroup(numbers, own, top, NumpyTiles(), None, hashes)
        with request.progress() as bar:
            for block in read_blocks(request.pools, self._rows):
                for columns in self._parts():
                    tile = self._tile(numbers[columns], block)
                    group.see(tile, block.start, columns, np.zeros(tile.shape[1]), block)
                group.end_block(block)
                bar.update(len(block))
        return request.hits([group], [group.best()])

    def _tile(self, numbers: IntArray, block: Block) -> Values:
        """(n_rows, n_columns) float64 scores of a block and some queries."""
        queries, vectors = self._request.queries[numbers], block.vectors.astype(np.float32)
        scores = function_scores(self._function, queries, vectors)
        check_scores(scores, 0)
        return np.ascontiguousarray(scores.T)

    def _scores_of(self, query: IntArray, row: IntArray) -> Values:
        """Scores of pairs, from the same blocks as in the search."""
        found = np.empty(len(query))
        if not len(query):
            return found
        place = np.argsort(self._order)
        for block in read_blocks(self._request.pools, self._rows):
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
