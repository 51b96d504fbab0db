"""Several searches of one pool in one pass over its shards; each finds what it finds alone.

A score of a pair is float64 and depends on the pair alone, so queries that are searched together do
not know of each other. That holds for cosine and dot product; a function's scores depend on the
queries that it sees together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hybridir_mteb.files import digest_of
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance, ScoreFunction, Similarity
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions
from hybridir_mteb.ranking.shards.search import DEFAULTS, search
from hybridir_mteb.ranking.shards.top import width_of


class Search(Protocol):
    """Searches as :func:`~hybridir_mteb.ranking.shards.search.search` does, here or elsewhere."""

    def __call__(
        self,
        queries: FloatMatrix,
        pools: Sequence[ShardFolder],
        depth: int,
        *,
        relevance: Relevance | None = None,
        similarity: Similarity | ScoreFunction = Similarity.COSINE,
        options: SearchOptions = DEFAULTS,
    ) -> Hits:
        """Search."""
        ...


@dataclass(frozen=True)
class Wanted:
    """What one of the searches is for.

    Attributes:
        queries: (n_queries, dimension) float32.
        relevance: Passages whose ranks to find.
    """

    queries: FloatMatrix
    relevance: Relevance

    def bytes_at(self, depth: int) -> int:
        """Memory that its queries take in a pass, beside the blocks of passages; not more.

        Args:
            depth: How many passages of each are found.
        """
        n_queries, dimension = (int(size) for size in self.queries.shape)
        # Copies of a query in float32 and float64; three lists of candidates, twice while they are
        # put in order, and what is found.
        return n_queries * (24 * dimension + 64 * width_of(depth))

    def digest(self, pools: Sequence[ShardFolder], depth: int, similarity: Similarity) -> str:
        """What tells the search from any other that may find something else."""
        arrays = self.queries, self.relevance.indptr, self.relevance.passages
        contents = [hashlib.sha256(np.ascontiguousarray(one).data).hexdigest() for one in arrays]
        folders = [str(pool.path.absolute()) for pool in pools]
        return digest_of(*contents, *folders, str(depth), str(similarity), str(self.queries.shape))


def search_jointly(
    wanted: Sequence[Wanted],
    pools: Sequence[ShardFolder],
    depth: int,
    by: Search = search,
    **how: Any,
) -> list[Hits]:
    """Search for several in one pass.

    Args:
        wanted: The searches, of queries of one width.
        pools: Complete folders, whose rows are numbered through.
        depth: How many passages of each query to find.
        by: Does the search.
        **how: ``similarity``, cosine or dot product, and ``options``.

    Returns:
        What each of them finds, as if it were alone.

    Raises:
        EmbeddingError: As of :func:`~hybridir_mteb.ranking.shards.search.search`, of any of them.
        ShardError: A folder is not complete, or a shard is damaged.
    """
    if len(wanted) == 1:
        return [by(wanted[0].queries, pools, depth, relevance=wanted[0].relevance, **how)]
    counts = np.concatenate([one.relevance.counts for one in wanted])
    relevance = Relevance(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([one.relevance.passages for one in wanted]),
    )
    queries = np.concatenate([one.queries for one in wanted])
    hits = by(queries, pools, depth, relevance=relevance, **how)
    of_query = np.cumsum([len(one.queries) for one in wanted])[:-1]
    of_entry = np.cumsum([len(one.relevance.passages) for one in wanted])[:-1]
    parts = zip(
        np.split(hits.rows, of_query),
        np.split(hits.scores, of_query),
        np.split(hits.ranks, of_entry),
        strict=True,
    )  # copied, so that each is let go by itself
    return [Hits(rows.copy(), scores.copy(), ranks.copy()) for rows, scores, ranks in parts]
