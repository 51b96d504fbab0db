"""Pictures of language bias: language pairs, rank distances, what stands first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb.bias.plot import numbers
from hybridir_mteb.bias.plot.html import Section, page
from hybridir_mteb.bias.plot.panels import draw_distances, draw_first, draw_pairs, say
from hybridir_mteb.bias.plot.style import drawing, labels, text_width, wrapped
from hybridir_mteb.errors import DataUnavailableError, SettingError, missing, printable, quoted
from hybridir_mteb.files import replacing, write_text
from hybridir_mteb.measures.report import MATRICES, BiasReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".html", ".png", ".svg")
DEFAULT_MATRIX = "share_at_10"
_PNG_DPI = 150
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
# Inches; a character and a line are of body text, or of notes, which are smaller.
_ROW, _LEAST_HEIGHT, _KEY, _TITLE, _CHARACTER, _LINE = 0.32, 0.95, 0.4, 0.37, 0.085, 0.17
_NOTE_SIZE, _NOTE_LINE = 7, 0.125
_TITLE_LOOK: dict[str, Any] = {"weight": "bold", "size": 13}
_TITLE_LINE = 0.22


@dataclass(frozen=True)
class _Panel:
    """One picture; widths in inches."""

    name: str  # start of the ids in its SVG
    title: str
    reading: str  # how to read it
    width: float  # of its axes
    right: float  # room to the right of its axes
    why_not: str | None  # why there is nothing to draw
    note: str  # what to know of this collection when reading it; may be empty
    draw: Callable[[Axes, Axes], None]  # on the axes of the key, above, and on the axes proper
    columns: Sequence[str]  # heads of the columns of its numbers
    numbers: dict[str, list[str]]  # query language -> numbers as text


def check_suffix(path: Path) -> str:
    """The suffix of a picture in small letters, to be checked before a long evaluation.

    Raises:
        SettingError: It is none of ``SUFFIXES``.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingError(f"cannot draw {path}: its name must end in {', '.join(SUFFIXES)}")
    return suffix


