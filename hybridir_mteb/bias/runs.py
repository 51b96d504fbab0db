"""Runs and judgements as dictionaries, checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hybridir_mteb.bias.tables import Judgements
from hybridir_mteb.errors import SettingError
from hybridir_mteb.relevance import IntArray, Relevance


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
