"""Research code: draw ``docs/pages/img/*.svg`` from ``docs/results`` whenever results change."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

import plot_answer
import plot_growth
import plot_methods
from matplotlib import pyplot as plt

DOCS = Path(__file__).parent.parent
RESULTS = DOCS / "results"
IMAGES = DOCS / "pages" / "img"
STYLE = {
    "font.size": 10,
    "figure.facecolor": "white",
    "svg.hashsalt": "hybridir",  # the same file for the same data
    "axes.spines.top": False,
    "axes.spines.right": False,
}
COLOURS = {"xquad-r": "#00306f", "mlqa-r": "#c9ae3c"}  # both from cividis
TITLES = {"xquad-r": "XQuAD-R", "mlqa-r": "MLQA-R"}
SCALING = ("beir", "miracl-hard", "mlqa-cross", "mlqa-gap")  # settings of scaling.json


def scores(name: str) -> dict[str, Any]:
    """Setting -> subset -> measure -> value."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())["scores"]
    return found


def answered() -> dict[str, Any]:
    """What the first page's picture shows: backbone -> method -> scores on one collection."""
    there = [name for name in plot_answer.BACKBONES if name in plot_methods.backbones()]
    found = {name: plot_methods.compared(name)[plot_answer.COLLECTION] for name in there}
    return plot_answer.drawn(found)


def scale() -> dict[str, Any]:
    """Measurement -> passages -> seconds, and peak memory, of exact search."""
    found = json.loads((RESULTS / "bench-scale.json").read_text())
    sides = {name: found["search"][name] for name in ("float32", "float16")}
    lines = {
        name: {n: run[n] for n in run if n.isdigit()}
        for name, run in {**sides, "faiss": found["others"], "mteb": found["mteb"]}.items()
    }
    return {
        "seconds": {
            name: {n: v["seconds"] if name in sides else v["seconds"][name] for n, v in run.items()}
            for name, run in lines.items()
        },
        "peak_mib": {name: {n: v["peak_mib"] for n, v in lines[name].items()} for name in sides},
        "dimension": found["search"]["dimension"],
    }


def swept() -> dict[str, Any]:
    """Backbone -> alpha -> measures with intervals."""
    found = json.loads((RESULTS / "sweep-alpha.json").read_text())
    return {backbone: of_backbone["alphas"] for backbone, of_backbone in found.items()}


def scaling() -> dict[str, Any]:
    """Laws and points of the settings that the picture shows."""
    settings = json.loads((RESULTS / "scaling.json").read_text())["settings"]
    return {name: settings[name]["measures"]["ndcg_at_10"] for name in SCALING}


def digest(picture: str) -> str:
    """Checksum of what a picture shows; a test compares it with that in the file."""
    drawn: Any = {
        "answer": answered,
        "scale": scale,
        "alpha": swept,
        "growth": plot_growth.grown,
        "scaling": scaling,
        **{
            f"methods-{name}": partial(plot_methods.compared, name)
            for name in plot_methods.backbones()
        },
    }.get(picture, lambda: [scores(name) for name in TITLES])()
    return hashlib.sha256(json.dumps(drawn, sort_keys=True).encode()).hexdigest()


def save(figure: Any, name: str, folder: Path) -> Path:
    """Write a picture with the checksum of what it shows."""
    path = folder / f"{name}.svg"
    metadata = {"Date": None, "Creator": None, "Description": f"data sha256 {digest(name)}"}
    figure.savefig(path, metadata=metadata)
    plt.close(figure)
    return path


def heat_map(folder: Path) -> Path:
    """Draw the mAP of XQuAD-R by query and passage language; the diagonal is monolingual."""
    data = scores("xquad-r")
    codes = sorted(data["mono"])
    values = np.array(
        [
            [100 * (data["mono"][a] if a == b else data["cross"][f"{a}-{b}"])["map"] for b in codes]
            for a in codes
        ]
    )
    figure, axes = plt.subplots(figsize=(7.2, 6.0), layout="constrained")
    image = axes.imshow(values, cmap="cividis")
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if value < middle else "black"
        weight = "bold" if row == column else "normal"
        axes.text(
            column, row, f"{value:.0f}", ha="center", va="center", color=colour, weight=weight
        )
    axes.set_xticks(range(len(codes)), codes)
    axes.set_yticks(range(len(codes)), codes)
    axes.set_xlabel("passage language")
    axes.set_ylabel("query language")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, label="mAP in percent", shrink=0.85)
    return save(figure, "crosslingual-xquad-r", folder)


