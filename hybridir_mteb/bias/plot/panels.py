"""The three pictures of language bias, each on axes of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridir_mteb.bias.plot.numbers import NOTHING, TOP1_CASES, distance_quantiles, top1_shares
from hybridir_mteb.measures.report import BiasReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, each with a hatch of its own for readers of grey prints.
TOP1_LOOKS = {
    "top1_relevant_same": ("#0072b2", ""),
    "top1_relevant_other": ("#56b4e9", "///"),
    "top1_nonrelevant_same": ("#f0e442", "..."),
    "top1_nonrelevant_other": ("#d55e00", "xxx"),
}
_BOX = "#56b4e9"
_EMPTY: dict[str, Any] = {
    "facecolor": "#e4e4e4",
    "edgecolor": "#a8a8a8",
    "hatch": "////",
    "linewidth": 0,
}
_LABEL = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"}
_SHARE_TICKS = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 1)
_FEW_STEPS: Sequence[Sequence[float]] = ((1, 2, 5), (1, 3), (1,))
_MORE_STEPS = ((1, 1.5, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9))  # for narrow ranges


def draw_pairs(
    report: BiasReport, matrix: str, labels: Mapping[str, str], key: Axes, axes: Axes
) -> None:
    """Heat map: query languages down, passage languages across.

    Args:
        report: The numbers to draw.
        matrix: A name in ``MATRICES``.
        labels: Language -> what the axes call it.
        key: Axes above, for the colour bar; for words or a legend in the other pictures.
        axes: Axes of the map.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    values = np.array(report.matrices[matrix], np.float64)  # None becomes NaN
    ranks = matrix == "mean_rank"
    top = float(np.nanmax(values, initial=10.0)) if ranks else 1.0
    # Shares always go from 0 to 1, so that the pictures of two systems can be compared.
    norm: Normalize = LogNorm(1, top) if ranks else PowerNorm(0.5, 0, 1)
    down, across = (np.arange(n + 1) - 0.5 for n in values.shape)
    shown = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(
        across, down, shown, cmap="cividis", norm=norm, edgecolors="white", linewidth=1
    )
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.bar(column, 1, 1, row - 0.5, zorder=0.5, **_EMPTY)
            text, colour = NOTHING, "black"
        else:
            text = short(value) if ranks else f"{100 * value:.0f}"
            colour = ink(colormaps["cividis"](norm(value)))
        own = report.query_languages[row] == report.passage_languages[column]
        look: dict[str, Any] = {"color": colour, "weight": "bold" if own else "normal", "size": 8}
        box = _LABEL if np.isnan(value) else None
        axes.text(column, row, text, ha="center", va="center", bbox=box, **look)
    axes.set_xticks(range(values.shape[1]), [labels[code] for code in report.passage_languages])
    axes.set_xlabel("passage language")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _colour_bar(key, mesh, log_ticks(1, top) if ranks else _SHARE_TICKS, ranks=ranks)


def draw_distances(report: BiasReport, key: Axes, axes: Axes) -> None:
    """Rank distances: line, box, median and extremes of each query language."""
    found = distance_quantiles(report)
    known = [values for values in found.values() if values]
    least, most = min(v[0] for v in known), max(v[-1] for v in known)
    low, high = least / 1.3 if least >= 1 else -0.3, max(most, least + 1) * 1.3
    right = axes.get_yaxis_transform()  # across in parts of the axes, down in rows
    for row, values in enumerate(found.values()):
        text = f"{values[3]:,.0f}" if values else NOTHING
        axes.text(1.17, row, text, transform=right, va="center", ha="right")
        if values:
            _draw_box(axes, row, values)
    axes.text(1.17, 1.02, "median", transform=axes.transAxes, va="bottom", ha="right", size=8)
    axes.set_xscale("symlog", linthresh=1)  # logarithmic from 1 on, and 0 has a place too
    axes.set_xlim(low, high)
    ticks = log_ticks(max(low, 0), high)
    axes.set_xticks(ticks, tick_labels(ticks))
    axes.set_xticks([], minor=True)
    axes.set_xlabel("rank distance, logarithmic")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    words = "box: middle half of the queries, with the median\nline: 5 to 95 %; dots: extremes"
    key.text(0, 0, words, va="bottom", size=8)


