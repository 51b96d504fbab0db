"""Research code: the picture of how time and memory grow; drawn by ``plots.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

FILE = Path(__file__).parent.parent / "results" / "bench-growth.json"
LOOKS = {"seconds": ("#00306f", "o", "s"), "mib": ("#c9ae3c", "s", "MiB")}
EXPONENTS = {"seconds": "exponent_of_time", "mib": "exponent_of_memory"}


def grown() -> dict[str, Any]:
    """Part -> what was measured of it."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        name: {key: value for key, value in part.items() if key != "made_by"}
        for name, part in found.items()
    }


def draw() -> Any:
    """A panel for each part: time and memory against size, both axes logarithmic."""
    data = grown()
    size = (2.6 * len(data), 3.2)
    figure, row = plt.subplots(1, len(data), figsize=size, squeeze=False, layout="constrained")
    for axes, (name, part) in zip(row[0], data.items(), strict=True):
        for quantity, (colour, shape, unit) in LOOKS.items():
            slope = part[EXPONENTS[quantity]]
            label = f"{unit}, exponent {slope:g}" if slope is not None else unit
            axes.loglog(part["sizes"], part[quantity], color=colour, marker=shape, label=label)
        axes.set_title(name)
        axes.set_xlabel(part["what"])
        axes.set_xticks(part["sizes"], [f"{size:,}" for size in part["sizes"]])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    return figure
