"""Values of every query in all three settings, from embeddings; what comparisons are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from tqdm import tqdm

from hybridir_mteb.collection import ParallelCollection
from hybridir_mteb.metrics.effectiveness import average_precision, ndcg, reciprocal_rank
from hybridir_mteb.metrics.language_bias import rank_distance
from hybridir_mteb.metrics.measure import RankTable
from hybridir_mteb.rank import exact_ranks, tie_order
from hybridir_mteb.relevance import Relevance
from hybridir_mteb.scoring import DenseScorer
from hybridir_mteb.settings import Setting, Subset, judged_queries, subsets

MEASURES = {
    "map": average_precision,
    "ndcg_at_10": lambda table: ndcg(table, 10),
    "mrr_at_10": lambda table: reciprocal_rank(table, 10),
}
TESTED = ("mono.map", "cross.map", "multi.map", "multi.rank_distance")
# Measure of a setting -> subset -> parallel id of the query -> value.
Values = dict[str, dict[str, dict[str, float]]]


def values_of(
    collection: ParallelCollection,
    queries: Mapping[str, np.ndarray],
    passages: Mapping[str, np.ndarray],
    label: str = "ranks",
) -> Values:
    """Every query's values.

    Args:
        collection: The collection.
        queries: Language -> (n_queries, dimension).
        passages: Language -> (n_passages, dimension).
        label: Beside the progress bar.
    """
    found: Values = {}
    for setting, subset in tqdm(list(_all_subsets(collection.languages)), desc=label):
        rows = list(judged_queries(collection, subset))
        pool = [
            collection.part(code).passage_id(at)
            for code in subset.passage_languages
            for at in range(len(collection.part(code).passages))
        ]
        column = {identifier: at for at, identifier in enumerate(pool)}
        relevance = Relevance.from_lists([[column[p] for p in relevant] for _, relevant in rows])
        positions = [at for at, _ in rows]
        scorer = DenseScorer(
            queries[subset.query_language][positions],
            np.concatenate([passages[code] for code in subset.passage_languages]),
        )
        ranks = exact_ranks(scorer, relevance, tie_order(pool))
        table = RankTable.build(relevance, ranks, len(pool))
        measures = dict(MEASURES)
        if setting is Setting.MULTILINGUAL:
            measures["rank_distance"] = rank_distance
        ids = [collection.part(subset.query_language).queries[at].parallel_id for at in positions]
        for measure, compute in measures.items():
            values = dict(zip(ids, compute(table).tolist(), strict=True))
            found.setdefault(f"{setting.short}.{measure}", {})[subset.name] = values
    return found


def _all_subsets(languages: tuple[str, ...]) -> Iterator[tuple[Setting, Subset]]:
    for setting in Setting:
        for subset in subsets(languages, setting):
            yield setting, subset


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


def tested_questions(values: Values) -> dict[str, Any]:
    """What significance tests compare."""
    return {key: by_question(values[key]) for key in TESTED}
