"""Exact search by the workers of a cluster: what one process would find, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from hybridir_mteb.adapters.ray.encode import fill_by
from hybridir_mteb.adapters.ray.workers import Crew
from hybridir_mteb.errors import plain_logger
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance, ScoreFunction, Similarity
from hybridir_mteb.ranking.shards import Hits, SearchOptions, ShardFolder, search
from hybridir_mteb.ranking.shards.partial import (
    Asked,
    known_in,
    merge,
    merge_known,
    search_part,
    split,
)
from hybridir_mteb.ranking.shards.search import DEFAULTS, prepared

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.run import RunOptions

logger = plain_logger(__name__)

PARTS = 4  # of a worker: what a lost one costs, and how evenly they end


class ClusterSearch:
    """Searches on all workers; each reads its own shards and returns its best passages and counts.

    Args:
        crew: The workers of a connected cluster.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

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
        """Search; see :func:`~hybridir_mteb.ranking.shards.search.search` for arguments and errors.

        Scores of a function depend on which passages it sees together: it is computed here. Folders
        must lie on a file system that all workers share.

        Raises:
            ClusterError: Workers are lost again and again.
        """
        if not isinstance(similarity, Similarity) or depth < 0 or not len(queries) or not pools:
            if not isinstance(similarity, Similarity):
                logger.warning("the model has a similarity of its own: one process searches")
            return search(
                queries, pools, depth, relevance=relevance, similarity=similarity, options=options
            )
        queries, relevance = prepared(queries, relevance)
        folders = [_unread(pool) for pool in pools]
        asked = Asked(queries, folders, depth, relevance, similarity, options)
        parts = split(folders, PARTS * self._crew.size.workers)
        asked.request(parts[0])  # sizes that do not fit are refused before anybody starts
        found = self._crew.run(partial(partial, known_in, asked), parts)
        known = merge_known((one for _, one in found), asked)
        hits = self._crew.run(partial(partial, search_part, asked, known), parts)
        return merge((one for _, one in hits), asked)


def _unread(pool: ShardFolder) -> ShardFolder:
    """The same folder, as a worker gets it: nothing is known of its shards."""
    return ShardFolder(pool.path.parent, pool.key, store=pool.store)


def encode_and_search_by(crew: Crew, encoder: str, task: str, options: RunOptions) -> RunOptions:
    """Encode the passages of a task on a cluster, and have it searched there, too.

    Args:
        crew: The workers of a connected cluster.
        encoder: Name that MTEB knows, folder of a sentence-transformers model, or hub id.
        task: A task of this package or its plugins whose passages are streamed.
        options: Of the search.

    Returns:
        The same options, for a search on the cluster.
    """
    from hybridir_mteb.adapters.mteb.encoding import encode

    for _ in encode(encoder, task, options, fill_by(crew)):
        pass
    return {**options, "search": ClusterSearch(crew)}
