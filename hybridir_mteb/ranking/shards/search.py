"""Exact search over shards, block by block, in bounded memory.

Float32 matrix products select what may be among the best or above a relevant passage, with a bound
on their error; float64 scores and the tie rule decide. So results are those of float64 throughout,
whatever the sizes of blocks and shards and whatever the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import (
    FloatMatrix,
    Relevance,
    ScoreFunction,
    Similarity,
    check_embeddings,
)
from hybridir_mteb.ranking.shards.dense import DenseSearch
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.function import FunctionSearch
from hybridir_mteb.ranking.shards.pools import Pools
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions, SearchRequest

DEFAULTS = SearchOptions()


def search(
    queries: FloatMatrix,
    pools: Sequence[ShardFolder],
    depth: int,
    *,
    relevance: Relevance | None = None,
    similarity: Similarity | ScoreFunction = Similarity.COSINE,
    options: SearchOptions = DEFAULTS,
) -> Hits:
    """The best passages of each query and exact ranks of relevant ones, in one pass.

    A score is the float64 cosine or dot product of the stored vectors; equal scores are ordered by
    the hash of the passage id, as by :func:`~hybridir_mteb.ranking.ranking.tie_order`.

    Args:
        queries: (n_queries, dimension) float32.
        pools: Complete folders, whose rows are numbered through: row r of the second is
            ``pools[0].n_passages + r``.
        depth: How many passages of each query to return; 0 for ranks alone.
        relevance: Relevant rows, to get their ranks over the whole pool.
        similarity: Cosine, dot product, or a function of a block of queries and a block of
            passages whose scores are used as they are.
        options: Device, memory and progress bar.

    Returns:
        The best rows, their scores, and the ranks.

    Raises:
        EmbeddingError: NaN, infinity, widths or numbers of queries that differ, an empty pool.
        ShardError: A folder is not complete, or a shard is damaged.
    """
    queries, relevance = prepared(queries, relevance)
    if depth < 0:
        raise EmbeddingError(f"depth {depth}: expected 0 or more passages")
    if not len(queries):
        nothing = np.empty((0, depth))
        return Hits(nothing.astype(np.int64), nothing, np.empty(0, np.int64))
    request = SearchRequest(queries, Pools(pools), depth, relevance, options)
    if isinstance(similarity, Similarity):
        return DenseSearch(request, similarity).run()
    return FunctionSearch(request, similarity).run()


def prepared(queries: FloatMatrix, relevance: Relevance | None) -> tuple[FloatMatrix, Relevance]:
    """Queries as searches take them, and nothing relevant where nothing is known.

    Raises:
        EmbeddingError: NaN or infinity.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    check_embeddings(queries, "query")
    none = np.zeros(len(queries) + 1, np.int64)
    return queries, Relevance(none, none[:0]) if relevance is None else relevance
