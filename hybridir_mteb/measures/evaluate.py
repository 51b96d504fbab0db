"""The path from a ranking to scores: of a task's subset, and to a report of language bias."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np

from hybridir_mteb.errors import EmbeddingError, SettingError, quoted
from hybridir_mteb.files.numbers import whole
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.measures.applicable import Circumstances, not_applicable, remarks
from hybridir_mteb.measures.bootstrap import RESAMPLES
from hybridir_mteb.measures.builtin import BUILT_IN
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.measure import Measure, RankTable, evaluate_measures, failed, failing
from hybridir_mteb.measures.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.measures.report import MATRICES, BiasReport, bias_report
from hybridir_mteb.measures.view import TOP_DEPTH, LanguageView
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Values
from hybridir_mteb.ranking.correlation import (
    ReorderedScorer,
    mean_rank_correlation,
    ranking_and_correlation,
)
from hybridir_mteb.ranking.exact import Scorer, ranks_and_top
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.ranking.ranking import Ranking, tie_order

TOO_MANY = 2**31
MRC, PROBE, DISTANCE = "mrc", "language_probe_accuracy", "rank_distance"


class Choices(TypedDict, total=False):
    """What every way in lets the user choose, as keywords.

    Attributes:
        measures: Names of measures, of plugins too; None is all built-in ones of language bias.
        mrc_depth: Rankings are cut there, or where they end, before ``mrc`` correlates them; None
            is all that is ranked, 0 leaves ``mrc`` out.
        parallel: Whether the relevant passages of a query are translations of one another, which
            ``rank_distance`` needs. None takes them as such if nearly every judged query has
            relevant passages in at least two languages and equally many in each; and if queries of
            several languages, where items are given, have translations.
        resamples: How often the bootstrap draws; 0 leaves the intervals out.
    """

    measures: Sequence[str] | None
    mrc_depth: int | None
    parallel: bool | None
    resamples: int


@dataclass(frozen=True)
class Options:
    """The choices of a user, checked; :class:`Choices` says what each is.

    Raises:
        SettingError: A negative number or none, or a value of another type.
    """

    measures: Sequence[str] | None = None
    mrc_depth: int | None = None
    parallel: bool | None = None
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        if not isinstance(self.parallel, bool | None):
            raise SettingError(f"parallel={quoted(self.parallel, 80)}: give True, False or None")
        names = () if self.measures is None else self.measures
        if isinstance(names, str) or not isinstance(names, Collection):
            raise SettingError(f"measures={quoted(names, 80)}: give a list of names")
        for name in names:
            if not isinstance(name, str):
                raise SettingError(f"measures: {quoted(name, 80)} is no name")
        for name in ("mrc_depth", "resamples"):
            value = getattr(self, name)
            if value is None and name == "mrc_depth":
                continue
            found = None if isinstance(value, float) else whole(value)
            if found is None or not 0 <= found < TOO_MANY:
                option = f"--{name.replace('_', '-')}"
                limit = "" if found is None or found < 0 else ", and less than 2**31"
                raise SettingError(f"{name}={quoted(value, 80)} ({option}): give 0 or more{limit}")

    def chosen(self) -> list[Measure]:
        """The measures to evaluate.

        Raises:
            UnknownNameError: There is no measure of a name; the message lists close matches.
        """
        chosen = choose_measures(self.measures)
        return [m for m in chosen if m.name != MRC or self.mrc_depth != 0]


def choose_measures(names: Sequence[str] | None) -> list[Measure]:
    """Measures by name, those of plugins included; all built-in ones of language bias if None.

    Raises:
        UnknownNameError: There is no measure of a name; the message lists close matches.
    """
    if names is None:
        return list(LANGUAGE_BIAS)
    wanted = list(dict.fromkeys(names))
    registry = BUILT_IN if set(wanted) <= set(BUILT_IN) else installed_plugins().measures
    return [registry[name] for name in wanted]


@dataclass(frozen=True)
class Known:
    """What is known of a system besides one ranking.

    Attributes:
        parallel: Whether the relevant passages of a query are translations of one another.
        embeddings: Whether the system gives embeddings.
        correlation: (n_queries,) mean rank correlation with a query's translations.
        no_correlation: Why there is none, where more is known than the items tell.
        probe: Language -> accuracy of a language probe.
        no_probe: Why a language probe cannot be trained.
    """

    parallel: bool
    embeddings: bool = False
    correlation: Values | None = None
    no_correlation: str = ""
    probe: Mapping[str, float] | None = None
    no_probe: str = ""


def subset_scores(
    judged: Judgements,
    ranking: Ranking,
    measures: Sequence[Measure],
    setting: Setting,
    known: Known | None = None,
) -> tuple[dict[str, Any], RankTable]:
    """All measures that a setting reports for the queries of one language, as JSON values.

    Args:
        judged: Queries, pool and relevance.
        ranking: What a system found.
        measures: The measures; those of other settings play no part.
        setting: The setting.
        known: What else is known, in the multilingual setting.

    Returns:
        The measures, and the ranks, which know the values of each query that were averaged.
    """
    view: LanguageView | None = None
    if known is not None:
        view = LanguageView.of(judged, ranking.top[:, :TOP_DEPTH], known.correlation, known.probe)
    table = _table(judged, ranking, view)
    refused: dict[str, str] = {}
    if known is not None:
        more = (known.parallel, known.embeddings, known.no_probe, known.no_correlation)
        circumstances = Circumstances(table, judged.items, *more)
        refused = not_applicable(circumstances, [measure.name for measure in measures])
    used = [measure for measure in measures if measure.name not in refused]
    refused |= failing(_others([m for m in used if setting in m.settings]), table)
    used = [measure for measure in used if measure.name not in refused]
    scores: dict[str, Any] = dict(evaluate_measures(used, table, setting))
    try:
        scores |= {} if known is None else _bias_details(table, used)
    except Exception as error:  # noqa: BLE001 -- the measures are there and stay
        refused["confidence_intervals"] = failed("the part on language bias", error)
    return {**scores, **({"not_applicable": refused} if refused else {})}, table


def _others(measures: Sequence[Measure]) -> list[Measure]:
    """Measures of plugins: a failure of one of this package's own is a fault of the package."""
    own = {id(measure) for measure in BUILT_IN.values()}
    return [measure for measure in measures if id(measure) not in own]


