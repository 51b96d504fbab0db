"""Parallel training data as JSON lines: ``id``, ``language``, ``query``, ``passage``.

Optional: ``negatives``, a list of strings, and ``document``, what is held out together. Lines with
one ``id`` and different languages are translations of each other; they may be in different files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybridir_mteb.collections.languages import LANGUAGES, suggest_language
from hybridir_mteb.collections.readers.rows import Row, json_rows
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, printable, quoted, suggest
from hybridir_mteb.training.pairs import Example, Source, TrainingItem

REQUIRED = ("id", "language", "query", "passage")
KNOWN = {*REQUIRED, "negatives", "document"}


def read_objects(path: Path) -> Iterator[Row]:
    """Line numbers, from 1, and JSON objects of a file, which may be empty; no blank lines.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line is no JSON object in UTF-8; with file and line.
    """
    if not path.is_file():
        raise DataUnavailableError(f"{path}: no such file; check the path in the recipe's data")
    yield from json_rows(path)


def read_jsonl(place: Path, languages: tuple[str, ...] = (), *, origin: str = "") -> Source:
    """A file, or all ``*.jsonl`` files of a folder in sorted order, in some languages or all.

    Raises:
        DataUnavailableError: No such file, or no ``*.jsonl`` in the folder.
        DataFormatError: A line that is malformed, lacks a field, has an unknown one, or repeats an
            id in a language; with file and line.
    """
    files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    if not files:
        raise DataUnavailableError(f"{place}: the folder holds no *.jsonl file")
    examples: dict[str, dict[str, Example]] = {}
    documents: dict[str, str] = {}
    for path in files:
        for number, row in read_objects(path):
            where = f"{path}:{number}"
            code, example = _check(row, where)
            if languages and code not in languages:
                continue
            of_item = examples.setdefault(row["id"], {})
            if code in of_item:
                raise DataFormatError(
                    f"{where}: id {quoted(row['id'], 80)} occurs twice in {quoted(code)}"
                )
            of_item[code] = example
            documents.setdefault(row["id"], row.get("document", ""))
    items = tuple(TrainingItem(key, found, documents[key]) for key, found in examples.items())
    if not items:
        raise DataFormatError(f"{place}: no line in {', '.join(languages) or 'any language'}")
    name = Path(place.name.removesuffix(".gz")).stem
    return Source(name, items, origin or str(place.name))


def _check(row: Mapping[str, Any], where: str) -> tuple[str, Example]:
    unknown = sorted(set(row) - KNOWN)
    if unknown:
        raise DataFormatError(
            f"{where}: unknown field {printable(', '.join(unknown), 80)} (known: "
            f"{', '.join(sorted(KNOWN))}){suggest(unknown[0], KNOWN)}"
        )
    for name in REQUIRED:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise DataFormatError(f"{where}: {quoted(name)} must be a non-empty string")
    if row["language"] not in LANGUAGES:
        raise DataFormatError(
            f"{where}: unknown language {quoted(row['language'], 80)}: expected ISO 639-1, one of "
            f"{', '.join(sorted(LANGUAGES))}{suggest_language(row['language'])}"
        )
    negatives = row.get("negatives", [])
    if not isinstance(negatives, list) or not all(isinstance(n, str) and n for n in negatives):
        raise DataFormatError(f"{where}: 'negatives' must be a list of non-empty strings")
    if not isinstance(row.get("document", ""), str):
        raise DataFormatError(f"{where}: 'document' must be a string")
    example = Example(row["query"].strip(), row["passage"].strip(), tuple(negatives))
    return row["language"], example
