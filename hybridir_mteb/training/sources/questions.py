"""Questions about lines of line-parallel documents: JSON lines of ``line`` and a text a language.

``{"line": 17, "en": "Who ...?", "de": "Wer ...?"}``: the passage is line 17 (counted from 0).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.training.pairs import Example, Source, TrainingItem
from hybridir_mteb.training.sources.documents import LineParallel
from hybridir_mteb.training.sources.jsonl import read_objects


def read_questions(path: Path, corpus: LineParallel, *, origin: str = "") -> Source:
    """Questions with the sentence that answers each, in the languages that both have.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: Malformed JSON, a line that does not exist, an empty question; with file
            and line.
    """
    items = []
    for number, row in read_objects(path):
        at = row.get("line")
        where = f"{path}:{number}"
        if type(at) is not int or not 0 <= at < len(corpus.documents):
            raise DataFormatError(
                f"{where}: 'line' must be a line of {corpus.name}, 0 to "
                f"{len(corpus.documents) - 1}, got {quoted(at, 80)}"
            )
        examples = {
            code: Example(_question(text, code, where), corpus.lines[code][at])
            for code, text in row.items()
            if code in corpus.lines and corpus.lines[code][at]
        }
        if examples:
            identifier = f"{corpus.documents[at]}:{at + 1}:q{number}"
            items.append(TrainingItem(identifier, examples, corpus.documents[at]))
    if not items:
        raise DataFormatError(f"{path}: no question in {', '.join(sorted(corpus.lines))}")
    return Source(path.stem, tuple(items), origin, documents=tuple(corpus.documents))


def _question(text: Any, code: str, where: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise DataFormatError(
            f"{where}: the question in {quoted(code, 80)} must be a non-empty string"
        )
    return text.strip()
