"""A report of language bias as tables, JSON or LaTeX; the only place that rounds its numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from rich.cells import cell_len

from hybridir_mteb.errors import UnknownNameError, printable, quoted, suggest
from hybridir_mteb.measures.applicable import leaves_out
from hybridir_mteb.measures.language_bias import SAME_AS
from hybridir_mteb.measures.report import MATRICES, BiasReport, Interval

MEAN, INTERVAL = "mean", "95% interval"
LONGEST_HEAD = 14
_RANKS = {"rank_distance", "mean_rank", "max_rank"}  # numbers of passages; all others lie around 1
_FAMILIES = (
    ("rank_", "lpr"),
    ("top1_",),
    ("same_language_share_", "peer_"),
    ("same_language_recall_", "cross_language_recall_"),
    ("tlr_", "max_rank", "complete_"),
    ("lang_ndcg_", "mrc", "language_probe"),
)
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class Sheet:
    """A table as text.

    Attributes:
        title: Line above the table.
        columns: Heads, the first over the languages.
        rows: One for each query language; in tables of measures then the mean and its interval.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def number(value: float | None, measure: str) -> str:
    """A value as text; ``-`` where it is undefined."""
    if value is None:
        return "-"
    return f"{value:.1f}" if measure in _RANKS else f"{value:.3f}"


def interval(ends: Interval | None, measure: str) -> str:
    """An interval as text."""
    return "-" if ends is None else f"[{number(ends[0], measure)}, {number(ends[1], measure)}]"


def matrix_number(value: float | None, matrix: str) -> str:
    """A cell of a matrix: fewer digits, for there are many of them side by side."""
    if value is None:
        return "-"
    return f"{value:.0f}" if matrix in _RANKS else f"{value:.2f}"


def sheets(report: BiasReport, matrix: str | None = None) -> list[Sheet]:
    """Tables of related measures, then of a matrix of ``MATRICES``.

    Raises:
        UnknownNameError: There is no such matrix.
    """
    found = [_of_measures(report, group) for group in _groups(_applicable(report))]
    return found if matrix is None else [*found, _of_matrix(report, matrix)]


def check_matrix(name: str) -> None:
    """Refuse the name of a matrix that there is none of.

    Raises:
        UnknownNameError: It is not in ``MATRICES``.
    """
    if name not in MATRICES:
        raise UnknownNameError(
            f"unknown matrix {quoted(name)}{suggest(name, MATRICES)} (known: {', '.join(MATRICES)})"
        )


def fitting(sheet: Sheet, width: int) -> list[Sheet]:
    """A table cut into several, each with the column of languages, that are no wider than asked.

    Args:
        sheet: The table to cut.
        width: Characters across, frames included; a column that needs more stands alone.
    """
    widths = [_column_width(column) for column in zip(sheet.columns, *sheet.rows, strict=True)]
    first = 1 + widths[0]  # with the left edge
    parts: list[list[int]] = [[]]
    room = width - first
    for at, needed in enumerate(widths[1:], 1):
        if parts[-1] and needed > room:
            parts.append([])
            room = width - first
        parts[-1].append(at)
        room -= needed
    if len(parts) == 1:
        return [sheet]
    found = []
    for at, part in enumerate(parts, 1):
        columns, *rows = (itemgetter(0, *part)(row) for row in (sheet.columns, *sheet.rows))
        found.append(Sheet(f"{sheet.title} (part {at} of {len(parts)})", columns, tuple(rows)))
    return found


def _column_width(texts: Sequence[str]) -> int:
    """Characters that a column takes with a blank on each side and an edge."""
    lines = [*folded(texts[0]).splitlines(), *texts[1:]]
    return 3 + max(map(cell_len, lines), default=0)


