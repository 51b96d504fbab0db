"""Where data files come from: local mirror, cache, pinned download, in this order.

A download is used only if it has the sha256 that is pinned here, or that the hub lists for the
pinned commit, and is compared with it again whenever it is opened: a folder of many files by their
stamps first. A single file is checked in the mirror, too; a folder of many is not. Data sets that
the hub's own library reads are in :mod:`hybridir_mteb.collections.hub`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridir_mteb import paths
from hybridir_mteb.collections.fetching import VERIFIED, fetching
from hybridir_mteb.collections.hub import HubDataset, fetch_dataset, locate_dataset
from hybridir_mteb.collections.readers.digests import digests_of
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    plain_logger,
)
from hybridir_mteb.files import sha256_of
from hybridir_mteb.files.numbers import written_whole
from hybridir_mteb.files.progress import progress
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.remote import quiet

if TYPE_CHECKING:
    import requests

logger = plain_logger(__name__)

CHUNK_BYTES = 1 << 16
TIMEOUT_S = 30.0
OLD_VERIFIED = ("revision", "sha256")  # what it had up to version 0.1
_NUMBER = re.compile(r"(?:^|[-_])([0-9]+)(?:-of-([0-9]+))?(?=\.[^0-9]+$)")


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


def locate(file: DataFile | HubDataset) -> Path | None:
    """The file in the mirror or in the cache, checksum verified; None if in neither.

    Of a data set of the hub, the folder.
    """
    if isinstance(file, HubDataset):
        return locate_dataset(file)
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


def fetch(file: DataFile | HubDataset) -> Path:
    """The file, or the data set's folder, from the first source that has it.

    Raises:
        ChecksumError: The download is complete but is not the pinned file.
        DataUnavailableError: No source has the file; the message names both ways out.
    """
    if isinstance(file, HubDataset):
        return fetch_dataset(file)
    found = locate(file)
    if found is None:
        put = f"the file at <folder>/{file.path}"
        with fetching(file.path, f"of {file.url}", "run again", put) as target:
            found = locate(file)  # another process may have fetched it while this one waited
            if found is None:
                _download(file, target)
                found = target
    return found


def _check(path: Path, sha256: str, source: str) -> None:
    """Refuse a download that is not what was asked for; it goes."""
    found = sha256_of(path)
    if found != sha256:
        path.unlink()
        raise ChecksumError(
            f"{source}: sha256 {found}, expected {sha256}. The download was discarded; run again, "
            "and if it fails again the upstream file has changed: report it"
        )


def _download(file: DataFile, target: Path) -> None:
    """Fetch into a ``.part`` file that a later try continues, verify, then rename."""
    import requests  # here, because registering a collection must not load it

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
    _check(part, file.sha256, file.url)
    part.replace(target)


def _append(response: requests.Response, part: Path, have: int, name: str) -> None:
    rest = written_whole(response.headers.get("Content-Length") or "")
    total = None if rest is None else have + rest
    with (
        part.open("r+b" if have else "wb") as stream,
        progress(desc=name, total=total, initial=have, unit="B", unit_scale=True) as bar,
    ):
        stream.seek(have)
        for chunk in response.iter_content(CHUNK_BYTES):
            stream.write(chunk)
            bar.update(len(chunk))


@dataclass(frozen=True)
class HubFolder:
    """Numbered files of one folder of a data set on the hub.

    Attributes:
        repository: ``owner/name`` of the data set.
        revision: Commit of the data set.
        folder: Folder of the data set that the files are in.
        count: Number of files: ``docs-0.jsonl.gz`` and so on.
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
    complete = len(_verified(folder, cached)) == len(folder.names)
    return tuple(cached / name for name in folder.names) if complete else None


def fetch_folder(folder: HubFolder) -> tuple[Path, ...]:
    """The files from the first source that has them, in order.

    Raises:
        ChecksumError: A downloaded file is not the one that the hub lists.
        DataUnavailableError: No source has the files; the message names both ways out.
    """
    found = locate_folder(folder)
    if found is None:
        put = f"the files at <folder>/{folder.place}/docs-*.jsonl.gz"
        source = f"from {folder.repository}"
        with fetching(folder.place, source, f"run: {folder.how}", put) as cached, quiet():
            _download_folder(folder, cached)
        found = tuple(cached / name for name in folder.names)
    return found


