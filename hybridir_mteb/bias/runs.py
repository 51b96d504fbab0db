"""Runs and judgements as dictionaries, checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybridir_mteb.bias.tables import Judgements
from hybridir_mteb.errors import SettingError
from hybridir_mteb.relevance import IntArray, Relevance


def judgements_of(
    qrels: Mapping[str, Mapping[str, int]],
    doc_languages: Mapping[str, str],
    query_languages: Mapping[str, str],
    items: Mapping[str, str] | None,
) -> Judgements:
    """Queries in the order of ``qrels``, the pool in the order of ``doc_languages``.

    Raises:
        SettingError: A query without language or item, or a relevant document without language.
    """
    column = {identifier: at for at, identifier in enumerate(doc_languages)}
    rows: list[list[int]] = []
    gains: list[float] = []
    for query, grades in qrels.items():
        relevant = [(doc, grade) for doc, grade in grades.items() if grade > 0]
        for doc, _ in relevant:
            if doc not in column:
                raise SettingError(
                    f"document {doc!r}, relevant to query {query!r}, has no language; the map of "
                    "document languages must list the whole pool"
                )
        rows.append([column[doc] for doc, _ in relevant])
        gains += [float(grade) for _, grade in relevant]
    return Judgements(
        relevance=Relevance.from_lists(rows),
        query_languages=_of_queries(qrels, query_languages, "language"),
        passage_languages=list(doc_languages.values()),
        passage_ids=list(doc_languages),
        items=None if items is None else _of_queries(qrels, items, "item"),
        gains=np.array(gains, np.float64),
    )


def _of_queries(queries: Mapping[str, object], values: Mapping[str, str], what: str) -> list[str]:
    for query in queries:
        if query not in values:
            raise SettingError(
                f"query {query!r} of the judgements has no {what}; add it to the map of query "
                f"{what}s, or leave its judgements out"
            )
    return [values[query] for query in queries]


def run_lengths(
    run: Mapping[str, Mapping[str, float]], queries: list[str], pool: Mapping[str, str]
) -> IntArray:
    """(n_queries,) number of results of each query; 0 for a query that the run lacks.

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
                    f"document {doc!r}, found for query {query!r}, has no language; the map of "
                    "document languages must list the whole pool"
                )
    return lengths
