"""Scores by query: how rank distances are spread, and which questions changed most."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

DISTANCE = "rank_distance"
MEASURES = ("map", DISTANCE, "mrr", "ndcg_at_10")  # of those that scores by query may have
TOP = 10  # questions that became better, and as many that became worse
MOST = 8  # encoders that are compared in pairs
_BINS = 32

Key = tuple[str, str]  # language of the query, and its id


class Texts(NamedTuple):
    """A question, and a passage that answers it; empty where it has none."""

    question: str
    passage: str = ""


TextsOf = Callable[[str, str], Texts | None]  # of a language and a query's id


@dataclass(frozen=True)
class OfCollection:
    """Scores by query of a collection, and its texts.

    Attributes:
        scores: Encoder -> measure -> query -> value; queries without a value are missing.
        texts: Gives the texts of a query; None where it does not know them.
        note: Where they are from, and what to know of them.
    """

    scores: Mapping[str, Mapping[str, Mapping[Key, float]]]
    texts: TextsOf = field(repr=False, default=lambda language, query: None)
    note: str = ""


def as_json(found: OfCollection, at: Mapping[str, int]) -> dict[str, Any]:
    """What the page needs of them.

    Args:
        found: The scores.
        at: Encoder -> its place in the page's list.
    """
    encoders = list(found.scores)[:MOST]
    measures = [name for name in MEASURES if all(name in found.scores[one] for one in encoders)]
    place: dict[Key, int] = {}  # of a text in the list of those that are shown
    changed = {
        f"{at[one]}-{at[other]}": {
            name: [
                (place.setdefault(key, len(place)), round(a, 5), round(b, 5))
                for key, a, b in _most_changed(found.scores[one][name], found.scores[other][name])
            ]
            for name in measures
        }
        for one, other in combinations(sorted(encoders, key=at.__getitem__), 2)
    }
    note = found.note
    if len(found.scores) > MOST:
        note = f"{note} The first {MOST} encoders are compared.".strip()
    return {
        "encoders": sorted(at[one] for one in encoders),
        "measures": measures,
        "changed": changed,
        "texts": [_told(key, found.texts) for key in place],
        "distances": _distances(found, at),
        "note": note,
    }


def _most_changed(
    one: Mapping[Key, float], other: Mapping[Key, float]
) -> list[tuple[Key, float, float]]:
    """The questions with the largest differences of either sign, and their two values."""
    both = [(key, value, other[key]) for key, value in one.items() if key in other]
    both.sort(key=lambda row: (row[2] - row[1], row[0]))
    ends = both if len(both) <= 2 * TOP else [*both[:TOP], *both[-TOP:]]
    return [row for row in ends if row[1] != row[2]]


def _told(key: Key, texts: TextsOf) -> dict[str, str]:
    language, query = key
    found = texts(language, query)
    if found is None:
        return {"language": language, "id": query}
    return {"language": language, "text": found.question, "passage": found.passage}


def _distances(found: OfCollection, at: Mapping[str, int]) -> dict[str, Any] | None:
    """Histograms over bins that are alike in the logarithm of one more than the distance."""
    values = {
        one: [value for value in of[DISTANCE].values() if math.isfinite(value)]
        for one, of in found.scores.items()
        if of.get(DISTANCE)
    }
    every = [value for of in values.values() for value in of]
    if not every:
        return None
    low, high = max(min(every), 1.0), max(*every, 2.0)
    edges = [low * (1.02 * high / low) ** (at_ / _BINS) for at_ in range(_BINS + 1)]
    return {
        "edges": [float(f"{edge:.6g}") for edge in edges],
        "counts": {at[one]: _counts(of, edges) for one, of in values.items()},
        "medians": {at[one]: max(median(of), low) for one, of in values.items()},
    }


def _counts(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * _BINS
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), _BINS - 1)] += 1
    return counts
