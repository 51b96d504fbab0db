"""Temporary files and folders beside their places, and what killed processes left of them.

Their names say whose they are: ``.<name>.<process>.<machine and chance>.tmp``. Nothing that a
process of this machine may still be writing is ever removed.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

OLD_S = 24 * 3600  # of another machine's: no single file or folder is written for a day
LONGEST = 100  # characters of a name that are kept: file systems take 255 bytes with the rest
_NAME = re.compile(r"\.(.+)\.(\d{1,10})\.([0-9a-f]{8})([0-9a-f]{8})?\.tmp", re.DOTALL)
_MINE: set[str] = set()  # what this very process is writing


@dataclass(frozen=True)
class LeftBehind:
    """A temporary file or folder whose process has ended, or has written nothing for a day.

    Attributes:
        path: Where it is.
        bytes: Size on disk.
    """

    path: Path
    bytes: int


@cache
def _machine() -> str:
    """Eight hex digits for the machine, its last start, and the numbering of its processes."""
    known = [platform.node()]
    with suppress(OSError):  # Linux only; in containers process numbers begin anew
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        known.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2b("|".join(known).encode(), digest_size=4).hexdigest()


def beside(path: Path) -> Path:
    """A hidden name beside a path that no other process has."""
    tail = f".{os.getpid()}.{_machine()}{uuid4().hex[:8]}.tmp"
    made = path.with_name(f".{_short(path.name)}{tail}")
    _MINE.add(str(made.absolute()))
    return made


def _short(name: str) -> str:
    kept = name[:LONGEST]
    while len(os.fsencode(kept)) > LONGEST:
        kept = kept[:-1]
    return kept


def done(path: Path) -> None:
    """Forget a name from :func:`beside`, once nothing is written under it any more."""
    _MINE.discard(str(path.absolute()))


class TemporaryFolder:
    """A folder of its owner's that goes with this object, at the latest with the process.

    Args:
        parent: Where it is made, and where what killed processes left is removed.
        name: Part of its name.

    Attributes:
        path: The folder.
    """

    def __init__(self, parent: Path, name: str) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        self.path = beside(parent / name)
        self.path.mkdir(mode=0o700)
        self.close = weakref.finalize(self, _remove_folder, self.path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *error: object) -> None:
        self.close()


def _remove_folder(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    done(path)


def left_behind(folder: Path) -> list[LeftBehind]:
    """What killed processes left in a folder, if there is one, not in the folders in it."""
    found = []
    for path, process, machine in _temporary(folder):
        with suppress(OSError):  # another process sweeps, too
            if path.lstat().st_uid == os.getuid() and not _in_use(path, process, machine):
                found.append(LeftBehind(path, size_of(path)))
    return found


def sweep(folder: Path) -> int:
    """Remove what killed processes left in a folder.

    Returns:
        Bytes freed.
    """
    freed = 0
    for left in left_behind(folder):
        if left.path.is_dir():
            shutil.rmtree(left.path, ignore_errors=True)
        else:
            with suppress(OSError):
                left.path.unlink()
        if not left.path.exists():
            freed += left.bytes
    return freed


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    total = 0
    for file in path.rglob("*") if path.is_dir() else (path,):
        with suppress(OSError):  # files come and go
            total += file.lstat().st_size if file.is_file() else 0
    return total


def _temporary(folder: Path) -> Iterator[tuple[Path, int, str]]:
    """Paths with such names, with the process and the machine that they name."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.is_symlink()]
    except OSError:
        return
    for name in sorted(names):
        if match := _NAME.fullmatch(name):
            # Version 0.1 did not name the machine.
            yield folder / name, int(match[2]), match[3] if match[4] else _machine()


def _in_use(path: Path, process: int, machine: str) -> bool:
    if machine != _machine():
        return time.time() - _last_written(path) < OLD_S
    return str(path.absolute()) in _MINE if process == os.getpid() else _alive(process)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True


def _last_written(path: Path) -> float:
    times = [path.lstat().st_mtime]
    for file in path.rglob("*") if path.is_dir() else ():
        with suppress(OSError):
            times.append(file.lstat().st_mtime)
    return max(times)
