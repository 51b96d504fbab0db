"""Where data files come from: local mirror, cache, pinned download, in this order.

The only module that touches the network. Every file is checked against its pinned sha256 wherever
it comes from; one that does not match is never used.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hybridir_mteb import paths
from hybridir_mteb.errors import ChecksumError, DataUnavailableError
from hybridir_mteb.files import sha256_of

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class DataFile:
    """One upstream file, pinned.

    Attributes:
        path: Place below the mirror and below the cache, with forward slashes.
        url: Where the pinned revision of the file is.
        sha256: Checksum of that revision.
        language: The only language that needs the file, if it is not all of them.
    """

    path: str
    url: str
    sha256: str
    language: str = ""


def locate(file: DataFile) -> Path | None:
    """The file in the mirror or in the cache, checksum verified; None if in neither."""
    for place in (paths.mirror_dir(), paths.data_cache_dir()):
        if place is None:
            continue
        candidate = place / file.path
        if candidate.is_file():
            found = sha256_of(candidate)
            if found == file.sha256:
                return candidate
            logger.warning(
                "%s is ignored: its sha256 is %s, expected %s", candidate, found, file.sha256
            )
    return None


def fetch(file: DataFile) -> Path:
    """The file from the first source that has it.

    Raises:
        ChecksumError: The download is complete but is not the pinned file.
        DataUnavailableError: No source has the file; the message names both ways out.
    """
    found = locate(file)
    if found is not None:
        return found
    import requests  # here, because registering a collection must not load it
    from filelock import FileLock

    target = paths.data_cache_dir() / file.path

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            found = locate(file)  # another process may have fetched it while this one waited
            if found is not None:
                return found
            _download(file, target)
    except (requests.RequestException, OSError) as error:
        raise unavailable(
            file.path,
            f"the download of {file.url} failed: {error}",
            "run again",
            f"the file at <folder>/{file.path}",
        ) from error
    return target


def unavailable(needed: str, tried: str, again: str, put: str) -> DataUnavailableError:
    """The error of data that no source has, with both ways out.

    Args:
        needed: Place below the mirror and below the cache.
        tried: What download failed, and why.
        again: What to do once there is a network.
        put: What to put where below a mirror.
    """
    mirror = paths.mirror_dir()
    here = f"not in the mirror {mirror}" if mirror else f"{paths.DATA_DIR_VARIABLE} is not set"
    return DataUnavailableError(
        f"{needed} is needed and not here: {here}; not in the cache {paths.data_cache_dir()}; "
        f"{tried}. Either connect to the network and {again} (what was downloaded is kept), or put "
        f"{put} and set {paths.DATA_DIR_VARIABLE}=<folder>."
    )


def _download(file: DataFile, target: Path) -> None:
    """Fetch into a ``.part`` file that a later try continues, verify, then rename."""
    import requests

    part = target.with_name(f".{target.name}.{file.sha256[:12]}.part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # ranges of a compressed answer would not fit
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        complete = response.status_code == requests.codes.requested_range_not_satisfiable
        if not complete:
            response.raise_for_status()
            if response.status_code != requests.codes.partial_content:
                have = 0  # the server ignores ranges: start again
            _append(response, part, have, file.path)
    found = sha256_of(part)
    if found != file.sha256:
        part.unlink()
        raise ChecksumError(
            f"{file.url}: sha256 {found}, expected {file.sha256}. The download was discarded; run "
            "again, and if it fails again the upstream file has changed: report it"
        )
    part.replace(target)


def _append(response: requests.Response, part: Path, have: int, name: str) -> None:
    from tqdm import tqdm

    length = response.headers.get("Content-Length")
    total = have + int(length) if length else None
    with (
        part.open("r+b" if have else "wb") as stream,
        tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name) as bar,
    ):
        stream.seek(have)
        for chunk in response.iter_content(CHUNK_BYTES):
            stream.write(chunk)
            bar.update(len(chunk))
