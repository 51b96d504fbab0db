"""The one path from scores to a report of language bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from hybridir_mteb.errors import EmbeddingError, SettingError
from hybridir_mteb.measures.applicable import Circumstances, not_applicable, remarks
from hybridir_mteb.measures.bootstrap import RESAMPLES
from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.measure import Measure
from hybridir_mteb.measures.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.measures.report import BiasReport, bias_report
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray
from hybridir_mteb.ranking.exact import Scorer
from hybridir_mteb.ranking.judgements import Extras, Judgements, ideal_table, rank_table

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
        SettingError: A negative number.
    """

    measures: Sequence[str] | None = None
    mrc_depth: int | None = None
    parallel: bool | None = None
    resamples: int = RESAMPLES

    def __post_init__(self) -> None:
        for name in ("mrc_depth", "resamples"):
            value = getattr(self, name)
            if value is not None and value < 0:
                option = f"--{name.replace('_', '-')}"
                raise SettingError(f"{name}={value} ({option}): give 0 or more")

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
    known = {measure.name: measure for measure in (*LANGUAGE_BIAS, *EFFECTIVENESS)}
    if names is None:
        return list(LANGUAGE_BIAS)
    wanted = list(dict.fromkeys(names))
    if set(wanted) <= set(known):
        return [known[name] for name in wanted]
    from hybridir_mteb.installed import installed_plugins  # imports mteb

    return [installed_plugins().measures[name] for name in wanted]


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
    given = embeddings is not None
    no_probe, probe = "", None
    if embeddings is not None and PROBE in names:
        columns, *texts = _relevant(judged)
        no_probe = why_no_probe(*texts)
        probe = None if no_probe else probe_by_language(embeddings[columns], *texts)
    extras = Extras(
        correlate=MRC in names, correlation_depth=options.mrc_depth, lengths=lengths, probe=probe
    )
    table = rank_table(scorer, judged, extras)
    circumstances = Circumstances(table, judged.items, options.parallel, given, no_probe)
    refused = not_applicable(circumstances, names)
    used = [name for name in names if name not in refused]
    report = bias_report(
        table,
        measures,
        items=judged.items,
        not_applicable=refused,
        remarks=remarks(circumstances, used) | _of_mrc(used, judged, extras),
        resamples=options.resamples,
    )
    unasked = {} if DISTANCE in names else not_applicable(circumstances, [DISTANCE])
    if not unasked:
        return report
    # Pictures draw distances whatever was asked for; bias_report would report the measure as well.
    return replace(report, not_applicable={**refused, **unasked}, rank_distances={})


def refused_for_all(
    judged: Judgements, names: Sequence[str], *, embeddings: bool = False
) -> dict[str, str]:
    """Measures that say nothing about a collection whatever the system, each with the reason.

    Args:
        judged: The collection, for systems that rank all of its pool.
        names: Names of measures.
        embeddings: Whether the systems give embeddings.
    """
    no_probe = why_no_probe(*_relevant(judged)[1:]) if PROBE in names else ""
    circumstances = Circumstances(
        ideal_table(judged), judged.items, embeddings=embeddings, no_probe=no_probe
    )
    return not_applicable(circumstances, names)


def _check_sizes(scorer: Scorer, judged: Judgements) -> None:
    n_queries, n_passages = judged.relevance.n_queries, len(judged.passage_ids)
    if (scorer.n_queries, scorer.n_passages) != (n_queries, n_passages):
        raise EmbeddingError(
            f"{scorer.n_queries} queries and {scorer.n_passages} passages have scores or "
            f"embeddings, but {n_queries} queries have relevant passages and {n_passages} passages "
            "have languages"
        )


def _relevant(judged: Judgements) -> tuple[IntArray, list[str], list[str]]:
    """Columns of the relevant passages, their languages, and what they are about."""
    columns, items = relevant_items(judged.relevance, judged.item_numbers)
    languages = [judged.passage_languages[column] for column in columns]
    return columns, languages, [str(item) for item in items]


def _of_mrc(names: Sequence[str], judged: Judgements, extras: Extras) -> dict[str, str]:
    """Words on rankings that end before the pool does."""
    n_passages = len(judged.passage_ids)
    depth = n_passages if extras.correlation_depth is None else extras.correlation_depth
    ends = np.array([n_passages]) if extras.lengths is None else extras.lengths
    ends = np.minimum(ends[ends > 0], depth)
    if MRC not in names or not len(ends) or ends.min() >= n_passages:
        return {}
    low, high = int(ends.min()), int(ends.max())
    first = f"of the first {high} passages" if low == high else f"of the first {low} to {high}"
    return {MRC: f"{first}; the others tie behind them"}
