"""A study as tables, JSON and CSV; the only place that rounds its numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from hybridir_mteb.bias.present import Sheet
from hybridir_mteb.scaling.broken import Broken
from hybridir_mteb.scaling.fit import FAR, HeldOut, Interval
from hybridir_mteb.scaling.scores import MEASURES
from hybridir_mteb.scaling.study import Point, Result, Study, Trend

NOTHING = "–"
BROKEN_COLUMNS = ("model", "task", "cells", "lost", "first of them, and why")
CSV_COLUMNS = ("setting", "measure", *Point.__dataclass_fields__)


def billions(size: float) -> str:
    """A number of parameters: ``80M``, ``1.7B``, ``70B``.

    >>> [billions(n) for n in (79_692_800, 1e9, 1.72e9, 27.009e9)]
    ['80M', '1B', '1.7B', '27B']
    """
    if size < 0.95e9:
        return f"{size / 1e6:.0f}M"
    return f"{size / 1e9:.{0 if size >= 9.95e9 else 1}f}B".replace(".0B", "B")


def sheet(result: Result, target: float) -> Sheet:
    """The table of a setting and measure: families, the one of the largest model first, and all."""
    ordered = sorted(result.trends, key=lambda trend: trend.points[-1].size, reverse=True)
    shown = [trend for trend in (*ordered, result.field) if trend.points]
    title = f"{result.setting.name}: {result.setting.title}; {MEASURES[result.measure]}"
    columns = (
        "family",
        "sizes",
        "scores",
        f"at {billions(target)}, extrapolated",
        "levels off at",
        "c",
        "residual, law / line",
        "error at largest",
        f"error over {FAR} times",
    )
    return Sheet(title, columns, tuple(map(row, shown)))


def row(trend: Trend) -> tuple[str, ...]:
    """What is known of a family, as text; the last columns are empty where it has few sizes."""
    first, last = trend.points[0], trend.points[-1]
    law, straight = trend.law, trend.line
    return (
        trend.name,
        f"{len({p.size for p in trend.points})}, {billions(first.size)} to {billions(last.size)}",
        f"{first.score:.1f} to {last.score:.1f}",
        NOTHING if law is None else f"{law.there:.1f} {interval(law.there_interval, 1)}",
        NOTHING if law is None else f"{law.a:.1f}",
        NOTHING if law is None else f"{law.c:.2f} {interval(law.c_interval, 2)}",
        _both(
            None if law is None else law.residual, None if straight is None else straight.residual
        ),
        _errors(trend.largest),
        _errors(trend.far),
    )


def interval(ends: Interval, digits: int) -> str:
    """An interval as text."""
    return f"[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _both(law: float | None, straight: float | None, sign: str = "") -> str:
    if straight is None:
        return NOTHING
    return f"{NOTHING if law is None else f'{law:{sign}.1f}'} / {straight:{sign}.1f}"


def _errors(found: HeldOut | None) -> str:
    return NOTHING if found is None else _both(found.law, found.line, "+")


def words(study: Study) -> list[str]:
    """What to know when reading the tables."""
    target = billions(study.options.target)
    return [
        f"Nobody measured a model of {target}: that column is an extrapolation of s = a - b N^-c, "
        "with the 95 % interval that a bootstrap of the residuals gives the law. It holds no "
        "uncertainty about whether the law goes on.",
        "Errors are predictions less scores, in points, of the law and the log-linear line that "
        f"have not seen the largest model, or have seen only models of at most 1/{FAR} its size.",
        *(f"Scores: {origin}." for origin in study.origins),
    ]


def broken_rows(broken: Iterable[Broken]) -> list[list[str]]:
    """Broken cells by model and task: how many, and what gave the first away."""
    groups: dict[tuple[str, str, str], list[Broken]] = {}
    for one in broken:
        lost = "MRR@10" if one.only_mrr else "all"
        groups.setdefault((one.cell.model, one.cell.task, lost), []).append(one)
    return [
        [model, task, str(len(group)), lost, f"{group[0].cell.subset}: {group[0].why}"]
        for (model, task, lost), group in sorted(groups.items())
    ]


def as_dict(study: Study) -> dict[str, Any]:
    """All of a study, unrounded, as JSON holds it."""
    settings: dict[str, Any] = {}
    for result in study.results:
        entry = settings.setdefault(
            result.setting.name, {"title": result.setting.title, "measures": {}}
        )
        entry["measures"][result.measure] = {
            "points": [asdict(point) for point in result.points],
            "field": _trend(result.field, with_models=False),
            "families": {trend.name: _trend(trend) for trend in result.trends},
            "frontier": [point.model for point in result.frontier],
            "left_out": dict(result.left_out),
        }
    return {
        "origins": list(study.origins),
        "options": asdict(study.options),
        "settings": settings,
        "broken": [
            {**asdict(one.cell), "why": one.why, "only_mrr": one.only_mrr} for one in study.broken
        ],
    }


def _trend(trend: Trend, *, with_models: bool = True) -> dict[str, Any]:
    parts = ("law", "line", "largest", "far")
    found = {part: getattr(trend, part) for part in parts}
    return {
        "models": [point.model for point in trend.points] if with_models else len(trend.points),
        "note": trend.note,
        **{part: None if value is None else asdict(value) for part, value in found.items()},
    }


def as_json(study: Study) -> str:
    """A study as JSON; a broken score that is no number is null."""
    content = as_dict(study)
    for one in content["broken"]:
        for measure in MEASURES:
            if one[measure] is not None and one[measure] != one[measure]:  # NaN
                one[measure] = None
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(study: Study) -> str:
    """One line for each model, setting and measure."""
    out = io.StringIO(newline="")
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(CSV_COLUMNS)
    for result in study.results:
        for point in result.points:
            values = {**asdict(point), "trained_on": " ".join(point.trained_on)}
            lines.writerow([result.setting.name, result.measure, *values.values()])
    return out.getvalue()
