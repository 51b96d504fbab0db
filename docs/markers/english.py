"""The comparison's encoders in English alone: tables of ``beir-english-*.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import difference_with_interval, with_interval
from markers.methods import REFERENCE
from markers.registry import marker
from markers.results import load, made_table, markdown_table, pick

MEASURES = {"ndcg_at_10": "nDCG@10", "mrr_at_10": "MRR@10"}


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
            with_interval(cell["mean"], cell["interval"], key)
            for found in collections.values()
            for key, cell in found["contenders"][method].items()
        ]
        rows.append([f"`{method}`", str(len(of["ndcg_at_10"]["seeds"])), *cells])
    columns = ["method", "seeds", *_heads(collections)]
    return made_table(load(f"beir-english-{backbone}"), columns, rows)


@marker("english-against")
def english_against(backbone: str) -> str:
    """``english-against:muse``: ``hybrid`` less every other method; bold where significant."""
    collections = _collections(backbone)
    tests = [(key, found["tests"][key]) for found in collections.values() for key in MEASURES]
    rows = []
    for at, first in enumerate(tests[0][1]):
        cells = [difference_with_interval(of_key[at], key) for key, of_key in tests]
        rows.append([f"`{first['methods'][1]}`", *cells])
    return markdown_table([f"`{REFERENCE}` less", *_heads(collections)], rows)
