"""Approximate search for interactive use: an index proposes, exact scores order what it proposes.

What the index does not propose is not found. How much that is, a sample of the queries tells, which
are searched exactly, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.errors import SettingError
from hybridir_mteb.ranking.arrays import (
    FloatMatrix,
    IntArray,
    Relevance,
    ScoreFunction,
    Similarity,
    Values,
)
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED
from hybridir_mteb.ranking.shards.dense import rescored
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.index import Index, check_kind, load_faiss
from hybridir_mteb.ranking.shards.joint import Search, Wanted
from hybridir_mteb.ranking.shards.pairs import PairScorer
from hybridir_mteb.ranking.shards.pools import Pools
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions, SearchRequest
from hybridir_mteb.ranking.shards.search import DEFAULTS, prepared, search
from hybridir_mteb.ranking.shards.top import Top

KIND, RECALL = "approximate", "approximate_recall_at_100"  # in the scores
RECALL_DEPTH = 100
SAMPLE = 100  # queries
WIDER = 2  # times the depth: what an index proposes, as its order is not that of the scores


@dataclass(frozen=True)
class ApproximateSearch:
    """Searches like :func:`~hybridir_mteb.ranking.shards.search.search`, by an index.

    Scores are those of an exact search. Ranks are known of what is found; what is not counts as not
    retrieved.

    Attributes:
        kind: ``hnsw`` or ``ivfpq``.
        sample: How many queries are searched exactly, too; 0 for none.
        exact: Searches them.
        indexes: Those that were opened; they stay in memory.

    Raises:
        SettingError: An unknown kind.
        MissingExtraError: FAISS is not installed.
    """

    kind: str
    sample: int = SAMPLE
    exact: Search = search
    indexes: dict[tuple[Path, Similarity], Index] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_kind(self.kind)
        load_faiss()

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
        """Search; the notes of the result name the index, and the recall of the sample.

        Raises:
            SettingError: The similarity is a function.
            EmbeddingError: NaN, infinity, or widths that differ.
            ShardError: A folder is not complete, or a shard is damaged.
        """
        if not isinstance(similarity, Similarity):
            raise SettingError(
                "an index knows cosine and dot product, and this encoder has a similarity of its "
                "own: leave out approximate (--approximate)"
            )
        queries, relevance = prepared(queries, relevance)
        most = max(depth, RECALL_DEPTH)
        request = SearchRequest(queries, Pools(pools), most, relevance, options)
        rows, scores = self._best(request, pools, similarity)
        notes: dict[str, Any] = {KIND: self.kind}
        if self.sample:
            at = sampled(len(queries), self.sample)
            how: dict[str, Any] = {"similarity": similarity, "options": options}
            exact = self.exact(queries[at], pools, RECALL_DEPTH, **how).rows
            notes[RECALL] = recall_of(rows[at, :RECALL_DEPTH], exact)
        return Hits(rows[:, :depth], scores[:, :depth], _ranks(rows, relevance), notes)

    def wanted_exactly(self, queries: FloatMatrix) -> Wanted:
        """What an exact search is asked for beside a search of these queries."""
        return Wanted(*prepared(queries[sampled(len(queries), self.sample)], None))

    def _best(
        self, request: SearchRequest, pools: Sequence[ShardFolder], similarity: Similarity
    ) -> tuple[IntArray, Values]:
        """Rows and exact scores, best first, of what the indexes propose."""
        queries, most = request.queries, request.depth
        wide = WIDER * most
        rows = np.empty((len(queries), 0), np.int64)
        near = np.empty((len(queries), 0), np.float32)
        start = 0
        for folder in pools:
            found, scores = self._index(folder, similarity).best(
                queries, min(wide, folder.n_passages)
            )
            rows = np.concatenate([rows, np.where(found < 0, -1, found + start)], axis=1)
            near = np.concatenate([near, scores], axis=1)
            order = np.argsort(-near, axis=1, kind="stable")[:, :wide]
            rows = np.take_along_axis(rows, order, axis=1)
            near = np.take_along_axis(near, order, axis=1)
            start += folder.n_passages
        pairs = PairScorer(queries, similarity)
        top = Top(len(queries), most, partial(rescored, pairs, request.pools), request.pools.hashes)
        query, place = np.nonzero(rows >= 0)
        unknown = np.full(len(query), np.inf)
        top.add(query, rows[query, place], -unknown, unknown)
        return top.best()

    def _index(self, folder: ShardFolder, similarity: Similarity) -> Index:
        place = folder.path, similarity
        if place not in self.indexes:
            self.indexes[place] = Index(folder, self.kind, similarity)
        return self.indexes[place]


def sampled(n: int, most: int) -> IntArray:
    """Numbers of at most so many of n queries, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def recall_of(found: IntArray, exact: IntArray) -> float:
    """Share of the best passages that were found.

    Args:
        found: (n_queries, depth) rows; -1 is none.
        exact: (n_queries, depth) rows that are the best; -1 is none.
    """
    there = exact >= 0
    shared = sum(
        len(np.intersect1d(one, best[known]))
        for one, best, known in zip(found, exact, there, strict=True)
    )
    return shared / max(int(there.sum()), 1)


def _ranks(rows: IntArray, relevance: Relevance) -> IntArray:
    """(n_entries,) places of relevant passages among those that were found."""
    same = rows[relevance.query_of_entry] == relevance.passages[:, None]
    ranks: IntArray = np.where(same.any(axis=1), same.argmax(axis=1) + 1, NOT_RETRIEVED)
    return ranks
