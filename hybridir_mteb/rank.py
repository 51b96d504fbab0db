"""Exact ranks of relevant passages over the whole pool, by counting; the only tie rule.

``rank(d) = 1 + #{d' : s(d') > s(d)} + #{d' : s(d') = s(d), h(d') < h(d)}`` with a stable hash ``h``
of the passage id. Breaking ties by the id itself would favour one language wherever ids carry the
language. No ranking is ever sorted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from hybridir_mteb.errors import EmbeddingError

IntArray = npt.NDArray[np.int64]
DEFAULT_BLOCK_BYTES = 16 << 20  # a block and its comparisons stay near the processor


class Ties(StrEnum):
    """How equal scores are ordered."""

    HASH = "hash"
    TREC_EVAL = "trec_eval"


@dataclass(frozen=True)
class Relevance:
    """Relevant passages of each query, in compressed sparse rows.

    Attributes:
        indptr: (n_queries + 1,) int64; the entries of query i are ``indptr[i]:indptr[i + 1]``.
        passages: (n_entries,) int64, columns of the pool.
    """

    indptr: IntArray
    passages: IntArray

    @classmethod
    def from_lists(cls, rows: Sequence[Sequence[int]]) -> Relevance:
        """From the columns of the relevant passages of each query."""
        lengths = np.fromiter((len(row) for row in rows), np.int64, len(rows))
        flat = [column for row in rows for column in row]
        return cls(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), np.array(flat, np.int64)
        )

    @property
    def n_queries(self) -> int:
        """Number of queries, those without a relevant passage included."""
        return len(self.indptr) - 1

    @property
    def counts(self) -> IntArray:
        """(n_queries,) number of relevant passages."""
        return np.diff(self.indptr)

    @property
    def query_of_entry(self) -> IntArray:
        """(n_entries,) the query of each entry."""
        return np.repeat(np.arange(self.n_queries), self.counts)


class Scorer(Protocol):
    """Gives the scores of a block of queries against the whole pool."""

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        ...

    @property
    def n_passages(self) -> int:
        """Size of the pool."""
        ...

    def block(self, start: int, stop: int) -> torch.Tensor:
        """(stop - start, n_passages) scores, higher is better; equal texts score equally."""
        ...


def tie_order(passage_ids: Sequence[str], ties: Ties = Ties.HASH) -> IntArray:
    """Place of each passage among passages of equal score, 0 first.

    Args:
        passage_ids: Unique ids of the pool.
        ties: ``HASH``, or ``TREC_EVAL`` for trec_eval's order (ids descending).

    Returns:
        (n_passages,) int64, a permutation.
    """
    if ties is Ties.TREC_EVAL:
        keys = [identifier.encode() for identifier in passage_ids]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=True)
    else:
        hashes = [
            (hashlib.blake2b(identifier.encode(), digest_size=8).digest(), identifier)
            for identifier in passage_ids
        ]
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def exact_ranks(
    scorer: Scorer,
    relevance: Relevance,
    order: IntArray,
    *,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
) -> IntArray:
    """1-based ranks of all relevant passages.

    Args:
        scorer: Scores, block by block.
        relevance: The relevant passages of each query.
        order: From :func:`tie_order`.
        block_bytes: Memory for one block of scores; does not change the result.

    Returns:
        (n_entries,) int64, in the order of ``relevance.passages``.

    Raises:
        EmbeddingError: A score is NaN or infinite, the pool is empty, or sizes do not fit.
    """
    n_passages = scorer.n_passages
    if n_passages == 0:
        raise EmbeddingError("the pool of passages is empty: there is nothing to rank")
    if scorer.n_queries != relevance.n_queries or len(order) != n_passages:
        raise EmbeddingError(
            f"{scorer.n_queries} queries and {n_passages} passages have scores, but relevance is "
            f"given for {relevance.n_queries} queries and tie places for {len(order)} passages"
        )
    if len(relevance.passages) and not (
        relevance.passages.min() >= 0 and relevance.passages.max() < n_passages
    ):
        raise EmbeddingError(f"a relevant passage lies outside the pool of {n_passages}")
    ranks = np.empty(len(relevance.passages), np.int64)
    places = torch.from_numpy(order)
    step = max(1, block_bytes // (8 * n_passages))
    for start in range(0, relevance.n_queries, step):
        stop = min(start + step, relevance.n_queries)
        entries = slice(relevance.indptr[start], relevance.indptr[stop])
        if entries.start == entries.stop:
            continue
        scores = scorer.block(start, stop)
        if not torch.isfinite(scores).all():
            row = start + int((~torch.isfinite(scores).all(dim=1)).nonzero()[0])
            raise EmbeddingError(
                f"the scores of query {row} are NaN or infinite: an embedding or the similarity "
                "function is broken"
            )
        rows = torch.from_numpy(relevance.query_of_entry[entries] - start)
        columns = torch.from_numpy(relevance.passages[entries])
        ranks[entries] = _count(scores, rows, columns, places.to(scores.device)).cpu().numpy()
    return ranks


def _count(
    scores: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Ranks of the passages ``columns`` for the queries ``rows`` of a block."""
    rows, columns = rows.to(scores.device), columns.to(scores.device)
    own = scores[rows, columns]
    ranks = torch.empty(len(rows), dtype=torch.int64, device=scores.device)
    # The k-th relevant passage of every query of the block at once: as many passes as the query
    # with the most of them has.
    slot = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
    for k in range(int(slot.max()) + 1):
        at = (slot == k).nonzero().squeeze(1)
        block = scores if len(at) == len(scores) else scores[rows[at]]
        mine = own[at].unsqueeze(1)
        above = torch.count_nonzero(block > mine, dim=1)  # four times as fast as a sum of booleans
        tied = (torch.count_nonzero(block == mine, dim=1) > 1).nonzero().squeeze(1)
        if len(tied):
            earlier = (block[tied] == mine[tied]) & (
                places < places[columns[at[tied]]].unsqueeze(1)
            )
            above[tied] += earlier.sum(dim=1)
        ranks[at] = above + 1
    return ranks


def top_passages(
    scores: torch.Tensor, order: IntArray, k: int
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """The best k passages of each query under the tie rule, best first.

    Args:
        scores: (n_queries, n_passages).
        order: From :func:`tie_order`.
        k: How many; at most the pool is returned.

    Returns:
        Columns (n_queries, k) and their scores.
    """
    k = min(k, scores.shape[1])
    # Columns in tie order, then a stable sort: equal scores keep that order.
    by_place = torch.from_numpy(np.argsort(order)).to(scores.device)
    values, at = torch.sort(scores[:, by_place], dim=1, descending=True, stable=True)
    return by_place[at[:, :k]].cpu().numpy(), values[:, :k].double().cpu().numpy()