def _download_folder(folder: HubFolder, cached: Path) -> None:
    """Fetch what is not here yet; what an interrupted run fetched is kept."""
    from huggingface_hub import HfApi, hf_hub_download

    verified = _verified(folder, cached)
    missing = [name for name in folder.names if name not in verified]
    if not missing:  # another process fetched them while this one waited
        return
    pinned: Any = {"revision": folder.revision, "repo_type": "dataset"}
    files = [f"{folder.folder}/{name}" for name in missing]
    listed: Any = HfApi().get_paths_info(folder.repository, files, **pinned)
    expected = {Path(f.path).name: f.lfs.sha256 for f in listed if getattr(f, "lfs", None)}
    unlisted = [name for name in missing if name not in expected]
    if unlisted:
        raise DataUnavailableError(
            f"{folder.repository} at {folder.revision} lists no checksum of {folder.folder}/"
            f"{unlisted[0]}; has the data set been changed? Report it"
        )
    for name in missing:
        place = cached / name
        if not place.is_file() or digests_of([place]) != [expected[name]]:
            # Into a folder of the hub's layout, from where the file is moved when it is verified.
            file, to = f"{folder.folder}/{name}", cached / ".download"
            path = Path(hf_hub_download(folder.repository, file, local_dir=to, **pinned))
            _check(path, expected[name], f"{folder.repository}, {file}")
            path.replace(place)
        verified[name] = expected[name]
        _keep(folder, cached, verified)


def _keep(folder: HubFolder, cached: Path, verified: Mapping[str, str]) -> None:
    write_record(cached / VERIFIED, {"revision": folder.revision, "files": verified})


def _verified(folder: HubFolder, cached: Path) -> dict[str, str]:
    """Name -> sha256 of the files from the pinned commit that are as they were downloaded."""
    try:
        content = read_record(cached / VERIFIED, OLD_VERIFIED)
    except OSError:
        return {}
    except DataFormatError as error:
        logger.warning("%s. What was downloaded is compared with the hub's checksums", error)
        return {}
    files = content.get("files", content.get("sha256"))
    if content.get("revision") != folder.revision or not isinstance(files, dict):
        return {}
    names = [name for name in folder.names if name in files and (cached / name).is_file()]
    sound = {}
    for name, digest in zip(names, digests_of([cached / name for name in names]), strict=True):
        if digest == files[name]:
            sound[name] = digest
        else:
            logger.warning(
                "%s is ignored: its sha256 is %s, and was %s when it was downloaded",
                *(cached / name, digest, files[name]),
            )
    if "files" not in content and sound == files:
        with suppress(OSError):  # a cache that is only read stays as it is
            _keep(folder, cached, sound)
    return sound


def in_order(files: Sequence[Path], *, first: int | None = None) -> tuple[Path, ...]:
    """Files of a folder by the last number of their names: ``docs-2`` before ``docs-10``.

    Raises:
        DataFormatError: A number is missing or occurs twice, or fewer files than the
            ``-of-00005`` of the names says.
    """
    numbered: dict[int, Path] = {}
    total = None
    for path in sorted(files):
        match = _NUMBER.search(path.name)
        if match is None:
            if len(files) > 1:
                raise DataFormatError(
                    f"{path}: no number in the name, so its place among {len(files)} files is not "
                    "known; number them from 0, or join them"
                )
            return (path,)
        number = int(match[1])
        if number in numbered:
            raise DataFormatError(
                f"{numbered[number]} and {path.name} have the same number; remove one of them"
            )
        numbered[number] = path
        total = int(match[2]) if match[2] else total
    ordered = sorted(numbered)
    expected = range(ordered[0] if first is None else first, ordered[-1] + 1) if ordered else ()
    if total is not None:
        expected = range(total)
    missing = next((number for number in expected if number not in numbered), None)
    if missing is not None:  # the first one is soon found, however large the numbers are
        example = numbered[ordered[0]]
        raise DataFormatError(
            f"{example.parent}: file {missing} of the numbered files ({example.name}, …) is "
            "missing; fetch or copy it again"
        )
    return tuple(numbered[number] for number in ordered)
