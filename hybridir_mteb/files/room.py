"""Whether a place can be written and has the room: asked before long work, and said after it."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridir_mteb.errors import HybridIRError, NoSpaceError, SettingError
from hybridir_mteb.files.temporary import size_of

_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your quota of disk space is used up",
    errno.EFBIG: "the file is larger than the system allows (ulimit -f)",
}
# Libraries that are not written in Python quote the number, or at least the text.
_QUOTED = re.compile(r"os error (\d+)\b")
_TEXTS = {os.strerror(code): code for code in _WHY}
_SHORT = re.compile(  # what torch and numpy say, which do not look for the cause
    r"PytorchStreamWriter failed|unexpected pos \d+ vs \d+|iostream error|"
    r"\d+ requested and \d+ written"
)


def readable(n_bytes: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"


def no_room(error: BaseException) -> int | None:
    """The number of the error if a disk, a quota or a limit is full; None if it is another."""
    code = getattr(error, "errno", None)
    if code in _WHY:
        return int(code)
    text = str(error)
    if match := _QUOTED.search(text):
        return int(match[1]) if int(match[1]) in _WHY else None
    found = next((code for words, code in _TEXTS.items() if words in text), None)
    if found is not None or not _SHORT.search(text):
        return found
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return errno.ENOSPC if limit == resource.RLIM_INFINITY else errno.EFBIG


@contextmanager
def room_for(path: Path, *written: Path) -> Iterator[None]:
    """Around what writes to a path: a full disk is one message, whatever raises it.

    Args:
        path: What is to be written.
        *written: Under which names it is written until then, to tell how much was.

    Raises:
        NoSpaceError: The disk is full, or a quota or limit is reached.
    """
    try:
        yield
    except HybridIRError:
        raise
    except Exception as error:  # torch and safetensors raise their own kinds
        code = no_room(error)
        if code is None:
            raise
        raise NoSpaceError(_message(path, code, written)) from error


def _message(path: Path, code: int, written: tuple[Path, ...]) -> str:
    place, size = existing(path), sum(map(size_of, written))
    return (
        f"{path} cannot be written: {_WHY[code]} ({os.strerror(code)}): {readable(size)} of it "
        f"were written, and {place} has {readable(shutil.disk_usage(place).free)} free; free some "
        "space there, or choose another place"
    )


def existing(path: Path) -> Path:
    """The path, or the folder above it that there is.

    Raises:
        SettingError: The system cannot even look for it, as for a name that is too long.
    """
    path = path.absolute()
    try:
        while not path.exists():
            path = path.parent
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}; choose another place") from error
    return path


def disk_free(path: Path) -> int:
    """Bytes that are free where a path is, or would be."""
    return shutil.disk_usage(existing(path)).free


def check_room(path: Path, needed: float, what: str) -> None:
    """Refuse to start what needs more bytes, by an estimate, than the disk has.

    Raises:
        NoSpaceError: The disk has less.
    """
    place, free = existing(path), disk_free(path)
    if needed > free:
        raise NoSpaceError(
            f"{what} in {path} needs about {readable(needed)}, and {place} has {readable(free)} "
            "free: free some space there, or choose another place"
        )


def check_folder(folder: Path, option: str = "") -> None:
    """Refuse a place in which no file could be made, before long work.

    Args:
        folder: The folder; it need not exist, and is not made.
        option: What names it, for the message, such as ``--output``.

    Raises:
        SettingError: There is a file in its place, or it cannot be written to.
    """
    place, named = existing(folder), f"{folder}{f' ({option})' if option else ''}"
    if not place.is_dir():
        raise SettingError(f"{named} cannot be made: {place} is a file; give another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise SettingError(
            f"{named} cannot be written: no permission to write to {place}, or it is read-only; "
            "give another folder, or make it writable"
        )


def check_file(path: Path, option: str = "") -> None:
    """Refuse a place for a file that could not be written there; as of :func:`check_folder`.

    Raises:
        SettingError: The place is a folder, or its folder cannot be written to.
    """
    check_folder(path.parent, option)
    existing(path)
    if path.is_dir():
        raise SettingError(f"{path} is a folder; give the name of a file")
