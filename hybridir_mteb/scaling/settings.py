"""What is compared: tasks in one or several languages, and differences between two such sets.

Languages are those of MTEB's names of subsets: ``ara-deu`` asks in Arabic for passages in German,
``ar`` and ``ara-ara`` are both in one language. A language in two scripts counts as two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from hybridir_mteb.errors import UnknownNameError, quoted, suggest
from hybridir_mteb.results.benchmarks import BEIR as ALL_OF_BEIR

SPLITS = {"MSMARCO": "dev", "MIRACLRetrieval": "dev", "MIRACLRetrievalHardNegatives": "dev"}
# MTEB keeps nothing but nDCG@10 of the mean of its forums.
WITHOUT_MRR = {"CQADupstackRetrieval"}


class Languages(StrEnum):
    """Which subsets of a task count."""

    ALL = "all"
    SAME = "same"
    OTHER = "other"

    def takes(self, subset: str) -> bool:
        """Whether a subset counts."""
        return self is Languages.ALL or one_language(subset) is (self is Languages.SAME)


@cache
def one_language(subset: str) -> bool:
    """Whether queries and passages are in one language and one script.

    >>> [one_language(name) for name in ("ar", "ara-ara", "ara-deu", "arb_Arab-arb_Latn")]
    [True, True, False, False]
    """
    query, _, passage = subset.partition("-")
    return passage in {"", query}


@dataclass(frozen=True)
class Part:
    """Tasks whose scores are averaged, each with equal weight.

    Attributes:
        tasks: Their names.
        languages: Which of their subsets count.
        subsets: How many of these each task has; a model that lacks one has no score.
    """

    tasks: tuple[str, ...]
    languages: Languages = Languages.ALL
    subsets: int = 1

    def scored_by(self, measure: str) -> tuple[str, ...]:
        """The tasks that MTEB keeps a measure of."""
        kept = self.tasks if measure == "ndcg_at_10" else set(self.tasks) - WITHOUT_MRR
        return tuple(task for task in self.tasks if task in kept)


@dataclass(frozen=True)
class Setting:
    """One thing to compare.

    Attributes:
        name: On the command line.
        title: In words.
        part: What is averaged.
        minus: What is subtracted from it, of a difference; None else.
    """

    name: str
    title: str
    part: Part
    minus: Part | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """All tasks that it is made of."""
        return tuple(dict.fromkeys((*self.part.tasks, *(self.minus.tasks if self.minus else ()))))


def split_of(task: str) -> str:
    """The split of a task that counts."""
    return SPLITS.get(task, "test")


_SMALL = ("ArguAna", "FiQA2018", "NFCorpus", "SCIDOCS", "SciFact", "TRECCOVID")
_ENGLISH, _POLISH = Part(("SciFact", "TRECCOVID")), Part(("SciFact-PL", "TRECCOVID-PL"))
_MLQA_SAME = Part(("MLQARetrieval",), Languages.SAME, 7)
_MLQA_OTHER = Part(("MLQARetrieval",), Languages.OTHER, 42)
_BELEBELE_SAME = Part(("BelebeleRetrieval",), Languages.SAME, 122)
_BELEBELE_OTHER = Part(("BelebeleRetrieval",), Languages.OTHER, 254)
_MIRACL = Part(("MIRACLRetrieval",), subsets=18)
_MIRACL_HARD = Part(("MIRACLRetrievalHardNegatives",), subsets=18)
_ALL = (
    Setting("beir", "BEIR, 15 sets", Part(ALL_OF_BEIR.tasks)),
    Setting("beir-small", "BEIR, its six smallest sets", Part(_SMALL)),
    Setting("beir-pl", "BEIR-PL: SciFact and TREC-COVID in Polish", _POLISH),
    Setting("beir-pl-gap", "English less Polish: SciFact and TREC-COVID", _ENGLISH, _POLISH),
    Setting("mlqa-mono", "MLQA, question and passage in one language", _MLQA_SAME),
    Setting("mlqa-cross", "MLQA across languages", _MLQA_OTHER),
    Setting("mlqa-gap", "MLQA: one language less two", _MLQA_SAME, _MLQA_OTHER),
    Setting("miracl", "MIRACL, 18 languages", _MIRACL),
    Setting("miracl-hard", "MIRACL with hard negatives, 18 languages", _MIRACL_HARD),
    Setting("belebele-same", "Belebele in one language", _BELEBELE_SAME),
    Setting("belebele-other", "Belebele across languages", _BELEBELE_OTHER),
    Setting("belebele-gap", "Belebele: one language less two", _BELEBELE_SAME, _BELEBELE_OTHER),
)
SETTINGS: Mapping[str, Setting] = {one.name: one for one in _ALL}
TASKS = tuple(dict.fromkeys(task for one in _ALL for task in one.tasks))


def setting(name: str) -> Setting:
    """A setting by its name.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in SETTINGS:
        raise UnknownNameError(
            f"no setting {quoted(name)}{suggest(name, SETTINGS)} (known: {', '.join(SETTINGS)})"
        )
    return SETTINGS[name]
