"""The three settings, their subsets, and how tasks are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

OptionValue = float | int | str | bool | tuple[str, ...]  # of training methods and debiasers
DEFAULT_SUBSET = "default"  # the only subset of a task that its collection names


class Setting(StrEnum):
    """Which passages a query is searched in, and which of them are relevant."""

    MONOLINGUAL = "monolingual"
    CROSS_LINGUAL = "cross-lingual"
    MULTILINGUAL = "multilingual"

    @property
    def in_task_name(self) -> str:
        """The word in task names, such as ``CrossLingual``."""
        return self.value.title().replace("-", "")

    @property
    def short(self) -> str:
        """The word in tables: ``mono``, ``cross`` or ``multi``."""
        return self.value.removesuffix("lingual").removesuffix("-")


class Context(StrEnum):
    """What a passage consists of: the sentence alone, or with the paragraph around it."""

    SENTENCE = "sentence"
    SENTENCE_AND_PARAGRAPH = "sentence+paragraph"


@dataclass(frozen=True)
class Subset:
    """One score: queries of one language against the passages of one or more languages."""

    name: str
    query_language: str
    passage_languages: tuple[str, ...]

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language involved, the query's first."""
        return tuple(dict.fromkeys((self.query_language, *self.passage_languages)))


def subsets(languages: Sequence[str], setting: Setting) -> list[Subset]:
    """The subsets of a setting, in sorted order.

    Named ``de`` for the monolingual and multilingual setting, ``de-en`` (queries in German,
    passages in English) for the cross-lingual one.
    """
    ordered = sorted(languages)
    if setting is Setting.MONOLINGUAL:
        return [Subset(code, code, (code,)) for code in ordered]
    if setting is Setting.MULTILINGUAL:
        return [Subset(code, code, tuple(ordered)) for code in ordered]
    return [Subset(f"{a}-{b}", a, (b,)) for a in ordered for b in ordered if a != b]


IN_CONTEXT = "InContext"  # of a task's name


def task_name(collection: str, setting: Setting, context: Context = Context.SENTENCE) -> str:
    """Name of a task; the context is part of it, since MTEB keys results by task name."""
    infix = "" if context is Context.SENTENCE else IN_CONTEXT
    return f"{collection}{setting.in_task_name}{infix}Retrieval"
