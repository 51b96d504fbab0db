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

from hybridir_mteb.bias import plot_numbers, plot_panels
from hybridir_mteb.bias.plot_html import Section, page
from hybridir_mteb.errors import DataUnavailableError, SettingError
from hybridir_mteb.files import replacing, write_text
from hybridir_mteb.metrics.bias_report import MATRICES, BiasReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".html", ".png", ".svg")
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # matplotlib brings it: the same picture everywhere
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "hybridir",  # the same file for the same data
    "svg.fonttype": "path",
    "text.parse_math": False,  # a title with dollar signs is no formula
    "text.usetex": False,
}
_PNG_DPI = 150
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_ROW, _LEAST_HEIGHT, _KEY, _TITLE, _CHARACTER = 0.32, 0.95, 0.4, 0.37, 0.085  # inches


@dataclass(frozen=True)
class _Panel:
    """One picture.

    Attributes:
        name: Start of the ids in its SVG.
        title: What it shows.
        reading: How to read it.
        width: Of its axes, in inches.
        right: Room to the right of its axes, in inches.
        why_not: Why there is nothing to draw, or None.
        draw: Draws on the axes of the key, above, and on the axes proper.
        columns: Heads of the columns of its numbers.
        numbers: Query language -> its numbers as text.
    """

    name: str
    title: str
    reading: str
    width: float
    right: float
    why_not: str | None
    draw: Callable[[Axes, Axes], None]
    columns: Sequence[str]
    numbers: dict[str, list[str]]


def write_plot(report: BiasReport, path: Path, title: str, *, matrix: str = "share_at_10") -> None:
    """Draw a report: language pairs, rank distances by query language, what stands first.

    The same report gives the same file. A page (``.html``) needs no other file and no script, and
    holds all numbers as tables.

    Args:
        report: What to draw.
        path: Its suffix, one of ``SUFFIXES``, chooses the format.
        title: Stands above the plot_numbers.
        matrix: Which of ``MATRICES`` the heat map shows.

    Raises:
        SettingError: Another suffix, or another matrix.
        DataUnavailableError: matplotlib is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingError(f"cannot draw {path}: its name must end in {', '.join(SUFFIXES)}")
    if matrix not in MATRICES:
        raise SettingError(f"no matrix {matrix!r}: there are {', '.join(MATRICES)}")
    try:
        from matplotlib import rc_context
    except ImportError as error:
        raise DataUnavailableError(
            'drawing needs matplotlib: pip install "hybridir-mteb[plot]"'
        ) from error
    panels = _panels(report, matrix)
    with rc_context(_STYLE):
        if suffix == ".html":
            sections = [_section(report, panel) for panel in panels]
            write_text(path, page(report, title, sections))
            return
        figure = _figure(report, panels, title)
        metadata = {"Software": None} if suffix == ".png" else _NO_METADATA
        with replacing(path) as temporary:
            figure.savefig(temporary, format=suffix[1:], metadata=metadata, dpi=_PNG_DPI)


def _panels(report: BiasReport, matrix: str) -> list[_Panel]:
    unit = "rank 1 is dark" if matrix == "mean_rank" else "0 is dark, 100 percent is bright"
    return [
        _Panel(
            "pairs",
            plot_numbers.matrix_title(matrix),
            "One row for each query language, one column for each passage language; "
            f"{unit}. Bold: the query's own language.",
            width=max(3.8, 0.38 * len(report.passage_languages)),
            right=0.2,
            why_not=plot_numbers.why_no_pairs(report),
            draw=partial(plot_panels.draw_pairs, report, matrix),
            columns=report.passage_languages,
            numbers=plot_numbers.table_of_matrix(report, matrix),
        ),
        _Panel(
            "distances",
            "Rank distance of a query's relevant passages",
            "Largest minus smallest rank of the relevant passages of a query: the smaller, the "
            "less a language is preferred.",
            width=3.8,
            right=0.85,
            why_not=plot_numbers.why_no_distances(report),
            draw=partial(plot_panels.draw_distances, report),
            columns=("queries", *plot_numbers.QUANTILES.values()),
            numbers=plot_numbers.table_of_distances(report),
        ),
        _Panel(
            "first",
            "The first passage, in percent of queries",
            "Is the first passage relevant, and is it in the query's language?",
            width=4.4,
            right=0.25,
            why_not=plot_numbers.why_no_top1(report),
            draw=partial(plot_panels.draw_first, report),
            columns=tuple(plot_numbers.TOP1_CASES.values()),
            numbers=plot_numbers.table_of_top1(report),
        ),
    ]


def _figure(report: BiasReport, panels: Sequence[_Panel], title: str | None = None) -> Figure:
    """Panels side by side, one row for each query language, placed to the inch.

    Args:
        report: Its languages label the rows.
        panels: From left to right.
        title: Above; None leaves out the panels' titles too.
    """
    from matplotlib.figure import Figure

    rows = report.query_languages
    left = 0.5 + _CHARACTER * max(map(len, rows), default=0)
    longest = max(map(len, report.passage_languages), default=0)
    # Names of languages that are too long to stand side by side stand upright.
    upright = longest * _CHARACTER * len(report.passage_languages) > panels[0].width
    below = 0.5 + (_CHARACTER * longest if upright else 0.0)
    middle = max(_ROW * len(rows), _LEAST_HEIGHT)
    height = below + middle + _KEY + 0.25 + (0.0 if title is None else 2 * _TITLE)
    width = sum(left + each.width + each.right for each in panels)
    figure = Figure(figsize=(width, height))
    start = left
    for each in panels:
        x, across = start / width, each.width / width
        axes = figure.add_axes((x, below / height, across, middle / height))
        key = figure.add_axes((x, (below + middle + 0.1) / height, across, _KEY / height))
        key.set_axis_off()
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
        axes.set_ylabel("query language")
        if each.why_not:
            plot_panels.say(axes, each.why_not)
        else:
            each.draw(key, axes)
        axes.tick_params(axis="y", length=0)
        if upright and each.name == "pairs":
            axes.tick_params(axis="x", rotation=90)
        if title is not None:
            above = (below + middle + _KEY + 0.3) / height
            figure.text(x, above, each.title, weight="bold", size=10)
        start += each.width + each.right + left
    if title is not None:
        figure.text(left / width, 1 - 0.32 / height, title, weight="bold", size=13)
    return figure


def _section(report: BiasReport, shown: _Panel) -> Section:
    why_not = shown.why_not
    return Section(
        heading=shown.title,
        reading=why_not or shown.reading,
        picture=None if why_not else _inline_svg(_figure(report, [shown]), shown),
        columns=shown.columns,
        rows=shown.numbers,
    )


def _inline_svg(figure: Figure, shown: _Panel) -> str:
    """A figure as an element of a page: ids of its own, a name, no declaration, no comments."""
    stream = StringIO()
    figure.savefig(stream, format="svg", metadata=_NO_METADATA)
    picture = stream.getvalue()
    picture = re.sub(r"<!--.*?-->\s*", "", picture[picture.index("<svg") :], flags=re.DOTALL)
    picture = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{shown.name}-", picture)
    label = escape(shown.title)
    narrow = round(0.6 * 96 * figure.get_figwidth())  # below that, text would be too small
    return re.sub(
        r"<svg ([^>]*)>",
        rf'<svg role="img" aria-label="{label}" style="min-width: {narrow}px" \1>'
        rf"<title>{label}</title>",
        picture,
        count=1,
    )
