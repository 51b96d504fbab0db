"""Tables of the page on hybrid and adversarial training, from ``docs/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

TITLES = {"XQuADR": "XQuAD-R", "MLQAR": "MLQA-R"}
SHOWN = {
    "mono.map": "mono mAP",
    "cross.map": "cross mAP",
    "multi.map": "multi mAP",
    "multi.ndcg_at_10": "multi nDCG@10",
    "multi.mrr_at_10": "multi MRR@10",
    "multi.rank_distance": "rank distance",
}
SIGNIFICANT = 0.05
DISTANCE = "multi.rank_distance"  # lower is better, in ranks; the others are mAP


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


SETTINGS = {"mono.map": "monolingual", "cross.map": "cross-lingual", "multi.map": "multilingual"}
# Elmahdy et al. 2024, abstract: comparable or superior to monolingual and to cross-lingual batches
# in every setting, and less language bias than monolingual batches.
OF_THE_PAPER = (
    *(Claim(other, key, at_least=True) for other in ("mono", "cross") for key in SETTINGS),
    Claim("mono", DISTANCE),
)
AGAINST_ADVERSARIAL = tuple(Claim("adversarial", key) for key in (*SETTINGS, DISTANCE))
CLAIMS = {"paper": OF_THE_PAPER, "adversarial": AGAINST_ADVERSARIAL}
Rows = list[list[str]]


def _scale(key: str) -> tuple[int, int]:
    """Factor and digits: ranks as they are, everything else in percent."""
    return (1, 0) if key == DISTANCE else (100, 1)


def method_rows(collection: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Mean and deviation over seeds of every method."""
    rows = []
    for method, found in collection["methods"].items():
        cells = [f"`{method}`", str(len(found["seeds"]))]
        for key in SHOWN:
            factor, digits = _scale(key)
            mean, deviation = found["mean"][key], found["deviation"][key]
            text = f"{factor * mean:.{digits}f}"
            cells.append(text if deviation is None else f"{text} ± {factor * deviation:.{digits}f}")
        rows.append(cells)
    return ["method", "seeds", *SHOWN.values()], rows


def _test(collection: Mapping[str, Any], key: str, first: str, second: str) -> tuple[float, float]:
    """Difference second - first, and its corrected p-value."""
    for row in collection["tests"][key]:
        if row["methods"] == [first, second]:
            return row["difference"], row["p_holm"]
        if row["methods"] == [second, first]:
            return -row["difference"], row["p_holm"]
    raise KeyError(f"no test of {first} and {second} on {key}")


def test_rows(collection: Mapping[str, Any], key: str) -> tuple[list[str], Rows]:
    """Differences between methods (row minus column); bold where significant."""
    factor, digits = _scale(key)
    methods = list(collection["methods"])
    rows = []
    for row in methods:
        cells = [f"`{row}`"]
        for column in methods:
            if row == column:
                cells.append("")
                continue
            difference, p = _test(collection, key, column, row)
            text = f"{factor * difference:+.{digits}f}"
            cells.append(f"**{text}**" if p < SIGNIFICANT else text)
        rows.append(cells)
    return ["row - column", *(f"`{method}`" for method in methods)], rows


def claim_rows(collections: Mapping[str, Any], which: str) -> tuple[list[str], Rows]:
    """Each claim with the difference on each collection and a verdict."""
    rows = []
    for claim in CLAIMS[which]:
        signs, cells = [], []
        for name in TITLES:
            difference, p = _test(collections[name], claim.key, claim.other, "hybrid")
            better = -difference if claim.key == DISTANCE else difference
            signs.append(0 if p >= SIGNIFICANT else (1 if better > 0 else -1))
            factor, digits = _scale(claim.key)
            cells.append(f"{factor * difference:+.{digits}f} (p = {p:.2g})")
        rows.append([_sentence(claim), *cells, verdict(signs, at_least=claim.at_least)])
    return ["`hybrid` is", *TITLES.values(), "verdict"], rows


def _sentence(claim: Claim) -> str:
    if claim.key == DISTANCE:
        return f"less biased than `{claim.other}` (rank distance)"
    setting = SETTINGS[claim.key]
    how = "at least as good as" if claim.at_least else "better than"
    return f"{how} `{claim.other}`, {setting} mAP"


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
