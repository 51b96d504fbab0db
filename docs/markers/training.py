"""A training step beside the stock trainer's: the table of ``bench-training.json``."""

from __future__ import annotations

from markers.registry import marker
from markers.results import load, made_table, pick

FILE = "bench-training"
STOCK = "stock_fp32"


@marker("training-steps")
def steps() -> str:
    """Each way of making a step: its time, share of the peak, memory, and how far its loss is."""
    found = load(FILE)
    rows = []
    for name, way in pick(found, "ways", FILE).items():
        values = [pick(way, key, FILE) for key in ("seconds_a_step", "times_as_fast")]
        share, memory = (
            pick(way, "share_of_peak", FILE),
            pick(way, "peak_mib_added_by_training", FILE),
        )
        gap = pick(way, "largest_difference_of_losses", FILE)
        rows.append(
            [
                way["says"],
                f"{values[0]:.2f}",
                f"{values[1]:.2f}",
                f"{share:.2f}",
                f"{memory:,}",
                "" if name == STOCK else f"{gap:.4f}",
            ]
        )
    heads = ["", "s a step", "times as fast", "share of the peak", "MiB", "difference of the loss"]
    return made_table(found, heads, rows)


@marker("training-goal")
def goal() -> str:
    """The goal, and whether the best of ours keeps to it."""
    found = load(FILE)
    least = pick(found, "limits.times_as_fast", FILE)
    ours = [w["times_as_fast"] for n, w in found["ways"].items() if not n.startswith("stock")]
    met = "met" if max(ours) >= least else "**missed**"
    return f"at least {least:g} times the stock trainer in fp32: {met}, with {max(ours):g}"
