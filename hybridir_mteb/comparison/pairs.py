"""All pairs of systems on one task by one measure, and which systems cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from string import ascii_lowercase

import numpy as np

from hybridir_mteb.comparison.crossed import LEVEL, Crossed, Table, crossed, differences, holm
from hybridir_mteb.measures.builtin import BUILT_IN

IN_RANKS = frozenset({"rank_distance", "max_rank"})


@dataclass(frozen=True)
class Pair:
    """One system less another.

    Attributes:
        one: Name of the one that is better on average.
        other: Name of the other.
        found: The difference of their means; negative where less is better.
        seeds: Number of differences of each question.
        p_holm: p-value after Holm's correction for all tests of the command.
        visible: The smallest difference that the corrected test would have seen in 80 % of
            repetitions.
    """

    one: str
    other: str
    found: Crossed
    seeds: int
    p_holm: float = 1.0
    visible: float = 0.0

    @property
    def differ(self) -> bool:
        """Whether the two can be told apart."""
        return self.p_holm < 1 - LEVEL


@dataclass(frozen=True)
class Comparison:
    """Systems on one task by one measure.

    Attributes:
        task: Name of the task.
        measure: Name of the measure.
        questions: Number of questions that are compared.
        queries: Number of queries that they consist of: translations, and pools they are put to.
        left_out: System -> queries that it answers and that are not compared.
        means: System -> mean over questions and seeds, best first.
        seeds: System -> number of its seeds.
        pairs: Each pair once, the better one first.
        letters: System -> letters; two that share one cannot be told apart.
        lower: Whether less is better.
    """

    task: str
    measure: str
    questions: int
    queries: int
    left_out: Mapping[str, int]
    means: Mapping[str, float]
    seeds: Mapping[str, int]
    pairs: Sequence[Pair]
    letters: Mapping[str, str]
    lower: bool = False


def compare(
    title: tuple[str, str],
    tables: Mapping[str, Table],
    queries: int,
    left_out: Mapping[str, int] | None = None,
    *,
    lower: bool | None = None,
) -> Comparison:
    """Tests of all pairs, not corrected yet: see :func:`corrected`.

    Args:
        title: Task and measure.
        tables: System -> (seeds, questions) values, of the same questions.
        queries: Number of queries behind the questions.
        left_out: System -> queries that are not compared.
        lower: Whether less is better; by default as of the built-in measure of that name.
    """
    task, measure = title
    if lower is None:
        lower = measure in BUILT_IN and BUILT_IN[measure].lower_is_better
    sign = 1 if lower else -1
    means = {name: float(table.mean()) for name, table in tables.items()}
    order = sorted(means, key=lambda name: sign * means[name])
    pairs = []
    for one, other in combinations(order, 2):
        table = differences(tables[one], tables[other])
        pairs.append(Pair(one, other, crossed(table), len(table)))
    questions = next(iter(tables.values())).shape[1]
    return Comparison(
        task,
        measure,
        questions,
        queries,
        left_out or {},
        {name: means[name] for name in order},
        {name: len(tables[name]) for name in order},
        pairs,
        {},
        lower,
    )


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same with Holm's correction for all tests in them together, and letters."""
    tests = [pair for one in comparisons for pair in one.pairs]
    adjusted = iter(holm([pair.found.p for pair in tests]))
    done = []
    for one in comparisons:
        pairs = [
            replace(pair, p_holm=next(adjusted), visible=pair.found.visible(len(tests)))
            for pair in one.pairs
        ]
        order = list(one.means)
        apart = {(order.index(p.one), order.index(p.other)) for p in pairs if p.differ}
        shown = dict(zip(order, letters(len(order), apart), strict=True))
        done.append(replace(one, pairs=pairs, letters=shown))
    return done


def letters(systems: int, apart: set[tuple[int, int]]) -> list[str]:
    """The compact letter display of Piepho (2004): two systems share a letter unless they differ.

    Args:
        systems: Their number; they are ordered, the best first.
        apart: Pairs that differ.
    """
    groups = [frozenset(range(systems))]
    for one, other in sorted(apart):
        parts = [
            part
            for group in groups
            for part in ((group - {one}, group - {other}) if {one, other} <= group else (group,))
        ]
        unique = list(dict.fromkeys(parts))
        groups = [group for group in unique if not any(group < larger for larger in unique)]
    groups.sort(key=sorted)
    found = [""] * systems
    for at, group in enumerate(groups):
        name = ascii_lowercase[at] if at < len(ascii_lowercase) else f"({at + 1})"
        for system in group:
            found[system] += name
    return found


def by_question(
    values: Sequence[Mapping[tuple[str, str], float]],
    units: Mapping[tuple[str, str], str],
    common: Sequence[tuple[str, str]],
) -> Table:
    """(seeds, questions): of each question the mean over its translations and pools.

    Args:
        values: Of each seed, subset and query -> value.
        units: Subset and query -> the question.
        common: The queries to compare.
    """
    number = {unit: at for at, unit in enumerate(dict.fromkeys(units[entry] for entry in common))}
    rows = np.array([number[units[entry]] for entry in common])
    counts = np.bincount(rows)
    return np.array(
        [np.bincount(rows, [of[entry] for entry in common]) / counts for of in values], np.float64
    )
