"""The one path from scores to a report of language bias."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybridir_mteb.bias.applicable import Circumstances, not_applicable, remarks
from hybridir_mteb.bias.tables import Extras, Judgements, rank_table
from hybridir_mteb.errors import SettingError
from hybridir_mteb.metrics.bias_report import BiasReport, bias_report
from hybridir_mteb.metrics.bootstrap import RESAMPLES
from hybridir_mteb.metrics.effectiveness import EFFECTIVENESS
from hybridir_mteb.metrics.language_bias import LANGUAGE_BIAS
from hybridir_mteb.metrics.measure import Measure, RankTable
from hybridir_mteb.probe import FOLDS, probe_by_language, relevant_items
from hybridir_mteb.rank import Scorer
from hybridir_mteb.relevance import FloatMatrix, IntArray

MRC, PROBE = "mrc", "language_probe_accuracy"


@dataclass(frozen=True)
class Options:
    """What every way in lets the user choose.

    Attributes:
        measures: Names; None is all of language bias.
        mrc_depth: Depth at which rankings are cut for ``mrc``; None is all that is ranked, 0 leaves
            ``mrc`` out.
        parallel: Whether the relevant passages of a query are translations of one another; None
            finds out from the judgements.
        resamples: Of the bootstrap; 0 leaves the intervals out.

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
                raise SettingError(f"{name}={value}: give 0 or more")

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
    from hybridir_mteb.plugins import installed_plugins  # imports mteb

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
    measures = options.chosen()
    names = [measure.name for measure in measures]
    depth = options.mrc_depth
    if depth is None and lengths is not None:
        depth = max(int(lengths.max()), 1)
    extras = Extras(
        correlate=MRC in names,
        correlation_depth=depth,
        lengths=lengths,
        probe=_probe(judged, embeddings) if PROBE in names and embeddings is not None else None,
    )
    table = rank_table(scorer, judged, extras)
    circumstances = Circumstances(table, judged.items, options.parallel, embeddings is not None)
    refused = not_applicable(circumstances, names)
    used = [name for name in names if name not in refused]
    return bias_report(
        table,
        measures,
        items=judged.items,
        not_applicable=refused,
        remarks=remarks(circumstances, used) | _depth_remarks(table, used, lengths, depth),
        resamples=options.resamples,
    )


def _probe(judged: Judgements, embeddings: FloatMatrix) -> dict[str, float] | None:
    """Probe accuracy on the relevant passages of each language; None if they are too few."""
    columns, items = relevant_items(judged.relevance, judged.item_numbers)
    languages = [judged.passage_languages[column] for column in columns]
    if len(set(languages)) < 2 or len(set(items.tolist())) < FOLDS:
        return None
    return probe_by_language(embeddings[columns], languages, [str(item) for item in items])


def _depth_remarks(
    table: RankTable, names: Sequence[str], lengths: IntArray | None, depth: int | None
) -> dict[str, str]:
    """Words on rankings that end before the pool does."""
    found = {}
    if lengths is not None:
        behind = table.ranks > lengths[table.query_of_entry]
        if behind.any():
            words = (
                f"{int(behind.sum())} of {len(table.ranks)} relevant passages are not in the run; "
                "their ranks are set behind it, so the value is exact only for a run of full depth"
            )
            affected = ("rank_distance", "rank_distance_norm", "map", "mrr")
            found = {name: words for name in names if name in affected}
        none = int((table.sum_by_query((~behind).astype(np.float64))[table.counts > 0] == 0).sum())
        if none and "lpr" in names:
            found["lpr"] = (
                f"{none} of {table.n_queries} queries have no relevant passage in the run; which "
                "of theirs comes first is left to a hash, as if the system were unbiased"
            )
    if MRC in names and depth is not None and depth < table.pool_size:
        found[MRC] = f"of the first {depth} passages; the others tie behind them"
    return found
