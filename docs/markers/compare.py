"""Training methods side by side: tables of ``compare-pocket.json`` and ``train-pocket.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from markers.registry import marker
from markers.results import SETTINGS, Table, load, made_table, markdown_table, number, pick

NAME = "compare-pocket"
TITLES = {"XQuADR": "XQuAD-R", "MLQAR": "MLQA-R"}
DISTANCE = "multi.rank_distance"  # lower is better, in ranks; the others are mAP
MAP = {f"{key}.map": f"{label} mAP" for key, label in SETTINGS.items()}
SHOWN = {
    "mono.map": "mono mAP",
    "cross.map": "cross mAP",
    "multi.map": "multi mAP",
    "multi.ndcg_at_10": "multi nDCG@10",
    "multi.mrr_at_10": "multi MRR@10",
    DISTANCE: "rank distance",
}
SIGNIFICANT = 0.05


class Claim(NamedTuple):
    """What is said of hybrid batches against another method.

    Attributes:
        other: The method they are compared with.
        key: Setting and measure.
        at_least: Only "not worse" is claimed.
    """

    other: str
    key: str
    at_least: bool = False

    def sentence(self) -> str:
        """What ``hybrid`` is said to be."""
        if self.key == DISTANCE:
            return f"less biased than `{self.other}` (rank distance)"
        how = "at least as good as" if self.at_least else "better than"
        return f"{how} `{self.other}`, {MAP[self.key]}"


# Elmahdy et al. 2024, abstract: comparable or superior to monolingual and to cross-lingual batches
# in every setting, and less language bias than monolingual batches.
OF_THE_PAPER = (
    *(Claim(other, key, at_least=True) for other in ("mono", "cross") for key in MAP),
    Claim("mono", DISTANCE),
)
CLAIMS = {
    "paper": OF_THE_PAPER,
    "adversarial": tuple(Claim("adversarial", key) for key in (*MAP, DISTANCE)),
}


def scale(key: str) -> tuple[int, int]:
    """Factor and digits: ranks as they are, everything else in percent."""
    return (1, 0) if key == DISTANCE else (100, 1)


def signed(difference: float, key: str) -> str:
    """A difference with its sign, in the unit of its measure."""
    factor, digits = scale(key)
    return f"{factor * difference:+.{digits}f}"


def tested(collection: Mapping[str, Any], key: str, one: str, other: str) -> tuple[float, float]:
    """The first contender less the second, and the corrected p-value of the difference."""
    for row in collection["tests"][key]:
        if row["methods"] == [other, one]:
            return row["difference"], row["p_holm"]
        if row["methods"] == [one, other]:
            return -row["difference"], row["p_holm"]
    raise KeyError(f"no test of {one} and {other} on {key}")


def difference(collection: Mapping[str, Any], key: str, one: str, other: str) -> str:
    """The first contender less the second; bold where significant."""
    return bold_if_significant(*tested(collection, key, one, other), key)


def bold_if_significant(found: float, p: float, key: str) -> str:
    """A difference with its sign."""
    return f"**{signed(found, key)}**" if p < SIGNIFICANT else signed(found, key)


def with_interval(mean: float, interval: Iterable[float], key: str) -> str:
    """A mean and its interval, in the unit of its measure."""
    factor, digits = scale(key)
    low, high = (number(end, digits, factor) for end in interval)
    return f"{number(mean, digits, factor)} [{low}, {high}]"


def difference_with_interval(row: Mapping[str, Any], key: str) -> str:
    """The difference of a test, bold where significant, and its interval."""
    low, high = (signed(end, key) for end in row["interval"])
    return f"{bold_if_significant(row['difference'], row['p_holm'], key)} [{low}, {high}]"


def method_rows(collection: Mapping[str, Any]) -> Table:
    """Mean and deviation over seeds of every method."""
    rows = []
    for method, found in collection["methods"].items():
        cells = [f"`{method}`", str(len(found["seeds"]))]
        for key in SHOWN:
            factor, digits = scale(key)
            text, deviation = number(found["mean"][key], digits, factor), found["deviation"][key]
            spread = "" if deviation is None else f" ± {number(deviation, digits, factor)}"
            cells.append(text + spread)
        rows.append(cells)
    return ["method", "seeds", *SHOWN.values()], rows


def difference_rows(collection: Mapping[str, Any], key: str) -> Table:
    """Differences between methods, row minus column."""
    methods = list(collection["methods"])
    rows = []
    for row in methods:
        cells = ("" if row == m else difference(collection, key, row, m) for m in methods)
        rows.append([f"`{row}`", *cells])
    return ["row - column", *(f"`{method}`" for method in methods)], rows


def claim_rows(collections: Mapping[str, Any], which: str) -> Table:
    """Each claim with the difference on each collection and a verdict."""
    rows = []
    for claim in CLAIMS[which]:
        signs, cells = [], []
        for name in TITLES:
            found, p = tested(collections[name], claim.key, "hybrid", claim.other)
            better = (found < 0) == (claim.key == DISTANCE)
            signs.append(0 if p >= SIGNIFICANT else (1 if better else -1))
            cells.append(f"{signed(found, claim.key)} (p = {p:.2g})")
        rows.append([claim.sentence(), *cells, verdict(signs, at_least=claim.at_least)])
    return ["`hybrid` is", *TITLES.values(), "verdict"], rows


def verdict(signs: list[int], *, at_least: bool = False) -> str:
    """What significant differences say of a claim.

    Args:
        signs: For each collection, 1 for better, -1 for worse, 0 for no significant difference.
        at_least: The claim is "not worse".
    """
    if all(sign == 1 for sign in signs):
        return "holds, and better" if at_least else "holds"
    if all(sign == -1 for sign in signs):
        return "fails: worse" if at_least else "the reverse holds"
    if at_least:
        return "holds" if -1 not in signs else "fails on one"
    if all(sign == 0 for sign in signs):
        return "no difference shown"
    return "mixed" if {1, -1} <= set(signs) else ("on one" if 1 in signs else "the reverse on one")


@marker("claims")
def claims(which: str) -> str:
    """``claims:paper`` or ``claims:adversarial``."""
    return markdown_table(*claim_rows(pick(load(NAME), "collections", NAME), which))


@marker("methods")
def methods(collection: str) -> str:
    """``methods:XQuADR``: scores of every method."""
    content = load(NAME)
    return made_table(content, *method_rows(pick(content, f"collections.{collection}", NAME)))


@marker("method-differences")
def differences(collection: str, key: str) -> str:
    """``method-differences:XQuADR multi.map``: every method less every other."""
    content = load(NAME)
    found = pick(content, f"collections.{collection}", NAME)
    return made_table(content, *difference_rows(found, key))


@marker("heldout")
def held_out() -> str:
    """Held-out scores of every seed of the pocket encoders, and which seed ships."""
    content = load("train-pocket")
    measures = ["mono_map", "cross_map", "multi_map", "rank_distance", "language_probe"]
    rows = [["`base`", "", *(number(content["backbone"][m], 3) for m in measures), ""]]
    for method, found in content["methods"].items():
        for seed, values in found["held_out"].items():
            shipped = "yes" if int(seed) == found["shipped_seed"] else ""
            numbers = [number(values[measure], 3) for measure in measures]
            rows.append([f"`{method}`", seed, *numbers, shipped])
    columns = ["method", "seed", *(f"`{measure}`" for measure in measures), "shipped"]
    return made_table(content, columns, rows)
