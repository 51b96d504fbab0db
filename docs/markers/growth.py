"""How time and memory grow with size: the table of ``bench-growth.json``."""

from __future__ import annotations

from markers.registry import marker
from markers.results import load, made_by, markdown_table, number, pick

FILE = "bench-growth"


@marker("growth")
def growth() -> str:
    """A row for each size of each part, and the exponents behind the last."""
    found = load(FILE)
    rows = []
    for name, part in found.items():
        sizes, seconds, memory = (pick(part, key, FILE) for key in ("sizes", "seconds", "mib"))
        slopes = [part[f"exponent_of_{what}"] for what in ("time", "memory")]
        for at, size in enumerate(sizes):
            shown = [number(slope, 2) if at == len(sizes) - 1 else "" for slope in slopes]
            row = [name if not at else "", f"{size:,} {pick(part, 'what', FILE)}"]
            rows.append([*row, f"{seconds[at]:.3g}", f"{memory[at]:,.0f}", *shown])
    heads = ["", "size", "s", "MiB", "exponent of time", "exponent of memory"]
    made = dict.fromkeys(made_by(part) for part in found.values())
    return "\n\n".join([markdown_table(heads, rows, left=2), *made])
