"""Draw ``docs/pages/img/way-*.svg`` from ``docs/markers/ways.py``; run it when a way changes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
sys.path.insert(0, str(Path(__file__).parent.parent))

from markers.ways import IMAGES, WAYS, Place, Way, digest
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch

WIDTH, ROW = 7.6, 0.66  # inches: of the picture, and from one row to the next
HEIGHT = 0.46  # of a box, in rows
ROOM_COLOURS = {  # of Okabe and Ito, very light
    "adapters": "#dcebf7",
    "encoders": "#dff2e9",
    "debias": "#dff2e9",
    "ranking": "#fdf0d0",
    "measures": "#f9e3d6",
}
OTHERS = "#f1f1f1"
# Text stays text: small files, and fonts of the reader that are no wider.
STYLE = {"svg.hashsalt": "hybridir", "svg.fonttype": "none", "figure.facecolor": "white"}


def box(axes: Any, place: Place, half: float) -> None:
    """A place: its module, its name, what happens there."""
    module, _, name = place.name.rpartition(":")
    colour = ROOM_COLOURS.get(module.split(".")[0], OTHERS) if module else "white"
    axes.add_patch(
        FancyBboxPatch(
            (place.column - half, place.row - HEIGHT / 2 - 0.12),
            2 * half,
            HEIGHT + 0.24,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=colour,
            edgecolor="#555555",
            linewidth=0.8,
            linestyle="-" if module else "--",
            mutation_aspect=2,
        )
    )
    lines = [(module, 7.4, "normal", "monospace"), (name, 8.6, "bold", "monospace")]
    lines = [line for line in lines if line[0]]
    lines.append((place.words, 7.8, "normal", "sans-serif"))
    for at, (text, size, weight, family) in enumerate(lines):
        axes.text(
            place.column,
            place.row + 0.21 * (at - (len(lines) - 1) / 2),
            text,
            size=size,
            weight=weight,
            family=family,
            ha="center",
            va="center",
            color="#222222",
        )


def arrow(axes: Any, start: Place, end: Place, half: float) -> None:
    """From border to border: down, up, or sideways within a row."""
    edge = HEIGHT / 2 + 0.12
    down = (end.row > start.row) - (end.row < start.row)
    right = (end.column > start.column) - (end.column < start.column)
    lean = 0.3 * half * right if down and abs(end.column - start.column) > half else 0
    if down:
        tail = (start.column + lean, start.row + down * edge)
        head = (end.column - lean, end.row - down * edge)
    else:
        tail, head = (start.column + right * half, start.row), (end.column - right * half, end.row)
    style = {"arrowstyle": "-|>", "color": "#333333", "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", head, tail, arrowprops=style)


def draw(name: str, way: Way, folder: Path, suffix: str = "svg") -> Path:
    """One picture, which carries what it is of."""
    columns = max(place.column for place in way.places.values()) + 1
    rows = max(place.row for place in way.places.values()) + 1
    half = 0.46 if columns > 2 else 0.42
    figure = plt.figure(figsize=(WIDTH, ROW * rows))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axis("off")
    for pair in way.arrows:
        arrow(axes, *(way.places[key] for key in pair), half)
    for place in way.places.values():
        box(axes, place, half)
    path = folder / f"way-{name}.{suffix}"
    known = {"Date": None, "Description": digest(way)} if suffix == "svg" else None
    figure.savefig(path, metadata=known, dpi=110)
    plt.close(figure)
    return path


def main() -> None:
    """Draw every way."""
    with mpl.rc_context(STYLE):
        for name, way in WAYS.items():
            print(draw(name, way, IMAGES).name)


if __name__ == "__main__":
    main()
