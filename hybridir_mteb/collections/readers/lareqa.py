"""Reader of the LAReQA format: SQuAD-style JSON plus ``sentences`` and ``sentence_breaks``.

Every sentence occurrence is a candidate; the relevant one is the sentence whose character span
holds ``answer_start`` (Roy et al. 2020, LAReQA).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.reading import read_bytes

PARAGRAPH = "paragraph "
KINDS = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


def read_lareqa(name: str, files: Mapping[str, Path]) -> ParallelCollection:
    """A collection from one JSON file for each language code.

    Raises:
        DataFormatError: A file is not JSON of this layout; the message names file and paragraph.
        DataUnavailableError: A file does not exist.
    """
    return ParallelCollection(name, {code: _read_part(code, path) for code, path in files.items()})


def _read_part(language: str, path: Path) -> LanguagePart:
    document = parse_json(read_bytes(path), str(path))
    passages: list[Passage] = []
    queries: list[Query] = []
    try:
        for where, paragraph in _paragraphs(document):
            context = _field(paragraph, "context", str, where)
            sentences = _list(paragraph, "sentences", str, where)
            breaks = _breaks(paragraph, len(context), where)
            if len(breaks) != len(sentences):
                raise DataFormatError(f"{where}: sentences and sentence_breaks do not match")
            queries += _queries(paragraph, breaks, len(passages), where)
            number = where.removeprefix(PARAGRAPH)
            passages += [
                Passage(f"{number}.{at}", sentence, context)
                for at, sentence in enumerate(sentences)
            ]
        return LanguagePart(language, tuple(queries), tuple(passages))
    except DataFormatError as error:
        raise DataFormatError(f"{path}: {error}") from error


def _paragraphs(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each paragraph, with its number for messages: article and place in it, both from 0."""
    if not isinstance(document, dict):
        raise _misplaced("data", document, "the file", "an object")
    for at, article in enumerate(_list(document, "data", dict, "the file")):
        for place, paragraph in enumerate(_list(article, "paragraphs", dict, f"article {at}")):
            yield f"{PARAGRAPH}{at}.{place}", paragraph


def _breaks(paragraph: Mapping[str, Any], length: int, where: str) -> list[tuple[int, int]]:
    """Where each sentence starts and ends in the context, in order and apart."""
    found: list[tuple[int, int]] = []
    behind = 0
    for pair in _list(paragraph, "sentence_breaks", list, where):
        if len(pair) != 2 or not all(type(place) is int for place in pair):
            raise DataFormatError(
                f"{where}: sentence_breaks must be pairs of whole numbers, got {quoted(pair, 80)}"
            )
        start, end = pair
        if not behind <= start <= end <= length:
            raise DataFormatError(
                f"{where}: sentences and sentence_breaks do not match: {quoted(pair, 80)} is not "
                f"within {behind}, where the sentence before ends, and {length}, the context's end"
            )
        found.append((start, end))
        behind = end
    return found


def _queries(
    paragraph: Mapping[str, Any], breaks: list[tuple[int, int]], offset: int, where: str
) -> list[Query]:
    """The questions of a paragraph; ``offset`` is the position of its first sentence."""
    starts = [start for start, _ in breaks]
    found = []
    for question in _list(paragraph, "qas", dict, where):
        identifier = _field(question, "id", str, where)
        named = f"{where}, question {quoted(identifier, 80)}"
        relevant = set()
        for answer in _list(question, "answers", dict, named):
            start = _field(answer, "answer_start", int, named)
            if not isinstance(answer.get("text", ""), str):
                raise _misplaced("text", answer["text"], named, KINDS[str])
            at = bisect_right(starts, start) - 1
            if at < 0 or start >= breaks[at][1]:
                raise DataFormatError(
                    f"{named}: answer_start {quoted(start, 80)} lies in no sentence"
                )
            relevant.add(offset + at)
        text = _field(question, "question", str, named)
        found.append(Query(identifier, text, tuple(sorted(relevant))))
    return found


def _field(found: Mapping[str, Any], name: str, kind: type, where: str) -> Any:
    """A field of one type; True is no number."""
    if type(value := found.get(name)) is not kind:
        raise _misplaced(name, value, where, KINDS[kind])
    return value


def _list(found: Mapping[str, Any], name: str, kind: type, where: str) -> list[Any]:
    """A list whose entries are of one type."""
    values: list[Any] = _field(found, name, list, where)
    for value in values:
        if type(value) is not kind:
            raise _misplaced(name, value, where, f"a list of which each is {KINDS[kind]}")
    return values


def _misplaced(name: str, value: Any, where: str, expected: str) -> DataFormatError:
    return DataFormatError(
        f"not in the LAReQA layout, missing or misplaced: {name!r} of {where} must be {expected}, "
        f"got {quoted(value, 80)}"
    )
