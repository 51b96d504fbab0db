"""Everything that is known of a system's language bias: by language, by pair, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.measures.bootstrap import RESAMPLES, mean_intervals
from hybridir_mteb.measures.language_bias import rank_distance
from hybridir_mteb.measures.measure import Measure, RankTable, measure_values
from hybridir_mteb.ranking.arrays import Values
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED

Interval = tuple[float, float]
MATRIX_RECALL_DEPTH = 10
MATRIX_SHARE_DEPTHS = (10, 100)
MATRICES = {
    "mean_rank": "mean rank of the relevant passages",
    f"recall_at_{MATRIX_RECALL_DEPTH}": f"share of the relevant passages in the top "
    f"{MATRIX_RECALL_DEPTH}",
    **{f"share_at_{depth}": f"share of the top {depth}" for depth in MATRIX_SHARE_DEPTHS},
}


@dataclass(frozen=True)
class BiasReport:
    """Language bias of one system on one pool of passages.

    Attributes:
        query_languages: Languages that have queries, sorted.
        passage_languages: Languages that have candidates, sorted.
        n_queries: Query language -> number of queries.
        n_passages: Passage language -> number of candidates.
        by_language: Query language -> measure -> mean over its queries; None where undefined.
        means: Measure -> mean over query languages.
        intervals: Measure -> 95 percent bootstrap interval of the mean over query languages; None
            where it is undefined, and for measures that are one number for all queries.
        intervals_by_language: Query language -> measure -> 95 percent bootstrap interval.
        matrices: Name in ``MATRICES`` -> one row for each query language, one column for each
            passage language; None where nothing is relevant, and for a mean rank where a relevant
            passage was not retrieved.
        rank_distances: Query language -> rank distance of each query that has one.
        not_applicable: Measure -> why it says nothing about this collection.
        remarks: Measure -> what to know when reading it on this collection.
    """

    query_languages: tuple[str, ...]
    passage_languages: tuple[str, ...]
    n_queries: Mapping[str, int]
    n_passages: Mapping[str, int]
    by_language: Mapping[str, Mapping[str, float | None]]
    means: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    intervals_by_language: Mapping[str, Mapping[str, Interval | None]]
    matrices: Mapping[str, list[list[float | None]]]
    rank_distances: Mapping[str, list[int]] = field(repr=False)
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON values, without the rank distance of every query."""
        content = asdict(self)
        del content["rank_distances"]
        return content


def bias_report(
    table: RankTable,
    measures: Sequence[Measure],
    *,
    items: Sequence[str] | None = None,
    not_applicable: Mapping[str, str] | None = None,
    remarks: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
) -> BiasReport:
    """Evaluate measures by query language, with intervals, and the language pairs.

    Args:
        table: Ranks of the queries of all languages, with languages.
        measures: What to evaluate.
        items: (n_queries,) what each asks, by default its own; the bootstrap draws all of one.
        not_applicable: Measures to leave undefined, and why.
        remarks: What to know of measures that are reported.
        resamples: Of the bootstrap; 0 leaves the intervals out.

    Raises:
        ValueError: No languages, two queries of one language share an item, or a bad measure value.
    """
    if (view := table.languages) is None:
        raise ValueError("language bias needs the languages of queries and passages")
    refused = dict(not_applicable or {})
    used = [measure for measure in measures if measure.name not in refused]
    with_interval = [(i, m.name, m.by_query) for i, m in enumerate(used)]
    spoken = np.unique(view.queries).tolist()
    pool = np.flatnonzero(view.pool).tolist()
    names = [view.codes[at] for at in spoken]
    columns = _columns(table, used, spoken, items)
    intervals = _Intervals(columns, len(used), len(spoken), resamples)
    by_language = {code: _means(columns[:, :, at], used, refused) for at, code in enumerate(names)}
    return BiasReport(
        query_languages=tuple(names),
        passage_languages=tuple(view.codes[at] for at in pool),
        n_queries={view.codes[at]: int((view.queries == at).sum()) for at in spoken},
        n_passages={view.codes[at]: int(view.pool[at]) for at in pool},
        by_language=by_language,
        means=_means_of(by_language),
        intervals={n: intervals.of_mean(i) if one else None for i, n, one in with_interval},
        intervals_by_language={
            code: {n: intervals.of_language(i, at) if one else None for i, n, one in with_interval}
            for at, code in enumerate(names)
        },
        matrices=language_matrices(table, spoken, pool),
        rank_distances={} if "rank_distance" in refused else _distances(table, spoken, names),
        not_applicable=refused,
        remarks=dict(remarks or {}),
    )


