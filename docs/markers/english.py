"""The comparison's encoders in English alone: tables of ``beir-english-*.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import SIGNIFICANT
from markers.registry import marker
from markers.results import load, made_table, markdown_table, number, pick

MEASURES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10"}
REFERENCE = "hybrid"


def _collections(backbone: str) -> dict[str, Any]:
    name = f"beir-english-{backbone}"
    found: dict[str, Any] = pick(load(name), "collections", name)
    return found


def _heads(collections: Mapping[str, Any]) -> list[str]:
    return [f"{title} {label}" for title in collections for label in MEASURES.values()]


@marker("english")
def english(backbone: str) -> str:
    """``english:muse``: means over seeds with intervals, a row for each method."""
    collections = _collections(backbone)
    first = next(iter(collections.values()))["contenders"]
    rows = []
    for method, of in first.items():
        cells = [
            _with_interval(found["contenders"][method][key])
            for found in collections.values()
            for key in MEASURES
        ]
        rows.append([f"`{method}`", str(len(of["ndcg_at_10"]["seeds"])), *cells])
    columns = ["method", "seeds", *_heads(collections)]
    return made_table(load(f"beir-english-{backbone}"), columns, rows)


def _with_interval(of: Mapping[str, Any]) -> str:
    low, high = (number(end, 1, 100) for end in of["interval"])
    return f"{number(of['mean'], 1, 100)} [{low}, {high}]"


@marker("english-against")
def english_against(backbone: str) -> str:
    """``english-against:muse``: ``hybrid`` less every other method; bold where significant."""
    collections = _collections(backbone)
    tests = [found["tests"][key] for found in collections.values() for key in MEASURES]
    rows = []
    for of_other in zip(*tests, strict=True):
        cells = [_difference(row) for row in of_other]
        rows.append([f"`{of_other[0]['methods'][1]}`", *cells])
    return markdown_table([f"`{REFERENCE}` less", *_heads(collections)], rows)


def _difference(row: Mapping[str, Any]) -> str:
    said = f"{100 * row['difference']:+.1f}"
    said = f"**{said}**" if row["p_holm"] < SIGNIFICANT else said
    low, high = (f"{100 * end:+.1f}" for end in row["interval"])
    return f"{said} [{low}, {high}]"
