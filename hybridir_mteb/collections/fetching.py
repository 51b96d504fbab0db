"""Around every download of data: its place in the cache, locked, and one message if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hybridir_mteb import paths
from hybridir_mteb.errors import ChecksumError, DataUnavailableError
from hybridir_mteb.files.remote import CONNECT, diagnose

VERIFIED: Final = "verified.json"  # of a folder: its revision, and each file's sha256


@contextmanager
def fetching(needed: str, source: str, again: str, put: str) -> Iterator[Path]:
    """The place of data in the cache, locked while they are downloaded to it.

    Args:
        needed: Place below the mirror and below the cache.
        source: What is downloaded, such as ``of URL``.
        again: What to do once there is a network.
        put: What to put where below a mirror.

    Raises:
        DataUnavailableError: The download fails; the message names both ways out.
    """
    from filelock import FileLock

    place = paths.data_cache_dir() / needed
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            yield place
    except (ChecksumError, DataUnavailableError):
        raise
    except Exception as error:  # requests and the hub's client have no common base
        mirror = paths.mirror_dir()
        here = f"not in the mirror {mirror}" if mirror else f"{paths.DATA_DIR_VARIABLE} is not set"
        cause, remedy = diagnose(error)
        raise DataUnavailableError(
            f"{needed} is needed and not here: {here}; not in the cache {paths.data_cache_dir()}; "
            f"the download {source} failed: {cause}. Either {remedy or CONNECT} and "
            f"{again} (what was downloaded is kept), or put {put} and set "
            f"{paths.DATA_DIR_VARIABLE}=<folder>."
        ) from error
