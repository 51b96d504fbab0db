"""Tables of the page on hybrid and adversarial training, from ``docs/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
# A claim of Elmahdy et al. 2024 about hybrid batches: measure, method, the one it is compared with.
CLAIMS = (
    ("Hybrid batches beat monolingual ones in cross-lingual retrieval", "cross.map", "mono"),
    ("Hybrid batches beat monolingual ones in multilingual retrieval", "multi.map", "mono"),
    ("Hybrid batches beat cross-lingual ones in monolingual retrieval", "mono.map", "cross"),
    ("Hybrid batches beat the backbone in monolingual retrieval", "mono.map", "base"),
    ("Hybrid batches beat the backbone in multilingual retrieval", "multi.map", "base"),
    (
        "Hybrid batches beat adversarial training in multilingual retrieval",
        "multi.map",
        "adversarial",
    ),
    (
        "Hybrid batches beat adversarial training in monolingual retrieval",
        "mono.map",
        "adversarial",
    ),
)
Rows = list[list[str]]


def method_rows(collection: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Mean and deviation over seeds of every method."""
    rows = []
    for method, found in collection["methods"].items():
        cells = [f"`{method}`", str(len(found["seeds"]))]
        for key in SHOWN:
            factor, digits = (1, 0) if key.endswith("distance") else (100, 1)
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
    """Differences in points between methods (row minus column); bold where significant."""
    methods = list(collection["methods"])
    rows = []
    for row in methods:
        cells = [f"`{row}`"]
        for column in methods:
            if row == column:
                cells.append("")
                continue
            difference, p = _test(collection, key, column, row)
            text = f"{100 * difference:+.1f}"
            cells.append(f"**{text}**" if p < SIGNIFICANT else text)
        rows.append(cells)
    return ["mAP, row - column", *(f"`{method}`" for method in methods)], rows


def claim_rows(collections: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Each claim with the difference on each collection and a verdict."""
    rows = []
    for claim, key, other in CLAIMS:
        verdicts, cells = [], []
        for name in TITLES:
            difference, p = _test(collections[name], key, other, "hybrid")
            verdicts.append(0 if p >= SIGNIFICANT else (1 if difference > 0 else -1))
            cells.append(f"{100 * difference:+.1f} (p = {p:.2g})")
        rows.append([claim, f"`{key}`", *cells, verdict(verdicts)])
    return ["claim", "measure", *TITLES.values(), "verdict"], rows


def verdict(signs: list[int]) -> str:
    """What significant differences say: 1 for the claim, -1 against it, 0 neither."""
    if all(sign == 1 for sign in signs):
        return "holds"
    if all(sign == -1 for sign in signs):
        return "the reverse holds"
    if all(sign == 0 for sign in signs):
        return "no difference shown"
    return "mixed" if {1, -1} <= set(signs) else ("partly" if 1 in signs else "partly reversed")
