"""Sharding beside one process: the table of ``fsdp.json``."""

from __future__ import annotations

from typing import Any

from markers.registry import marker
from markers.results import RESULTS, load, made_table

NAME = "fsdp"
HEADS = [
    "steps",
    "one process",
    "two, sharded",
    "largest difference",
    "share of the network in each",
]
NONE = "*No run is committed yet; `make fsdp-check` writes `docs/results/fsdp.json`.*"


@marker("fsdp")
def table() -> str:
    """Losses of the last step, how far the curves are apart, and what became of the killed run."""
    if not (RESULTS / f"{NAME}.json").is_file():
        return NONE
    found = load(NAME)
    rows = [[name, *_cells(of, found["steps"])] for name, of in found["variants"].items()]
    return f"{made_table(found, ['variant', *HEADS], rows)}\n\n{_killed(found)}"


def _cells(of: dict[str, Any], steps: int) -> list[str]:
    last = [f"{of['losses'][which][-1]:.6f}" for which in ("one", "sharded")]
    share = " and ".join(f"{100 * part:.0f} %" for part in of["share"])
    return [str(steps), *last, f"{of['largest_difference']:.1e}", share]


def _killed(found: dict[str, Any]) -> str:
    killed = found["killed"]
    same = "the same" if killed["equal"] and killed["curves_equal"] else "NOT the same"
    checkpoint = killed["checkpoint"]
    size = sum(checkpoint["bytes"].values()) / 1e6
    return (
        f"`{found['backbone']}`, {found['parameters'] / 1e6:.0f} M parameters, a global batch of "
        f"{found['global_batch']}. The run that was killed in its last step and started again gave "
        f"{same} encoder and curve as the unbroken one. Its checkpoint held "
        f"{checkpoint['adapters']} tensors of adapters and {checkpoint['frozen']} of the frozen "
        f"network, {size:.1f} MB with the optimiser."
    )
