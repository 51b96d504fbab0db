"""Judgements as BEIR folders hold them: columns parted by tabs or blanks, JSON lines, Parquet.

Columns are known by the heads of the file if it has any, in any order; without heads they are
query, passage and grade, or TREC's four. A first line that is neither heads nor a judgement is an
error.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hybridir_mteb.collections.readers.rows import read_rows, wrong_columns, wrong_grade
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.numbers import grade
from hybridir_mteb.files.reading import ASCII_BLANKS, numbered_lines

COLUMNS = "query-id, corpus-id and score, parted by tabs (or TREC's four)"
QUERY, PASSAGE, GRADE, ITERATION = range(4)
# Heads without -, _ and blanks, in lower case: of BEIR, of MTEB and of tools for TREC's files.
HEADS = {
    **dict.fromkeys(("query", "queryid", "qid", "topic", "topicid"), QUERY),
    **dict.fromkeys(("corpusid", "doc", "docid", "docno", "did", "document"), PASSAGE),
    **dict.fromkeys(("documentid", "passage", "passageid", "pid"), PASSAGE),
    **dict.fromkeys(("score", "grade", "relevance", "rel", "label"), GRADE),
    **dict.fromkeys(("iteration", "iter", "q0"), ITERATION),
}
_BLANK_RUNS = re.compile(f"[{ASCII_BLANKS}]+")


class Judgement(NamedTuple):
    """One line or row.

    Attributes:
        where: File and line, or row.
        query: Id of the query.
        passage: Id of the passage.
        grade: How relevant it is.
    """

    where: str
    query: str
    passage: str
    grade: int


def read_judgements(path: Path) -> Iterator[Judgement]:
    """The judgements of one file, in its order.

    Args:
        path: ``*.tsv``, ``*.jsonl``, both also compressed, or ``*.parquet``.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line is malformed, or the file is empty; the message names file, line and
            remedy.
    """
    tabular = path.name.removesuffix(".gz").endswith(".tsv")
    return _of_lines(path) if tabular else _of_rows(path)


def _of_lines(path: Path) -> Iterator[Judgement]:
    places: tuple[int, ...] = ()  # of query, passage and grade
    width, found = 0, False
    for number, line in numbered_lines(path):
        if not line.strip(ASCII_BLANKS):
            continue
        where, columns = f"{path}:{number}", _columns(line, f"{path}:{number}")
        if len(columns) not in ({width} if width else {3, 4}):
            raise wrong_columns(where, columns, COLUMNS)
        if not width:
            width, heads = len(columns), _heads(columns, where)
            places = heads or (0, width - 2, width - 1)
            if heads:
                continue
        query, passage, written = (columns[at] for at in places)
        if (value := grade(written)) is None:
            raise wrong_grade(where, written, COLUMNS)
        if not query or not passage:
            raise DataFormatError(f"{where}: an empty id; fill it in, or remove the line")
        found = True
        yield Judgement(where, query, passage, value)
    if not found:
        raise DataFormatError(f"{path}: no judgement; expected {COLUMNS}")


def _columns(line: str, where: str) -> list[str]:
    """The columns of a line, as BEIR reads them where quotes are around an id."""
    if "\t" not in line:
        return _BLANK_RUNS.split(line.strip(ASCII_BLANKS))
    parts = line.split("\t")
    if any(part.lstrip(ASCII_BLANKS).startswith('"') for part in parts):
        try:
            (parts,) = csv.reader([line], delimiter="\t", strict=True, skipinitialspace=True)
        except csv.Error as error:
            raise DataFormatError(
                f"{where}: quotes in a column that begins with one are closed and doubled, as in "
                f"CSV: {error}; mend the line"
            ) from error
    return [part.strip(ASCII_BLANKS) for part in parts]


def _heads(columns: list[str], where: str) -> tuple[int, ...] | None:
    """Places of query, passage and grade in a line of heads; None if it is none."""
    kinds = [HEADS.get(re.sub(r"[-_ ]", "", column.lower())) for column in columns]
    if None in kinds:
        return None
    if any(kinds.count(kind) != 1 for kind in (QUERY, PASSAGE, GRADE)):
        raise DataFormatError(
            f"{where}: the heads {quoted(' '.join(columns), 100)} name not each of query-id, "
            "corpus-id and score once; mend the line"
        )
    return tuple(kinds.index(kind) for kind in (QUERY, PASSAGE, GRADE))


def _of_rows(path: Path) -> Iterator[Judgement]:
    for number, row in read_rows(path):
        where = f"{path}:{number}"
        if (value := grade(row.get("score"))) is None:
            raise wrong_grade(where, row.get("score"), COLUMNS)
        yield Judgement(where, _id(row, "query-id", where), _id(row, "corpus-id", where), value)


def _id(row: Mapping[str, Any], field: str, where: str) -> str:
    value = row.get(field)
    if not isinstance(value, str | int) or isinstance(value, bool) or value == "":
        raise DataFormatError(
            f"{where}: {field!r} must be a string or a whole number, got {quoted(value, 80)}"
        )
    return str(value)
