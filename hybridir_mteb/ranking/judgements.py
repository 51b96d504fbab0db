"""Queries, pool and relevance as arrays; languages are numbers, never read off an id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.ranking.arrays import IntArray, Relevance, Values
from hybridir_mteb.ranking.given import (
    check_ids,
    check_mapping,
    check_qrels,
    check_run,
    check_sequence,
)

NO_ROW = -1  # row of a passage that the pool lacks, or behind the end of a ranking


class Present(NamedTuple):
    """The relevant passages that a pool has.

    Attributes:
        relevance: Their rows, by query.
        entries: (n_present,) which entries of the judgements they are.
    """

    relevance: Relevance
    entries: IntArray


@dataclass(frozen=True)
class Judgements:
    """Queries, pool and relevance of one evaluation, whatever the system.

    Attributes:
        relevance: Rows of the relevant passages of each query; ``NO_ROW`` for one that the pool
            lacks.
        codes: Languages of queries and passages; their positions are language numbers.
        queries: (n_queries,) language numbers.
        entries: (n_entries,) language numbers of the relevant passages.
        pool: (n_languages,) number of candidates in each language.
        listed: (n_rows,) language number of each row; None if the rows of one language follow
            those of another, in the order of the codes.
        items: (n_queries,) what each query asks, which translations share; None if unknown.
        gains: (n_entries,) relevance grades; None if all are 1.
        query_ids: (n_queries,) for messages; None if queries are known by their numbers.
        passage_ids: (n_rows,) unique; None if the pool knows them.
        missing: Number of relevant passages that the pool lacks, each counted once.
    """

    relevance: Relevance
    codes: tuple[str, ...]
    queries: IntArray
    entries: IntArray
    pool: IntArray
    listed: IntArray | None = None
    items: Sequence[str] | None = None
    gains: Values | None = None
    query_ids: Sequence[str] | None = None
    passage_ids: Sequence[str] | None = field(default=None, repr=False)
    missing: int = 0

    @classmethod
    def of_lists(
        cls,
        relevance: Relevance,
        query_languages: Sequence[str],
        passage_languages: Sequence[str],
        passage_ids: Sequence[str],
        items: Sequence[str] | None = None,
        **known: Sequence[str] | Values | None,
    ) -> Judgements:
        """From the language of each query and passage.

        Args:
            relevance: Columns of the relevant passages of each query.
            query_languages: (n_queries,) any codes, the same as those of passages.
            passage_languages: (n_passages,) codes.
            passage_ids: (n_passages,) unique; equal scores are ordered by a hash of them.
            items: (n_queries,) what each query asks; None if unknown.
            **known: ``gains`` and ``query_ids``.

        Raises:
            SettingError: Lengths that do not fit, a language or id that is no string, a relevant
                passage outside the pool, an id or a relevant passage given twice, or two queries
                of one language with the same item.
        """
        _check_lists(relevance, query_languages, passage_languages, passage_ids)
        codes = tuple(sorted({*query_languages, *passage_languages}))
        number = {code: at for at, code in enumerate(codes)}
        listed = np.array([number[code] for code in passage_languages], np.int64)
        judged = cls(
            relevance,
            codes,
            queries=np.array([number[code] for code in query_languages], np.int64),
            entries=listed[relevance.passages],
            pool=np.bincount(listed, minlength=len(codes)),
            listed=listed,
            items=items,
            passage_ids=passage_ids,
            **known,  # type: ignore[arg-type]
        )
        if items is not None:
            check_sequence(items, "items")
            _check_length("items", items, relevance.n_queries, "queries")
            judged.check_items(items)
        return judged

    def check_items(self, items: Sequence[str]) -> None:
        """Refuse two queries of one language with the same item.

        Raises:
            SettingError: There are such, or a query has no item.
        """
        seen: dict[tuple[str, int], int] = {}
        for at, key in enumerate(zip(items, self.queries.tolist(), strict=True)):
            if key[0] is None:
                raise SettingError(f"query {self._name(at)} has no item; give all an item, or none")
            if not isinstance(key[0], str):
                raise SettingError(
                    f"items: entry {at} is {quoted(key[0], 80)}; give a string for each"
                )
            first = seen.setdefault(key, at)
            if first != at:
                raise SettingError(
                    f"queries {self._name(first)} and {self._name(at)} have the same item and "
                    f"language, {quoted(key[0], 80)} and {quoted(self.codes[key[1]], 80)}; "
                    "translations share an item, other queries do not"
                )

    def _name(self, query: int) -> str:
        return str(query) if self.query_ids is None else quoted(self.query_ids[query], 80)

    @property
    def pool_size(self) -> int:
        """Number of candidates."""
        return int(self.pool.sum())

    @cached_property
    def present(self) -> Present:
        """The relevant passages that the pool has."""
        relevance = self.relevance
        entries = np.flatnonzero(relevance.passages != NO_ROW)
        counts = np.bincount(relevance.query_of_entry[entries], minlength=relevance.n_queries)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Present(Relevance(indptr, relevance.passages[entries]), entries)

    def languages_of(self, rows: IntArray) -> IntArray:
        """Language numbers of rows of the pool; -1 for ``NO_ROW``."""
        if self.listed is not None:
            return np.where(rows == NO_ROW, NO_ROW, self.listed[rows])
        starts = np.cumsum(self.pool) - self.pool
        # An empty language starts where the next one does: the last that starts there has the row.
        numbers: IntArray = np.searchsorted(starts, rows, side="right") - 1
        return numbers

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
        entries = self.relevance.entries_of(rows)
        lengths = self.relevance.counts[rows]
        moved = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(
            self,
            relevance=Relevance(moved, self.relevance.passages[entries]),
            queries=self.queries[rows],
            entries=self.entries[entries],
            items=None if self.items is None else [self.items[at] for at in rows],
            gains=None if self.gains is None else self.gains[entries],
            query_ids=None if self.query_ids is None else [self.query_ids[at] for at in rows],
        )


def _check_lists(
    relevance: Relevance,
    query_languages: Sequence[str],
    passage_languages: Sequence[str],
    passage_ids: Sequence[str],
) -> None:
    check_sequence(query_languages, "query_languages")
    check_sequence(passage_languages, "passage_languages")
    check_sequence(passage_ids, "passage_ids")
    n_queries, n_passages = relevance.n_queries, len(passage_languages)
    if not n_queries or not n_passages:
        raise SettingError(
            f"language bias needs queries and passages, got {n_queries} and {n_passages}"
        )
    _check_length("query_languages", query_languages, n_queries, "queries")
    _check_length("passage_ids", passage_ids, n_passages, "passage_languages")
    _check_strings("query_languages", query_languages)
    _check_strings("passage_languages", passage_languages)
    _check_strings("passage_ids", passage_ids)
    check_ids(passage_ids, "passage")
    if len(set(passage_ids)) < n_passages:
        twice = Counter(passage_ids).most_common(1)[0][0]
        raise SettingError(f"passage id {quoted(twice, 80)} is given twice; ids must be unique")
    columns = relevance.passages
    outside = columns[(columns < 0) | (columns >= n_passages)]
    if len(outside):
        raise SettingError(
            f"relevant passage {outside[0]} lies outside the pool of {n_passages}; relevant holds "
            "columns, counted from 0"
        )
    entries = relevance.query_of_entry * n_passages + columns
    if len(np.unique(entries)) < len(entries):
        raise SettingError("a query has the same relevant passage twice; give each once")


def _check_length(name: str, values: Sequence[str], expected: int, of_what: str) -> None:
    if len(values) != expected:
        raise SettingError(
            f"{name} has {len(values)} entries for {expected} {of_what}; give one for each"
        )


def _check_strings(name: str, values: Sequence[object]) -> None:
    for at, value in enumerate(values):
        if not isinstance(value, str):
            raise SettingError(f"{name}: entry {at} is {quoted(value, 80)}; give a string for each")


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
    check_mapping(doc_languages, names.documents)
    check_ids(doc_languages, "document")
    for doc, language in doc_languages.items():
        if not isinstance(language, str):
            raise SettingError(
                f"document {quoted(doc, 80)} has the language {quoted(language, 80)}; "
                f"{names.documents} must hold strings"
            )
    column = {identifier: at for at, identifier in enumerate(doc_languages)}
    rows: list[list[int]] = []
    gains: list[float] = []
    for query, grades in check_qrels(qrels).items():
        relevant = [(doc, grade) for doc, grade in grades.items() if grade > 0]
        for doc, _ in relevant:
            if doc not in column:
                raise SettingError(
                    f"document {quoted(doc, 80)}, relevant to query {quoted(query, 80)}, has no "
                    f"language; {names.documents} must list the whole pool"
                )
        rows.append([column[doc] for doc, _ in relevant])
        gains += [float(grade) for _, grade in relevant]
    return Judgements.of_lists(
        Relevance.from_lists(rows),
        _of_queries(qrels, query_languages, "language", names.queries),
        list(doc_languages.values()),
        list(doc_languages),
        None if items is None else _of_queries(qrels, items, "item", names.items),
        gains=np.array(gains, np.float64),
        query_ids=list(qrels),
    )


def _of_queries(
    queries: Mapping[str, object], values: Mapping[str, str], what: str, name: str
) -> list[str]:
    check_mapping(values, name)
    for query in queries:
        if not isinstance(values.get(query), str):
            raise SettingError(
                f"query {quoted(query, 80)} of the judgements has no {what}; add it to {name}, or "
                "leave its judgements out"
            )
    return [values[query] for query in queries]


def run_lengths(
    run: Mapping[str, Mapping[str, float]],
    queries: list[str],
    pool: Mapping[str, str],
    names: MapNames = LIBRARY,
) -> IntArray:
    """(n_queries,) number of results of each judged query; 0 for one that the run lacks.

    Raises:
        SettingError: The run has none of the queries, a document that is not in the pool, or an id
            that is no string.
    """
    check_run(run)
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
                    f"document {quoted(doc, 80)}, found for query {quoted(query, 80)}, has no "
                    f"language; {names.documents} must list the whole pool"
                )
    return lengths
