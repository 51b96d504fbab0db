"""What one GPU takes (`gpu-check.json`), or that none was at hand (`gpu-rehearsal.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.registry import marker
from markers.results import RESULTS, load, made_by, markdown_table, number

CHECK, REHEARSAL = "gpu-check", "gpu-rehearsal"
NOT_RUN = (
    '!!! warning "Not run on a GPU"\n'
    "    No GPU was at hand. `make gpu-check` measures what a 7B and a 70B decoder take on one GPU "
    "of 80 GB, in nine minutes and without a network, and this place then shows it. What follows "
    "is its rehearsal on a CPU, the same code with networks of {parameters} numbers: it says that "
    "every part runs, and nothing about cost."
)
TITLES = {
    "lora-7b": "LoRA, 7B in bf16",
    "qlora-70b": "QLoRA, 70B in 4 bits",
    "encode-7b": "encoding, 7B in bf16",
    "search": "exact search",
}


@marker("gpu-check")
def gpu_check() -> str:
    """Whether a GPU was measured, and a line for each part."""
    run = (RESULTS / f"{CHECK}.json").is_file()
    found = load(CHECK if run else REHEARSAL)
    parts: Mapping[str, Any] = found["parts"]
    plans = found["predicted"]
    rows = [
        [TITLES[name], *_cells(part), *_predicted(plans.get(name))] for name, part in parts.items()
    ]
    heads = ["part", "result", "peak GB", "seconds in all"]
    heads += ["GB predicted, H100", "s a step predicted, H100"]
    table = markdown_table(heads, rows, left=2)
    blocks = [table, made_by(found)]
    if card := found["made_by"]["machine"].get("card"):
        blocks.append(f"*{card['name']}, {card['memory_gb']} GB, driver {card['driver']}.*")
    if not run:
        blocks.insert(0, NOT_RUN.format(parameters=_parameters(parts)))
    return "\n\n".join(blocks)


def _parameters(parts: Mapping[str, Any]) -> str:
    known = [part["parameters"] for part in parts.values() if "parameters" in part]
    return f"{max(known):,}" if known else "a few"


def _predicted(plan: Mapping[str, float] | None) -> list[str]:
    """What ``hybridir plan`` says of the real sizes, on another card than was measured perhaps."""
    if plan is None:
        return ["–", "–"]
    return [number(plan["peak_gb"], 1), number(plan["seconds_a_step"], 1)]


def _cells(part: Mapping[str, Any]) -> list[str]:
    peak = part.get("peak_gb")
    shown = "–" if peak is None else number(peak, 1)
    return [_result(part), shown, number(part["seconds_in_all"], 1)]


def _result(part: Mapping[str, Any]) -> str:
    """What was found, in words."""
    if "error" in part:
        return f"failed: {part['error'].replace('|', '/')}"
    if "seconds_a_step" in part:
        sizes = part["sizes"]
        layers = f"{sizes['shape']['layers']} layers, {part['parameters'] / 1e9:.2g} G parameters"
        less = part.get("layers_that_did_not_fit")
        fewer = f" ({', '.join(map(str, less))} did not fit)" if less else ""
        return (
            f"{part['seconds_a_step']:g} s a step of {sizes['batch_size']} pairs of "
            f"{sizes['tokens']} tokens, {part['tokens_per_second']:,} tokens/s; {layers}{fewer}"
        )
    if "texts_per_second" in part:
        return (
            f"{part['texts_per_second']:g} texts/s of {part['tokens_of_each']} tokens, "
            f"{part['tokens_per_second']:,} tokens/s"
        )
    return "; ".join(f"{name}: {_search(part[name])}" for name in ("fp32", "bf16"))


def _search(of: Mapping[str, Any]) -> str:
    tops = ", ".join(
        f"{name.replace('_', ' ')} {same}" for name, same in of["queries_with_the_same_top"].items()
    )
    return (
        f"{of['ranks_as_on_the_cpu']} of {of['ranks']} ranks as on the CPU; of {of['queries']} "
        f"queries the same top as {tops}"
    )
