"""Refuses training data that occur in an evaluation set: zero-shot is a promise.

Texts are compared whole and sentence by sentence, by a hash of their letters and digits, so that
punctuation, case and spacing do not hide a copy.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.download import locate
from hybridir_mteb.collections.hub import HubDataset
from hybridir_mteb.collections.own import OWNER, added_folders
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.errors import DataUnavailableError, LeakError, quoted
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.specs import CollectionSpec
from hybridir_mteb.training.pairs import Source, normalise
from hybridir_mteb.training.sources.jsonl import read_objects

# In letters: "In the 1990s." occurs everywhere and proves nothing.
SHORTEST = 16
IDEOGRAPH = 2  # a Chinese character, kana or Hangul syllable says as much as so many letters
_IDEOGRAPHS = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟।;])\s*")
SHOWN = 3


class Leak(NamedTuple):
    """A training item of which a text occurs in an evaluation set.

    Attributes:
        source: Name of the training data.
        item: Id of the item.
        language: Language of the text.
        evaluation_set: Where it occurs.
    """

    source: str
    item: str
    language: str
    evaluation_set: str

    def __str__(self) -> str:
        return (
            f"{self.source}: item {quoted(self.item)} in {quoted(self.language)} occurs in "
            f"{self.evaluation_set}"
        )


@dataclass
class EvaluationTexts:
    """Hashes of the sentences of evaluation sets.

    Attributes:
        checked: Sets whose texts are in here.
        not_at_hand: Sets that could not be read on this machine.
    """

    checked: list[str] = field(default_factory=list)
    not_at_hand: list[str] = field(default_factory=list)
    _set_of: dict[bytes, str] = field(default_factory=dict)

    def add(self, name: str, texts: Iterable[str]) -> None:
        """Take up the texts of one set."""
        for text in texts:
            for digest in _digests(text):
                self._set_of.setdefault(digest, name)
        self.checked.append(name)

    def find(self, text: str) -> str | None:
        """The set in which the text, or a sentence of it, occurs."""
        return next((self._set_of[d] for d in _digests(text) if d in self._set_of), None)


def _digests(text: str) -> Iterator[bytes]:
    for part in {text, *_SENTENCE_END.split(text)}:
        plain = normalise(part)
        if len(plain) + (IDEOGRAPH - 1) * len(_IDEOGRAPHS.findall(plain)) >= SHORTEST:
            yield hashlib.blake2b(plain.encode(), digest_size=12).digest()


def evaluation_texts(beir_folders: Iterable[Path] = ()) -> EvaluationTexts:
    """The texts of every collection that plugins registered or the user added, and of BEIR folders.

    Of streamed collections that plugins registered, such as MIRACL, the queries only. Collections
    made of data sets of the hub count once they were fetched, as the hub's other data sets do. BEIR
    folders are those that are given, and those in the local mirror.
    """
    found = EvaluationTexts()
    mirror = paths.mirror_dir()
    folders = {path.parent for path in (mirror.glob("*/corpus.jsonl") if mirror else ())}
    collections = installed_plugins().collections
    for name, spec in collections.items():
        if not spec.parallel:
            if collections.owner(name) != OWNER:
                _add_queries(found, spec)
        elif all(locate(file) for file in spec.files):
            _add(found, name, spec.read, spec.languages)
        elif not all(isinstance(file, HubDataset) for file in spec.files):
            found.not_at_hand.append(name)
    for folder in sorted({*folders, *beir_folders}):
        found.add(folder.name, _beir(folder))
    for record in added_folders():
        place = Path(record.folder)
        if place not in {folder.absolute() for folder in folders}:
            given = place, record.split, record.language, record.name
            _add(found, record.name, read_beir_folder, *given)
    return found


def _add(
    found: EvaluationTexts,
    name: str,
    read: Callable[..., CollectionPart | dict[str, CollectionPart]],
    *given: Any,
) -> None:
    """Take up a set, unless it cannot be read: a folder that was added, and moved."""
    try:
        parts = read(*given)
    except DataUnavailableError:
        found.not_at_hand.append(name)
        return
    every = list(parts.values()) if isinstance(parts, dict) else [parts]
    queries = (text for part in every for text in part.queries.values())
    passages = (passage.text for part in every for passage in part.passages.passages())
    found.add(name, chain(queries, passages))


def _add_queries(found: EvaluationTexts, spec: CollectionSpec) -> None:
    """Of streamed collections only the queries: passages are millions, and found anywhere."""
    label = f"{spec.name} topics"
    absent = {file.language for file in spec.files if locate(file) is None}
    at_hand = [code for code in spec.languages if code not in absent] if "" not in absent else []
    parts: list[CollectionPart] = []
    with suppress(DataUnavailableError):
        parts += spec.read(at_hand).values()
    if parts:
        found.add(label, (text for part in parts for text in part.queries.values()))
    missing = sorted(set(spec.languages) - set(at_hand if parts else ()))
    if missing:
        found.not_at_hand.append(f"{label} in {', '.join(missing)}" if parts else label)


def _beir(folder: Path) -> Iterator[str]:
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise DataUnavailableError(f"{folder / name}: missing; not a BEIR folder")
        for _, row in read_objects(folder / name):
            yield str(row.get("text", ""))


def check_leaks(sources: Iterable[Source], known: EvaluationTexts, *, allow: bool) -> list[Leak]:
    """Compare training data with evaluation sets; one leak for each item that has a text of them.

    Leaks that are allowed are for the caller to write into the model's metadata.

    Raises:
        LeakError: There is such an item, and it is not allowed.
    """
    leaks = []
    for source in sources:
        for item in source.items:
            for code, example in item.examples.items():
                texts = (example.query, example.passage, *example.negatives)
                where = next((name for name in map(known.find, texts) if name), None)
                if where:
                    leaks.append(Leak(source.name, item.id, code, where))
                    break
    if leaks and not allow:
        more = f" and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
        raise LeakError(
            f"the training data hold evaluation data: {'; '.join(map(str, leaks[:SHOWN]))}{more}. "
            "Remove these items: an encoder trained on them is not zero-shot. If that is what you "
            "want, allow_leaks writes it into the encoder's metadata"
        )
    return leaks


def leak_record(
    checked: Iterable[str], not_at_hand: Iterable[str], leaks: Sequence[Leak]
) -> dict[str, list[str]]:
    """What was compared and found, for an encoder's record."""
    return {
        "checked": list(checked),
        "not_at_hand": list(not_at_hand),
        "allowed_leaks": [str(leak) for leak in leaks],
        "leaked_sets": sorted({leak.evaluation_set for leak in leaks}),
    }
