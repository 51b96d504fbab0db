"""Language bias in a multilingual task: what one subset's queries alone cannot tell.

Rank correlation compares the queries of all languages, and the language probe reads embeddings of
the whole pool. Both are computed once for a model and task, at the first subset, so that a subset's
scores do not depend on which others are evaluated. The correlation ranks the whole pool for every
query, so that the subsets have their rankings from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hybridir_mteb.adapters.mteb.pool import EmbeddedPool, MemoryPool
from hybridir_mteb.adapters.mteb.subset import judgements_of
from hybridir_mteb.collections.collection import Grade
from hybridir_mteb.encoders.encoder import Encoder
from hybridir_mteb.measures.evaluate import Known
from hybridir_mteb.measures.measure import failed
from hybridir_mteb.measures.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.measures.view import TOP_DEPTH
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import IntArray, Similarity
from hybridir_mteb.ranking.correlation import ranking_and_correlation
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.ranking.ranking import Ranking

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.task import CollectionTask


@dataclass(frozen=True)
class RankedQueries:
    """Rankings of the queries of all languages.

    Attributes:
        judged: The queries.
        ranking: Their rankings.
    """

    judged: Judgements
    ranking: Ranking

    @cached_property
    def _places(self) -> dict[str, int]:
        """Query id -> its place."""
        return {query: at for at, query in enumerate(self.judged.query_ids or ())}

    def of(self, judged: Judgements, depth: int) -> Ranking | None:
        """The ranking of some of the queries; None if less is known than is asked for."""
        known = min(judged.pool_size, depth) <= self.ranking.top.shape[1]
        queries = judged.query_ids or ()
        if not known or not all(query in self._places for query in queries):
            return None
        rows = np.array([self._places[query] for query in queries], np.int64)
        every, own = self.judged.relevance, judged.relevance
        same = np.array_equal(every.counts[rows], own.counts) and np.array_equal(
            every.passages[every.entries_of(rows)], own.passages
        )
        return self.ranking.take(every, rows) if same else None


@dataclass(frozen=True)
class PoolFacts:
    """What concerns all subsets of a multilingual task.

    Attributes:
        correlation: Query id -> mean rank correlation with its translations; empty if there are
            none.
        probe: Language -> accuracy of a language probe on its relevant passages; empty if it
            cannot be trained.
        no_probe: Why not.
        no_correlation: Why there is none, where more is known than the items tell.
        ranked: Rankings of the queries, where the correlation needed them and a query's scores are
            the same whatever others are scored with it.
    """

    correlation: Mapping[str, float]
    probe: Mapping[str, float]
    no_probe: str
    no_correlation: str = ""
    ranked: RankedQueries | None = None

    def known(self, judged: Judgements, parallel: bool) -> Known:
        """What they say of the queries of one subset."""
        found = [self.correlation[query] for query in judged.query_ids or () if self.correlation]
        return Known(
            parallel,
            embeddings=True,
            correlation=np.array(found) if found else None,
            probe=self.probe,
            no_probe=self.no_probe,
            no_correlation=self.no_correlation,
        )


def pool_facts(task: CollectionTask, encoder: Encoder, pool: EmbeddedPool) -> PoolFacts:
    """Rank correlation of a task's queries, where they have translations, and language probe.

    If something fails here, the measures that do without are still computed.
    """
    try:
        return _facts(task, encoder, pool)
    except Exception as error:  # noqa: BLE001 -- the other measures stay
        reason = failed(f"{task.metadata.name}: the part on all languages", error)
        return PoolFacts({}, {}, reason, reason)


def _facts(task: CollectionTask, encoder: Encoder, pool: EmbeddedPool) -> PoolFacts:
    queries, parallel = _all_queries(task), task.spec.parallel
    names = [one.name for one in queries]
    items = [one.query for one in queries] if parallel else names
    grades = [(one.language, one.grades) for one in queries]
    judged = judgements_of(pool, grades, items, names)
    correlation: dict[str, float] = {}
    ranked: RankedQueries | None = None
    if isinstance(pool, MemoryPool):
        texts = [task.collection.parts[one.language].queries[one.query] for one in queries]
        vectors = encoder.embed(texts, "query", [one.language for one in queries])
        scorer, numbers = pool.scorer(vectors), judged.item_numbers
        ranking, values = ranking_and_correlation(
            scorer, judged.relevance, numbers, pool.order, TOP_DEPTH
        )
        correlation = dict(zip(names, values.tolist(), strict=True))
        if isinstance(pool.similarity, Similarity):  # a function's may depend on its neighbours
            ranked = RankedQueries(judged, ranking)
    rows, languages, items = _probe_texts(judged, parallel=parallel)
    reason = why_no_probe(languages, items)
    probe = {} if reason else probe_by_language(pool.vectors(rows), languages, items)
    return PoolFacts(correlation, probe, reason, ranked=ranked)


class _Query(NamedTuple):
    """A query of any language: its id in the files and its name in MTEB."""

    language: str
    query: str
    name: str
    grades: list[Grade]


def _all_queries(task: CollectionTask) -> list[_Query]:
    """The judged queries of all languages; of a parallel collection, translations are adjacent."""
    found = [
        _Query(code := subset.query_language, query, task.prefixes(code)[0] + query, grades)
        for subset in task.spec.subsets(Setting.MULTILINGUAL)
        for query, grades in task.collection.judged(subset).items()
    ]
    if task.spec.parallel:
        number: dict[str, int] = {}
        for one in found:
            number.setdefault(one.query, len(number))
        found.sort(key=lambda one: (number[one.query], one.name))
    return found


def _probe_texts(judged: Judgements, *, parallel: bool) -> tuple[IntArray, list[str], list[str]]:
    """Rows of relevant passages, their languages and items, which are of a language or of all."""
    relevance = judged.present.relevance
    if parallel:
        rows, about = relevant_items(relevance, judged.item_numbers)
        return rows, _codes(judged, rows), [str(number) for number in about]
    found: list[IntArray] = []
    items: list[str] = []
    for number in np.unique(judged.queries):
        code = judged.codes[number]
        own = judged.take(np.flatnonzero(judged.queries == number)).present.relevance
        rows, about = relevant_items(own, np.arange(own.n_queries))
        found.append(rows)
        items += [f"{code} {at}" for at in about]
    rows = np.concatenate(found)
    return rows, _codes(judged, rows), items


def _codes(judged: Judgements, rows: IntArray) -> list[str]:
    return [judged.codes[at] for at in judged.languages_of(rows)]
