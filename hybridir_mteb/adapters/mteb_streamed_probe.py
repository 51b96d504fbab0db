"""The language probe of a streamed pool, on its relevant passages, once for a model and task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from hybridir_mteb.adapters import mteb_embed
from hybridir_mteb.encode_once import EncodeOnce
from hybridir_mteb.probe import probe_by_language, relevant_items, why_no_probe
from hybridir_mteb.relevance import FloatMatrix, Relevance

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb_streamed_search import SubsetSearch


@dataclass(frozen=True)
class Probe:
    """What a linear classifier makes of the embeddings.

    Attributes:
        accuracy: Language -> accuracy; empty where it cannot be trained.
        reason: Why not.
    """

    accuracy: Mapping[str, float]
    reason: str


class ProbeMemory:
    """The :class:`Probe` of each model that a task has been evaluated with."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[Any, tuple[EncodeOnce, Probe]] = WeakKeyDictionary()

    def get(self, model: Any, search: SubsetSearch) -> Probe:
        """Computed at the first call for a model in its present state.

        Args:
            model: An encoder.
            search: Any subset of the task.
        """
        once = mteb_embed.encode_once_of(model, search.call)
        known = self._found.get(model)
        if known is None or known[0] is not once:  # another model state has another memory
            known = (once, _probe(model, search))
            self._found[model] = known
        return known[1]


def _probe(model: Any, search: SubsetSearch) -> Probe:
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