def language_bars(folder: Path) -> Path:
    """Draw multilingual mAP and normalised rank distance of each query language."""
    codes = sorted(scores("xquad-r")["multi"])
    panels = (("map", "mAP in percent", 100), ("rank_distance_norm", "normalised rank distance", 1))
    figure, rows = plt.subplots(2, 1, figsize=(7.2, 5.4), sharex=True, layout="constrained")
    for axes, (measure, label, factor) in zip(rows, panels, strict=True):
        for at, name in enumerate(TITLES):
            found = scores(name)["multi"]
            places = [place for place, code in enumerate(codes) if code in found]
            heights = [factor * found[codes[place]][measure] for place in places]
            axes.bar(
                [place + (at - 0.5) * 0.4 for place in places],
                heights,
                width=0.38,
                color=COLOURS[name],
                label=TITLES[name],
            )
        axes.set_ylabel(label)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    rows[0].legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)
    rows[1].set_xticks(range(len(codes)), codes)
    rows[1].set_xlabel("query language")
    return save(figure, "multilingual", folder)


def answer(folder: Path) -> Path:
    """Draw the answer to the project's question, for the first page."""
    return save(plot_answer.draw(answered()), "answer", folder)


def large_pools(folder: Path) -> Path:
    """Draw time and peak memory of exact search against the size of the pool."""
    data = scale()
    looks = {
        "float32": ("ours, float32", "#0072b2", "o"),
        "float16": ("ours, float16", "#56b4e9", "s"),
        "faiss": ("FAISS IndexFlatIP", "#d55e00", "D"),
        "mteb": ("MTEB's search", "#000000", "^"),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.4), layout="constrained")
    for axes, key in ((left, "seconds"), (right, "peak_mib")):
        for name, run in data[key].items():
            label, colour, marker = looks[name]
            sizes = sorted(run, key=int)
            values = [run[n] for n in sizes]
            axes.plot(
                [int(n) / 1e6 for n in sizes], values, color=colour, marker=marker, label=label
            )
        axes.set_xlim(0, 1.05)
        axes.set_xlabel("passages, millions")
    sizes = sorted(data["peak_mib"]["float32"], key=int)
    vectors = [int(n) * data["dimension"] * 4 / 2**20 for n in sizes]
    right.plot(
        [int(n) / 1e6 for n in sizes],
        vectors,
        color="#999999",
        linestyle="--",
        label="float32 vectors on disk",
    )
    for axes in (left, right):
        axes.set_ylim(0)
    left.set_ylabel("seconds")
    right.set_ylabel("peak memory, MiB")
    left.set_title("Time")
    right.set_title("Memory")
    left.legend(frameon=False)
    right.legend(frameon=False)
    return save(figure, "scale", folder)


def alpha_sweep(folder: Path) -> Path:
    """Draw the measures against the share of monolingual batches, with intervals, by backbone."""
    data = swept()
    panels = {
        "mono.map": ("monolingual mAP, %", 100),
        "cross.map": ("cross-lingual mAP, %", 100),
        "multi.map": ("multilingual mAP, %", 100),
        "multi.rank_distance": ("rank distance", 1),
    }
    size = (9.6, 0.6 + 2.4 * len(data))
    figure, grid = plt.subplots(
        len(data), len(panels), figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    for row, (backbone, by_alpha) in zip(grid, data.items(), strict=True):
        alphas = [float(alpha) for alpha in by_alpha]
        for axes, (measure, (label, factor)) in zip(row, panels.items(), strict=True):
            found = [of_alpha[measure] for of_alpha in by_alpha.values()]
            low, high = zip(*(one["interval"] for one in found), strict=True)
            axes.fill_between(
                alphas, factor * np.array(low), factor * np.array(high), color="#009e73", alpha=0.2
            )
            axes.plot(alphas, [factor * one["mean"] for one in found], color="#009e73", marker="D")
            for alpha, one in zip(alphas, found, strict=True):
                seeds = [factor * value for value in one["seeds"]]
                axes.plot([alpha] * len(seeds), seeds, ".", color="0.4", markersize=4)
            axes.set_title(label, fontsize=10)
            axes.grid(alpha=0.3)
        row[0].set_ylabel(backbone)
    for axes in grid[-1]:
        axes.set_xlabel("alpha")
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    return save(figure, "alpha", folder)


def growth(folder: Path) -> Path:
    """Draw how time and memory grow."""
    return save(plot_growth.draw(), "growth", folder)


def main() -> None:
    """Draw every picture whose results are there."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        there = [draw for draw, name in CAMPAIGNS.items() if (RESULTS / f"{name}.json").is_file()]
        for draw in (*PICTURES, *there):
            print(draw(IMAGES).relative_to(DOCS))
        for backbone in plot_methods.backbones():
            figure = plot_methods.draw(backbone)
            print(save(figure, f"methods-{backbone}", IMAGES).relative_to(DOCS))


PICTURES = (
    heat_map,
    language_bars,
    answer,
    large_pools,
)
CAMPAIGNS = {
    alpha_sweep: "sweep-alpha",
    growth: "bench-growth",
}  # drawn once their results are there

if __name__ == "__main__":
    main()
