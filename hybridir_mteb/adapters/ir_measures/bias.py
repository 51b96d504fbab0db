"""Measures of language bias as ir_measures knows measures: name, parameters, one value a query.

Use them through :mod:`hybridir_mteb.adapters.ir_measures`.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from ir_measures import measures
from ir_measures.measures.base import MeanAgg
from ir_measures.providers.base import NOT_PROVIDED

from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.files.numbers import whole
from hybridir_mteb.measures import language_bias as bias
from hybridir_mteb.measures import language_recall as found
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.peer import Unretrieved, check_weights, peer
from hybridir_mteb.measures.view import TOP_DEPTH
from hybridir_mteb.ranking.arrays import Values

_LANGUAGES = {
    "doc_lang": measures.ParamInfo(dtype=dict, desc="language of each document of the pool"),
    "query_lang": measures.ParamInfo(dtype=dict, desc="language of each query"),
}


class _MeanOfDefined(MeanAgg):  # type: ignore[misc]
    """A mean that passes over queries for which the measure is undefined."""

    def add(self, value: float) -> None:
        if not math.isnan(value):
            super().add(value)


class LanguageBiasMeasure(measures.Measure):  # type: ignore[misc]
    """A measure whose identity includes its language maps, as short digests.

    Attributes:
        NEEDS: Parameters that must be given.
    """

    NAME: ClassVar[str]
    DEFAULT = math.nan
    NEEDS: ClassVar[tuple[str, ...]] = ("doc_lang",)
    SUPPORTED_PARAMS = _LANGUAGES

    def __init_subclass__(cls) -> None:
        cls.NAME = f"hybridir{cls.__name__}"

    @property
    def __name__(self) -> str:
        """What users call it: that of the class without the underscore."""
        return self.NAME.removeprefix("hybridir_")

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._shown: str | None = None  # it is the hash too, and asked for once a metric

    def validate_params(self) -> None:
        """Check the parameters.

        Raises:
            SettingError: One is missing, unknown or of the wrong type.
        """
        missing = [name for name in self.NEEDS if name not in self.params]
        if missing:
            raise SettingError(
                f"{self.__name__} needs {' and '.join(missing)}: "
                f"{self.__name__}({', '.join(f'{name}=…' for name in self.NEEDS)})"
            )
        for name, value in self.params.items():
            info = self.SUPPORTED_PARAMS.get(name)
            useless = name == "cutoff" and isinstance(value, int) and not (whole(value) or 0) > 0
            if info is None or not info.validate(value) or useless:
                raise SettingError(
                    f"{self.__name__}: {name}={quoted(value, 80)} makes no sense; it takes "
                    + "; ".join(f"{key}: {i.desc}" for key, i in self.SUPPORTED_PARAMS.items())
                )
        super().validate_params()

    def __repr__(self) -> str:
        if self._shown is None:
            self._shown = str(super().__repr__())
        return self._shown

    def _param_repr(self, v: object) -> str:
        if isinstance(v, dict) and v and all(isinstance(x, str) for x in (*v, *v.values())):
            content = json.dumps(v, sort_keys=True).encode()
            return blake2b(content, digest_size=4).hexdigest()
        try:
            return str(super()._param_repr(v))
        except TypeError:  # it sorts; such a map is refused when its ids are looked at
            return repr(v)

    def aggregator(self) -> MeanAgg:
        """The mean over queries for which the measure is defined."""
        return _MeanOfDefined()

    def top_depth(self) -> int:
        """How many of the best-ranked documents the measure looks at."""
        return TOP_DEPTH

    def values(self, table: RankTable) -> Values:
        """(n_queries,) values, NaN where undefined."""
        return self.compute(table)

    @staticmethod
    def compute(table: RankTable) -> Values:
        """The values of a measure whose parameters do not change them."""
        raise NotImplementedError


def _cutoff(desc: str) -> dict[str, measures.ParamInfo]:
    return {"cutoff": measures.ParamInfo(dtype=int, desc=desc)}


class _RankDistance(LanguageBiasMeasure):
    """Largest minus smallest rank of a query's relevant documents (Elmahdy et al. 2024).

    Undefined where one of them is not in the run. With a cut-off k, those that are not in the top k
    get the ranks k + 1, k + 2, …, and it is undefined where none of them is there. So it is never
    below its ideal, the number of relevant documents minus 1.
    """

    PRETTY_NAME = "Rank distance"
    SHORT_DESC = "Largest minus smallest rank of the relevant documents; lower is better."
    SUPPORTED_PARAMS = _LANGUAGES | _cutoff(
        "relevant documents that are not in the top k get the ranks k + 1, k + 2, …; undefined "
        "where all are lost"
    )

    def values(self, table: RankTable) -> Values:
        cutoff = self["cutoff"]
        if cutoff is NOT_PROVIDED:
            return bias.rank_distance(table)
        in_top = table.ranks <= cutoff
        n_found = table.sum_by_query(in_top.astype(np.float64)).astype(np.int64)
        behind = cutoff + table.place_in_query - n_found[table.query_of_entry]
        distance = bias.rank_distance(replace(table, ranks=np.where(in_top, table.ranks, behind)))
        return np.where(n_found > 0, distance, np.nan)


class _RankDistanceNorm(LanguageBiasMeasure):
    PRETTY_NAME = "Normalised rank distance"
    SHORT_DESC = "Rank distance from 0 (ideal) to 1 (worst)."
    compute = staticmethod(bias.rank_distance_norm)


class _OfQueryLanguage(LanguageBiasMeasure):
    NEEDS: ClassVar[tuple[str, ...]] = ("doc_lang", "query_lang")


class _AtDepth(_OfQueryLanguage):
    NEEDS: ClassVar[tuple[str, ...]] = ("doc_lang", "query_lang", "cutoff")
    SUPPORTED_PARAMS = _LANGUAGES | _cutoff("depth of the top")


class _LPR(_OfQueryLanguage):
    """Language preference rate (after MLAIRE, Jang et al. 2026)."""

    PRETTY_NAME = "Language preference rate"
    SHORT_DESC = "Whether the best-ranked relevant document is in the query's language."
    compute = staticmethod(bias.language_preference)


class _LPRExpected(_OfQueryLanguage):
    PRETTY_NAME = "Expected language preference rate"
    SHORT_DESC = "The language preference rate of an unbiased retriever."
    compute = staticmethod(bias.language_preference_expected)


class _Top1(_OfQueryLanguage):
    """One of the four cases of the first document (after MLAIRE, Jang et al. 2026)."""

    PRETTY_NAME = "Top-1 decomposition"
    SHORT_DESC = "Whether the first document is relevant, or not, and in the query's language."
    SUPPORTED_PARAMS = _LANGUAGES | {
        "relevant": measures.ParamInfo(dtype=bool, default=True, desc="relevant, or not"),
        "same": measures.ParamInfo(dtype=bool, default=True, desc="in the query's language"),
    }

    def values(self, table: RankTable) -> Values:
        return bias.top1(table, relevant=self["relevant"], same=self["same"])


class _SameLanguageShare(_AtDepth):
    PRETTY_NAME = "Same-language share at k"
    SHORT_DESC = "Share of the top in the query's language over its share of the pool."

    def top_depth(self) -> int:
        return int(self["cutoff"])

    def values(self, table: RankTable) -> Values:
        return bias.same_language_share(table, self["cutoff"])


class _PEER(LanguageBiasMeasure):
    """Probability of Equal Expected Rank (Yang et al. 2024, SIGIR).

    Without ``weights`` all documents with a grade of 1 or more are one level, as in the library.
    """

    PRETTY_NAME = "PEER at k"
    SHORT_DESC = "Probability that documents of all languages have equal expected ranks."
    NEEDS = ("doc_lang", "cutoff")
    SUPPORTED_PARAMS = (
        _LANGUAGES
        | _cutoff("depth of the ranking")
        | {
            "weights": measures.ParamInfo(
                dtype=dict,
                desc="weight of each grade, 0 being not relevant; none negative, their sum 1; by "
                "default all grades from 1 are one level",
            ),
            "unretrieved": measures.ParamInfo(
                choices=tuple(kind.value for kind in Unretrieved),
                default=Unretrieved.PACKAGE.value,
                desc="rank of relevant documents below k: as the package peer-measure, or below",
            ),
        }
    )

    def validate_params(self) -> None:
        super().validate_params()
        if "weights" in self.params:
            check_weights(self.params["weights"])

    def top_depth(self) -> int:
        return int(self["cutoff"])

    def values(self, table: RankTable) -> Values:
        kind, weights = Unretrieved(self["unretrieved"]), self.params.get("weights")
        return peer(table, self["cutoff"], weights=weights, unretrieved=kind)


class _MRC(LanguageBiasMeasure):
    """Mean rank correlation with the query's translations (Yang et al. 2025)."""

    PRETTY_NAME = "Mean rank correlation"
    SHORT_DESC = "Mean Spearman correlation with the rankings of the query's translations."
    NEEDS = ("doc_lang", "query_lang", "query_item")
    SUPPORTED_PARAMS = (
        _LANGUAGES
        | _cutoff("depth of the rankings; by default each is compared up to its end")
        | {"query_item": measures.ParamInfo(dtype=dict, desc="what each query asks")}
    )
    compute = staticmethod(bias.rank_correlation)


