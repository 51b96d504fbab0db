"""Where data files come from: local mirror, cache, pinned download, in this order.

The only module that touches the network. Every file is checked against its pinned sha256 wherever
it comes from; one that does not match is never used.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb import paths
from hybridir_mteb.collections.readers.rows import in_order
from hybridir_mteb.errors import ChecksumError, DataUnavailableError, one_line
from hybridir_mteb.files import sha256_of, write_text

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


VERIFIED = "verified.json"


@dataclass(frozen=True)
class HubFolder:
    """Numbered files of one folder of a data set on the hub.

    Attributes:
        repository: ``owner/name`` of the data set.
        revision: Commit.
        folder: Folder there.
        count: Number of files there: ``docs-0.jsonl.gz`` and so on.
        place: Folder below the mirror and below the cache, with forward slashes.
        how: Command that fetches the files, for messages.
    """

    repository: str
    revision: str
    folder: str
    count: int
    place: str
    how: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the official files, in order."""
        return tuple(f"docs-{at}.jsonl.gz" for at in range(self.count))


def locate_folder(folder: HubFolder) -> tuple[Path, ...] | None:
    """The files in the mirror or in the cache, in order; None if in neither.

    Raises:
        DataFormatError: The mirror's files are not numbered from 0 without a gap.
    """
    mirror = paths.mirror_dir()
    if mirror is not None:
        place = mirror / folder.place
        found = [*place.glob("docs-*.jsonl.gz"), *place.glob("docs-*.jsonl")]
        if found:
            return in_order(found, first=0)
    cached = paths.data_cache_dir() / folder.place
    verified = _verified(folder, cached)
    if all(name in verified and (cached / name).is_file() for name in folder.names):
        return tuple(cached / name for name in folder.names)
    return None


def fetch_folder(folder: HubFolder) -> tuple[Path, ...]:
    """The files from the first source that has them, in order.

    Raises:
        ChecksumError: A downloaded file is not the one that the hub lists.
        DataUnavailableError: No source has the files; the message names both ways out.
    """
    found = locate_folder(folder)
    if found is not None:
        return found
    from filelock import FileLock

    cached = paths.data_cache_dir() / folder.place
    try:
        cached.mkdir(parents=True, exist_ok=True)
        with FileLock(cached / ".lock"):
            _download_folder(folder, cached)
    except (ChecksumError, DataUnavailableError):
        raise
    except Exception as error:
        raise unavailable(
            folder.place,
            f"the download from {folder.repository} failed: {one_line(error).rstrip('.')}",
            f"run: {folder.how}",
            f"the files at <folder>/{folder.place}/docs-*.jsonl.gz",
        ) from error
    return tuple(cached / name for name in folder.names)


def _download_folder(folder: HubFolder, cached: Path) -> None:
    """Fetch what is not here yet; what an interrupted run fetched is kept."""
    from huggingface_hub import HfApi, hf_hub_download

    verified = _verified(folder, cached)
    missing = [n for n in folder.names if n not in verified or not (cached / n).is_file()]
    if not missing:  # another process fetched them while this one waited
        return
    listed = HfApi().get_paths_info(
        folder.repository,
        [f"{folder.folder}/{name}" for name in missing],
        revision=folder.revision,
        repo_type="dataset",
    )
    expected = {Path(file.path).name: _sha256(file) for file in listed}
    unlisted = [name for name in missing if not expected.get(name)]
    if unlisted:
        raise DataUnavailableError(
            f"{folder.repository} at {folder.revision} lists no checksum of {folder.folder}/"
            f"{unlisted[0]}; has the data set been changed? Report it"
        )
    for name in missing:
        # Into a folder of the hub's layout, from where the file is moved when it is verified.
        path = Path(
            hf_hub_download(
                folder.repository,
                f"{folder.folder}/{name}",
                revision=folder.revision,
                repo_type="dataset",
                local_dir=cached / ".download",
            )
        )
        found = sha256_of(path)
        if found != expected[name]:
            path.unlink()
            raise ChecksumError(
                f"{folder.repository}, {folder.folder}/{name}: sha256 {found}, the hub lists "
                f"{expected[name]}. The download was discarded; run again"
            )
        path.replace(cached / name)
        verified = {**verified, name: found}
        content = {"revision": folder.revision, "sha256": verified}
        write_text(cached / VERIFIED, json.dumps(content, indent=1))


def _sha256(file: Any) -> str:
    return str(file.lfs.sha256) if getattr(file, "lfs", None) else ""


def _verified(folder: HubFolder, cached: Path) -> Mapping[str, str]:
    try:
        content = json.loads((cached / VERIFIED).read_text(encoding="utf-8"))
        files = content["sha256"] if content["revision"] == folder.revision else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}
