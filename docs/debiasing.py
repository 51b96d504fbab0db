"""Tables of the page on debiasing, from ``docs/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TITLES = {"XQuADR": "XQuAD-R", "MLQAR": "MLQA-R"}
NONE = "none"
BASE = "pocket-base"
SIGNIFICANT = 0.05
DISTANCE = "multi.rank_distance"
SETTINGS = {
    "mono.map": "monolingual mAP",
    "cross.map": "cross-lingual mAP",
    "multi.map": "multilingual mAP",
    DISTANCE: "rank distance",
}
# Column -> where its value is, factor, digits.
EFFECT = {
    "mono": ("means", "mono.map", 100, 1),
    "cross": ("means", "cross.map", 100, 1),
    "multi": ("means", "multi.map", 100, 1),
    "rank distance": ("means", DISTANCE, 1, 0),
    "`lpr`": ("bias", "lpr", 1, 2),
    "same-language share @10": ("bias", "same_language_share_at_10", 1, 2),
    "`mrc`": ("bias", "mrc", 1, 2),
    "probe": ("bias", "language_probe_accuracy", 1, 2),
}
DIGITS = {"rank_distance": 0, "same_language_share_at_10": 2, "same_language_share_at_100": 2}
HELD_OUT = {
    "mono_map": ("mono", 100, 1),
    "cross_map": ("cross", 100, 1),
    "multi_map": ("multi", 100, 1),
    "criterion": ("mean", 100, 1),
    "rank_distance": ("rank distance", 1, 0),
    "language_probe": ("probe", 1, 2),
}
Rows = list[list[str]]
Table = tuple[list[str], Rows]


def effect_rows(collection: Mapping[str, Any], models: list[str]) -> Table:
    """Every debiaser of some encoders: effectiveness and the main bias measures."""
    rows = []
    for model in models:
        for debiaser, scores in collection["encoders"][model].items():
            cells = [f"`{contender(model, debiaser)}`"]
            for place, key, factor, digits in EFFECT.values():
                cells.append(_number(scores[place][key], factor, digits))
            rows.append(cells)
    return ["encoder", *EFFECT], rows


def bias_rows(collection: Mapping[str, Any], model: str) -> Table:
    """All bias measures of one encoder with every debiaser, with their intervals."""
    by_debiaser = collection["encoders"][model]
    rows = []
    for name in next(iter(by_debiaser.values()))["bias"]:
        digits = DIGITS.get(name, 3)
        cells = [f"`{name}`"]
        for scores in by_debiaser.values():
            text, ends = _number(scores["bias"][name], 1, digits), scores["intervals"].get(name)
            interval = "" if ends is None else f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})"
            cells.append(text + interval)
        rows.append(cells)
    return ["measure", *(f"`{contender(model, d)}`" for d in by_debiaser)], rows


def test_rows(collection: Mapping[str, Any], key: str) -> Table:
    """Differences: the base encoder, debiased, less each trained one; bold where significant."""
    names = _contenders(collection, key)
    debiased = [name for name in names if name.startswith(f"{BASE}+")]
    trained = [name for name in names if "+" not in name]
    rows = []
    for row in debiased:
        differences = (_difference(collection, key, row, column) for column in trained)
        rows.append([f"`{row}`", *(_bold(*difference) for difference in differences)])
    return ["row - column", *(f"`{name}`" for name in trained)], rows


def both_rows(collection: Mapping[str, Any], debiaser: str) -> Table:
    """Every trained encoder, debiased, less itself; bold where significant."""
    rows = []
    for model in collection["encoders"]:
        if model != BASE:
            both = contender(model, debiaser)
            cells = (_bold(*_difference(collection, key, both, model)) for key in SETTINGS)
            rows.append([f"`{both}`", *cells])
    return ["less the same without", *SETTINGS.values()], rows


def verdict_rows(collections: Mapping[str, Any]) -> Table:
    """The best subtraction against the best training, for each setting and collection."""
    rows = []
    for key, label in SETTINGS.items():
        for name, title in TITLES.items():
            collection = collections[name]
            debiased = _best(collection, key, subtraction=True)
            trained = _best(collection, key, subtraction=False)
            text, significant = _difference(collection, key, trained, debiased)
            better = text.startswith("-") == (key == DISTANCE)
            if not significant:
                winner = "no difference shown"
            else:
                winner = "training" if better else "subtraction"
            rows.append([label, title, f"`{trained}`", f"`{debiased}`", text, winner])
    columns = ["setting", "collection", "best training", "best subtraction"]
    return [*columns, "training - subtraction", "better"], rows


def held_out_rows(held_out: Mapping[str, Any]) -> Table:
    """Scores on held-out documents, of every encoder and debiaser."""
    rows = []
    for model, by_debiaser in held_out.items():
        for debiaser, scores in by_debiaser.items():
            cells = [f"`{contender(model, debiaser)}`"]
            rows.append([*cells, *_held_out_cells(scores)])
    return ["encoder", *(label for label, *_ in HELD_OUT.values())], rows


def component_rows(by_k: Mapping[str, Any]) -> Table:
    """Scores on held-out documents of lir with several numbers of components."""
    rows = [[k, *_held_out_cells(scores)] for k, scores in by_k.items()]
    return ["`k`", *(label for label, *_ in HELD_OUT.values())], rows


def contender(model: str, debiaser: str) -> str:
    """Name of an encoder, as it is or debiased."""
    return model if debiaser == NONE else f"{model}+{debiaser}"


def _bold(text: str, significant: bool) -> str:
    return f"**{text}**" if significant else text


def _held_out_cells(scores: Mapping[str, Any]) -> list[str]:
    return [_number(scores[key], factor, d) for key, (_, factor, d) in HELD_OUT.items()]


def _number(value: float | None, factor: int, digits: int) -> str:
    return "–" if value is None else f"{factor * value:.{digits}f}"


def _contenders(collection: Mapping[str, Any], key: str) -> list[str]:
    pairs = (name for row in collection["tests"][key] for name in row["methods"])
    return list(dict.fromkeys(pairs))


def _difference(
    collection: Mapping[str, Any], key: str, first: str, second: str
) -> tuple[str, bool]:
    """First less second, as text, and whether it is significant after correction."""
    for row in collection["tests"][key]:
        if set(row["methods"]) == {first, second}:
            sign = 1 if row["methods"] == [second, first] else -1
            factor, digits = (1, 0) if key == DISTANCE else (100, 1)
            text = f"{sign * factor * row['difference']:+.{digits}f}"
            return text, row["p_holm"] < SIGNIFICANT
    raise KeyError(f"no test of {first} and {second} on {key}")


def _best(collection: Mapping[str, Any], key: str, *, subtraction: bool) -> str:
    """The contender with the best mean: the base encoder debiased, or one that is only trained."""

    def mean(name: str) -> float:
        model, _, debiaser = name.partition("+")
        value: float = collection["encoders"][model][debiaser or NONE]["means"][key]
        return -value if key == DISTANCE else value

    names = [
        name
        for name in _contenders(collection, key)
        if (name.startswith(f"{BASE}+") if subtraction else "+" not in name and name != BASE)
    ]
    return max(names, key=mean)
