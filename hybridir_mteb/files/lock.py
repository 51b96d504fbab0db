"""Who works in a place: one process at a time, and the others are told which it is.

The system frees a lock when its process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridir_mteb.errors import BusyError, printable


@contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file, whose folder is made, while the block runs; it goes with the block.

    Raises:
        BusyError: Another process holds it; the message says which.
        OSError: The file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = printable(os.read(handle, 200).decode("utf-8", "replace").strip())
            os.close(handle)
            raise BusyError(
                f"{what} is being worked on by {holder or 'another process'}: wait for it to end, "
                "or stop it"
            ) from error
        if _is(path, handle):
            break
        os.close(handle)  # whoever held it has removed it meanwhile
    try:
        os.truncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
