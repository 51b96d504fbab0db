"""What ``hybridir plan`` predicts, beside what was measured: ``plan-check``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markers.registry import marker
from markers.results import RESULTS, Rows, made_by, markdown_table, number

COLUMNS = (
    "",
    "case",
    "texts",
    "tokens",
    "MB predicted",
    "MB measured",
    "error",
    "MB with blocks held",
)
TIMED = ("s a step predicted", "s measured", "factor")
MISSING = "*Not measured: `docs/results/{name}.json` is missing; `make {name}` writes it.*"


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.is_file() else None
    return found


@marker("plan-check")
def plan_check() -> str:
    """Memory and time of every backbone that was trained here, or that nothing was measured."""
    found = _read("plan-check")
    if found is None:
        return MISSING.format(name="plan-check")
    made = dict.fromkeys(made_by(of) for of in found.values())
    return "\n\n".join([markdown_table([*COLUMNS, *TIMED], check_rows(found), left=2), *made])


def check_rows(found: Mapping[str, Any]) -> Rows:
    """A row for each case of each backbone."""
    rows = []
    for backbone, of in found.items():
        for name, case in of["cases"].items():
            predicted, measured = case["predicted"], case["measured"]
            sizes = predicted["bytes"], measured["bytes"]
            rows.append(
                [
                    *(f"`{backbone}`", name, str(case["texts"]), str(case["tokens"])),
                    *(f"{size / 1e6:,.0f}" for size in sizes),
                    f"{sizes[0] / sizes[1] - 1:+.0%}",
                    number(measured.get("bytes_by_default"), 0, 1e-6),
                    *_times(predicted["seconds"], measured["seconds"]),
                ]
            )
    return rows


def _times(predicted: float | None, measured: float | None) -> tuple[str, str, str]:
    if predicted is None or measured is None:
        return "–", "–", "–"
    return f"{predicted:.2f}", f"{measured:.2f}", f"{predicted / measured:.2f}"


@marker("machines")
def machines() -> str:
    """The machines that plans know."""
    from hybridir_mteb.planning.machines import MACHINES

    rows = [
        [
            f"`{one.name}`",
            f"{one.memory / 2**30:.1f}",
            *(f"{rate / 1e12:g}" for rate in (one.bf16, one.fp32)),
            f"{one.bandwidth / 1e12:g}",
            *(f"{rate / 1e9:g}" for rate in (one.link, one.network)),
        ]
        for one in MACHINES.values()
        if one.devices == 1
    ]
    columns = ["", "GiB", "bf16 TFLOP/s", "fp32 TFLOP/s", "TB/s of memory"]
    return markdown_table([*columns, "GB/s in a node", "GB/s between nodes"], rows)


@marker("formulas")
def formulas() -> str:
    """How plans are computed, in the words that the command prints."""
    from hybridir_mteb.planning.report import FORMULAS

    return markdown_table(["", "how"], [[name, how] for name, how in FORMULAS.items()], left=2)