class _CrossLanguageRecall(_AtDepth):
    PRETTY_NAME = "Cross-language recall at k"
    SHORT_DESC = "Share of the relevant documents in other languages than the query's in the top."
    SAME: ClassVar[bool] = False

    def values(self, table: RankTable) -> Values:
        return found.language_recall(table, self["cutoff"], same=self.SAME)


class _TLR(_CrossLanguageRecall):
    """The same by the name that SHIFT gives it (Jang et al. 2026)."""

    PRETTY_NAME = "Target-languages recall at k"


class _SameLanguageRecall(_CrossLanguageRecall):
    PRETTY_NAME = "Same-language recall at k"
    SHORT_DESC = "Share of the relevant documents in the query's language in the top."
    SAME: ClassVar[bool] = True


class _LangNDCG(_AtDepth):
    """nDCG with gains multiplied by 2 in the query's language (after MLAIRE, Jang et al. 2026)."""

    PRETTY_NAME = "Language-aware nDCG at k"
    SHORT_DESC = "nDCG with twice the gain for relevant documents in the query's language."

    def values(self, table: RankTable) -> Values:
        return found.language_ndcg(table, self["cutoff"])


class _MaxRank(LanguageBiasMeasure):
    """Largest rank of the relevant documents; undefined where one of them is not in the run."""

    PRETTY_NAME = "Largest rank"
    SHORT_DESC = "Largest rank of the relevant documents; lower is better."
    compute = staticmethod(found.max_rank)


class _Complete(LanguageBiasMeasure):
    PRETTY_NAME = "Complete at k"
    SHORT_DESC = "Whether all relevant documents are in the top."
    NEEDS = ("doc_lang", "cutoff")
    SUPPORTED_PARAMS = _LANGUAGES | _cutoff("depth of the top")

    def values(self, table: RankTable) -> Values:
        return found.all_found(table, self["cutoff"])


RankDistance, RankDistanceNorm = _RankDistance(), _RankDistanceNorm()
LPR, LPRExpected, Top1 = _LPR(), _LPRExpected(), _Top1()
SameLanguageShare, PEER, MRC = _SameLanguageShare(), _PEER(), _MRC()
SameLanguageRecall, CrossLanguageRecall, TLR = _SameLanguageRecall(), _CrossLanguageRecall(), _TLR()
MaxRank, Complete, LangNDCG = _MaxRank(), _Complete(), _LangNDCG()
MEASURES = (
    *(RankDistance, RankDistanceNorm, LPR, LPRExpected, Top1, SameLanguageShare, PEER, MRC),
    *(TLR, SameLanguageRecall, CrossLanguageRecall, MaxRank, Complete, LangNDCG),
)
