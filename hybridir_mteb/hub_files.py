"""Large files of data sets on the hub: local mirror, cache, download at a pinned commit.

A downloaded file is used only after its sha256 was compared with the one that the hub lists for
the commit. Files of the mirror are the user's own choice: they are taken as they are.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import ChecksumError, DataUnavailableError
from hybridir_mteb.files import sha256_of, write_text
from hybridir_mteb.readers.passages import in_order
from hybridir_mteb.sources import unavailable

logger = logging.getLogger(__name__)

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
            _download(folder, cached)
    except (ChecksumError, DataUnavailableError):
        raise
    except Exception as error:
        raise unavailable(
            folder.place,
            f"the download from {folder.repository} failed: {_said(error)}",
            f"run: {folder.how}",
            f"the files at <folder>/{folder.place}/docs-*.jsonl.gz",
        ) from error
    return tuple(cached / name for name in folder.names)


def _download(folder: HubFolder, cached: Path) -> None:
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


def _said(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
