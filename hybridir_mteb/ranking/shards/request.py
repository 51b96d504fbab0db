"""What a search is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.files.progress import progress
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance, Values
from hybridir_mteb.ranking.shards.counts import Entries, Known
from hybridir_mteb.ranking.shards.group import QueryGroup
from hybridir_mteb.ranking.shards.pools import Pools


@dataclass(frozen=True)
class Hits:
    """What a search found.

    Attributes:
        rows: (n_queries, depth) rows of the pools, best first; -1 where the pool is smaller.
        scores: (n_queries, depth) float64; -inf where the pool is smaller.
        ranks: (n_entries,) exact 1-based ranks over the whole pool, in the order of
            ``relevance.passages``; empty without relevance.
        notes: What the search says of itself, as JSON values; an exact one says nothing.
    """

    rows: IntArray
    scores: Values
    ranks: IntArray
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchOptions:
    """How to search; what is found does not depend on it.

    Attributes:
        device: Device of torch that computes; by default a GPU if there is one.
        block_bytes: Memory for the vectors of a block.
        label: Text beside the progress bar.
    """

    device: str | None = None
    block_bytes: int = 64 << 20
    label: str = "searching"


@dataclass(frozen=True)
class SearchRequest:
    """One search.

    Attributes:
        queries: (n_queries, dimension) float32.
        pools: The passages to search.
        depth: How many passages of each query to return.
        relevance: The passages whose ranks to return.
        options: How to search.
        known: Of the passages of ``relevance``, where they may lie outside a part of the pools.

    Raises:
        EmbeddingError: Sizes do not fit together.
    """

    queries: FloatMatrix
    pools: Pools
    depth: int
    relevance: Relevance
    options: SearchOptions
    known: Known | None = None

    def __post_init__(self) -> None:
        if self.queries.shape[1] != self.pools.dimension:
            raise EmbeddingError(
                f"queries have embeddings of width {self.queries.shape[1]}, passages of width "
                f"{self.pools.dimension}: they are not from one encoder"
            )
        passages, n_passages = self.relevance.passages, self.pools.n_passages
        if self.relevance.n_queries != len(self.queries):
            raise EmbeddingError(
                f"{len(self.queries)} queries, but relevance is given for "
                f"{self.relevance.n_queries}"
            )
        if len(passages) and not (passages.min() >= 0 and passages.max() < n_passages):
            raise EmbeddingError(f"a relevant passage lies outside the pool of {n_passages}")

    @property
    def found(self) -> int:
        """How many passages of each query can be found."""
        return max(0, min(self.depth, self.pools.n_passages))

    @property
    def block_rows(self) -> int:
        """How many passages a block has."""
        rows = self.options.block_bytes // (12 * self.pools.dimension)
        return max(1, min(rows, self.pools.n_passages))

    def progress(self) -> Any:
        """A progress bar over the passages."""
        return progress(
            desc=self.options.label,
            total=self.pools.n_passages,
            unit="passage",
            unit_scale=True,
            leave=False,
        )

    def entries(self, score: Callable[[IntArray, IntArray], Values]) -> Entries:
        """The relevant passages, in order.

        Args:
            score: Gives float64 scores of (query, row) pairs.
        """
        rows = self.relevance.passages.astype(np.int64)
        query = self.relevance.query_of_entry
        place = np.arange(len(rows))
        if self.known is not None:
            return Entries(place, query, rows, self.known.score, self.known.hash)
        return Entries(place, query, rows, score(query, rows), self.pools.hashes(rows))

    def hits(self, groups: Sequence[QueryGroup], best: Iterable[tuple[IntArray, Values]]) -> Hits:
        """Put together what groups found.

        Args:
            groups: The groups, whose counters give the ranks.
            best: Rows and scores of the best passages of each group.
        """
        shape = (len(self.queries), max(self.depth, 0))
        rows, scores = np.full(shape, -1, np.int64), np.full(shape, -np.inf)
        ranks = np.zeros(len(self.relevance.passages), np.int64)
        for group, (found, of) in zip(groups, best, strict=True):
            rows[group.numbers, : found.shape[1]] = found
            scores[group.numbers, : found.shape[1]] = of
            for counter in group.counters:
                ranks[counter.entries.place] = counter.better + 1
        return Hits(rows, scores, ranks)


def order_of(counts: IntArray) -> IntArray:
    """Queries by their number of relevant passages, most first."""
    return np.argsort(-counts, kind="stable")


def deal(entries: Entries, n_queries: int, n_groups: int) -> list[tuple[IntArray, Entries]]:
    """Share queries out evenly: in each group those with most relevant passages come first.

    Returns:
        For each group the numbers of its queries, and its entries numbered within the group.
    """
    order = order_of(np.bincount(entries.query, minlength=n_queries))
    dealt = []
    for group in range(n_groups):
        numbers = order[group::n_groups]
        place = np.full(n_queries, -1, np.int64)
        place[numbers] = np.arange(len(numbers))
        own = np.flatnonzero(place[entries.query] >= 0)
        own = own[np.argsort(place[entries.query[own]], kind="stable")]
        part = entries.part(own)
        dealt.append((numbers, part.renumbered(place[part.query])))
    return dealt
