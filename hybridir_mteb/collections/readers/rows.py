"""Files of passages, read one by one in constant memory: JSON lines, gzip or not, and Parquet.

A passage has an id (``_id``, ``docid`` or ``id``), ``text`` and perhaps ``title``; other fields are
not looked at. BEIR, MIRACL and the hub's Parquet shards have these.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from sys import intern
from typing import Any

from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.collections.readers.digests import content_digest
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    one_line,
    plain_logger,
    printable,
    quoted,
)
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.reading import BUFFER_BYTES, naming, reading

logger = plain_logger(__name__)

__all__ = ["BUFFER_BYTES", "FileSource", "as_passage", "json_rows", "read_rows", "reading"]
ID_FIELDS = ("_id", "docid", "id")
PARQUET_ROWS = 1024
Row = tuple[int, Mapping[str, Any]]
_COLUMNS = {*ID_FIELDS, "title", "text", "query-id", "corpus-id", "score"}  # no embeddings, say


@dataclass(frozen=True)
class FileSource:
    """The passages of some files, one file after the other.

    Attributes:
        name: What messages and progress bars call it, such as ``MIRACL sw``.
        find: ``*.jsonl``, ``*.jsonl.gz`` or ``*.parquet``, in their order; or what finds or fetches
            them at first use.
        expected: How many passages there should be; None if not known.
    """

    name: str
    find: tuple[Path, ...] | Callable[[], tuple[Path, ...]]
    expected: int | None = None

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files, in order.

        Raises:
            DataUnavailableError: They are not here and cannot be downloaded.
        """
        return self.find() if callable(self.find) else self.find

    @property
    def n_bytes(self) -> int:
        """Size of the files on disk."""
        return sum(path.stat().st_size for path in self.files if path.is_file())

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 of the files' names and content.

        Raises:
            DataUnavailableError: A file is missing.
        """
        return content_digest(self.files)

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        """Passages ``start`` to ``stop``; those before are skipped without being parsed.

        If there are not as many as expected, they are used, with a warning at their end.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A line is malformed, or a file is empty or damaged; the message names
                file, line and remedy.
        """
        at = 0
        for path in self.files:
            if stop is not None and at >= stop:
                return
            end = None if stop is None else stop - at
            at += yield from _passages(path, max(start - at, 0), end)
        if stop is None and self.expected not in {None, at} and at > start:
            logger.warning(
                "%s: this corpus has %d passages, the official one %d: scores do not compare with "
                "published ones",
                *(self.name, at, self.expected),
            )


def _passages(path: Path, start: int, stop: int | None) -> Generator[StreamedPassage, None, int]:
    rows = read_rows(path, start, stop)
    while True:
        try:
            number, row = next(rows)
        except StopIteration as end:
            return int(end.value)
        yield as_passage(path, number, row)


def read_rows(path: Path, start: int = 0, stop: int | None = None) -> Generator[Row, None, int]:
    """Rows ``start`` to ``stop`` of one file, each with its number for messages, from 1.

    Blank lines are no rows.

    Returns:
        The generator's return value is the number of rows up to the end or to ``stop``.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: The file is empty or damaged, or a line is no JSON object in UTF-8.
    """
    with naming(path):
        if not path.is_file():
            raise DataUnavailableError(f"{path}: no such file")
    read = _parquet_rows if path.suffix == ".parquet" else json_rows
    count = yield from read(path, start, stop)
    if not count and stop != 0:
        raise DataFormatError(f"{path}: the file is empty; is it the right one?")
    return count


def json_rows(path: Path, start: int = 0, stop: int | None = None) -> Generator[Row, None, int]:
    """As :func:`read_rows`, of a file of JSON lines that exists and may be empty.

    Raises:
        DataFormatError: The file is damaged, or a line is no JSON object in UTF-8.
    """
    at, name = 0, str(path)
    with reading(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            if at == stop:
                break
            at += 1
            if at > start:
                row = parse_json(line, where := f"{name}:{number}")
                if not isinstance(row, dict):
                    wrong = "expected a JSON object, mend or remove the line"
                    raise DataFormatError(f"{where}: {wrong}")
                yield number, row
    return at


def _parquet_rows(path: Path, start: int, stop: int | None) -> Generator[Row, None, int]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, pre_buffer=False) as file:  # else all that was read is kept
            sizes = (file.metadata.row_group(at).num_rows for at in range(file.num_row_groups))
            ends = list(accumulate(sizes))  # of each row group
            total = ends[-1] if ends else 0
            stop = total if stop is None else min(stop, total)
            wanted = [
                g for g, end in enumerate(ends) if end > start and (ends[g - 1] if g else 0) < stop
            ]
            at = ends[wanted[0] - 1] if wanted and wanted[0] else 0
            columns = [name for name in file.schema_arrow.names if name in _COLUMNS]
            for batch in file.iter_batches(PARQUET_ROWS, wanted, columns, use_threads=False):
                kept = batch.slice(max(start - at, 0), max(stop - max(start, at), 0))
                yield from enumerate(kept.to_pylist(), max(start, at) + 1)
                at += batch.num_rows
            return stop
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataFormatError(
            f"{path}: not a Parquet file, or damaged: {one_line(error, 200)}. Fetch or copy it "
            "again"
        ) from error


def as_passage(path: Path, number: int, row: Mapping[str, Any]) -> StreamedPassage:
    """A row as a passage.

    Raises:
        DataFormatError: A field is missing or of the wrong type.
    """
    title, text, identifier = row.get("title"), row.get("text"), row.get("_id")
    if identifier is None:
        identifier = row.get("docid", row.get("id"))
    if type(identifier) is int:  # some BEIR folders have numbers
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier:
        raise DataFormatError(
            f"{path}:{number}: no id: one of {', '.join(ID_FIELDS)} must be a string or a whole "
            f"number, got {quoted(identifier, 80)}; the row has {_fields(row)}"
        )
    if not isinstance(text, str):
        raise DataFormatError(
            f'{path}:{number}: id {quoted(identifier, 80)}: "text" must be a string, got '
            f"{quoted(text, 80)}; the row has {_fields(row)}"
        )
    if not isinstance(title, str | None):
        raise DataFormatError(
            f'{path}:{number}: id {quoted(identifier, 80)}: "title" must be a string or null, '
            f"got {quoted(title, 80)}"
        )
    return StreamedPassage(identifier, text, title or "")


def _fields(row: Mapping[str, Any]) -> str:
    return printable(", ".join(row), 100) or "no fields"


def add_judgement(
    qrels: dict[str, dict[str, int]],
    where: str,
    query: str,
    passage: str,
    grade: int,
    noun: str = "passage",
) -> None:
    """Add a judgement; the same one may stand twice in a file.

    Raises:
        DataFormatError: The passage has another grade for this query.
    """
    judged = qrels.setdefault(query, {})
    if judged.get(passage, grade) != grade:
        raise DataFormatError(
            f"{where}: {noun} {quoted(passage, 80)} has another grade for query "
            f"{quoted(query, 80)} above; keep one of them"
        )
    judged[intern(passage)] = grade


def wrong_columns(where: str, columns: Sequence[str], expected: str) -> DataFormatError:
    """The error of a line that has too many columns, or too few."""
    return DataFormatError(
        f"{where}: {len(columns)} columns, expected {expected}; mend or remove the line"
    )


def wrong_grade(where: str, value: Any, columns: str) -> DataFormatError:
    """The error of a judgement whose grade is no number, or a broken one."""
    return DataFormatError(
        f"{where}: grade {quoted(value, 80)} is not a whole number; the columns are {columns}"
    )
