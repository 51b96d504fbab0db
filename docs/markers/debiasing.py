"""Debiasing beside training: tables of ``compare-methods-*.json`` and ``debias-pocket.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import (
    DISTANCE,
    HELD_OUT,
    TITLES,
    better_sign,
    difference_with_interval,
    held_out_cells,
    signed,
)
from markers.methods import (
    REFERENCE,
    TESTED,
    collection_of,
    compared_backbones,
    contender_table,
    tested_against,
)
from markers.registry import marker
from markers.results import load, made_table, markdown_table, pick

HELD_OUT_NAME = "debias-pocket"
NONE, BASE = "none", "base"
WINNER = {1: "training", -1: "subtraction", 0: "no difference shown"}


@marker("debias-effect")
def effect(backbone: str, collection: str, method: str) -> str:
    """``debias-effect:pocket XQuADR base``: a method as it is and with every debiaser."""
    return contender_table(backbone, collection, lambda name: name.partition("+")[0] == method)


@marker("debias-both")
def both(backbone: str, collection: str) -> str:
    """``debias-both:pocket XQuADR``: ``hybrid`` with every debiaser, less itself."""
    rows = [
        [f"`{name}`", *(_with_less_without(backbone, collection, key, name) for key in TESTED)]
        for name in collection_of(backbone, collection)["contenders"]
        if name.startswith(f"{REFERENCE}+")
    ]
    return markdown_table([f"less `{REFERENCE}`", *TESTED.values()], rows)


def _with_less_without(backbone: str, collection: str, key: str, name: str) -> str:
    row = tested_against(backbone, collection, key, name)
    low, high = row["interval"]
    turned = {**row, "difference": -row["difference"], "interval": [-high, -low]}
    return difference_with_interval(turned, key)


@marker("debias-verdict")
def verdict(collection: str) -> str:
    """``debias-verdict:XQuADR``: hybrid batches against the best debiaser of the backbone."""
    rows = []
    for backbone in compared_backbones():
        found = collection_of(backbone, collection)["contenders"]
        for key, label in TESTED.items():
            best = _best_subtraction(found, key)
            row = tested_against(backbone, collection, key, best)
            gap = row["difference"]
            winner = WINNER[better_sign(gap, row["p_holm"], key)]
            rows.append([f"`{backbone}`", label, f"`{best}`", signed(gap, key), winner])
    columns = ["backbone", TITLES[collection], "best subtraction", f"`{REFERENCE}` less it"]
    return markdown_table([*columns, "better"], rows, left=3)


def _best_subtraction(found: Mapping[str, Any], key: str) -> str:
    """The debiaser of the backbone with the best mean."""
    names = [name for name in found if name.startswith(f"{BASE}+")]
    better = min if key == DISTANCE else max
    return better(names, key=lambda name: float(found[name]["mean"][key]))


@marker("debias-heldout")
def held_out() -> str:
    """Scores on held-out documents, of encoders of the package with every debiaser."""
    content = load(HELD_OUT_NAME)
    rows = [
        [f"`{model}`" if debiaser == NONE else f"`{model}+{debiaser}`", *held_out_cells(scores)]
        for model, by_debiaser in pick(content, "held_out", HELD_OUT_NAME).items()
        for debiaser, scores in by_debiaser.items()
    ]
    return made_table(content, ["encoder", *HELD_OUT], rows)
