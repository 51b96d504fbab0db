"""The language probe of a streamed pool, on its relevant passages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridir_mteb.measures.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.streamed_search import SubsetSearch


@dataclass(frozen=True)
class Probe:
    """What a linear classifier makes of the embeddings.

    Attributes:
        accuracy: Language -> accuracy; empty where it cannot be trained.
        reason: Why not.
    """

    accuracy: Mapping[str, float]
    reason: str


def probe_of(model: Any, search: SubsetSearch) -> Probe:
    """From the relevant passages of all languages.

    Args:
        model: An encoder.
        search: Any subset of the task.
    """
    vectors: list[FloatMatrix] = []
    languages: list[str] = []
    items: list[str] = []
    for code, pool in zip(search.codes, search.pools(model), strict=True):
        judged = search.task.parts[code].judged()
        wanted = {p for grades in judged.values() for p, grade in grades.items() if grade > 0}
        row = pool.rows_of(sorted(wanted))
        relevant = [
            [row[p] for p, grade in grades.items() if grade > 0 and p in row]
            for grades in judged.values()
        ]
        rows, about = relevant_items(Relevance.from_lists(relevant), np.arange(len(relevant)))
        vectors.append(np.asarray(pool.vectors(rows), np.float32))
        languages += [code] * len(rows)
        items += [f"{code} {number}" for number in about]
    reason = why_no_probe(languages, items)
    if reason:
        return Probe({}, reason)
    return Probe(probe_by_language(np.concatenate(vectors), languages, items), "")
