"""MIRACL's official layout: topics and qrels by language, passages in gzip JSON lines."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.download import HubFolder, fetch_folder
from hybridir_mteb.collections.readers.rows import FileSource
from hybridir_mteb.collections.readers.trec import read_qrels
from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files.reading import numbered_lines


def miracl_passages(language: str, corpus: HubFolder, expected: int) -> FileSource:
    """The passages of a language (ISO 639-1); files are looked for, or fetched, at first use."""
    return FileSource(f"MIRACL {language}", partial(fetch_folder, corpus), expected)


def read_topics(path: Path) -> dict[str, str]:
    """Query id -> text, in file order.

    Args:
        path: Two columns parted by a tab: id and query.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: A line has other columns, an id occurs twice, or the file is not UTF-8 or
            empty; the message names file, line and remedy.
    """
    topics: dict[str, str] = {}
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        identifier, tab, text = line.partition("\t")
        if not tab or not identifier.strip() or not text.strip() or "\t" in text:
            raise DataFormatError(
                f"{path}:{number}: expected an id, a tab and a query; mend or remove the line"
            )
        if identifier in topics:
            raise DataFormatError(
                f"{path}:{number}: query {quoted(identifier, 80)} occurs twice; keep one"
            )
        topics[identifier] = text
    if not topics:
        raise DataFormatError(f"{path}: the file is empty; is it the right one?")
    return topics


def read_miracl(language: str, topics: Path, qrels: Path, passages: FileSource) -> CollectionPart:
    """One language; passages are not read yet.

    Passages that were judged and are not relevant stay in the qrels, with grade 0.

    Raises:
        DataFormatError: A file is malformed, a query has no judgement, or judgements are of an
            unknown query; the message names the file.
    """
    queries, judged = read_topics(topics), read_qrels(qrels)
    for missing, where, what in (
        (queries.keys() - judged.keys(), qrels, "has no judgement"),
        (judged.keys() - queries.keys(), topics, "is judged and not here"),
    ):
        if missing:
            raise DataFormatError(
                f"{where}: query {quoted(min(missing), 80)} {what}; fetch the files again"
            )
    return CollectionPart(language, queries, judged, passages)
