"""Files written whole or not at all, checksums of files, and the hash that orders ids."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from hybridir_mteb.errors import DataFormatError

RECORD_LIMIT = 64 << 20  # bytes; a long training's curve has one


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(*parts: str) -> str:
    """Hex digest of several strings, each kept apart from the next."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def tie_key(identifier: str) -> bytes:
    """What orders passages of equal score, the smallest first: 8 bytes of a hash of the id."""
    return hashlib.blake2b(identifier.encode(), digest_size=8).digest()


def check_regular(path: Path, limit: int = RECORD_LIMIT) -> None:
    """Refuse what is no file of a record before it is read: a pipe would be waited for.

    Args:
        path: Where the record should be.
        limit: Largest size in bytes.

    Raises:
        DataFormatError: A folder, a pipe or a device, or too large a file.
        OSError: There is nothing, or a link to nothing.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DataFormatError(f"{path}: not a file; remove it")
    if found.st_size > limit:
        raise DataFormatError(f"{path}: {found.st_size / 1e6:.0f} MB is too much for a record")


def beside(path: Path) -> Path:
    """A hidden name beside a path that no other process has."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid4().hex[:8]}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without error.

    A reader sees the old file or the new one, never a part; after an error the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(place: Path) -> Iterator[Path]:
    """An empty folder beside ``place``, to be renamed to it; what is left of it goes at the end."""
    folder = beside(place)
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def move_in(folder: Path, place: Path) -> bool:
    """Rename a complete folder to its place; False if a folder of another process is there.

    Raises:
        OSError: It cannot be renamed for any other reason.
    """
    try:
        folder.rename(place)  # fails if there is a folder that is not empty
    except OSError:
        if not place.is_dir():
            raise
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
