"""Comparisons as tables, JSON or LaTeX; the only place that rounds their numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hybridir_mteb.bias.present import Sheet, tabular
from hybridir_mteb.comparison.crossed import LEVEL, POWER
from hybridir_mteb.comparison.pairs import IN_RANKS, Comparison, Pair
from hybridir_mteb.errors import printable

MEANS = ("system", "seeds", "mean", "group")
PAIRS = (
    "pair, better first",
    "difference",
    "95% interval",
    "effect d",
    "p",
    "p (Holm)",
    "could be seen",
)
FORMAT, VERSION = "hybridir-comparison", 1
_SMALLEST = 0.001  # of the p-values that are shown


def scale(one: Comparison) -> tuple[float, str]:
    """What values are multiplied with to be shown, and the unit they then have."""
    if one.measure in IN_RANKS:
        return 1, "ranks"
    return (100, "points") if all(abs(mean) <= 1 for mean in one.means.values()) else (1, "")


def _number(value: float, one: Comparison, *, sign: bool = False) -> str:
    factor, unit = scale(one)
    return f"{factor * value:{'+' if sign else ''}.{1 if unit == 'ranks' else 2}f}"


def _p(value: float) -> str:
    return f"<{_SMALLEST}" if value < _SMALLEST else f"{value:.3f}"


def _of_questions(one: Comparison) -> str:
    _, unit = scale(one)
    shown = {"points": ", in percent", "ranks": ", in ranks"}.get(unit, "")
    shown += " (lower is better)" * one.lower
    return f"{one.task}: {one.measure}{shown}, over {one.questions} questions"


def means(one: Comparison) -> Sheet:
    """The systems, best first, with the letters of their groups."""
    rows = [
        (printable(name), str(one.seeds[name]), _number(mean, one), one.letters[name])
        for name, mean in one.means.items()
    ]
    return Sheet(_of_questions(one), MEANS, tuple(rows))


def pairs(one: Comparison) -> Sheet:
    """All pairs of systems."""
    unit = scale(one)[1] or "the measure's unit"
    return Sheet(
        f"{one.task}: {one.measure}, paired by question, differences in {unit}",
        PAIRS,
        tuple(_pair(pair, one) for pair in one.pairs),
    )


def _pair(pair: Pair, one: Comparison) -> tuple[str, ...]:
    found = pair.found
    low, high = (_number(end, one, sign=True) for end in found.interval)
    effect = found.in_spreads(found.mean)
    return (
        f"{printable(pair.one)} vs. {printable(pair.other)}",
        _number(found.mean, one, sign=True),
        f"[{low}, {high}]",
        "-" if effect is None else f"{effect:+.2f}",
        _p(found.p),
        _p(pair.p_holm),
        _number(pair.visible, one),
    )


def words(comparisons: Sequence[Comparison]) -> list[str]:
    """What the tables say in words: groups, power, questions left out, and seeds."""
    n_tests = sum(len(one.pairs) for one in comparisons)
    tests = "1 test" if n_tests == 1 else f"{n_tests} tests"
    lines = [
        f"Systems that share a letter cannot be told apart at {1 - LEVEL:.0%}, after Holm's "
        f"correction for {tests}."
    ]
    lines += [_power(one) for one in comparisons]
    for one in comparisons:
        left = ", ".join(f"{printable(name)} {count}" for name, count in one.left_out.items())
        if left:
            lines.append(
                f"{one.task}, {one.measure}: compared are the {one.queries} queries that all "
                f"systems have a value of; left out are of {left}."
            )
    seeds = comparisons[0].seeds
    single = [printable(name) for name, count in seeds.items() if count == 1]
    if single:
        lines.append(
            f"Of {', '.join(single)} there is one run: what is said holds for it, and not for "
            "other seeds of the same method."
        )
    if len({count for count in seeds.values() if count > 1}) > 1:
        lines.append("Where two systems have unlike numbers of seeds, the first ones are paired.")
    return lines


def _power(one: Comparison) -> str:
    seen = sorted(pair.visible for pair in one.pairs)
    span = " to ".join(dict.fromkeys(_number(value, one) for value in (seen[0], seen[-1])))
    unit = f" {scale(one)[1]}".rstrip()
    return (
        f"{one.task}, {one.measure}: a difference of {span}{unit} could have been seen, in "
        f"{POWER:.0%} of repetitions."
    )


def as_json(comparisons: Sequence[Comparison]) -> str:
    """All numbers, unrounded and in the measure's own unit."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "level": LEVEL,
        "power": POWER,
        "tests": sum(len(one.pairs) for one in comparisons),
        "comparisons": [_as_dict(one) for one in comparisons],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _as_dict(one: Comparison) -> dict[str, Any]:
    return {
        "task": one.task,
        "measure": one.measure,
        "lower_is_better": one.lower,
        "questions": one.questions,
        "queries": one.queries,
        "left_out": dict(one.left_out),
        "systems": [
            {"name": n, "seeds": one.seeds[n], "mean": mean, "group": one.letters[n]}
            for n, mean in one.means.items()
        ],
        "pairs": [
            {
                "systems": [pair.one, pair.other],
                "difference": pair.found.mean,
                "interval": list(pair.found.interval),
                "d": pair.found.in_spreads(pair.found.mean),
                "d_interval": [pair.found.in_spreads(end) for end in pair.found.interval],
                "error": pair.found.error,
                "degrees_of_freedom": pair.found.freedom,
                "seeds": pair.seeds,
                "p": pair.found.p,
                "p_holm": pair.p_holm,
                "visible": pair.visible,
            }
            for pair in one.pairs
        ],
    }


def as_latex(comparisons: Sequence[Comparison]) -> str:
    """Two ``tabular`` for each comparison, and remarks; needs ``booktabs``."""
    parts = []
    for one in comparisons:
        for sheet in (means(one), pairs(one)):
            parts += [f"% {printable(sheet.title, None)}", tabular(sheet)]
    parts += [f"% {line}" for line in words(comparisons)]
    return "\n".join(parts) + "\n"
