"""Exact search by parts: what workers find in theirs, put together, is what one process finds.

A score of a pair is float64 and depends on the pair alone, so it is the same whoever computes it.
Parts are disjoint: the best of all are among the best of each, by the same rule, and the passages
that are better than a relevant one are counted in each part and added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hybridir_mteb.errors import ShardError
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance, Similarity, Values
from hybridir_mteb.ranking.shards.counts import Known
from hybridir_mteb.ranking.shards.dense import DenseSearch, rescored
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.pairs import PairScorer
from hybridir_mteb.ranking.shards.pools import Pools
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions, SearchRequest
from hybridir_mteb.ranking.shards.shard import HashArray
from hybridir_mteb.ranking.shards.top import best_first


@dataclass(frozen=True)
class Asked:
    """What is searched for, in any part of a pool.

    Attributes:
        queries: (n_queries, dimension) float32.
        pools: Complete folders, whose rows are numbered through.
        depth: How many passages of each query to find.
        relevance: The passages whose ranks to find.
        similarity: Cosine or dot product.
        options: How to search.
    """

    queries: FloatMatrix
    pools: Sequence[ShardFolder]
    depth: int
    relevance: Relevance
    similarity: Similarity
    options: SearchOptions

    def request(self, part: range, known: Known | None = None) -> SearchRequest:
        """The search of one part."""
        pools = Pools(self.pools, part)
        return SearchRequest(self.queries, pools, self.depth, self.relevance, self.options, known)


@dataclass(frozen=True)
class PartHits:
    """What was found in one part.

    Attributes:
        rows: (n_queries, depth) rows of the whole pool, best first; -1 where the part is smaller.
        scores: (n_queries, depth) float64; -inf where the part is smaller.
        hashes: (n_queries, depth) of the tie rule; 0 where the part is smaller.
        better: (n_entries,) how many passages of the part are better than each relevant one.
    """

    rows: IntArray
    scores: Values
    hashes: HashArray
    better: IntArray


def split(pools: Sequence[ShardFolder], n_parts: int) -> list[range]:
    """Parts of about as many consecutive shards each, counted through all folders.

    Raises:
        ShardError: A folder is not complete.
    """
    total = sum(folder.n_shards for folder in pools)
    edges = [total * at // n_parts for at in range(n_parts + 1)]
    return [range(first, stop) for first, stop in pairwise(edges) if first < stop]


def known_in(asked: Asked, part: range) -> Known:
    """Scores and hashes of those relevant passages that lie in a part.

    Raises:
        ShardError: A shard is damaged.
    """
    rows, pools = asked.relevance.passages.astype(np.int64), Pools(asked.pools, part)
    inside, known = pools.holds(rows), Known.nothing(len(rows))
    if inside.any():
        pairs = PairScorer(asked.queries, asked.similarity)
        of, own = asked.relevance.query_of_entry[inside], rows[inside]
        known.take(inside, rescored(pairs, pools, of, own), pools.hashes(own))
    return known


def merge_known(parts: Iterable[Known], asked: Asked) -> Known:
    """What is known of all relevant passages.

    Args:
        parts: Of parts that make up the whole pool, in any order.
        asked: What is searched for.

    Raises:
        ShardError: They do not.
    """
    whole = Known.nothing(len(asked.relevance.passages))
    for part in parts:
        whole.take(part.there, part.score[part.there], part.hash[part.there])
    if not whole.there.all():
        raise ShardError("relevant passages are in no part of the pool: search all of it")
    return whole


def search_part(asked: Asked, known: Known, part: range) -> PartHits:
    """Search one part.

    Args:
        asked: What is searched for.
        known: Of all relevant passages.
        part: Numbers of its shards.

    Raises:
        ShardError: A shard is damaged.
        EmbeddingError: As of :func:`~hybridir_mteb.ranking.shards.search.search`.
    """
    request = asked.request(part, known)
    found = DenseSearch(request, asked.similarity).run()
    hashes, there = np.zeros(found.rows.shape, np.uint64), found.rows >= 0
    rows, inverse = np.unique(found.rows[there], return_inverse=True)
    hashes[there] = request.pools.hashes(rows)[inverse]
    return PartHits(found.rows, found.scores, hashes, found.ranks - 1)


def merge(parts: Iterable[PartHits], asked: Asked) -> Hits:
    """What was found in all parts together; one part after the other is taken in.

    Args:
        parts: Of parts that make up the whole pool, in any order.
        asked: What was searched for.
    """
    shape = len(asked.queries), asked.depth
    better = np.zeros(len(asked.relevance.passages), np.int64)
    rows, hashes = np.full(shape, -1), np.zeros(shape, np.uint64)
    scores = np.full(shape, -np.inf)
    for part in parts:
        better += part.better
        rows = np.concatenate([rows, part.rows], axis=1)
        hashes = np.concatenate([hashes, part.hashes], axis=1)
        scores = np.concatenate([scores, part.scores], axis=1)
        order = best_first(rows, hashes, scores)[:, : asked.depth]
        rows, hashes, scores = (
            np.take_along_axis(rows, order, axis=1),
            np.take_along_axis(hashes, order, axis=1),
            np.take_along_axis(scores, order, axis=1),
        )
    return Hits(rows, scores, better + 1)
