"""The three formats: what each file holds, written line by line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO
from xml.sax import saxutils

from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.errors import DataFormatError, UnknownNameError, quoted, suggest

DOCUMENT_LANGUAGES = "document-languages.tsv"
QUERY_LANGUAGES = "query-languages.tsv"
_PARTS = frozenset("\t\n\r")
# No XML can hold these characters, escaped or not.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Format(StrEnum):
    """Layout of the files."""

    BEIR = "beir"
    TREC = "trec"
    JSONL = "jsonl"

    @classmethod
    def of(cls, name: str) -> Format:
        """The format of a name.

        Raises:
            UnknownNameError: There is none.
        """
        try:
            return cls(name)
        except ValueError as error:
            raise UnknownNameError(
                f"no format {quoted(name, 80)}; there are {', '.join(cls)}"
                f"{suggest(name, list(cls))}"
            ) from error


_EXTRA: dict[Format, dict[str, Any]] = {Format.BEIR: {"metadata": {}}, Format.JSONL: {}}


@contextmanager
def _writing(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _json_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def escape(text: str) -> str:
    """Text of a TREC file, as XML has it; a character that XML cannot hold becomes a blank."""
    return saxutils.escape(_NO_XML.sub(" ", text))


def _one_line(text: str) -> str:
    """Text of one column: tabs and line ends would part it."""
    return " ".join(text.split())


def write_pool(subset: ExportSubset, folder: Path, form: Format) -> tuple[int, list[str]]:
    """Write the passages of a subset, in one pass.

    Returns:
        The number of passages, and the names of the files, which subsets of one pool share.

    Raises:
        DataFormatError: An empty id, or one that the format cannot hold.
    """
    names = ["corpus.trec", DOCUMENT_LANGUAGES] if form is Format.TREC else ["corpus.jsonl"]
    count = 0
    with ExitStack() as stack:
        corpus, *languages = (stack.enter_context(_writing(folder / name)) for name in names)
        for code, passage in subset.passages():
            _check_id(passage.id, "passage", form)
            corpus.write(_passage(passage, form))
            for stream in languages:
                stream.write(f"{passage.id}\t{code}\n")
            count += 1
    return count, names


def _passage(passage: StreamedPassage, form: Format) -> str:
    if form is Format.TREC:
        title = f"<TITLE>{escape(passage.title)}</TITLE>\n" if passage.title else ""
        return (
            f"<DOC>\n<DOCNO>{escape(passage.id)}</DOCNO>\n{title}"
            f"<TEXT>\n{escape(passage.text)}\n</TEXT>\n</DOC>\n"
        )
    row = {"_id": passage.id, "title": passage.title, "text": passage.text}
    return _json_line({**row, **_EXTRA[form]})


def write_queries(subset: ExportSubset, folder: Path, form: Format) -> None:
    """Write queries and judgements of a subset.

    Raises:
        DataFormatError: An empty id, or one that the format cannot hold.
    """
    for identifier in subset.queries:
        _check_id(identifier, "query", form)
    if form is Format.TREC:
        _write_trec(subset, folder)
        return
    with _writing(folder / "queries.jsonl") as stream:
        for identifier, text in subset.queries.items():
            stream.write(_json_line({"_id": identifier, "text": text, **_EXTRA[form]}))
    heads = ("query-id", "corpus-id", "score")
    if form is Format.JSONL:
        with _writing(folder / "qrels" / f"{subset.split}.jsonl") as stream:
            for row in _judgements(subset):
                stream.write(_json_line(dict(zip(heads, row, strict=True))))
        return
    with _writing(folder / "qrels" / f"{subset.split}.tsv") as stream:
        # BEIR reads this file as CSV: a quotation mark in an id must be quoted.
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerows([heads, *_judgements(subset)])


def _judgements(subset: ExportSubset) -> Iterator[tuple[str, str, int]]:
    for query, grades in subset.qrels.items():
        for passage, grade in grades.items():
            yield query, passage, grade


def _write_trec(subset: ExportSubset, folder: Path) -> None:
    with _writing(folder / "topics.tsv") as stream:
        for identifier, text in subset.queries.items():
            stream.write(f"{identifier}\t{_one_line(text)}\n")
    with _writing(folder / "topics.trec") as stream:
        for identifier, text in subset.queries.items():
            title = escape(_one_line(text))
            stream.write(
                f"<top>\n<num> Number: {escape(identifier)} </num>\n<title> {title} </title>\n"
                "</top>\n"
            )
    with _writing(folder / "qrels.txt") as stream:
        for query, passage, grade in _judgements(subset):
            stream.write(f"{query} 0 {passage} {grade}\n")
    with _writing(folder / QUERY_LANGUAGES) as stream:
        for identifier in subset.queries:
            columns = [identifier, subset.query_languages[identifier]]
            if subset.items is not None:
                columns.append(subset.items[identifier])
            stream.write("\t".join(columns) + "\n")


def _check_id(identifier: str, what: str, form: Format) -> None:
    if not identifier:
        raise DataFormatError(f"a {what} has an empty id; give it one")
    why, others = "", "jsonl" if form is Format.BEIR else "beir or jsonl"
    if form is Format.TREC and identifier.split() != [identifier]:
        why = "holds white space, which parts the columns of TREC's files"
    elif form is Format.TREC and _NO_XML.search(identifier):
        why = "holds a character that TREC's files cannot"
    parted = not _PARTS.isdisjoint(identifier) or identifier != identifier.strip()
    if form is Format.BEIR and parted:
        ends = "begins or ends with white space, or holds a tab or a line end"
        why = f"{ends}, which part BEIR's judgements"
    if why:
        remedy = f"export as {others}, or rename the id in the source"
        raise DataFormatError(f"{what} id {quoted(identifier, 80)} {why}; {remedy}")


@dataclass(frozen=True)
class ExportSubset:
    """One subset of a task.

    Attributes:
        name: Name of MTEB's subset; ``default`` if it is the only one of its task.
        split: Name of the evaluation split.
        queries: Query id -> text.
        qrels: Query id -> passage id -> grade.
        passages: Reads the pool from the start at each call: language and passage, one by one.
        pool: Equal for subsets that share a pool; their files are one.
        query_languages: Query id -> ISO 639-1 code.
        items: Query id -> what it asks, which translations share; None if not parallel.
    """

    name: str
    split: str
    queries: Mapping[str, str] = field(repr=False)
    qrels: Mapping[str, Mapping[str, int]] = field(repr=False)
    passages: Callable[[], Iterator[tuple[str, StreamedPassage]]] = field(repr=False)
    pool: str
    query_languages: Mapping[str, str] = field(repr=False)
    items: Mapping[str, str] | None = field(default=None, repr=False)
