"""Language bias as measures of ir_measures, with a provider.

Importing this module defines them; :func:`register` adds the provider to ir_measures' default
pipeline, so that ``ir_measures.iter_calc([LPR(doc_lang=…, query_lang=…)], qrels, run)`` works.
Without it, ``PROVIDER.iter_calc(…)`` and ``PROVIDER.calc_aggregate(…)`` do the same.

The pool is what ``doc_lang`` lists, and what a run does not return is not found, as in
:func:`hybridir_mteb.language_bias.of_run`. A query for which a measure is undefined has no metric
and plays no part in the mean. Where ir_measures fills it in on its own, because measures of several
providers are asked for at once, its value is NaN, and the mean still passes it over.

ir_measures comes with the extra ``ir-measures``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from hybridir_mteb.errors import from_extra

with from_extra("ir-measures", "this adapter"):
    import ir_measures
    from ir_measures import Metric, providers
    from ir_measures.providers.base import Any as AnyValue
    from ir_measures.util import QrelsConverter, RunConverter

from hybridir_mteb.adapters.ir_measures.bias import (
    LPR,
    MEASURES,
    MRC,
    PEER,
    TLR,
    Complete,
    CrossLanguageRecall,
    LangNDCG,
    LanguageBiasMeasure,
    LPRExpected,
    MaxRank,
    RankDistance,
    RankDistanceNorm,
    SameLanguageRecall,
    SameLanguageShare,
    Top1,
)
from hybridir_mteb.measures.evaluate import TableOptions, rank_table
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.ranking.judgements import MapNames, judgements_of, run_lengths
from hybridir_mteb.ranking.scorers import RunScorer

__all__ = [
    "LPR",
    "MRC",
    "PEER",
    "PROVIDER",
    "TLR",
    "Complete",
    "CrossLanguageRecall",
    "LPRExpected",
    "LangNDCG",
    "LanguageBiasProvider",
    "MaxRank",
    "RankDistance",
    "RankDistanceNorm",
    "SameLanguageRecall",
    "SameLanguageShare",
    "Top1",
    "register",
]
UNKNOWN = "?"  # language of queries for measures that do not look at it
_NAMES = MapNames("doc_lang", "query_lang", "query_item")


@dataclass(frozen=True)
class _Inputs:
    """What a table of ranks is built from; measures that share it share the table."""

    doc_lang: Mapping[str, str]
    query_lang: Mapping[str, str] | None
    query_item: Mapping[str, str] | None
    cutoff: int | None

    @classmethod
    def of(cls, measure: LanguageBiasMeasure) -> _Inputs:
        given = measure.params
        item = given.get("query_item")
        cutoff = None if item is None else given.get("cutoff")  # it changes rankings in MRC only
        return cls(given["doc_lang"], given.get("query_lang"), item, cutoff)

    @property
    def key(self) -> tuple[int | None, ...]:
        """Equal for measures that can share a table."""
        return (id(self.doc_lang), id(self.query_lang), id(self.query_item), self.cutoff)


class RunEvaluator(providers.Evaluator):  # type: ignore[misc]
    """Evaluates measures of language bias; queries for which one is undefined have no metric."""

    def __init__(
        self, measures: Iterable[LanguageBiasMeasure], qrels: Mapping[str, Mapping[str, int]]
    ) -> None:
        super().__init__(list(dict.fromkeys(measures)), set(qrels))
        self._qrels = qrels
        self._groups: dict[tuple[int | None, ...], list[LanguageBiasMeasure]] = {}
        for measure in self.measures:
            self._groups.setdefault(_Inputs.of(measure).key, []).append(measure)

    def iter_calc(self, run: Any) -> Iterator[Metric]:
        """One metric for each measure and judged query for which it is defined.

        Raises:
            SettingError: A document or query without language.
        """
        results = RunConverter(run).as_dict_of_dict()
        for group in self._groups.values():
            depth = max(measure.top_depth() for measure in group)
            table = self._table(_Inputs.of(group[0]), depth, results)
            for measure in group:
                for query, value in zip(self._qrels, measure.values(table).tolist(), strict=True):
                    if not math.isnan(value):
                        yield Metric(query_id=query, measure=measure, value=value)

    def _table(
        self, inputs: _Inputs, depth: int, run: Mapping[str, Mapping[str, float]]
    ) -> RankTable:
        languages, queries = inputs.query_lang, list(self._qrels)
        if languages is None:
            languages = dict.fromkeys(queries, UNKNOWN)
        judged = judgements_of(self._qrels, inputs.doc_lang, languages, inputs.query_item, _NAMES)
        lengths = run_lengths(run, queries, inputs.doc_lang, _NAMES)
        options = TableOptions(depth, lengths, inputs.query_item is not None, inputs.cutoff)
        return rank_table(RunScorer(run, queries, judged.passage_ids or ()), judged, options)


class LanguageBiasProvider(providers.Provider):  # type: ignore[misc]
    """Provides the measures of language bias of this package."""

    NAME = "hybridir_mteb"
    SUPPORTED_MEASURES: ClassVar = [
        measure(**dict.fromkeys(measure.SUPPORTED_PARAMS, AnyValue())) for measure in MEASURES
    ]

    def _evaluator(self, measures: Iterable[LanguageBiasMeasure], qrels: Any) -> RunEvaluator:
        wanted = list(measures)
        for measure in wanted:
            if not isinstance(measure, LanguageBiasMeasure):
                raise ValueError(f"unsupported measure {measure}")
            measure.validate_params()
        return RunEvaluator(wanted, QrelsConverter(qrels).as_dict_of_dict())


PROVIDER = LanguageBiasProvider()


def register() -> None:
    """Add the provider to ir_measures' default pipeline; a second call changes nothing."""
    providers.registry.setdefault(PROVIDER.NAME, PROVIDER)
    if PROVIDER not in ir_measures.DefaultPipeline.providers:
        ir_measures.DefaultPipeline.providers.append(PROVIDER)
