"""Files and texts of others: what the system or a decoder says becomes one error that names them.

Lines end at line feeds alone: ``str.splitlines`` ends them at nine other characters too, which
texts may hold.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, HybridIRError, printable

BUFFER_BYTES = 1 << 20
ASCII_BLANKS = " \t\n\r\f\v"  # no others part columns: ids and texts may hold them


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Around reading a file: errors of the system and of gzip name it.

    Raises:
        DataUnavailableError: It is missing, is a folder or may not be read.
        DataFormatError: It is compressed, and cut off or damaged.
    """
    try:
        yield
    except HybridIRError:  # some are OSErrors
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        what = "cut off" if isinstance(error, EOFError) else "damaged"
        raise DataFormatError(
            f"{path}: cannot be read: the gzip file is {what}: {error}. Fetch or copy it again"
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataUnavailableError(f"{path}: no such file") from error
    except OSError as error:
        reason = error.strerror or printable(str(error))
        raise DataUnavailableError(f"{path}: cannot be read: {reason}") from error


@contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes; those of ``*.gz`` decompressed.

    Raises:
        DataUnavailableError: It is missing, is a folder or may not be read.
        DataFormatError: It is cut off or damaged.
    """
    with naming(path):
        if path.suffix != ".gz":
            with path.open("rb", BUFFER_BYTES) as stream:
                yield stream
            return
        # With a buffer of its own: from GzipFile, each line is a Python call.
        with gzip.open(path) as packed, io.BufferedReader(packed, BUFFER_BYTES) as stream:
            yield stream


def read_bytes(path: Path) -> bytes:
    """All bytes of a file; those of ``*.gz`` decompressed.

    Raises:
        DataUnavailableError: It is missing, is a folder or may not be read.
        DataFormatError: It is cut off or damaged.
    """
    with reading(path) as stream:
        return stream.read()


def decoded(line: bytes, where: str) -> str:
    """The text of some bytes in UTF-8; a byte order mark before it is no part of it.

    Raises:
        DataFormatError: They are not UTF-8.
    """
    try:
        return line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataFormatError(
            f"{where}: not UTF-8 at byte {error.start + 1}. Save the file as UTF-8"
        ) from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbers, from 1, and text of all lines, without their ends; ``*.gz`` is decompressed.

    Raises:
        DataUnavailableError: It is missing, is a folder or may not be read.
        DataFormatError: A line is not UTF-8 or holds NUL, as UTF-16 does, or the file is damaged.
    """
    with reading(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.removeprefix(codecs.BOM_UTF8).decode("utf-8")
            except UnicodeDecodeError:
                text = decoded(line, f"{path}:{number}")
            if "\0" in text:
                raise DataFormatError(
                    f"{path}:{number}: a NUL character; is the file in UTF-16? Save it as UTF-8"
                )
            yield number, text.removesuffix("\n").removesuffix("\r")
