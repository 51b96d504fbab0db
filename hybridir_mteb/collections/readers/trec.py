"""Runs and judgements in TREC's formats, and maps from ids to languages.

Lines are read one by one; each file may be compressed, with the suffix ``.gz``, and start with a
byte order mark. As in trec_eval, only ASCII white space parts columns: ids may hold any other.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

from hybridir_mteb.collections.readers.rows import add_judgement, wrong_columns, wrong_grade
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.numbers import grade, written_number
from hybridir_mteb.files.reading import ASCII_BLANKS, numbered_lines, read_bytes

RUN_COLUMNS = "query Q0 document rank score name"
QRELS_COLUMNS = "query iteration document grade"
_columns = re.compile(f"[^{ASCII_BLANKS}]+").findall
_HEAD = re.compile(r"(.*[\W_])?lang(uage)?s?([\W_]code)?", re.IGNORECASE)


@dataclass(frozen=True)
class LanguageMap:
    """What a language map holds.

    Attributes:
        languages: Id -> language.
        items: Id -> item, what a query asks; translations share it. None if the map has no items.
    """

    languages: dict[str, str]
    items: dict[str, str] | None = None


def read_run(
    path: Path, pool: Container[str] | None = None, queries: Container[str] | None = None
) -> dict[str, dict[str, float]]:
    """A run: query -> document -> score.

    Args:
        path: Six columns, ``query Q0 document rank score name``; the rank is not looked at.
        pool: Known documents; any if None.
        queries: Those whose documents must be known; all if None.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line is malformed, a score is not finite, a document occurs twice in a
            query's results or is not known; the message names file, line and remedy.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in _lines(path):
        columns = _columns(line)
        if len(columns) != 6:
            raise wrong_columns(f"{path}:{number}", columns, RUN_COLUMNS)
        query, _, document, _, written, _ = columns
        if (score := written_number(written)) is None:
            raise DataFormatError(
                f"{path}:{number}: score {quoted(written, 80)} is not a finite number; the columns "
                f"are {RUN_COLUMNS}"
            )
        results = run.setdefault(query, {})
        if document in results:
            raise DataFormatError(
                f"{path}:{number}: document {quoted(document, 80)} is a result of query "
                f"{quoted(query, 80)} twice; keep the better one"
            )
        known = pool is None or document in pool
        if not known and (queries is None or query in queries):
            raise DataFormatError(
                f"{path}:{number}: document {quoted(document, 80)} has no language; the map of "
                "document languages, --doc-lang, must list the whole pool"
            )
        results[intern(document)] = score
    return run


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Judgements: query -> document -> grade.

    Args:
        path: Four columns, ``query iteration document grade``.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line is malformed, a grade is not a whole number, or a document is judged
            twice; the message names file, line and remedy.
    """
    qrels: dict[str, dict[str, int]] = {}
    for number, line in _lines(path):
        where, columns = f"{path}:{number}", _columns(line)
        if len(columns) != 4:
            raise wrong_columns(where, columns, QRELS_COLUMNS)
        query, _, document, written = columns
        if (value := grade(written)) is None:
            raise wrong_grade(where, written, QRELS_COLUMNS)
        add_judgement(qrels, where, query, document, value, "document")
    return qrels


def read_language_map(path: Path) -> LanguageMap:
    """Languages of documents or queries, and perhaps what the queries ask.

    Args:
        path: Columns separated by tabs, without heads: id, language and, in all lines or none,
            item. Or a ``.json`` file: an object from ids to a language, or ``{"language": …,
            "item": …}``.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line is malformed or holds heads, or an id occurs twice; the message
            names file, line and remedy.
    """
    name = path.name.removesuffix(".gz")
    pairs = _json_map(path) if name.endswith(".json") else _tab_map(path)
    languages: dict[str, str] = {}
    items: dict[str, str] = {}
    for where, identifier, language, item in pairs:
        if identifier in languages:
            raise DataFormatError(
                f"{where}: id {quoted(identifier, 80)} occurs twice; keep one of them"
            )
        if not identifier or not language or item == "":
            raise DataFormatError(f"{where}: an empty id, language or item; fill it in")
        languages[identifier] = intern(language)
        if item is not None:
            items[identifier] = item
        if items and len(items) < len(languages):
            raise DataFormatError(
                f"{where}: some ids have an item and some have none; give all an item, or none"
            )
    return LanguageMap(languages, items or None)


def _tab_map(path: Path) -> Iterator[tuple[str, str, str, str | None]]:
    for at, (number, line) in enumerate(_lines(path)):
        columns = [column.strip(ASCII_BLANKS) for column in line.split("\t")]
        if len(columns) not in {2, 3}:
            expected = "id, language and perhaps item, with tabs"
            raise wrong_columns(f"{path}:{number}", columns, expected)
        if not at and _HEAD.fullmatch(columns[1]):
            raise DataFormatError(
                f"{path}:{number}: {quoted(columns[1], 80)} is no language but the head of a "
                "column; remove the line"
            )
        yield f"{path}:{number}", columns[0], columns[1], columns[2] if columns[2:] else None


def _json_map(path: Path) -> Iterator[tuple[str, str, str, str | None]]:
    pairs = parse_json(read_bytes(path), str(path), pairs=lambda pairs: pairs)
    if not isinstance(pairs, list) or not pairs or not all(isinstance(p, tuple) for p in pairs):
        raise DataFormatError(f"{path}: expected an object from ids to languages, and at least one")
    for identifier, value in pairs:
        fields = _fields(value, f"{path}: id {quoted(identifier, 80)}")
        language, item = fields.get("language"), fields.get("item")
        if not isinstance(language, str) or not (item is None or isinstance(item, str)):
            raise DataFormatError(
                f"{path}: id {quoted(identifier, 80)}: expected a language, or "
                '{"language": …, "item": …} with strings'
            )
        yield str(path), identifier, language, item


def _fields(value: Any, where: str) -> dict[str, Any]:
    if not (isinstance(value, list) and all(isinstance(pair, tuple) for pair in value)):
        return {"language": value}
    fields = dict(value)
    if len(fields) < len(value):
        raise DataFormatError(f"{where}: a name occurs twice; keep one of them")
    return fields


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and text of the lines that are not blank, of which there must be some."""
    at = 0
    for number, line in numbered_lines(path):
        if line.strip(ASCII_BLANKS):
            at = number
            yield number, line
    if not at:
        raise DataFormatError(f"{path}: the file is empty; is it the right one?")
