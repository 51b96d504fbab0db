"""Whether a file is still the one whose content was checked, without reading it again.

A file that was written again has another time of change, one that took its place another inode. Two
changes within one tick of a file system's clock have the same time, so a stamp is to be trusted
only once the file has not changed for a while.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

TICK_NS = 2_000_000_000  # of the coarsest clock, that of FAT

Stamp = tuple[int, int, int, int]


def stamp_of(path: Path) -> Stamp:
    """Size, time of the last change of the content and of the entry, and inode of a file.

    Raises:
        OSError: There is no such file, or it cannot be looked at.
    """
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def is_settled(stamp: Stamp) -> bool:
    """Whether any change from now on gives a file of this stamp another one."""
    return abs(time.time_ns() - stamp[1]) > TICK_NS


def settle(path: Path) -> None:
    """Date a file that was just written back, so that its stamp is to be trusted at once.

    Raises:
        OSError: The time cannot be set.
    """
    before = time.time_ns() - 2 * TICK_NS
    os.utime(path, ns=(before, before))