def check_drawing() -> None:
    """Whether anything can be drawn here.

    Raises:
        DataUnavailableError: matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: F401 -- is it there?
    except ImportError as error:
        raise DataUnavailableError(missing("drawing", "matplotlib", "plot")) from error


def write_plot(report: BiasReport, path: Path, title: str, *, matrix: str = DEFAULT_MATRIX) -> None:
    """Draw a report: language pairs, rank distances by query language, what stands first.

    The same report gives the same file. A page (``.html``) needs no other file and no script, and
    holds all numbers as tables. Threads draw one after the other.

    Args:
        report: The numbers to draw.
        path: Its suffix, one of ``SUFFIXES``, chooses the format.
        title: Stands above the pictures.
        matrix: Which of ``MATRICES`` the heat map shows.

    Raises:
        SettingError: Another suffix, or another matrix.
        DataUnavailableError: matplotlib is not installed.
    """
    suffix, title = check_suffix(path), printable(title)
    if matrix not in MATRICES:
        raise SettingError(f"no matrix {quoted(matrix)}: there are {', '.join(MATRICES)}")
    check_drawing()
    panels = _panels(report, matrix)
    if suffix == ".html":
        with drawing():
            sections = [_section(report, panel) for panel in panels]
        write_text(path, page(report, title, sections))
        return
    metadata = {"Software": None} if suffix == ".png" else _NO_METADATA
    with drawing(), replacing(path) as temporary:
        figure = _figure(report, panels, title)
        figure.savefig(temporary, format=suffix[1:], metadata=metadata, dpi=_PNG_DPI)


def _panels(report: BiasReport, matrix: str) -> list[_Panel]:
    unit = "rank 1 is dark" if matrix == "mean_rank" else "0 is dark, 100 percent is bright"
    return [
        _Panel(
            "pairs",
            numbers.matrix_title(matrix),
            "One row for each query language, one column for each passage language; "
            f"{unit}. Bold: the query's own language.",
            width=max(3.8, 0.38 * len(report.passage_languages)),
            right=0.2,
            why_not=numbers.why_no_pairs(report),
            note=numbers.note_on_pairs(report, matrix),
            draw=partial(draw_pairs, report, matrix, _labels(report)),
            columns=report.passage_languages,
            numbers=numbers.table_of_matrix(report, matrix),
        ),
        _Panel(
            "distances",
            "Rank distance of a query's relevant passages",
            "Largest minus smallest rank of the relevant passages of a query: the smaller, the "
            "less a language is preferred.",
            width=3.8,
            right=0.85,
            why_not=numbers.why_no_distances(report),
            note=numbers.note_on_distances(report),
            draw=partial(draw_distances, report),
            columns=("queries", *numbers.QUANTILES.values()),
            numbers=numbers.table_of_distances(report),
        ),
        _Panel(
            "first",
            "The first passage, in percent of queries",
            "Is the first passage relevant, and is it in the query's language?",
            width=4.4,
            right=0.25,
            why_not=numbers.why_no_top1(report),
            note=numbers.note_on_top1(report),
            draw=partial(draw_first, report),
            columns=tuple(numbers.TOP1_CASES.values()),
            numbers=numbers.table_of_top1(report),
        ),
    ]


def _labels(report: BiasReport) -> dict[str, str]:
    return labels((*report.query_languages, *report.passage_languages))


@dataclass(frozen=True)
class _Layout:
    """Where things stand in a figure, in inches from its left lower corner."""

    title: str  # over as many lines as it needs
    rows: Sequence[str]  # their labels
    left: float  # room for them, left of each panel
    notes: float  # height of the notes, at the bottom
    below: float  # height of all that is below the axes, notes included
    middle: float  # height of the axes
    upright: bool  # whether names of passage languages are too long to stand side by side
    height: float
    width: float


def _layout(report: BiasReport, panels: Sequence[_Panel], title: str | None) -> _Layout:
    shown = _labels(report)
    rows = [shown[code] for code in report.query_languages]
    left = 0.5 + _CHARACTER * max(map(text_width, rows), default=0)
    across = [text_width(shown[code]) for code in report.passage_languages]
    longest = max(across, default=0)
    upright = longest * _CHARACTER * len(across) > panels[0].width
    # In a page, notes are text.
    most = 0 if title is None else max(_n_lines(_note_lines(each)) for each in panels)
    notes = _NOTE_LINE * most + 0.12 if most else 0.0
    below = notes + 0.5 + (_CHARACTER * longest if upright else 0.0)
    words = _LINE * max(_n_lines(_why_not_lines(each)) for each in panels)
    middle = max(_ROW * len(rows), _LEAST_HEIGHT, words)
    width = sum(left + each.width + each.right for each in panels)
    lines = wrapped(title or "", width - left - 0.2, **_TITLE_LOOK)
    above = 2 * _TITLE + _TITLE_LINE * max(_n_lines(lines) - 1, 0)
    height = below + middle + _KEY + 0.25 + (0.0 if title is None else above)
    return _Layout(lines, rows, left, notes, below, middle, upright, height, width)


def _note_lines(shown: _Panel) -> str:
    note = "" if shown.why_not else shown.note
    return wrapped(note, shown.width + shown.right, size=_NOTE_SIZE)


def _why_not_lines(shown: _Panel) -> str:
    return wrapped(shown.why_not or "", shown.width, style="italic")


def _n_lines(text: str) -> int:
    return len(text.splitlines())


def _figure(report: BiasReport, panels: Sequence[_Panel], title: str | None = None) -> Figure:
    """Panels side by side, a row for each query language; without title no titles and notes."""
    from matplotlib.figure import Figure

    at = _layout(report, panels, title)
    figure = Figure(figsize=(at.width, at.height))
    start = at.left
    for each in panels:
        x = start / at.width
        _draw_panel(figure, at, each, x)
        if title is not None:
            above = (at.below + at.middle + _KEY + 0.3) / at.height
            figure.text(x, above, each.title, weight="bold", size=10)
            foot = (at.notes - 0.04) / at.height
            figure.text(x, foot, _note_lines(each), va="top", size=_NOTE_SIZE)
        start += each.width + each.right + at.left
    if title is not None:
        figure.text(at.left / at.width, 1 - 0.16 / at.height, at.title, va="top", **_TITLE_LOOK)
    return figure


def _draw_panel(figure: Figure, at: _Layout, shown: _Panel, x: float) -> None:
    across = shown.width / at.width
    axes = figure.add_axes((x, at.below / at.height, across, at.middle / at.height))
    key_at = (x, (at.below + at.middle + 0.1) / at.height, across, _KEY / at.height)
    key = figure.add_axes(key_at)
    key.set_axis_off()
    axes.set_yticks(range(len(at.rows)), at.rows)
    axes.set_ylim(max(len(at.rows), 1) - 0.5, -0.5)
    axes.set_ylabel("query language")
    if shown.why_not:
        say(axes, _why_not_lines(shown))
    else:
        shown.draw(key, axes)
    axes.tick_params(axis="y", length=0)
    if at.upright and shown.name == "pairs":
        axes.tick_params(axis="x", rotation=90)


def _section(report: BiasReport, shown: _Panel) -> Section:
    why_not = shown.why_not
    return Section(
        heading=shown.title,
        reading=why_not or shown.reading,
        picture=None if why_not else inline_svg(_figure(report, [shown]), shown.name, shown.title),
        note=shown.note,
        columns=shown.columns,
        rows=shown.numbers,
    )


def inline_svg(figure: Figure, name: str, title: str) -> str:
    """A figure as an element of a page: ids that begin with its name, a title, no comments."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata=_NO_METADATA)
    picture = stream.getvalue()
    picture = re.sub(r"<!--.*?-->\s*", "", picture[picture.index("<svg") :], flags=re.DOTALL)
    picture = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", picture)
    label = escape(title)
    narrow = round(0.6 * 96 * figure.get_figwidth())  # below that, text would be too small
    return re.sub(
        r"<svg ([^>]*)>",
        rf'<svg role="img" aria-label="{label}" style="min-width: {narrow}px" \1>'
        rf"<title>{label}</title>",
        picture,
        count=1,
    )
