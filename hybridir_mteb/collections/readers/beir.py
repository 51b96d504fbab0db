"""Folders in BEIR's layout, as BEIR, its translations and the hub have them.

Passages: ``corpus.jsonl``; queries: ``queries.jsonl``; judgements: ``qrels/<split>.tsv``. Each may
be compressed, with the suffix ``.gz``, or Parquet: one file, or shards in a folder of that name.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.download import in_order
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.readers.qrels import COLUMNS, read_judgements
from hybridir_mteb.collections.readers.rows import FileSource, add_judgement, as_passage, read_rows
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, SettingError, quoted

__all__ = [
    "COLUMNS",
    "QRELS_LAYOUTS",
    "ROW_LAYOUTS",
    "BeirFiles",
    "beir_files",
    "beir_splits",
    "check_texts",
    "read_beir_folder",
    "read_queries",
]

ROW_LAYOUTS = (
    "{}.jsonl",
    "{}.jsonl.gz",
    "{}.parquet",
    "{}/*.jsonl",
    "{}/*.jsonl.gz",
    "{}/*.parquet",
)
QRELS_LAYOUTS = (
    "{}.tsv",
    "{}.tsv.gz",
    "{}.jsonl",
    "{}.jsonl.gz",
    "{}.parquet",
    "{}-*-of-*.parquet",
)
_SPLIT = re.compile(r"(.+?)(?:-\d+-of-\d+)?\.(?:tsv|tsv\.gz|jsonl|jsonl\.gz|parquet)")


@dataclass(frozen=True)
class BeirFiles:
    """The files of a folder that one split needs.

    Attributes:
        corpus: Passages, in order.
        queries: Queries of all splits.
        qrels: Judgements of the split.
    """

    corpus: tuple[Path, ...]
    queries: tuple[Path, ...]
    qrels: tuple[Path, ...]

    @property
    def all(self) -> tuple[Path, ...]:
        """All of them."""
        return (*self.corpus, *self.queries, *self.qrels)


def beir_splits(folder: Path) -> tuple[str, ...]:
    """The splits that a folder has judgements of, sorted."""
    matches = (_SPLIT.fullmatch(path.name) for path in (folder / "qrels").glob("*"))
    return tuple(sorted({match[1] for match in matches if match}))


def beir_files(folder: Path, split: str = "test") -> BeirFiles:
    """Where passages, queries and judgements of a split are.

    Raises:
        DataUnavailableError: A file is missing; the message lists the layouts that are known.
        DataFormatError: There are two of them, or a shard is missing.
        SettingError: The split is no name of a file.
    """
    if not split or set(split) & {"/", "\\", "\0"}:
        raise SettingError(
            f"split {quoted(split, 80)} (--split): expected the name of a file in qrels, such as "
            "test"
        )
    if not folder.is_dir():
        raise DataUnavailableError(f"{folder}: no such folder; give one in BEIR's layout")
    corpus, queries = (_find(folder, ROW_LAYOUTS, name) for name in ("corpus", "queries"))
    try:
        qrels = _find(folder / "qrels", QRELS_LAYOUTS, split)
    except DataUnavailableError as error:
        splits = ", ".join(beir_splits(folder))
        there = f"; the folder has the splits {splits}" if splits else ""
        raise DataUnavailableError(f"{error}{there}") from error
    return BeirFiles(corpus, queries, qrels)


def _find(folder: Path, layouts: tuple[str, ...], name: str) -> tuple[Path, ...]:
    found = {
        pattern: files
        for pattern in layouts
        if (files := [p for p in folder.glob(pattern.format(glob.escape(name))) if p.is_file()])
    }
    if not found:
        known = ", ".join(pattern.format(name) for pattern in layouts)
        raise DataUnavailableError(f"{folder}: no {name}: looked for {known}")
    if len(found) > 1:
        raise DataFormatError(
            f"{folder}: {' and '.join(pattern.format(name) for pattern in found)} are both there; "
            "remove one of them"
        )
    return in_order(next(iter(found.values())))


def read_beir_folder(
    folder: Path,
    split: str = "test",
    language: str = "en",
    name: str = "",
    expected: int | None = None,
) -> CollectionPart:
    """One split of a folder; passages are not read yet.

    Queries without a relevant passage among the judgements of the split are left out. BEIR and MTEB
    leave out those without any judgement; queries that are judged, but with grade 0 only, count
    there with a score of 0.

    Args:
        folder: A folder in BEIR's layout.
        split: Which judgements to read: the name of their file in ``qrels``.
        language: ISO 639-1 code of the passages.
        name: What messages call the collection; by default the folder's name.
        expected: How many passages there are, where it is known.

    Raises:
        DataUnavailableError: A file is missing.
        DataFormatError: A line is malformed, an id occurs twice, a judged query is not there or
            empty, or no query is left; the message names file, line and remedy.
        UnknownNameError: The language is not known.
    """
    check_language(language)
    files = beir_files(folder, split)
    texts = read_queries(files.queries)
    qrels = _relevant(files, texts)
    queries = {query: text for query, text in texts.items() if query in qrels}
    check_texts(files, queries)
    source = FileSource(name or folder.resolve().name, files.corpus, expected)
    return CollectionPart(language, queries, {query: qrels[query] for query in queries}, source)


def check_texts(files: BeirFiles, queries: Mapping[str, str]) -> None:
    """Refuse judged queries without a text.

    Raises:
        DataFormatError: There is one.
    """
    empty = next((query for query, text in queries.items() if not text.strip()), None)
    if empty is not None:
        raise DataFormatError(
            f"{files.queries[0]}: query {quoted(empty, 80)} is empty; fill it in, or remove its "
            "judgements"
        )


def _relevant(files: BeirFiles, texts: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Query -> passage -> grade of the queries that have a relevant passage."""
    qrels: dict[str, dict[str, int]] = {}
    for where, query, passage, grade in (
        one for path in files.qrels for one in read_judgements(path)
    ):
        if query not in texts:
            raise DataFormatError(
                f"{where}: query {quoted(query, 80)} is not in {files.queries[0]}; add it, or "
                "remove the line"
            )
        add_judgement(qrels, where, query, passage, grade)
    kept = {query: judged for query, judged in qrels.items() if max(judged.values()) > 0}
    if not kept:
        raise DataFormatError(
            f"{files.qrels[0]}: no query has a relevant passage, of grade 1 or more"
        )
    return kept


def read_queries(files: tuple[Path, ...]) -> dict[str, str]:
    """Query id -> text, in file order, judged or not.

    Raises:
        DataFormatError: A line is malformed, or an id occurs twice.
    """
    texts: dict[str, str] = {}
    for path in files:
        for number, row in read_rows(path):
            query = as_passage(path, number, row)
            if query.id in texts:
                raise DataFormatError(
                    f"{path}:{number}: query {quoted(query.id, 80)} occurs twice; keep one"
                )
            texts[query.id] = query.text
    return texts
