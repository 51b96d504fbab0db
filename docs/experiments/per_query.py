"""Research code: values of every query in all three settings; what comparisons are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from hybridir_mteb.collections.collection import ParallelCollection, judged_queries
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.plugins.settings import Setting, subsets
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.exact import for_each
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer

MEASURES = ("map", "ndcg_at_10", "mrr_at_10")
# Those of language bias that need ranks and languages alone, in the multilingual setting.
BIAS = (
    "rank_distance",
    "max_rank",
    "lpr",
    "tlr_at_20",
    "same_language_recall_at_10",
    "cross_language_recall_at_10",
    "complete_at_100",
    "lang_ndcg_at_10",
)
BLOCK = 128  # queries whose scores are in memory at a time
TESTED = ("mono.map", "cross.map", "multi.map", "multi.rank_distance")
# Measure of a setting -> subset -> parallel id of the query -> value.
Values = dict[str, dict[str, dict[str, float]]]


def values_of(
    collection: ParallelCollection,
    queries: Mapping[str, np.ndarray],
    passages: Mapping[str, np.ndarray],
    label: str = "ranks",
) -> Values:
    """Every query's values in all settings, from one pass over the scores of the whole pool.

    Args:
        collection: The collection.
        queries: Language -> (n_queries, dimension).
        passages: Language -> (n_passages, dimension).
        label: Beside the progress bar.
    """
    pool, measures = Pool(collection, passages), installed_plugins().measures
    found: Values = {}
    for subset in tqdm(subsets(collection.languages, Setting.MULTILINGUAL), desc=label):
        code = subset.query_language
        rows = list(judged_queries(collection, subset))
        ids = [collection.part(code).queries[at].parallel_id for at, _ in rows]
        ranked = pool.rank(queries[code][[at for at, _ in rows]], [r for _, r in rows])
        for setting, name, language in _settings_of(code, collection.languages):
            within, ranks, size = ranked.within(language)
            if not len(within.passages):
                continue
            names, view = MEASURES, None
            if setting is Setting.MULTILINGUAL:
                names, view = MEASURES + BIAS, ranked.view(code)
            table = RankTable.build(within, ranks, size, languages=view)
            answered = np.flatnonzero(within.counts)
            for measure in names:
                values = measures[measure].compute(table)
                of_subset = {ids[at]: float(values[at]) for at in answered}
                found.setdefault(f"{setting.short}.{measure}", {})[name] = of_subset
    return found


def _settings_of(
    code: str, languages: tuple[str, ...]
) -> Iterator[tuple[Setting, str, str | None]]:
    """Setting, name of the subset and passage language (None for all) for one query language."""
    yield Setting.MONOLINGUAL, code, code
    for other in languages:
        if other != code:
            yield Setting.CROSS_LINGUAL, f"{code}-{other}", other
    yield Setting.MULTILINGUAL, code, None


@dataclass(frozen=True)
class Ranked:
    """Ranks of relevant passages among those of their language, and among all.

    Attributes:
        pool: What was ranked.
        relevance: Of the queries.
        own: (n_entries,) ranks among the passages of the same language.
        all: (n_entries,) ranks among the passages of all languages.
    """

    pool: Pool
    relevance: Relevance
    own: np.ndarray
    all: np.ndarray

    def within(self, language: str | None) -> tuple[Relevance, np.ndarray, int]:
        """Relevance and ranks in the pool of one language, or of all; and the pool's size."""
        if language is None:
            return self.relevance, self.all, len(self.pool.ids)
        number = self.pool.languages.index(language)
        entries = self.pool.language[self.relevance.passages] == number
        counts = np.bincount(
            self.relevance.query_of_entry[entries], minlength=self.relevance.n_queries
        )
        indptr = np.concatenate([[0], np.cumsum(counts)])
        kept = Relevance(indptr, self.relevance.passages[entries])
        return kept, self.own[entries], self.pool.sizes[number]

    def view(self, language: str) -> LanguageView:
        """Languages of the relevant passages, of queries in one language; the top is not known."""
        codes, queries = self.pool.languages, self.relevance.n_queries
        return LanguageView(
            codes,
            queries=np.full(queries, codes.index(language)),
            entries=self.pool.language[self.relevance.passages],
            pool=np.array(self.pool.sizes),
            top=np.empty((queries, 0), np.int64),
        )


class Pool:
    """The passages of all languages, language by language."""

    def __init__(self, collection: ParallelCollection, passages: Mapping[str, np.ndarray]) -> None:
        self.languages = collection.languages
        self.sizes = [len(passages[code]) for code in self.languages]
        self.ids = [
            collection.part(code).passage_id(at)
            for code in self.languages
            for at in range(len(passages[code]))
        ]
        self.language = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self._starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        self._column = {identifier: at for at, identifier in enumerate(self.ids)}
        self._order = tie_order(self.ids)
        self._vectors = np.concatenate([passages[code] for code in self.languages])

    def rank(self, queries: np.ndarray, relevant: list[list[str]]) -> Ranked:
        """Ranks of the relevant passages of each query."""
        relevance = Relevance.from_lists([[self._column[p] for p in row] for row in relevant])
        own = np.empty(len(relevance.passages), np.int64)
        every = np.empty(len(relevance.passages), np.int64)
        scorer = DenseScorer(queries, self._vectors)
        for start in range(0, len(queries), BLOCK):
            stop = min(start + BLOCK, len(queries))
            scores = scorer.block(start, stop)

            def rank(query: int, scores: np.ndarray = scores, start: int = start) -> None:
                entries = slice(relevance.indptr[query], relevance.indptr[query + 1])
                columns = relevance.passages[entries]
                above = self._above(scores[query - start], columns)
                own[entries] = above[np.arange(len(columns)), self.language[columns]] + 1
                every[entries] = above.sum(axis=1) + 1

            for_each(range(start, stop), rank)
        return Ranked(self, relevance, own, every)

    def _above(self, row: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(n_relevant, n_languages) passages of each language ranked above a relevant one."""
        mine = row[columns, None]
        above = row > mine
        equal = row == mine
        for at in np.flatnonzero(equal.sum(axis=1) > 1):
            above[at] |= equal[at] & (self._order < self._order[columns[at]])
        counts: np.ndarray = np.add.reduceat(above.view(np.int8), self._starts, 1, np.int64)
        return counts


def means(values: Values) -> dict[str, float]:
    """Mean over queries, then over subsets, as the tasks report it."""
    return {
        name: round(float(np.mean([np.nanmean(list(v.values())) for v in by_subset.values()])), 6)
        for name, by_subset in values.items()
    }


def by_question(values: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """One value for each parallel question: its mean over subsets, which are not independent.

    A question for which a measure is undefined in every subset is left out.
    """
    found: dict[str, list[float]] = {}
    for of_subset in values.values():
        for identifier, value in of_subset.items():
            if not np.isnan(value):
                found.setdefault(identifier, []).append(value)
    return {identifier: float(np.mean(rows)) for identifier, rows in found.items()}
