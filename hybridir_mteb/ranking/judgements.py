"""From scores, judgements and languages to the table that measures of language bias see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import SettingError
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import TOP_DEPTH, LanguageView
from hybridir_mteb.ranking.arrays import IntArray, Relevance, ScoreBlock, Values
from hybridir_mteb.ranking.correlation import ReorderedScorer, mean_rank_correlation
from hybridir_mteb.ranking.exact import Scorer, cut_ranks, ranks_and_top, tie_order


@dataclass(frozen=True)
class Judgements:
    """Queries, pool and relevance of one evaluation, whatever the system.

    Attributes:
        relevance: Columns of the relevant passages of each query.
        query_languages: (n_queries,) any codes, the same as those of passages.
        passage_languages: (n_passages,).
        passage_ids: (n_passages,) unique; equal scores are ordered by a hash of them.
        items: (n_queries,) what each query asks, which translations share; None if unknown.
        gains: (n_entries,) relevance grades; None if all are 1.
        query_ids: (n_queries,) for messages; None if queries are known by their numbers.
        n_passages: Language -> size of the whole pool, where the passages that are listed are only
            those that a run ranks or that are relevant; None if all are listed.

    Raises:
        SettingError: Lengths that do not fit, a language or id that is no string, a relevant
            passage outside the pool, an id or a relevant passage given twice, or two queries of one
            language with the same item.
    """

    relevance: Relevance
    query_languages: Sequence[str]
    passage_languages: Sequence[str]
    passage_ids: Sequence[str]
    items: Sequence[str] | None = None
    gains: Values | None = None
    query_ids: Sequence[str] | None = None
    n_passages: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        n_queries, n_passages = self.relevance.n_queries, len(self.passage_languages)
        if not n_queries or not n_passages:
            raise SettingError(
                f"language bias needs queries and passages, got {n_queries} and {n_passages}"
            )
        _check_length("query_languages", self.query_languages, n_queries, "queries")
        _check_length("passage_ids", self.passage_ids, n_passages, "passage_languages")
        for name in ("query_languages", "passage_languages", "passage_ids"):
            _check_strings(name, getattr(self, name))
        if len(set(self.passage_ids)) < n_passages:
            twice = Counter(self.passage_ids).most_common(1)[0][0]
            raise SettingError(f"passage id {twice!r} is given twice; ids must be unique")
        self._check_relevant(n_passages)
        if self.items is not None:
            _check_length("items", self.items, n_queries, "queries")
            self._check_items(self.items)

    def _check_relevant(self, n_passages: int) -> None:
        columns = self.relevance.passages
        outside = columns[(columns < 0) | (columns >= n_passages)]
        if len(outside):
            raise SettingError(
                f"relevant passage {outside[0]} lies outside the pool of {n_passages}; relevant "
                "holds columns, counted from 0"
            )
        entries = self.relevance.query_of_entry * n_passages + columns
        if len(np.unique(entries)) < len(entries):
            raise SettingError("a query has the same relevant passage twice; give each once")

    def _check_items(self, items: Sequence[str]) -> None:
        seen: dict[tuple[str, str], int] = {}
        for at, key in enumerate(zip(items, self.query_languages, strict=True)):
            if key[0] is None:
                raise SettingError(f"query {self._name(at)} has no item; give all an item, or none")
            first = seen.setdefault(key, at)
            if first != at:
                raise SettingError(
                    f"queries {self._name(first)} and {self._name(at)} have the same item and "
                    f"language, {key[0]!r} and {key[1]!r}; translations share an item, other "
                    "queries do not"
                )

    def _name(self, query: int) -> str:
        return str(query) if self.query_ids is None else repr(self.query_ids[query])

    @property
    def pool_size(self) -> int:
        """Number of candidates."""
        listed = len(self.passage_ids)
        return listed if self.n_passages is None else sum(self.n_passages.values())

    @property
    def item_numbers(self) -> IntArray:
        """(n_queries,) numbers of the items in order of appearance; each query its own if None."""
        if self.items is None:
            return np.arange(self.relevance.n_queries)
        numbers = {item: at for at, item in enumerate(dict.fromkeys(self.items))}
        return np.array([numbers[item] for item in self.items], np.int64)

    @property
    def rows_by_item(self) -> IntArray:
        """(n_queries,) the order of queries that puts translations next to each other."""
        return np.argsort(self.item_numbers, kind="stable")

    def take(self, rows: IntArray) -> Judgements:
        """The same with its queries in another order."""
        indptr = self.relevance.indptr
        entries = np.concatenate([np.arange(indptr[at], indptr[at + 1]) for at in rows])
        lengths = self.relevance.counts[rows]
        moved = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(
            self,
            relevance=Relevance(moved, self.relevance.passages[entries]),
            query_languages=[self.query_languages[at] for at in rows],
            items=None if self.items is None else [self.items[at] for at in rows],
            gains=None if self.gains is None else self.gains[entries],
            query_ids=None if self.query_ids is None else [self.query_ids[at] for at in rows],
        )


def _check_length(name: str, values: Sequence[str], expected: int, of_what: str) -> None:
    if len(values) != expected:
        raise SettingError(
            f"{name} has {len(values)} entries for {expected} {of_what}; give one for each"
        )


def _check_strings(name: str, values: Sequence[object]) -> None:
    for at, value in enumerate(values):
        if not isinstance(value, str):
            raise SettingError(f"{name}: entry {at} is {value!r}; give a string for each")


def as_array(values: object, name: str) -> npt.NDArray[Any]:
    """Numbers as an array, from anything that holds them, tensors of torch included.

    Args:
        values: On any device and of any precision.
        name: For the message.

    Raises:
        SettingError: Rows of different lengths, or no numbers.
    """
    try:
        array: npt.NDArray[Any] = np.asarray(_without_torch(values))
    except (TypeError, ValueError) as error:
        raise SettingError(f"{name}: not a matrix of numbers ({error})") from error
    if array.dtype.kind not in "biuf":
        raise SettingError(f"{name}: expected numbers, got {array.dtype}")
    return array


def _without_torch(values: Any) -> Any:
    if isinstance(values, list | tuple):
        return [_without_torch(value) for value in values] if _any_tensor(values) else values
    if not hasattr(values, "detach"):
        return values
    tensor = values.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has none; float32 holds it exactly
        tensor = tensor.float()
    return tensor.numpy()


def _any_tensor(values: Sequence[object]) -> bool:
    return any(hasattr(value, "detach") for value in values)


class MatrixScorer:
    """Scores that are there already: (n_queries, n_passages), higher is better."""

    def __init__(self, scores: npt.NDArray[np.generic]) -> None:
        if scores.ndim != 2:
            raise SettingError(
                f"scores have shape {scores.shape}; expected one row for each query, one column "
                "for each passage"
            )
        self._scores = scores

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return int(self._scores.shape[0])

    @property
    def n_passages(self) -> int:
        """Size of the pool."""
        return int(self._scores.shape[1])

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        return np.asarray(self._scores[start:stop], np.float64)


@dataclass(frozen=True)
class Extras:
    """What else than ranks a table is to hold.

    Attributes:
        top_depth: How many of the best-ranked passages have their language looked at.
        correlate: Whether to compute rank correlations between translations.
        correlation_depth: Cut rankings there before they are correlated; None is all that is
            ranked.
        lengths: (n_queries,) where each ranking ends, if the system did not rank the whole pool.
        probe: Accuracy of a language probe for each language.
    """

    top_depth: int = TOP_DEPTH
    correlate: bool = False
    correlation_depth: int | None = None
    lengths: IntArray | None = None
    probe: Mapping[str, float] | None = None


def rank_table(scorer: Scorer, judged: Judgements, extras: Extras | None = None) -> RankTable:
    """Exact ranks with languages, from one pass over the scores, and one more to correlate.

    Args:
        scorer: Scores of all queries against the whole pool.
        judged: Queries in the scorer's order, passages in the order of its columns.
        extras: What else the table is to hold.

    Raises:
        EmbeddingError: A score is NaN or infinite, or sizes do not fit.
    """
    extras = extras or Extras()
    order = tie_order(judged.passage_ids)
    ranks, columns = ranks_and_top(scorer, judged.relevance, order, extras.top_depth)
    ranks = cut_ranks(ranks, judged.relevance, extras.lengths)
    view = _view(judged, columns, extras.probe)
    if extras.lengths is not None:
        view = view.cut(extras.lengths)
    if extras.correlate:
        view = replace(view, correlation=_correlation(scorer, judged, order, extras))
    return RankTable.build(judged.relevance, ranks, judged.pool_size, judged.gains, view)


def ideal_table(judged: Judgements) -> RankTable:
    """The table of a system that ranks what is relevant first, without the languages of its top.

    For what depends on queries, pool and judgements alone.
    """
    counts = judged.relevance.counts
    firsts = np.repeat(judged.relevance.indptr[:-1], counts)
    ranks = np.arange(len(firsts)) - firsts + 1
    view = _view(judged, np.empty((len(counts), 0), np.int64))
    return RankTable.build(judged.relevance, ranks, judged.pool_size, judged.gains, view)


def _view(
    judged: Judgements, columns: IntArray, probe: Mapping[str, float] | None = None
) -> LanguageView:
    """Languages of a table whose best-ranked passages are ``columns``."""
    view = LanguageView.build(
        judged.query_languages, judged.passage_languages, judged.relevance, columns, probe
    )
    if judged.n_passages is None:
        return view
    return replace(view, pool=np.array([judged.n_passages.get(c, 0) for c in view.codes]))


def _correlation(
    scorer: Scorer, judged: Judgements, order: IntArray, extras: Extras
) -> Values | None:
    """(n_queries,) mean rank correlations; None if no query has a translation."""
    numbers, rows = judged.item_numbers, judged.rows_by_item
    if len(np.unique(numbers)) == len(numbers):
        return None
    sorted_already = np.array_equal(rows, np.arange(len(rows)))
    by_item = scorer if sorted_already else ReorderedScorer(scorer, rows)
    values = np.empty(len(rows))
    values[rows] = mean_rank_correlation(
        by_item,
        numbers[rows],
        order,
        depth=extras.correlation_depth,
        lengths=None if extras.lengths is None else extras.lengths[rows],
    )
    return values


@dataclass(frozen=True)
class MapNames:
    """What the caller calls the maps, for messages."""

    documents: str = "doc_languages (--doc-lang)"
    queries: str = "query_languages (--query-lang)"
    items: str = "items (the third column of --query-lang)"


LIBRARY = MapNames()


def judgements_of(
    qrels: Mapping[str, Mapping[str, int]],
    doc_languages: Mapping[str, str],
    query_languages: Mapping[str, str],
    items: Mapping[str, str] | None,
    names: MapNames = LIBRARY,
) -> Judgements:
    """Queries in the order of ``qrels``, the pool in the order of ``doc_languages``.

    Args:
        qrels: Query -> document -> grade; relevant from 1.
        doc_languages: Document -> language, of the whole pool.
        query_languages: Query -> language.
        items: Query -> what it asks; None if unknown.
        names: What messages call the maps.

    Raises:
        SettingError: A query without language or item, or a document without language.
    """
    for doc, language in doc_languages.items():
        if not isinstance(language, str):
            raise SettingError(
                f"document {doc!r} has the language {language!r}; {names.documents} must hold "
                "strings"
            )
    column = {identifier: at for at, identifier in enumerate(doc_languages)}
    rows: list[list[int]] = []
    gains: list[float] = []
    for query, grades in qrels.items():
        relevant = [(doc, grade) for doc, grade in grades.items() if grade > 0]
        for doc, _ in relevant:
            if doc not in column:
                raise SettingError(
                    f"document {doc!r}, relevant to query {query!r}, has no language; "
                    f"{names.documents} must list the whole pool"
                )
        rows.append([column[doc] for doc, _ in relevant])
        gains += [float(grade) for _, grade in relevant]
    return Judgements(
        relevance=Relevance.from_lists(rows),
        query_languages=_of_queries(qrels, query_languages, "language", names.queries),
        passage_languages=list(doc_languages.values()),
        passage_ids=list(doc_languages),
        items=None if items is None else _of_queries(qrels, items, "item", names.items),
        gains=np.array(gains, np.float64),
        query_ids=list(qrels),
    )


def _of_queries(
    queries: Mapping[str, object], values: Mapping[str, str], what: str, name: str
) -> list[str]:
    for query in queries:
        if not isinstance(values.get(query), str):
            raise SettingError(
                f"query {query!r} of the judgements has no {what}; add it to {name}, or leave its "
                "judgements out"
            )
    return [values[query] for query in queries]


def run_lengths(
    run: Mapping[str, Mapping[str, float]],
    queries: list[str],
    pool: Mapping[str, str],
    names: MapNames = LIBRARY,
) -> IntArray:
    """(n_queries,) number of results of each query; 0 for a query that the run lacks.

    Args:
        run: Query -> document -> score.
        queries: Those that are judged; others play no part.
        pool: Known documents.
        names: What messages call the maps.

    Raises:
        SettingError: The run has none of the queries, or a document that is not in the pool.
    """
    lengths = np.array([len(run.get(query, ())) for query in queries], np.int64)
    if not lengths.any():
        raise SettingError(
            f"the run has results for none of the {len(queries)} judged queries; do its query ids "
            "differ from those of the judgements?"
        )
    for query in queries:
        for doc in run.get(query, ()):
            if doc not in pool:
                raise SettingError(
                    f"document {doc!r}, found for query {query!r}, has no language; "
                    f"{names.documents} must list the whole pool"
                )
    return lengths
