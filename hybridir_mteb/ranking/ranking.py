"""What every engine gives: exact ranks and the best-ranked passages; the only tie rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from hybridir_mteb.errors import EmbeddingError, quoted
from hybridir_mteb.files import tie_key
from hybridir_mteb.ranking.arrays import IntArray, Relevance, Run, ScoreBlock
from hybridir_mteb.ranking.given import check_run, checked_score
from hybridir_mteb.ranking.judgements import NO_ROW, Judgements

NOT_RETRIEVED = 1 << 60  # rank of what a system left out: behind everything, in no top


class Ties(StrEnum):
    """How equal scores are ordered."""

    HASH = "hash"
    TREC_EVAL = "trec_eval"


def tie_order(passage_ids: Sequence[str], ties: Ties = Ties.HASH) -> IntArray:
    """Place of each passage among passages of equal score, 0 first: by hash, or ids descending.

    Returns:
        (n_passages,) int64, a permutation.
    """
    if ties is Ties.TREC_EVAL:
        keys = [identifier.encode() for identifier in passage_ids]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=True)
    else:
        hashes = [(tie_key(identifier), identifier) for identifier in passage_ids]
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


@dataclass(frozen=True)
class Ranking:
    """What a system found for the queries of one evaluation.

    Attributes:
        ranks: (n_entries,) 1-based ranks of what is relevant, in the order of the judgements;
            ``NOT_RETRIEVED`` for what the pool lacks or the system left out.
        top: (n_queries, depth) rows of the pool, best first; ``NO_ROW`` behind the end.
        scores: (n_queries, depth) their scores; -inf behind the end.
    """

    ranks: IntArray
    top: IntArray
    scores: ScoreBlock = field(repr=False)

    @classmethod
    def nothing(cls, relevance: Relevance, depth: int) -> Ranking:
        """Nothing found yet, to be filled in."""
        shape = relevance.n_queries, depth
        ranks = np.full(len(relevance.passages), NOT_RETRIEVED)
        return cls(ranks, np.full(shape, NO_ROW), np.full(shape, -np.inf))

    def cut(self, relevance: Relevance, lengths: IntArray) -> Ranking:
        """The ranking of a system that returned (n_queries,) ``lengths`` passages of the pool."""
        lost = self.ranks > lengths[relevance.query_of_entry]
        ended = np.arange(self.top.shape[1]) >= lengths[:, None]
        return Ranking(
            np.where(lost, NOT_RETRIEVED, self.ranks),
            np.where(ended, NO_ROW, self.top),
            np.where(ended, -np.inf, self.scores),
        )

    def take(self, relevance: Relevance, queries: IntArray) -> Ranking:
        """The ranking of some queries, in their order, of all those of ``relevance``."""
        entries = relevance.entries_of(queries)
        return Ranking(self.ranks[entries], self.top[queries], self.scores[queries])

    def of_judged(self, judged: Judgements) -> Ranking:
        """The same where the ranks are those of ``judged.present`` alone."""
        ranks = np.full(len(judged.relevance.passages), NOT_RETRIEVED)
        ranks[judged.present.entries] = self.ranks
        return Ranking(ranks, self.top, self.scores)


def rank_run(
    run: Run,
    judged: Judgements,
    rows_of: Callable[[Sequence[str]], Mapping[str, int]],
    depth: int,
    id_prefix: str = "",
) -> Ranking:
    """Rank what a search model returned; everything else counts as not found.

    Args:
        run: Query -> passage -> score, of every query of the judgements.
        judged: With ``query_ids``.
        rows_of: Gives the row of each passage id that the pool has.
        depth: How many of the best-ranked passages.
        id_prefix: Put before an id where the tie rule hashes it.

    Raises:
        EmbeddingError: A passage that is not in the pool, or a score that is not finite.
        SettingError: An id that is no string.
    """
    queries = list(judged.query_ids or ())
    check_run(run)
    returned = {passage for query in queries for passage in run.get(query, ())}
    row_of = rows_of(sorted(returned))
    ranking = Ranking.nothing(judged.relevance, depth)
    bounds = judged.relevance.indptr
    for at, query in enumerate(queries):
        found = run.get(query, {})
        _check(query, found, row_of)
        ids = list(found)
        values = np.array([found[i] for i in ids], np.float64)
        best = np.lexsort((tie_order([id_prefix + i for i in ids]), -values))
        rows = np.array([row_of[ids[place]] for place in best], np.int64)
        place_of = {row: place for place, row in enumerate(rows.tolist(), 1)}
        entries = slice(bounds[at], bounds[at + 1])
        ranking.ranks[entries] = [
            place_of.get(row, NOT_RETRIEVED) for row in judged.relevance.passages[entries].tolist()
        ]
        kept = min(depth, len(rows))
        ranking.top[at, :kept], ranking.scores[at, :kept] = rows[:kept], values[best][:kept]
    return ranking


def _check(query: str, found: Mapping[str, float], row_of: Mapping[str, int]) -> None:
    for passage, score in found.items():
        if passage not in row_of:
            raise EmbeddingError(f"the search returned {quoted(passage, 80)}, not in the pool")
        checked_score(score, query, passage)
