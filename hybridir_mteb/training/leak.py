"""Refuses training data that occur in an evaluation set: zero-shot is a promise.

Texts are compared whole and sentence by sentence, by a hash of their letters and digits, so that
punctuation, case and spacing do not hide a copy.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hybridir_mteb import paths
from hybridir_mteb.errors import DataUnavailableError, LeakError
from hybridir_mteb.plugins import installed_plugins
from hybridir_mteb.sources import locate
from hybridir_mteb.training.pairs import Source
from hybridir_mteb.training.sources.jsonl import read_objects
from hybridir_mteb.training.text import normalise

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
            f"{self.source}: item {self.item!r} in {self.language!r} occurs in "
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
    """The texts of every collection that plugins registered, of MIRACL, and of BEIR folders.

    Args:
        beir_folders: Besides those in the local mirror.
    """
    found = EvaluationTexts()
    for name, spec in installed_plugins().collections.items():
        if any(locate(file) is None for file in spec.files):
            found.not_at_hand.append(name)
            continue
        collection = spec.load(spec.languages)
        found.add(
            name,
            (
                text
                for part in collection.parts.values()
                for text in (*(q.text for q in part.queries), *(p.text for p in part.passages))
            ),
        )
    mirror = paths.mirror_dir()
    topics = sorted(mirror.glob("miracl/*/topics/*.tsv")) if mirror else []
    if topics:
        found.add("MIRACL topics", (text for path in topics for text in _topics(path)))
    else:
        found.not_at_hand.append("MIRACL topics")
    folders = {path.parent for path in (mirror.glob("*/corpus.jsonl") if mirror else ())}
    for folder in sorted({*folders, *beir_folders}):
        found.add(folder.name, _beir(folder))
    return found


def _topics(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row[-1]


def _beir(folder: Path) -> Iterator[str]:
    for name in ("corpus.jsonl", "queries.jsonl"):
        if not (folder / name).is_file():
            raise DataUnavailableError(f"{folder / name}: missing; not a BEIR folder")
        for _, row in read_objects(folder / name):
            yield str(row.get("text", ""))


def check_leaks(sources: Iterable[Source], known: EvaluationTexts, *, allow: bool) -> list[Leak]:
    """Compare training data with evaluation sets.

    Args:
        sources: The training data.
        known: The texts of the evaluation sets.
        allow: Do not refuse; the caller writes what was found into the model's metadata.

    Returns:
        One leak for each item of which a text occurs in an evaluation set.

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
