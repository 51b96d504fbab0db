"""Language bias in a multilingual task: what one subset's queries alone cannot tell.

Rank correlation compares the queries of all languages, and the language probe reads embeddings of
the whole pool. Both are computed once for a model and task, at the first subset, so that a subset's
scores do not depend on which others are evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mteb.types import PromptType

from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.collections.collection import (
    ParallelCollection,
    judged_queries,
    language_of,
)
from hybridir_mteb.measures.measure import Measure, RankTable
from hybridir_mteb.measures.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.measures.report import MATRICES, bias_report
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.plugins.settings import Setting, subsets
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance, Values
from hybridir_mteb.ranking.correlation import mean_rank_correlation
from hybridir_mteb.ranking.exact import tie_order


@dataclass(frozen=True)
class PoolBias:
    """What concerns all subsets of a multilingual task.

    Attributes:
        correlation: Query id -> mean rank correlation with its translations.
        probe: Language -> accuracy of a language probe on its relevant passages; empty where the
            collection is too small for one.
    """

    correlation: Mapping[str, float]
    probe: Mapping[str, float]


def pool_bias(
    collection: ParallelCollection,
    model: Any,
    pool: tuple[Sequence[str], Sequence[str]],
    call: mteb_embed.EncodeCall,
) -> PoolBias:
    """What concerns all subsets of a task.

    Args:
        collection: In all its languages.
        model: An encoder.
        pool: Ids and texts of the passages of all languages.
        call: MTEB's arguments.
    """
    passage_ids, passage_texts = pool
    ids, texts, items, relevance = _all_queries(collection, passage_ids)
    asked, spoken = ([language_of(i) for i in some] for some in (ids, passage_ids))
    queries = mteb_embed.embed(model, texts, PromptType.query, call, languages=asked)
    passages = mteb_embed.embed(model, passage_texts, PromptType.document, call, languages=spoken)
    scorer = mteb_embed.scorer(model, queries, passages)
    correlation = mean_rank_correlation(scorer, items, tie_order(passage_ids))
    return PoolBias(
        correlation=dict(zip(ids, correlation.tolist(), strict=True)),
        probe=_probe(passages, relevance, items, spoken),
    )


def _all_queries(
    collection: ParallelCollection, passage_ids: Sequence[str]
) -> tuple[list[str], list[str], IntArray, Relevance]:
    """Ids, texts, item numbers and relevant passages of all queries, translations adjacent."""
    column = {identifier: at for at, identifier in enumerate(passage_ids)}
    numbers: dict[str, int] = {}
    rows = []
    for subset in subsets(collection.languages, Setting.MULTILINGUAL):
        part = collection.part(subset.query_language)
        for at, relevant in judged_queries(collection, subset):
            query = part.queries[at]
            number = numbers.setdefault(query.parallel_id, len(numbers))
            rows.append((number, part.query_id(at), query.text, [column[p] for p in relevant]))
    rows.sort(key=lambda row: row[:2])
    return (
        [row[1] for row in rows],
        [row[2] for row in rows],
        np.array([row[0] for row in rows], np.int64),
        Relevance.from_lists([row[3] for row in rows]),
    )


def _probe(
    passages: tuple[FloatMatrix, IntArray],
    relevance: Relevance,
    items: IntArray,
    languages: Sequence[str],
) -> dict[str, float]:
    columns, about = relevant_items(relevance, items)
    spoken = [languages[column] for column in columns]
    numbers = [str(number) for number in about]
    if why_no_probe(spoken, numbers):
        return {}
    return probe_by_language(passages[0][passages[1][columns]], spoken, numbers)


def language_view(
    query_ids: Sequence[str],
    passage_ids: Sequence[str],
    relevance: Relevance,
    top: IntArray,
    known: PoolBias | None,
) -> LanguageView:
    """The languages of one subset, from the ids of its queries and passages.

    Args:
        query_ids: Of the subset.
        passage_ids: Of the pool.
        relevance: Columns of the pool.
        top: (n_queries, depth) columns of the best-ranked passages.
        known: What concerns all subsets; None for a model without embeddings.
    """
    spoken, asked = ([language_of(i) for i in ids] for ids in (passage_ids, query_ids))
    if known is None:
        return LanguageView.build(asked, spoken, relevance, top)
    view = LanguageView.build(asked, spoken, relevance, top, known.probe)
    correlation: Values = np.array([known.correlation[i] for i in query_ids])
    return replace(view, correlation=correlation)


def bias_details(table: RankTable, measures: Sequence[Measure]) -> dict[str, Any]:
    """Intervals of a subset's bias measures, and its scores by passage language, as JSON values.

    Args:
        table: Of one query language, with languages.
        measures: The task's; those of other settings than the multilingual one get no interval.
    """
    only_here = [m for m in measures if m.settings == {Setting.MULTILINGUAL}]
    report = bias_report(table, only_here)
    (code,) = report.query_languages
    return {
        "confidence_intervals": {
            name: None if ends is None else list(ends)
            for name, ends in report.intervals_by_language[code].items()
        },
        "passage_languages": {
            passage: {name: report.matrices[name][0][at] for name in MATRICES}
            for at, passage in enumerate(report.passage_languages)
        },
    }
