"""Small JSON records that say how data are to be read, with a checksum of their own.

A digit that changes in a record changes what comes out of data that are sound, so a record is
checked like the data. A seal finds damage; it does not stop somebody who seals anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files import check_regular, write_text
from hybridir_mteb.files.json_text import read_json_object

SEAL = "sha256"


def seal_of(content: Mapping[str, Any]) -> str:
    """Hex sha256 of a record's content, whatever the order of its keys."""
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_record(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a record and its seal, whole or not at all.

    Args:
        path: The file.
        content: What JSON can hold, without the seal; numbers are finite.
        indent: Spaces of indentation; None writes one line.
    """
    plain = json.loads(json.dumps(content, allow_nan=False))  # tuples and keys, as they are read
    sealed = {**plain, SEAL: seal_of(plain)}
    write_text(path, json.dumps(sealed, indent=indent, ensure_ascii=False) + "\n")


def read_record(path: Path, old: Collection[str] = ()) -> dict[str, Any]:
    """The content of a record, without its seal.

    Args:
        path: The file.
        old: The keys of such a record in versions that had no seals; a record without a seal is
            accepted if it has exactly these, of which one may be called as the seal is.

    Raises:
        DataFormatError: The record is damaged; the message names it.
        OSError: The file is missing or cannot be read.
    """
    check_regular(path)
    try:
        content = read_json_object(path)
    except DataFormatError as error:
        raise DataFormatError(f"the record is damaged: {error}") from error
    if old and content.keys() == set(old) and not isinstance(content.get(SEAL), str):
        return content
    seal = content.pop(SEAL, None)
    if seal != seal_of(content):
        what = "has no checksum" if seal is None else "differs from its checksum"
        raise DataFormatError(f"the record {path} is damaged: it {what}")
    return content


def seal(path: Path, old: Collection[str]) -> None:
    """Give a record of a version that had no seals its seal, once its content is known to be right.

    One that is damaged, or lies where nothing can be written, stays as it is.
    """
    with suppress(DataFormatError, OSError):
        content = read_json_object(path)
        if content.keys() == set(old):
            write_record(path, content)
