"""Pictures of scores against sizes: families in colours, all other models in grey, and laws.

Filled marks are zero-shot, hollow ones trained on one of the tasks, half-filled ones do not say.
A law is solid where there are models; dashed, with its interval, where it is an extrapolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hybridir_mteb.scaling.fit import Curve
from hybridir_mteb.scaling.present import billions
from hybridir_mteb.scaling.scores import MEASURES
from hybridir_mteb.scaling.study import FIELD_FROM, Point, Result, Status, Trend, drawn_families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours without their yellow, each with a shape of its own for grey prints.
LOOKS = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "D"),
    ("#cc79a7", "^"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
    ("#000000", "X"),
)
FIELD_COLOUR = "#9a9a9a"
EXTRAPOLATION = "extrapolation"
WIDTH, HEIGHT, LEGEND = 5.2, 3.9, 0.85  # inches; of a panel, and of the legend below all
_FILLS = {Status.ZERO_SHOT: "full", Status.TRAINED: "none", Status.UNDECLARED: "bottom"}
_TICKS = (1e6, 1e7, 1e8, 1e9, 1e10)

Looks = Mapping[str, tuple[str, str]]


def looks_of(results: Sequence[Result]) -> dict[str, tuple[str, str]]:
    """Family -> colour and shape, the same in all pictures of a study."""
    return dict(zip(drawn_families(results, len(LOOKS)), LOOKS, strict=False))


def figure_of(results: Sequence[Result], looks: Looks, target: float, columns: int = 2) -> Figure:
    """One panel for each result, and one legend; to be called while drawing.

    Args:
        results: From left to right, then down.
        looks: Family -> colour and shape.
        target: Number of parameters that laws are drawn up to.
        columns: Panels side by side.
    """
    from matplotlib.figure import Figure

    n_rows = -(-len(results) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * n_rows + LEGEND), layout="constrained")
    grid = figure.subplots(n_rows, columns, squeeze=False)
    for axes, result in zip(grid.flat, results, strict=False):
        _panel(axes, result, looks, target)
    for axes in grid.flat[len(results) :]:
        axes.set_axis_off()
    shown = [name for name in looks if any(t.name == name for r in results for t in r.trends)]
    handles = _handles({name: looks[name] for name in shown})
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
    return figure


def _panel(axes: Axes, result: Result, looks: Looks, target: float) -> None:
    coloured = [trend for trend in result.trends if trend.name in looks]
    apart = {point.model for trend in coloured for point in trend.points if not point.own}
    apart |= {point.model for point in result.points if point.own}
    field = [p for p in result.points if p.model not in apart and p.size >= FIELD_FROM]
    _marks(axes, field, FIELD_COLOUR, "o", 3.2)
    if result.field.curve is not None:
        _law(axes, result.field, FIELD_COLOUR)
    for trend in reversed(coloured):
        colour, shape = looks[trend.name]
        if trend.curve is None:
            places = [point.size for point in trend.points], [p.score for p in trend.points]
            axes.plot(*places, color=colour, linewidth=0.8, alpha=0.6, zorder=2)
        else:
            _law(axes, trend, colour, named=True)
        _marks(axes, trend.points, colour, shape, 6.5)
    _name_own(axes, [point for point in result.points if point.own])
    unit = "points" if result.setting.minus else "percent"
    axes.set_title(result.setting.title, fontsize=9.5)
    axes.set_ylabel(f"{MEASURES[result.measure]}, {unit}")
    axes.set_xscale("log")
    axes.set_xlim(FIELD_FROM, 1.4 * target)
    ticks = [tick for tick in (*_TICKS, target) if FIELD_FROM <= tick <= target]
    axes.set_xticks(ticks, [billions(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("parameters (log)")
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    if result.setting.minus:
        axes.axhline(0, color="0.4", linewidth=0.8)


def _marks(axes: Axes, points: Sequence[Point], colour: str, shape: str, size: float) -> None:
    for status in Status:
        of = [point for point in points if point.status is status]
        places = [point.size for point in of], [point.score for point in of]
        axes.plot(*places, **_look(colour, shape, size, status))


def _name_own(axes: Axes, points: Sequence[Point]) -> None:
    """Stars with names, for models that were run here."""
    _marks(axes, points, "#000000", "*", 10)
    for point in points:
        look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7.5, "zorder": 4}
        axes.annotate(point.model.rpartition("/")[2], (point.size, point.score), (6, 5), **look)


def _look(colour: str, shape: str, size: float, status: Status) -> dict[str, Any]:
    return {
        "color": colour,
        "marker": shape,
        "markersize": size,
        "linestyle": "none",
        "fillstyle": _FILLS[status],
        "markerfacecoloralt": "white",
        "markeredgewidth": 1.0 if size > 5 else 0.6,
        "zorder": 3 if size > 5 else 1,
    }


def _law(axes: Axes, trend: Trend, colour: str, *, named: bool = False) -> None:
    curve: Curve | None = trend.curve
    if curve is None:
        return
    last = max(point.size for point in trend.points)
    within, beyond = curve.sizes <= last, curve.sizes >= last
    look: dict[str, Any] = {"color": colour, "linewidth": 1.3, "zorder": 2}
    for part, style in ((within, "-"), (beyond, "--")):
        axes.plot(curve.sizes[part], curve.values[part], style, **look)
    low, high = curve.low[beyond], curve.high[beyond]
    axes.fill_between(curve.sizes[beyond], low, high, color=colour, alpha=0.2, lw=0)
    if named and beyond.any():
        place = float(curve.sizes[-1]), float(low[-1])
        look = {"ha": "right", "va": "top", "fontsize": 7.5, "color": colour, "zorder": 4}
        axes.annotate(EXTRAPOLATION, place, (0, -4), textcoords="offset points", **look)


def _handles(looks: Looks) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(label: str, colour: str, shape: str, status: Status = Status.ZERO_SHOT) -> Any:
        return Line2D([], [], label=label, **_look(colour, shape, 6.5, status))

    return [
        *(mark(name, colour, shape) for name, (colour, shape) in looks.items()),
        mark("other models", FIELD_COLOUR, "o"),
        *(mark(_SAID[status], "#555555", "o", status) for status in Status),
        Line2D([], [], color="#555555", label="law, fitted"),
        Line2D([], [], color="#555555", linestyle="--", label=f"law, {EXTRAPOLATION}"),
        Patch(color="#555555", alpha=0.2, linewidth=0, label="its 95 % interval"),
    ]


_SAID = {
    Status.ZERO_SHOT: "zero-shot",
    Status.TRAINED: "trained on a task",
    Status.UNDECLARED: "training data unknown",
}