def draw_first(report: BiasReport, key: Axes, axes: Axes) -> None:
    """Stacked bars: is the first passage relevant, is it in the query's language?"""
    shares = top1_shares(report)
    starts = np.zeros(len(shares))
    bars = []
    for at, (colour, hatch) in enumerate(TOP1_LOOKS.values()):
        widths = np.array([100 * found[at] if found else 0.0 for found in shares.values()])
        rows = range(len(shares))
        look: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "black"}
        bars.append(axes.barh(rows, widths, left=starts, height=0.72, linewidth=0.5, **look))
        for row, width in enumerate(widths):
            if width >= 7:
                middle, text = starts[row] + width / 2, f"{width:.0f}"
                axes.text(middle, row, text, ha="center", va="center", size=8, bbox=_LABEL)
        starts += widths
    for row, found in enumerate(shares.values()):
        if not found:
            axes.text(1, row, NOTHING, va="center")
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of queries")
    key.legend(
        bars,
        list(TOP1_CASES.values()),
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(0, 0),
        borderaxespad=0,
        borderpad=0,
        fontsize=8,
        frameon=False,
        handlelength=2.4,
        handleheight=1.1,
        columnspacing=1.2,
    )


def ink(colour: Sequence[float]) -> str:
    """Black or white, whichever is easier to read on a colour (WCAG 2 relative luminance).

    Args:
        colour: Red, green, blue from 0 to 1; more is ignored.
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return "white" if luminance < 0.179 else "black"


def short(value: float) -> str:
    """A number of at most four characters up to a million: 7.5, 340, 1.2k, 13k."""
    for unit, sign in ((1e6, "M"), (1e3, "k"), (1, "")):
        if value >= 0.995 * unit:
            text = f"{value / unit:.2g}" if value < 9.95 * unit else f"{value / unit:.0f}"
            return f"{text}{sign}"
    return f"{value:.2g}"


def log_ticks(low: float, high: float) -> list[float]:
    """At least two round numbers from low to high: 1, 2 and 5 of powers of ten, or 1 if many.

    Args:
        low: At least 0; below 1 only 0 itself gets a tick.
        high: More than low, and at least 1.
    """
    for steps in _FEW_STEPS:
        ticks = _power_ticks(low, high, steps)
        if len(ticks) <= 7:
            break
    for steps in _MORE_STEPS:
        if len(ticks) < 2:
            ticks = _power_ticks(low, high, steps)
    ticks = [0.0, *ticks] if low <= 0 else ticks
    return ticks if len(ticks) >= 2 else linear_ticks(low, high)


def _power_ticks(low: float, high: float, steps: Sequence[float]) -> list[float]:
    powers = [10.0**at for at in range(13)]
    return [step * power for power in powers for step in steps if low <= step * power <= high]


def linear_ticks(low: float, high: float) -> list[float]:
    """Two to five round numbers from low to high, equally spaced."""
    power = floor(log10(high - low))
    for step, digits in ((5, power), (2, power), (1, power), (5, power - 1)):
        size = step * 10.0**digits
        # Rounded, for 3 * 0.1 is not 0.3.
        ticks = [
            round(at * size, max(0, -digits))
            for at in range(ceil(low / size), int(high / size) + 1)
        ]
        if len(ticks) >= 2:
            break
    return ticks


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Short numbers, or whole ones where two short ones would be the same."""
    texts = [short(tick) for tick in ticks]
    return texts if len(set(texts)) == len(texts) else [f"{tick:,.10g}" for tick in ticks]


def _colour_bar(key: Axes, mesh: Any, ticks: Sequence[float], *, ranks: bool) -> None:
    bar = key.inset_axes((0, 0, 1, 0.32))
    key.figure.colorbar(mesh, cax=bar, orientation="horizontal")
    texts = tick_labels(ticks) if ranks else [f"{100 * tick:.0f}" for tick in ticks]
    bar.set_xticks(ticks, texts, size=8)
    bar.set_xticks([], minor=True)
    bar.xaxis.set_ticks_position("top")
    bar.tick_params(length=2, pad=1)


def _draw_box(axes: Axes, row: int, values: Sequence[float]) -> None:
    least, p5, p25, median, p75, p95, most = values
    axes.hlines(row, p5, p95, color="black", linewidth=1, zorder=1)
    box: dict[str, Any] = {"color": _BOX, "edgecolor": "black", "linewidth": 0.8}
    axes.barh(row, p75 - p25, left=p25, height=0.56, zorder=2, **box)
    axes.vlines(median, row - 0.28, row + 0.28, color="black", linewidth=2.5, zorder=3)
    axes.plot([least, most], [row, row], "o", color="black", markersize=2.5)


def say(axes: Axes, lines: str) -> None:
    """Words in place of a picture."""
    axes.set_axis_off()
    axes.text(0, 1, lines, transform=axes.transAxes, va="top", style="italic", linespacing=1.3)
