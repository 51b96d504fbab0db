"""Search by cosine or dot product: float32 products select, float64 scores decide."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import SMALLEST_NORM, IntArray, Similarity, Values
from hybridir_mteb.ranking.exact import cores
from hybridir_mteb.ranking.shards.blocks import Block, read_blocks
from hybridir_mteb.ranking.shards.group import QueryGroup
from hybridir_mteb.ranking.shards.pairs import (
    PairScorer,
    are_unit,
    lengths,
    quickest_product,
    slack,
    torch_threads,
    unit_slack,
)
from hybridir_mteb.ranking.shards.pools import Pools
from hybridir_mteb.ranking.shards.request import Hits, SearchRequest, deal
from hybridir_mteb.ranking.shards.tiles import NumpyTiles, Tiles, TorchTiles
from hybridir_mteb.ranking.shards.top import Top

TILE_ROWS = 1024  # with as many queries as below; a tile takes 1 MiB
FIRST_ROWS = 4096  # in one tile, of which the first floor comes: many make it high
TILE_QUERIES = 256
FEWEST_QUERIES = 32  # of a thread; matrix products of fewer are slow
PREPARED = 256  # rows whose float64 copies stay in the cache
PAIRS_AT_ONCE = 1 << 12  # whose vectors are read together, into memory that is used again
LARGEST = 1e37  # longer products may overflow float32
TINY = 2.0**-120  # times the dimension: what numbers too small for float32 may add up to


class DenseSearch:
    """One search on all cores of the processor, or on another device.

    Args:
        request: What to find.
        similarity: Cosine or dot product.
    """

    def __init__(self, request: SearchRequest, similarity: Similarity) -> None:
        self._request, self._pairs = request, PairScorer(request.queries, similarity)
        self._cosine = similarity is Similarity.COSINE
        device = request.options.device or ("cuda" if torch.cuda.is_available() else "cpu")
        n_queries, dimension = request.queries.shape
        rows = request.block_rows
        self._products = np.empty((rows, dimension), np.float32)  # unit vectors, or as stored
        self._norms = np.empty(rows)
        self._cores = cores()
        if device == "cpu":
            n_groups = max(1, min(self._cores, -(-n_queries // FEWEST_QUERIES)))
            columns = min(TILE_QUERIES, -(-n_queries // n_groups))
            self._tile = min(TILE_ROWS * TILE_QUERIES // max(1, columns), rows), columns
            product = quickest_product()
            tiles: list[Tiles] = [NumpyTiles(product) for _ in range(n_groups)]
        else:
            self._tile = rows, max(1, request.options.block_bytes // (4 * rows))
            tiles = [TorchTiles(device)]
        entries = request.entries(self._rescore)
        self._members = [
            _Member(self._group(numbers, part, on), self._pairs, self._tile)
            for on, (numbers, part) in zip(tiles, deal(entries, n_queries, len(tiles)), strict=True)
        ]

    def run(self) -> Hits:
        """Search.

        Raises:
            EmbeddingError: Dot products would overflow float32.
            ShardError: A file cannot be read.
        """
        request, members = self._request, self._members
        blas = max(1, self._cores // len(members))
        with (
            torch_threads(blas),
            ThreadPoolExecutor(
                self._cores, initializer=torch.set_num_threads, initargs=(blas,)
            ) as pool,
            threadpool_limits(blas, user_api="blas"),
            request.progress() as bar,
        ):
            for block in read_blocks(request.pools, len(self._products)):
                parts = range(0, len(block), PREPARED)
                ready = self._cosine and all(pool.map(partial(_are_unit, block), parts))
                if not ready:
                    list(pool.map(partial(self._prepare, block), parts))
                    self._check_size(len(block))
                list(pool.map(partial(self._see, block, ready), members))
                bar.update(len(block))
            groups = [member.group for member in members]
            return request.hits(groups, pool.map(QueryGroup.best, groups))

    def _group(self, numbers: IntArray, entries: Any, tiles: Tiles) -> QueryGroup:
        top, hashes = None, self._request.pools.hashes
        if self._request.found:
            top = Top(
                len(numbers),
                self._request.found,
                lambda query, row: self._rescore(numbers[query], row),
                hashes,
            )
        return QueryGroup(numbers, entries, top, tiles, self._scores_in, hashes)

    def _scores_in(self, query: IntArray, block: Block, place: IntArray) -> Values:
        """Float64 scores of pairs whose vectors are in the block at hand."""
        return self._pairs.scores(query, block.vectors[place])

    def _rescore(self, query: IntArray, row: IntArray) -> Values:
        """Float64 scores of pairs whose vectors have to be read."""
        return rescored(self._pairs, self._request.pools, query, row)

    def _prepare(self, block: Block, start: int) -> None:
        """Norms and float32 vectors for products, of a few rows; not for scores that decide."""
        part = slice(start, min(start + PREPARED, len(block)))
        stored, target = block.vectors[part], self._products[part]
        wide = stored.astype(np.float64)
        self._norms[part] = np.sqrt(np.vecdot(wide, wide))
        if self._cosine:
            scale = 1 / np.maximum(self._norms[part], SMALLEST_NORM)
            np.multiply(stored, scale.astype(np.float32)[:, None], out=target)
        else:
            target[:] = stored

    def _check_size(self, n_rows: int) -> None:
        if self._cosine:
            return
        longest = max(float(member.lengths.max(initial=0.0)) for member in self._members)
        if longest * float(self._norms[:n_rows].max()) > LARGEST:
            raise EmbeddingError(
                "dot products of these embeddings overflow float32: scale them, or use cosine"
            )

    def _see(self, block: Block, ready: bool, member: _Member) -> None:
        n_rows, group = self._tile[0], member.group
        loaded = group.tiles.load(block.vectors if ready else self._products[: len(block)])
        apart = unit_slack(loaded.shape[1]) if ready else 0.0
        stop = 0
        while stop < len(block):
            # Without a floor everything is a candidate: large tiles have to wait for one.
            at, step = stop, min(n_rows, group.seen) if group.seen else FIRST_ROWS
            stop = min(at + step, len(block))
            longest = 1.0 + apart if self._cosine else float(self._norms[at:stop].max())
            for columns, queries in member.parts:
                tile = group.tiles.product(loaded[at:stop], queries)
                off = member.slack(columns, longest, apart)
                group.see(tile, block.start + at, columns, off, block)
            group.saw(stop - at)
        group.end_block(block)


def _are_unit(block: Block, start: int) -> bool:
    return are_unit(block.vectors[start : start + PREPARED])


def rescored(pairs: PairScorer, pools: Pools, query: IntArray, row: IntArray) -> Values:
    """Float64 scores of (query, row) pairs whose vectors have to be read."""
    found, by_row = np.empty(len(query)), np.argsort(row)
    room = np.empty((min(PAIRS_AT_ONCE, len(query)), pools.dimension), np.float32)
    for start in range(0, len(query), PAIRS_AT_ONCE):
        part = by_row[start : start + PAIRS_AT_ONCE]
        rows, place = np.unique(row[part], return_inverse=True)
        found[part] = pairs.scores(query[part], pools.vectors(rows, room[: len(rows)]), place)
    return found


class _Member:
    """A group with what products need of its queries.

    Attributes:
        group: The group.
        parts: Some of its queries, and these as products take them.
        lengths: (n,) of all.
    """

    def __init__(self, group: QueryGroup, pairs: PairScorer, tile: tuple[int, int]) -> None:
        self.group = group
        wide = pairs.queries[group.numbers]
        queries, (rows, most) = wide.astype(np.float32), tile
        columns = [slice(at, min(at + most, len(wide))) for at in range(0, len(wide), most)]
        self.parts = [(own, group.tiles.ready(queries[own], rows)) for own in columns]
        self.lengths: Values = (
            np.ones(len(wide)) if pairs.similarity is Similarity.COSINE else lengths(wide)
        )
        self._dimension = wide.shape[1]

    def slack(self, columns: slice, longest: float, apart: float) -> Values:
        """(n_columns,) largest error of a product.

        Args:
            columns: The queries.
            longest: Length of a passage's vector, at most.
            apart: How far it may be from that of the vector that is meant.
        """
        most = slack(self._dimension) * longest + apart
        return np.asarray(most * self.lengths[columns] + self._dimension * TINY)
