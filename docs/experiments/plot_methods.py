"""Pictures of the comparison of all methods: effectiveness against language bias, by backbone."""

from __future__ import annotations

import json
import re
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter
from provenance import RESULTS

PREFIX = "compare-methods-"
DISTANCE = "multi.rank_distance"
WIDE = 6  # largest over smallest rank distance, from which fewer numbers stand at the axis
ROWS = {"mono.map": "monolingual mAP in percent", "multi.map": "multilingual mAP in percent"}
# Okabe and Ito's colours, each with a shape of its own.
LOOKS = {
    "base": ("#000000", "o"),
    "mono": ("#e69f00", "s"),
    "cross": ("#56b4e9", "^"),
    "hybrid": ("#009e73", "D"),
    "mixed": ("#0072b2", "v"),
    "bilingual": ("#999999", "<"),
    "adversarial": ("#d55e00", "P"),
    "hybrid-adversarial": ("#d55e00", "X"),
    "erasure": ("#cc79a7", "h"),
    "consistency": ("#f0e442", "*"),
}
DEBIASER_SHAPES = {
    "none": "o",
    "centre": "^",
    "lir": "v",
    "shift": "s",
    "shift-auto": "p",  # its scale chosen on held-out lines
    "leace": "D",
}


def backbones() -> list[str]:
    """Those whose comparison has been made."""
    return sorted(path.stem.removeprefix(PREFIX) for path in RESULTS.glob(f"{PREFIX}*.json"))


def compared(backbone: str) -> dict[str, Any]:
    """Collection -> contender -> mean and seeds of the measures that are drawn."""
    found = json.loads((RESULTS / f"{PREFIX}{backbone}.json").read_text())["collections"]
    keys = (DISTANCE, *ROWS)
    return {
        title: {
            name: {part: {key: of[part][key] for key in keys} for part in ("mean", "seeds")}
            for name, of in collection["contenders"].items()
        }
        for title, collection in found.items()
    }


def look_of(contender: str) -> dict[str, Any]:
    """Colour of the method; a debiased one is hollow and has the debiaser's shape."""
    method, _, debiaser = contender.partition("+")
    colour, shape = LOOKS[method]
    if not debiaser:
        return {"color": colour, "marker": shape, "linestyle": "none"}
    shape = DEBIASER_SHAPES[debiaser.replace(" alpha=", "-")]
    hollow = {"markerfacecolor": "none", "markeredgewidth": 1.5}
    return {"color": colour, "marker": shape, "linestyle": "none", **hollow}


def draw(backbone: str) -> Any:
    """A column for each collection; a small mark for each seed, a large one for their mean."""
    data = compared(backbone)
    size = (1.2 + 3.2 * len(data), 6.8)
    figure, grid = plt.subplots(
        len(ROWS), len(data), figsize=size, sharex="col", squeeze=False, layout="constrained"
    )
    for column, (title, contenders) in enumerate(data.items()):
        for axes, (measure, label) in zip(grid[:, column], ROWS.items(), strict=True):
            for name, of in contenders.items():
                look = look_of(name)
                if len(of["seeds"][DISTANCE]) > 1:
                    values = [100 * value for value in of["seeds"][measure]]
                    axes.plot(of["seeds"][DISTANCE], values, **look, markersize=3, alpha=0.5)
                mean = of["mean"]
                axes.plot(mean[DISTANCE], 100 * mean[measure], **look, markersize=8, label=name)
            distance_axis(axes)
            if column == 0:
                axes.set_ylabel(label)
        grid[0, column].set_title(re.sub(r"R\b", "-R", title, count=1))  # XQuADR is XQuAD-R
        grid[-1, column].set_xlabel("rank distance (log)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def distance_axis(axes: Any) -> None:
    """A logarithmic axis of rank distance with readable numbers, and a grid."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high > WIDE * low else (1, 2, 3, 5, 7)  # numbers must not touch
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
