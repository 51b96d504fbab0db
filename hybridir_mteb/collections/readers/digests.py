"""Checksums of large files, remembered: 16 GB are not read again for each run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import DataUnavailableError, plain_logger
from hybridir_mteb.files import sha256_of, write_text

logger = plain_logger(__name__)


def digests_of(files: Sequence[Path]) -> list[str]:
    """Hex sha256 of each file; computed once for each path, size and time of change.

    Raises:
        DataUnavailableError: A file is missing.
    """
    known = _remembered()
    found = []
    for path in files:
        place = str(path.absolute())
        try:
            before = path.stat()
            key = [before.st_size, before.st_mtime_ns]
            kept = known.get(place)
            if isinstance(kept, list) and kept[:2] == key and isinstance(kept[-1], str):
                found.append(kept[-1])
                continue
            digest = sha256_of(path)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise DataUnavailableError(f"{path}: no such file; was it moved?") from error
        after = path.stat()
        if [after.st_size, after.st_mtime_ns] == key:
            _remember(place, [*key, digest])
        found.append(digest)
    return found


def content_digest(files: Sequence[Path]) -> str:
    """One hex sha256 of several files: of their names and content, in this order.

    Raises:
        DataUnavailableError: A file is missing.
    """
    total = hashlib.sha256()
    for path, digest in zip(files, digests_of(files), strict=True):
        total.update(f"{path.name}\0{digest}\n".encode())
    return total.hexdigest()


def _remembered() -> dict[str, Any]:
    try:
        content = json.loads(paths.digests_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: then it is made anew
        return {}
    return content if isinstance(content, dict) else {}


def _remember(place: str, entry: list[int | str]) -> None:
    """Written after each file: one may take a minute, and a run may be killed."""
    file = paths.digests_file()
    try:
        write_text(file, json.dumps({**_remembered(), place: entry}, indent=0))
    except OSError as error:
        logger.warning("%s cannot be written (%s): checksums are computed anew", file, error)
