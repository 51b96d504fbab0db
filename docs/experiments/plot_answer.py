"""The picture that the documentation opens with: hybrid batches beside adversarial training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from plot_methods import LOOKS

BACKBONES = ("pocket", "muse", "gemma3-270m")  # those that have results are shown
COLLECTION = "XQuADR"
METHODS = ("hybrid", "adversarial", "mono", "base")  # from the top
PANELS = {
    "multi.map": ("Multilingual mAP in percent: more is better", 100, 1),
    "multi.rank_distance": ("Rank distance: less is better", 1, 0),
}
PARTS = ("mean", "seeds")


def drawn(compared: Mapping[str, Any]) -> dict[str, Any]:
    """What the picture shows of the comparison: backbone -> method -> seeds and mean.

    Args:
        compared: Backbone -> method -> scores of every seed and their mean.
    """
    return {
        backbone: {
            method: {key: {part: methods[method][part][key] for part in PARTS} for key in PANELS}
            for method in METHODS
        }
        for backbone, methods in compared.items()
    }


def draw(data: Mapping[str, Any]) -> Any:
    """A row of bars for each backbone, a bar for each method with its number, dots for seeds.

    Args:
        data: As :func:`drawn` gives it.
    """
    figure, grid = plt.subplots(
        len(data),
        len(PANELS),
        figsize=(8.6, 0.5 + 1.5 * len(data)),
        layout="constrained",
        squeeze=False,
    )
    for row, (backbone, methods) in zip(grid, data.items(), strict=True):
        for axes, (key, (label, factor, digits)) in zip(row, PANELS.items(), strict=True):
            most = factor * max(max(of[key]["seeds"]) for of in methods.values())
            for at, (method, of) in enumerate(methods.items()):
                mean = factor * of[key]["mean"]
                seeds = [factor * value for value in of[key]["seeds"]]
                axes.barh(at, mean, height=0.72, color=LOOKS[method][0])
                axes.plot(seeds, [at] * len(seeds), ".", color="white", mec="black", mew=0.6)
                axes.text(max(mean, *seeds) + most * 0.03, at, f"{mean:.{digits}f}", va="center")
            axes.set_yticks(range(len(methods)), methods)
            axes.invert_yaxis()
            axes.set_xlim(0, most * 1.17)
            axes.tick_params(axis="y", length=0)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            if backbone == next(iter(data)):
                axes.set_title(label, fontsize=10, loc="left", weight="bold")
        row[0].set_ylabel(backbone, weight="bold")
    return figure
