"""Checksums of large files, remembered: 16 GB are not read again for each run."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from hybridir_mteb import paths
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, plain_logger
from hybridir_mteb.files import replacing, sha256_of
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.stamp import is_settled, settle, stamp_of

logger = plain_logger(__name__)

FILES: Final = "files"  # path -> its stamp and sha256


def digests_of(files: Sequence[Path]) -> list[str]:
    """Hex sha256 of each file; computed once for each path and stamp.

    One that changed within the last seconds is not remembered: it may change again unnoticed.

    Raises:
        DataUnavailableError: A file is missing.
    """
    known = _remembered()
    found = []
    for path in files:
        place = str(path.absolute())
        try:
            stamp = stamp_of(path)
            kept = known.get(place)
            if kept and kept[:-1] == [*stamp]:
                found.append(kept[-1])
                continue
            digest = sha256_of(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise DataUnavailableError(f"{path}: no such file; was it moved?") from error
        if stamp_of(path) == stamp and is_settled(stamp):
            _remember(place, [*stamp, digest])
        found.append(digest)
    return found


def content_digest(files: Sequence[Path]) -> str:
    """One hex sha256 of several files: of their names and content, in this order.

    Raises:
        DataUnavailableError: A file is missing.
    """
    names = [path.name for path in files]
    return joint_digest(zip(names, digests_of(files), strict=True))


def joint_digest(digests: Iterable[tuple[str, str]]) -> str:
    """One hex sha256 of the names and digests of files; folders in a name play no part."""
    total = hashlib.sha256()
    for name, digest in digests:
        total.update(f"{name.rpartition('/')[2]}\0{digest}\n".encode())
    return total.hexdigest()


def build_unless_sound(path: Path, identity: str, build: Callable[[Path], None]) -> None:
    """Have a file built, unless it is there as it was built, and of this identity.

    A record beside it, of its name and ``.json``, holds identity and digest.

    Args:
        path: The file.
        identity: All that its content depends on.
        build: Writes it to the path that it is given, from which it is renamed.
    """
    record = path.with_name(f"{path.name}.json")
    if _is_sound(path, record, identity):
        return
    for place in (path, record):
        if place.is_dir():
            shutil.rmtree(place)
    with replacing(path) as temporary:
        build(temporary)
    settle(path)
    write_record(record, {"identity": identity, "digest": digests_of([path])[0]})


def _is_sound(path: Path, record: Path, identity: str) -> bool:
    try:
        held = read_record(record)
        right = {"identity": identity, "digest": digests_of([path])[0]}
    except FileNotFoundError:  # of either; version 0.1 wrote no records
        return False
    except (DataFormatError, OSError) as error:
        logger.warning("%s. What it is of is built again", error)
        return False
    if held != right:
        logger.warning("%s is not what its record says: it is built again", path)
    return held == right


def _remembered() -> dict[str, Any]:
    try:
        files: dict[str, Any] = read_record(paths.digests_file())[FILES]
    except OSError:  # none yet
        return {}
    except (DataFormatError, KeyError) as error:  # or version 0.1's, which had no checksum
        logger.warning("%s. Checksums of data files are computed again", error)
        return {}
    return files


def _remember(place: str, entry: list[int | str]) -> None:
    """Written after each file: one may take a minute, and a run may be killed."""
    file = paths.digests_file()
    try:
        write_record(file, {FILES: {**_remembered(), place: entry}}, indent=0)
    except OSError as error:
        logger.warning("%s cannot be written (%s): checksums are computed anew", file, error)
