"""Reader of the project's own format: a folder with one ``<language>.jsonl`` for each language.

Each line is an object with ``id`` (shared by translations), ``query``, ``sentences`` (the passage,
sentence by sentence; every sentence is a candidate) and ``relevant`` (0-based position of the
sentence that answers, or a list of positions). ``answer`` is optional; if given, it must occur in
the relevant sentence and in no other. A line without ``query`` adds distractors only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query
from hybridir_mteb.collections.readers.rows import json_rows
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, quoted


def read_jsonl(
    name: str, folder: Path, languages: Sequence[str] | None = None
) -> ParallelCollection:
    """A collection from a folder of JSON lines files.

    Args:
        name: Name of the collection.
        folder: Holds ``<language>.jsonl`` files.
        languages: Codes to read; by default those of all files in the folder.

    Raises:
        DataUnavailableError: The folder, or the file of a language, does not exist.
        DataFormatError: A line is malformed; the message names file, line and remedy.
    """
    codes = sorted(path.stem for path in folder.glob("*.jsonl")) if languages is None else languages
    if not codes:
        raise DataUnavailableError(f"{folder}: no <language>.jsonl file there")
    collection = ParallelCollection(name, {code: _read_part(code, folder) for code in codes})
    if languages is None:
        collection.check_answered()
    return collection


def _read_part(language: str, folder: Path) -> LanguagePart:
    path = folder / f"{language}.jsonl"
    if not path.is_file():
        raise DataUnavailableError(
            f"{path}: no such file; the folder needs one for {quoted(language)}"
        )
    passages: list[Passage] = []
    queries: list[Query] = []
    for number, item in json_rows(path):
        _check(item, f"{path}:{number}")
        if "query" in item:
            relevant = tuple(len(passages) + at for at in _relevant(item, f"{path}:{number}"))
            queries.append(Query(item["id"], item["query"], relevant))
        paragraph = " ".join(item["sentences"])
        passages += [
            Passage(f"{item['id']}.{at}", sentence, paragraph)
            for at, sentence in enumerate(item["sentences"])
        ]
    try:
        return LanguagePart(language, tuple(queries), tuple(passages))
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error


def _check(item: Mapping[str, Any], where: str) -> None:
    given = item.get("sentences")
    listed = isinstance(given, list) and given and all(isinstance(one, str) for one in given)
    for sound, expected in (
        (isinstance(item.get("id"), str), 'expected an object with a string "id"'),
        (listed, '"sentences" must be a non-empty list of strings'),
        (isinstance(item.get("query", ""), str), '"query" must be a string'),
        (isinstance(item.get("answer"), str | None), '"answer" must be a string'),
    ):
        if not sound:
            raise DataFormatError(f"{where}: {expected}")


def _relevant(item: Mapping[str, Any], where: str) -> list[int]:
    given: Any = item.get("relevant")
    positions: list[int] = given if isinstance(given, list) else [given]
    count = len(item["sentences"])
    for at in positions:
        if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < count:
            raise DataFormatError(
                f'{where}: "relevant" is {quoted(given, 80)}; give the 0-based position of the '
                f"sentence that answers, below {count}"
            )
    answer = item.get("answer")
    if answer is not None:
        holding = [at for at, sentence in enumerate(item["sentences"]) if answer in sentence]
        if holding != sorted(positions):
            raise DataFormatError(
                f"{where}: the answer {quoted(answer, 80)} occurs in sentences "
                f"{quoted(holding, 80)}, expected {quoted(sorted(positions), 80)}"
            )
    return positions
