"""Files written whole or not at all, checksums of files, and the hash that orders ids."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files.room import room_for
from hybridir_mteb.files.temporary import beside, done, sweep

__all__ = [
    "beside",
    "check_regular",
    "digest_of",
    "folder_beside",
    "move_in",
    "replacing",
    "sha256_of",
    "sweep",
    "tie_key",
    "write_text",
]

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
    """Refuse what is no file of a record, or has more bytes, before it is read: a pipe would wait.

    Raises:
        DataFormatError: A folder, a pipe or a device, or too large a file.
        OSError: There is nothing, or a link to nothing.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DataFormatError(f"{path}: not a file; remove it")
    if found.st_size > limit:
        raise DataFormatError(f"{path}: {found.st_size / 1e6:.0f} MB is too much for a record")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without error.

    A reader sees the old file or the new one, never a part; after an error the old one stays. What
    killed processes left in the folder goes.

    Raises:
        NoSpaceError: The disk is full.
    """
    temporary = beside(path)
    try:
        with room_for(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path.parent)
            yield temporary
            temporary.replace(path)
    finally:
        with suppress(OSError):  # whatever keeps it from going has kept it from being written
            temporary.unlink(missing_ok=True)
        done(temporary)


@contextmanager
def folder_beside(place: Path) -> Iterator[Path]:
    """An empty folder beside ``place``, to be renamed to it; what is left of it goes at the end.

    What killed processes left beside it goes, too.

    Raises:
        NoSpaceError: The disk is full.
    """
    folder = beside(place)
    try:
        with room_for(place, folder):
            folder.mkdir(parents=True)
            sweep(place.parent)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        done(folder)


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