def language_matrices(
    table: RankTable, query_languages: Sequence[int], passage_languages: Sequence[int]
) -> dict[str, list[list[float | None]]]:
    """What each query language finds in each passage language: see ``MATRICES``.

    Args:
        table: With languages.
        query_languages: Positions in its codes: the rows.
        passage_languages: Positions in its codes: the columns.
    """
    view = table.languages
    assert view is not None  # noqa: S101 -- callers have checked
    shape = (table.n_queries, len(view.codes))
    cells, size = table.query_of_entry * shape[1] + view.entries, math.prod(shape)
    counts = np.bincount(cells, minlength=size).reshape(shape)
    found = np.bincount(cells, table.ranks <= MATRIX_RECALL_DEPTH, size).reshape(shape)
    recall = _ratio(found, counts)
    known = np.where(table.ranks < NOT_RETRIEVED, table.ranks, np.nan)  # a mean needs them all
    ranks = np.bincount(cells, known, size).reshape(shape)
    rows: dict[str, list[list[float | None]]] = {name: [] for name in MATRICES}
    for language in query_languages:
        own = view.queries == language
        by_name = {
            "mean_rank": _ratio(ranks[own].sum(axis=0), counts[own].sum(axis=0)),
            f"recall_at_{MATRIX_RECALL_DEPTH}": _nan_mean(recall[own]),
        }
        for depth in MATRIX_SHARE_DEPTHS:
            by_name[f"share_at_{depth}"] = _shares(view.top[own, :depth], shape[1])
        for name, values in by_name.items():
            rows[name].append([_number(values[at]) for at in passage_languages])
    return rows


def _shares(top: npt.NDArray[np.int64], n_languages: int) -> Values:
    """Share of each language in the top, averaged over queries that have one."""
    ranked = (top >= 0).sum(axis=1)
    shares = np.array([(top == at).sum(axis=1) for at in range(n_languages)], np.float64).T
    return _nan_mean(_ratio(shares, ranked[:, None]))


def _ratio(values: npt.NDArray[Any], numbers: npt.NDArray[Any]) -> Values:
    """NaN where there is nothing to divide by; laid out as the values, for last digits of sums."""
    out = np.full_like(values, np.nan, np.float64)
    return np.asarray(np.divide(values, numbers, out=out, where=numbers > 0))


def _columns(
    table: RankTable,
    measures: Sequence[Measure],
    languages: Sequence[int],
    items: Sequence[str] | None,
) -> Values:
    """(n_items, n_measures, n_languages) values; NaN where an item has no query in a language."""
    view = table.languages
    assert view is not None  # noqa: S101 -- callers have checked
    names = [str(at) for at in range(table.n_queries)] if items is None else items
    places = {name: at for at, name in enumerate(dict.fromkeys(names))}
    rows = np.array([places[name] for name in names], np.int64)
    if len(set(zip(rows.tolist(), view.queries.tolist(), strict=True))) < len(rows):
        raise ValueError("two queries of one language share an item: items are for translations")
    columns = np.full((len(places), len(measures), len(languages)), np.nan)
    for i, measure in enumerate(measures):
        values = measure_values(measure, table)
        for at, language in enumerate(languages):
            own = view.queries == language
            columns[rows[own], i, at] = values[own]
    return columns


class _Intervals:
    """Intervals of every measure, by language and of the mean over languages."""

    def __init__(self, columns: Values, n_measures: int, n_languages: int, resamples: int) -> None:
        flat = columns.reshape(len(columns), n_measures * n_languages)
        self._by_language: Values | None = None
        if resamples and len(flat) > 1 and flat.shape[1]:
            ends = mean_intervals(flat, resamples=resamples)
            self._by_language = ends.reshape(n_measures, n_languages, 2)
            groups = np.repeat(np.arange(n_measures), n_languages)
            self._means = (
                ends if n_languages == 1 else mean_intervals(flat, groups, resamples=resamples)
            )

    def of_language(self, measure: int, language: int) -> Interval | None:
        known = self._by_language
        return None if known is None else _interval(known[measure, language])

    def of_mean(self, measure: int) -> Interval | None:
        return None if self._by_language is None else _interval(self._means[measure])


def _interval(ends: Values) -> Interval | None:
    return None if np.isnan(ends).any() else (float(ends[0]), float(ends[1]))


def _means(
    values: Values, measures: Sequence[Measure], refused: Mapping[str, str]
) -> dict[str, float | None]:
    found = {m.name: _number(mean) for m, mean in zip(measures, _nan_mean(values), strict=True)}
    return {**found, **dict.fromkeys(refused)}


def _means_of(by_language: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    values: dict[str, list[float]] = {}
    for name, mean in (pair for row in by_language.values() for pair in row.items()):
        values.setdefault(name, []).extend([] if mean is None else [mean])
    return {name: float(np.mean(defined)) if defined else None for name, defined in values.items()}


def _nan_mean(values: Values) -> Values:
    """Means of columns without what is undefined; NaN where nothing is defined."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _distances(
    table: RankTable, languages: Sequence[int], names: Sequence[str]
) -> dict[str, list[int]]:
    view = table.languages
    assert view is not None  # noqa: S101 -- callers have checked
    values = rank_distance(table)
    return {
        name: [int(v) for v in values[view.queries == at] if not np.isnan(v)]
        for at, name in zip(languages, names, strict=True)
    }