def _table(judged: Judgements, ranking: Ranking, view: LanguageView | None) -> RankTable:
    return RankTable.build(judged.relevance, ranking.ranks, judged.pool_size, judged.gains, view)


def _bias_details(table: RankTable, measures: Sequence[Measure]) -> dict[str, Any]:
    """Intervals of the bias measures of one query language, and scores by passage language."""
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


def evaluate(
    scorer: Scorer,
    judged: Judgements,
    options: Options,
    *,
    lengths: IntArray | None = None,
    embeddings: FloatMatrix | None = None,
) -> BiasReport:
    """Report of language bias.

    Args:
        scorer: Scores of all queries against the whole pool.
        judged: Queries in the scorer's order, passages in the order of its columns.
        options: The user's choices.
        lengths: (n_queries,) where each ranking ends, if the system did not rank the whole pool.
        embeddings: (n_passages, dimension) of the passages, if there are any.

    Raises:
        EmbeddingError: Scores that cannot be ranked.
        UnknownNameError: There is no measure of a name.
    """
    _check_sizes(scorer, judged)
    measures = options.chosen()
    names = [measure.name for measure in measures]
    no_probe, probe = "", None
    if embeddings is not None and PROBE in names:
        columns, *texts = _relevant(judged)
        no_probe = why_no_probe(*texts)
        probe = None if no_probe else probe_by_language(embeddings[columns], *texts)
    chosen = TableOptions(TOP_DEPTH, lengths, MRC in names, options.mrc_depth, probe)
    table = rank_table(scorer, judged, chosen)
    known = (options.parallel, embeddings is not None, no_probe)
    circumstances = Circumstances(table, judged.items, *known)
    refused = not_applicable(circumstances, names)
    refused |= failing(_others([m for m in measures if m.name not in refused]), table)
    used = [name for name in names if name not in refused]
    noted = _of_mrc(used, scorer.n_passages, options.mrc_depth, lengths)
    report = bias_report(
        table,
        measures,
        items=judged.items,
        not_applicable=refused,
        remarks=remarks(circumstances, used) | noted,
        resamples=options.resamples,
    )
    unasked = {} if DISTANCE in names else not_applicable(circumstances, [DISTANCE])
    if not unasked:
        return report
    # Pictures draw distances whatever was asked for; bias_report would report the measure as well.
    return replace(report, not_applicable={**refused, **unasked}, rank_distances={})


@dataclass(frozen=True)
class TableOptions:
    """What a table of ranks is to hold beside the ranks.

    Attributes:
        top: How many of the best-ranked passages have their language looked at.
        lengths: (n_queries,) where each ranking ends, if the system did not rank the whole pool.
        correlate: Whether to compute rank correlations between translations.
        depth: Cut rankings there before they are correlated; None is all that is ranked.
        probe: Language -> accuracy of a language probe.
    """

    top: int = TOP_DEPTH
    lengths: IntArray | None = None
    correlate: bool = False
    depth: int | None = None
    probe: Mapping[str, float] | None = None

    def ranks_all(self, n_passages: int) -> bool:
        """Whether rankings are correlated to the end of the pool."""
        return self.lengths is None and (self.depth is None or self.depth >= n_passages)


