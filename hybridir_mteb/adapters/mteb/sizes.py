"""How many texts a task has, and how long they are, as its descriptive statistics say."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from hybridir_mteb.adapters.mteb.register import owner_of, register, task_metadata_of
from hybridir_mteb.errors import SettingError, UnknownNameError, quoted, suggest
from hybridir_mteb.planning.corpus import Texts


def texts_of(name: str) -> Texts:
    """The texts of a task that MTEB knows, ours among them, each different one once.

    Raises:
        UnknownNameError: There is no such task.
        SettingError: Nobody has counted its texts.
    """
    if owner_of(name) is None:
        close = suggest(name, register().tasks)
        raise UnknownNameError(f"unknown task {quoted(name)}{close} ('hybridir tasks' lists ours)")
    metadata = task_metadata_of(name)
    statistics = metadata.descriptive_stats
    for original in () if statistics else metadata.adapted_from or ():
        if owner_of(original):
            statistics = statistics or task_metadata_of(original).descriptive_stats
    if not statistics:
        raise SettingError(
            f"{name}: neither MTEB nor this package has counted its texts: plan with --passages N"
        )
    most = max(map(_of_split, statistics.values()), key=itemgetter(0))
    return Texts(name, *most)


def _of_split(split: Mapping[str, Any]) -> tuple[int, int, float, float]:
    """Passages, queries, and the average length of each in characters."""
    passages, queries = (
        split.get(f"{kind}_text_statistics") or {} for kind in ("documents", "queries")
    )
    counts = [int(of.get("unique_texts") or 0) for of in (passages, queries)]
    lengths = [float(of.get("average_text_length") or 0) for of in (passages, queries)]
    return counts[0], counts[1], lengths[0], lengths[1]