def folded(head: str) -> str:
    """A head over several lines, broken after underscores."""
    lines = [""]
    parts = head.split("_")
    for at, part in enumerate(parts):
        piece = part + ("_" if at < len(parts) - 1 else "")
        if lines[-1] and len(lines[-1] + piece) > LONGEST_HEAD:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _applicable(report: BiasReport) -> list[str]:
    """What tables show: measures that apply, one of two names for the same."""
    names = [name for name in report.means if name not in report.not_applicable]
    return [name for name in names if SAME_AS.get(name) not in names]


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Measures that are read together, so that a table fits a screen."""
    groups = [[name for name in names if name.startswith(starts)] for starts in _FAMILIES]
    others = [name for name in names if not any(name in group for group in groups)]
    return [group for group in (others, *groups) if group]


def _of_measures(report: BiasReport, names: Sequence[str]) -> Sheet:
    rows = [
        (printable(code), *(number(report.by_language[code][name], name) for name in names))
        for code in report.query_languages
    ]
    rows.append((MEAN, *(number(report.means[name], name) for name in names)))
    if any(report.intervals.get(name) for name in names):
        rows.append((INTERVAL, *(interval(report.intervals.get(name), name) for name in names)))
    title = "; ".join(["Language bias by query language", *_left_out(report, names)])
    return Sheet(title, ("query", *names), tuple(rows))


def _of_matrix(report: BiasReport, name: str) -> Sheet:
    check_matrix(name)
    rows = [
        (printable(code), *(matrix_number(value, name) for value in values))
        for code, values in zip(report.query_languages, report.matrices[name], strict=True)
    ]
    title = f"{name}: {MATRICES[name]}, by query language (rows) and passage language (columns)"
    return Sheet(title, ("query", *map(printable, report.passage_languages)), tuple(rows))


def _left_out(report: BiasReport, names: Iterable[str]) -> list[str]:
    """Which queries measures are of, where they are not of all; for the caption of their table."""
    said = {name: text for name in names if leaves_out(text := report.remarks.get(name, ""))}
    return [f"{shared}: {text}" for text, shared in _by_text(said)]


def words(report: BiasReport) -> list[str]:
    """Measures that do not apply, then remarks on those that do; one line for each reason.

    What captions say already is left out.
    """
    shown = set(_applicable(report))
    others = {
        name: text
        for name, text in report.remarks.items()
        if name not in shown or not leaves_out(text)
    }
    return [
        *(f"{names}: not applicable, {why}." for why, names in _by_text(report.not_applicable)),
        *(f"{names}: {text}." for text, names in _by_text(others)),
    ]


def _by_text(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each text once, with the names that it is said of."""
    names: dict[str, list[str]] = {}
    for name, text in texts.items():
        names.setdefault(text, []).append(name)
    return [(text, ", ".join(group)) for text, group in names.items()]


def as_json(report: BiasReport) -> str:
    """All of a report, unrounded; characters that a terminal does not show are escapes."""
    text = json.dumps(report.as_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    return "\n".join(
        "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in line)
        for line in text.split("\n")
    )


def as_latex(report: BiasReport, matrix: str | None = None) -> str:
    """One ``tabular`` with all measures that apply, another with a matrix; needs ``booktabs``.

    Raises:
        UnknownNameError: There is no such matrix.
    """
    names = _applicable(report)
    parts = [tabular(_of_measures(report, names))] if names else []
    if matrix is not None:
        parts.append(tabular(_of_matrix(report, matrix)))
    parts += [f"% {printable(line, None)}" for line in [*_left_out(report, names), *words(report)]]
    return "\n".join(parts)


def tabular(sheet: Sheet) -> str:
    """A table in LaTeX, with the rules of ``booktabs``."""
    lines = [
        f"\\begin{{tabular}}{{l{'r' * (len(sheet.columns) - 1)}}}",
        r"\toprule",
        _line(sheet.columns),
        r"\midrule",
    ]
    for row in sheet.rows:
        if row[0] == MEAN:
            lines.append(r"\midrule")
        lines.append(_line(row))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _line(cells: Sequence[str]) -> str:
    found = [printable(cell, None).translate(_LATEX) for cell in cells]
    if found[0].startswith(("[", "*")):
        found[0] = "{}" + found[0]  # else an argument of the rule or the line before
    return " & ".join(found) + r" \\"