def rank_table(scorer: Scorer, judged: Judgements, options: TableOptions) -> RankTable:
    """Exact ranks with languages, from one pass over the scores.

    Rankings that end before the pool does are correlated in one more.

    Raises:
        EmbeddingError: A score is NaN or infinite, or sizes do not fit.
    """
    order = tie_order(judged.passage_ids or ())
    numbers = judged.item_numbers
    translated = options.correlate and len(np.unique(numbers)) < len(numbers)
    correlation: Values | None = None
    if translated and options.ranks_all(scorer.n_passages):
        ranking, correlation = _both(scorer, judged, order, options.top)
    else:
        ranking = ranks_and_top(scorer, judged.relevance, order, options.top)
        if options.lengths is not None:
            ranking = ranking.cut(judged.relevance, options.lengths)
        if translated:
            correlation = _correlation(scorer, judged, order, options)
    return _table(judged, ranking, LanguageView.of(judged, ranking.top, correlation, options.probe))


def _both(
    scorer: Scorer, judged: Judgements, order: IntArray, depth: int
) -> tuple[Ranking, Values]:
    """Ranking and (n_queries,) mean rank correlations, of rankings of the whole pool."""
    rows = judged.rows_by_item
    grouped, back = judged.take(rows), np.argsort(rows)
    ranking, correlation = ranking_and_correlation(
        _by_item(scorer, rows), grouped.relevance, grouped.item_numbers, order, depth
    )
    return ranking.take(grouped.relevance, back), correlation[back]


def _by_item(scorer: Scorer, rows: IntArray) -> Scorer:
    """The scorer with its queries in an order that puts translations next to each other."""
    return scorer if np.array_equal(rows, np.arange(len(rows))) else ReorderedScorer(scorer, rows)


def _correlation(
    scorer: Scorer, judged: Judgements, order: IntArray, options: TableOptions
) -> Values:
    """(n_queries,) mean rank correlations of rankings that may end before the pool does."""
    numbers, rows = judged.item_numbers, judged.rows_by_item
    values = np.empty(len(rows))
    values[rows] = mean_rank_correlation(
        _by_item(scorer, rows),
        numbers[rows],
        order,
        depth=options.depth,
        lengths=None if options.lengths is None else options.lengths[rows],
    )
    return values


def _ideal_table(judged: Judgements) -> RankTable:
    """The table of a system that ranks what is relevant first, without the languages of its top."""
    counts = judged.relevance.counts
    firsts = np.repeat(judged.relevance.indptr[:-1], counts)
    nothing = np.empty((len(counts), 0), np.int64)
    ranking = Ranking(np.arange(len(firsts)) - firsts + 1, nothing, nothing.astype(np.float64))
    return _table(judged, ranking, LanguageView.of(judged, nothing))


def refused_for_all(
    judged: Judgements, names: Sequence[str], *, embeddings: bool = False
) -> dict[str, str]:
    """Measures that say nothing about a collection, whatever system ranks all of it; and why."""
    no_probe = why_no_probe(*_relevant(judged)[1:]) if PROBE in names else ""
    circumstances = Circumstances(
        _ideal_table(judged), judged.items, embeddings=embeddings, no_probe=no_probe
    )
    return not_applicable(circumstances, names)


def _check_sizes(scorer: Scorer, judged: Judgements) -> None:
    n_queries, n_passages = judged.relevance.n_queries, len(judged.passage_ids or ())
    if (scorer.n_queries, scorer.n_passages) != (n_queries, n_passages):
        raise EmbeddingError(
            f"{scorer.n_queries} queries and {scorer.n_passages} passages have scores or "
            f"embeddings, but {n_queries} queries have relevant passages and {n_passages} passages "
            "have languages"
        )


def _relevant(judged: Judgements) -> tuple[IntArray, list[str], list[str]]:
    """Columns of the relevant passages, their languages, and what they are about."""
    columns, items = relevant_items(judged.relevance, judged.item_numbers)
    languages = [judged.codes[at] for at in judged.languages_of(columns)]
    return columns, languages, [str(item) for item in items]


def _of_mrc(
    names: Sequence[str], n_passages: int, depth: int | None, lengths: IntArray | None
) -> dict[str, str]:
    """Words on rankings that end before the pool does."""
    ends = np.array([n_passages]) if lengths is None else lengths
    ends = np.minimum(ends[ends > 0], n_passages if depth is None else depth)
    if MRC not in names or not len(ends) or ends.min() >= n_passages:
        return {}
    low, high = int(ends.min()), int(ends.max())
    first = f"of the first {high} passages" if low == high else f"of the first {low} to {high}"
    return {MRC: f"{first}; the others tie behind them"}
