"""Files of passages, read one by one in constant memory: JSON lines, gzip or not, and Parquet.

A passage has an id (``_id``, ``docid`` or ``id``), ``text`` and perhaps ``title``; other fields are
not looked at. BEIR, MIRACL and the hub's Parquet shards have these.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.collections.readers.digests import content_digest
from hybridir_mteb.errors import DataFormatError, DataUnavailableError

ID_FIELDS = ("_id", "docid", "id")
BUFFER_BYTES = 1 << 20
PARQUET_ROWS = 1024
Row = tuple[int, Mapping[str, Any]]
_BOM = b"\xef\xbb\xbf"
_COLUMNS = {*ID_FIELDS, "title", "text", "query-id", "corpus-id", "score"}  # no embeddings, say


@dataclass(frozen=True)
class FileSource:
    """The passages of some files, one file after the other.

    Attributes:
        name: For messages and progress bars.
        files: ``*.jsonl``, ``*.jsonl.gz`` or ``*.parquet``, in their order.
        expected: How many passages there should be, for progress bars; None if not known.
    """

    name: str
    files: tuple[Path, ...]
    expected: int | None = None

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
    if not path.is_file():
        raise DataUnavailableError(f"{path}: no such file")
    read = _parquet_rows if path.suffix == ".parquet" else _json_rows
    count = yield from read(path, start, stop)
    if not count and stop != 0:
        raise DataFormatError(f"{path}: the file is empty; is it the right one?")
    return count


def _json_rows(path: Path, start: int, stop: int | None) -> Generator[Row, None, int]:
    at = 0
    with reading(path) as stream:
        for number, line in enumerate(stream, 1):
            if line.isspace():
                continue
            if at == stop:
                break
            at += 1
            if at > start:
                yield number, _parse(path, number, line)
    return at


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes; those of ``*.gz`` decompressed.

    Raises:
        DataFormatError: The file is cut off or damaged.
    """
    try:
        if path.suffix != ".gz":
            with path.open("rb", BUFFER_BYTES) as stream:
                yield stream
            return
        # With a buffer of its own: from GzipFile, each line is a Python call.
        with gzip.open(path) as packed, io.BufferedReader(packed, BUFFER_BYTES) as stream:
            yield stream
    except EOFError as error:
        raise DataFormatError(
            f"{path}: the gzip file is cut off: {error}. Fetch or copy it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataFormatError(
            f"{path}: the gzip file is damaged: {error}. Fetch or copy it again"
        ) from error


def _parse(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        row = json.loads(text)
        if b"\\ud" in line or b"\\uD" in line:
            json.dumps(row, ensure_ascii=False).encode()  # half a character cannot be encoded
    except UnicodeDecodeError as error:
        raise DataFormatError(
            f"{path}:{number}: not UTF-8: {error}. Save the file as UTF-8"
        ) from error
    except UnicodeEncodeError as error:
        raise DataFormatError(
            f"{path}:{number}: half of a surrogate pair: {error.reason}. Mend or remove the line"
        ) from error
    except (ValueError, RecursionError) as error:  # too long a number, too deep a list
        raise DataFormatError(
            f"{path}:{number}: not valid JSON: {error}. Mend or remove the line"
        ) from error
    if not isinstance(row, dict):
        raise DataFormatError(f"{path}:{number}: expected a JSON object, mend or remove the line")
    return row


def _parquet_rows(path: Path, start: int, stop: int | None) -> Generator[Row, None, int]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, pre_buffer=False) as file:  # else all that was read is kept
            ends = _group_ends(file)
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
    except (ArrowException, OSError) as error:
        raise DataFormatError(
            f"{path}: not a Parquet file, or damaged: {error}. Fetch or copy it again"
        ) from error


def _group_ends(file: Any) -> list[int]:
    """Number of rows up to the end of each row group."""
    sizes = (file.metadata.row_group(at).num_rows for at in range(file.num_row_groups))
    return list(accumulate(sizes))


def as_passage(path: Path, number: int, row: Mapping[str, Any]) -> StreamedPassage:
    """A row as a passage.

    Raises:
        DataFormatError: A field is missing or of the wrong type.
    """
    title, text = row.get("title"), row.get("text")
    identifier = row.get("_id")
    if identifier is None:
        identifier = row.get("docid", row.get("id"))
    if type(identifier) is int:  # some BEIR folders have numbers
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier:
        raise DataFormatError(
            f"{path}:{number}: no id: one of {', '.join(ID_FIELDS)} must be a string or a whole "
            f"number, got {identifier!r}; the row has {', '.join(row) or 'no fields'}"
        )
    if not isinstance(text, str):
        raise DataFormatError(
            f'{path}:{number}: passage {identifier!r}: "text" must be a string, got {text!r}; the '
            f"row has {', '.join(row)}"
        )
    if title is None:
        title = ""
    elif not isinstance(title, str):
        raise DataFormatError(
            f'{path}:{number}: passage {identifier!r}: "title" must be a string or null, got '
            f"{title!r}"
        )
    return StreamedPassage(identifier, text, title)
