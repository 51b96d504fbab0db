"""Debiasing without training: tables of ``compare-debiasing.json`` and ``debias-pocket.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import (
    DISTANCE,
    HELD_OUT,
    MAP,
    SIGNIFICANT,
    TITLES,
    difference,
    held_out_cells,
    signed,
    tested,
)
from markers.registry import marker
from markers.results import load, made_table, number, pick

NAME, HELD_OUT_NAME = "compare-debiasing", "debias-pocket"
NONE = "none"
BASE = "pocket-base"
SETTINGS = {**MAP, DISTANCE: "rank distance"}
# Column -> where its value is, digits, factor.
EFFECT = {
    "mono": ("means", "mono.map", 1, 100),
    "cross": ("means", "cross.map", 1, 100),
    "multi": ("means", "multi.map", 1, 100),
    "rank distance": ("means", DISTANCE, 0, 1),
    "`lpr`": ("bias", "lpr", 2, 1),
    "same-language share @10": ("bias", "same_language_share_at_10", 2, 1),
    "`mrc`": ("bias", "mrc", 2, 1),
    "probe": ("bias", "language_probe_accuracy", 2, 1),
}
DIGITS = {"rank_distance": 0, "same_language_share_at_10": 2, "same_language_share_at_100": 2}


def contender(model: str, debiaser: str) -> str:
    """Name of an encoder, as it is or debiased."""
    return model if debiaser == NONE else f"{model}+{debiaser}"


def _collection(name: str) -> dict[str, Any]:
    found: dict[str, Any] = pick(load(NAME), f"collections.{name}", NAME)
    return found


@marker("debias-effect")
def effect(collection: str, *models: str) -> str:
    """``debias-effect:XQuADR pocket-base``: every debiaser of some encoders, and what it does."""
    rows = []
    for model in models:
        for debiaser, scores in _collection(collection)["encoders"][model].items():
            cells = (number(scores[place][key], *form) for place, key, *form in EFFECT.values())
            rows.append([f"`{contender(model, debiaser)}`", *cells])
    return made_table(load(NAME), ["encoder", *EFFECT], rows)


@marker("debias-bias")
def bias(collection: str, model: str) -> str:
    """All bias measures of one encoder with every debiaser, with their intervals."""
    by_debiaser = _collection(collection)["encoders"][model]
    rows = []
    for name in next(iter(by_debiaser.values()))["bias"]:
        digits = DIGITS.get(name, 3)
        cells = [f"`{name}`"]
        for scores in by_debiaser.values():
            text, ends = number(scores["bias"][name], digits), scores["intervals"].get(name)
            interval = "" if ends is None else f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
            cells.append(text + interval)
        rows.append(cells)
    columns = ["measure", *(f"`{contender(model, debiaser)}`" for debiaser in by_debiaser)]
    return made_table(load(NAME), columns, rows)


@marker("debias-differences")
def differences(collection: str, key: str) -> str:
    """The base encoder, debiased, less each one that is not."""
    found = _collection(collection)
    debiased, trained = _contenders(found, key)
    rows = [[f"`{row}`", *(difference(found, key, row, t) for t in trained)] for row in debiased]
    return made_table(load(NAME), ["row - column", *(f"`{name}`" for name in trained)], rows)


@marker("debias-both")
def both(collection: str, debiaser: str) -> str:
    """Every trained encoder, debiased, less itself."""
    found = _collection(collection)
    rows = []
    for model in found["encoders"]:
        if model != BASE:
            name = contender(model, debiaser)
            rows.append([f"`{name}`", *(difference(found, key, name, model) for key in SETTINGS)])
    return made_table(load(NAME), ["less the same without", *SETTINGS.values()], rows)


@marker("debias-verdict")
def verdict() -> str:
    """The best subtraction against the best training, for each setting and collection."""
    rows = []
    for key, label in SETTINGS.items():
        for name, title in TITLES.items():
            found = _collection(name)
            debiased, trained = (_best(found, key, names) for names in _contenders(found, key))
            gap, p = tested(found, key, trained, debiased)
            winner = "training" if (gap < 0) == (key == DISTANCE) else "subtraction"
            winner = winner if p < SIGNIFICANT else "no difference shown"
            rows.append([label, title, f"`{trained}`", f"`{debiased}`", signed(gap, key), winner])
    columns = ["setting", "collection", "best training", "best subtraction"]
    columns += ["training - subtraction", "better"]
    return made_table(load(NAME), columns, rows, left=4)


@marker("debias-heldout")
def held_out() -> str:
    """Scores on held-out documents, of every encoder and debiaser."""
    content = load(HELD_OUT_NAME)
    rows = [
        [f"`{contender(model, debiaser)}`", *held_out_cells(scores)]
        for model, by_debiaser in pick(content, "held_out", HELD_OUT_NAME).items()
        for debiaser, scores in by_debiaser.items()
    ]
    return made_table(content, ["encoder", *HELD_OUT], rows)


@marker("debias-components")
def components() -> str:
    """Scores on held-out documents of lir with several numbers of components."""
    content = load(HELD_OUT_NAME)
    by_k = pick(content, "lir_components", HELD_OUT_NAME)
    rows = [[k, *held_out_cells(scores)] for k, scores in by_k.items()]
    return made_table(content, ["`k`", *HELD_OUT], rows)


def _contenders(collection: Mapping[str, Any], key: str) -> tuple[list[str], list[str]]:
    """What is tested against one another: the base encoder, debiased, and what is not debiased."""
    names = dict.fromkeys(name for row in collection["tests"][key] for name in row["methods"])
    debiased = [name for name in names if name.startswith(f"{BASE}+")]
    return debiased, [name for name in names if "+" not in name]


def _best(collection: Mapping[str, Any], key: str, names: list[str]) -> str:
    """The contender with the best mean; the base encoder as it is competes in neither list."""

    def mean(name: str) -> float:
        model, _, debiaser = name.partition("+")
        value: float = collection["encoders"][model][debiaser or NONE]["means"][key]
        return -value if key == DISTANCE else value

    return max((name for name in names if name != BASE), key=mean)
