"""Which encoders of a result folder are not zero-shot on a collection, as MTEB says it.

MTEB decides by the training data that a model's metadata list, those of its backbone included; the
metadata are beside the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.results.naming import META

Pair = tuple[str, str]  # collection and encoder


def trained_on(folder: Path) -> dict[str, frozenset[str]]:
    """Encoder -> the MTEB tasks on whose data it was trained; without those that do not say.

    Args:
        folder: The ``--output-folder`` of ``mteb run``.
    """
    found: dict[str, frozenset[str]] = {}
    for path in sorted(folder.rglob(META)):
        try:
            meta = read_json_object(path, nan=True)
        except (DataFormatError, OSError):  # results are shown without it, too
            continue
        name, tasks = meta.get("name"), meta.get("training_datasets")
        if isinstance(name, str) and isinstance(tasks, list):
            found[name] = found.get(name, frozenset()) | frozenset(map(str, tasks))
    return found


def not_zero_shot(
    folder: Path, pairs: Iterable[Pair], same_data: Mapping[str, frozenset[str]]
) -> dict[str, list[str]]:
    """Collection -> the encoders that were trained on its data, in the order of the pairs.

    Args:
        folder: The ``--output-folder`` of ``mteb run``.
        pairs: Collections, or tasks, and encoders; a word in brackets may follow an encoder's name.
        same_data: Collection, or task -> MTEB's names for tasks on the same data.
    """
    seen = trained_on(folder)
    found: dict[str, list[str]] = {}
    for collection, encoder in pairs:
        tasks = seen.get(encoder.partition(" ")[0], frozenset())
        if tasks & same_data.get(collection, frozenset()):
            found.setdefault(collection, []).append(encoder)
    return found
