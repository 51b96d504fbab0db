"""Pictures of comparisons: means with their groups, and the difference of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hybridir_mteb.bias.plot.style import drawing
from hybridir_mteb.comparison.pairs import Comparison
from hybridir_mteb.comparison.present import scale
from hybridir_mteb.errors import SettingError, printable
from hybridir_mteb.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
LONGEST = 32  # characters of a name
# Okabe and Ito's blue and vermilion; filled and hollow besides, for grey prints.
DIFFER, ALIKE = "#0072b2", "#d55e00"
BAND = "0.88"
_WIDTH, _ROW, _FRAME = 13.0, 0.3, 1.25  # inches
_METADATA = {
    ".png": {"Software": None},
    ".svg": dict.fromkeys(("Creator", "Date", "Format", "Type")),
    ".pdf": {"CreationDate": None},
}


def check_suffix(path: Path) -> None:
    """Refuse a picture that cannot be drawn.

    Raises:
        SettingError: Its suffix is none of ``SUFFIXES``.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"cannot draw {path}: its name must end in {', '.join(SUFFIXES)}")


def write_picture(comparisons: Sequence[Comparison], path: Path) -> None:
    """Draw comparisons below one another; the same ones give the same file.

    Args:
        comparisons: At least one.
        path: Its suffix chooses the format.
    """
    suffix = path.suffix.lower()
    with drawing(), replacing(path) as temporary:
        figure = _figure(comparisons)
        figure.savefig(temporary, format=suffix[1:], metadata=_METADATA[suffix], dpi=150)


def _figure(comparisons: Sequence[Comparison]) -> Figure:
    from matplotlib.figure import Figure

    heights = [_FRAME + _ROW * len(one.pairs) for one in comparisons]
    heights = [max(h, _FRAME + _ROW * len(one.means)) for h, one in zip(heights, comparisons)]  # noqa: B905
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.7), layout="constrained")
    grid = figure.subplots(
        len(comparisons), 2, squeeze=False, width_ratios=(2, 3), height_ratios=heights
    )
    for row, one in zip(grid, comparisons, strict=True):
        _means(row[0], one)
        _pairs(row[1], one)
    figure.supxlabel(
        "Systems that share a letter cannot be told apart. Filled: the two differ after Holm's "
        "correction; hollow: they cannot be told apart.\nLines are 95% intervals. In the grey "
        "band: differences that would often have been missed.",
        fontsize=8,
    )
    return figure


def _short(name: str) -> str:
    return printable(name, LONGEST)


def _means(axes: Axes, one: Comparison) -> None:
    factor, _ = scale(one)
    places = range(len(one.means))
    values = [factor * mean for mean in one.means.values()]
    axes.plot(values, places, "D", color="black", markersize=5)
    names = [f"{_short(name)}  ({one.letters[name]})" for name in one.means]
    axes.set_yticks(places, names)
    axes.set_title(f"{one.task}\nmean, {one.questions} questions", fontsize=9.5, loc="left")
    _frame(axes, one, len(places))
    axes.margins(x=0.15)


def _pairs(axes: Axes, one: Comparison) -> None:
    factor, _ = scale(one)
    for at, pair in enumerate(one.pairs):
        mean, low, high = (factor * v for v in (pair.found.mean, *pair.found.interval))
        seen = factor * pair.visible
        axes.barh(at, 2 * seen, left=-seen, height=0.8, color=BAND, linewidth=0, zorder=0)
        colour = DIFFER if pair.differ else ALIKE
        axes.plot([low, high], [at, at], color=colour, linewidth=1.6)
        face = colour if pair.differ else "white"
        shape = "o" if pair.differ else "s"
        axes.plot(mean, at, shape, color=colour, markerfacecolor=face, markersize=6)
    axes.axvline(0, color="0.3", linewidth=0.8)
    axes.set_yticks(
        range(len(one.pairs)), [f"{_short(p.one)} − {_short(p.other)}" for p in one.pairs]
    )
    axes.set_title(f"{one.measure}\ndifference of each pair", fontsize=9.5, loc="left")
    _frame(axes, one, len(one.pairs))


def _frame(axes: Axes, one: Comparison, rows: int) -> None:
    unit = scale(one)[1]
    axes.set_xlabel(f"{one.measure}, {unit}" if unit else one.measure)
    axes.set_ylim(rows - 0.4, -0.6)  # the first row above
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
