"""Encoded passages, and copies of passages, that are on disk; for people who need the room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb.errors import DataFormatError, plain_logger
from hybridir_mteb.files import sweep
from hybridir_mteb.ranking.shards.folder import MANIFEST, ShardFolder
from hybridir_mteb.ranking.shards.key import key_of

logger = plain_logger(__name__)

TEMPORARY = "temporary"  # of models that have no fingerprint


@dataclass(frozen=True)
class ShardFiles:
    """One folder of shards.

    Attributes:
        path: The folder.
        encoder: Name of the encoder.
        source: Name of the passages that are encoded.
        source_fingerprint: Fingerprint of the passages.
        dtype: Number format of the vectors.
        passages: Number of encoded passages; of a folder that is not complete, rounded up to whole
            shards.
        complete: Whether all are there.
        bytes: Size on disk.
    """

    path: Path
    encoder: str
    source: str
    source_fingerprint: str
    dtype: str
    passages: int
    complete: bool
    bytes: int


def shard_files(parent: Path) -> list[ShardFiles]:
    """Every folder of shards, by encoder and source; contents are not checked.

    Args:
        parent: From :func:`~hybridir_mteb.paths.shard_dir`.
    """
    found = []
    for folder in _folders(parent):
        key, end, present = folder.key, folder.known_end, len(folder.present())
        found.append(
            ShardFiles(
                path=folder.path,
                encoder=key.encoder,
                source=key.source,
                source_fingerprint=key.source_fingerprint,
                dtype=key.dtype,
                passages=present * key.rows if end is None else min(end, present * key.rows),
                complete=end is not None and present >= -(-end // key.rows),
                bytes=_size(folder.path),
            )
        )
    return sorted(found, key=lambda files: (files.encoder, files.source, files.path))


def clear_shards(parent: Path) -> int:
    """Delete every folder of shards; nothing else that lies beside them.

    Returns:
        Bytes freed.
    """
    freed = sweep(parent)
    for folder in list(_folders(parent)):
        freed += _size(folder.path)
        shutil.rmtree(folder.path, ignore_errors=True)
    for left in parent.glob(f"{TEMPORARY}-*"):
        if left.is_dir() and not any(left.iterdir()):
            left.rmdir()
    return freed


def corpora_bytes(folder: Path) -> int:
    """Size of the passages' Arrow tables on disk.

    Args:
        folder: From :func:`~hybridir_mteb.paths.corpora_dir`.
    """
    return _size(folder)


def clear_corpora(folder: Path) -> int:
    """Delete the Arrow tables, and what killed runs left of some.

    Returns:
        Bytes freed.
    """
    freed = sweep(folder)
    for file in [*folder.glob("*.arrow"), *folder.glob("*.arrow.json")]:
        if file.is_symlink() or not file.is_dir():  # else it is none of ours
            with suppress(FileNotFoundError):  # another process deletes it
                freed += file.lstat().st_size
                file.unlink()
    return freed


def _folders(parent: Path) -> Iterator[ShardFolder]:
    """Those whose name is what their manifest says; also in what version 0.1 left behind."""
    for manifest in sorted(
        [*parent.glob(f"*/{MANIFEST}"), *parent.glob(f"{TEMPORARY}-*/*/{MANIFEST}")]
    ):
        try:
            folder = ShardFolder(manifest.parent.parent, key_of(manifest))
        except FileNotFoundError:
            continue  # another process deletes it
        except (DataFormatError, OSError) as error:
            logger.warning("%s. Its folder is not listed until it is used or removed", error)
            continue
        if folder.path == manifest.parent:
            yield folder


def _size(path: Path) -> int:
    total = 0
    for file in path.rglob("*"):
        with suppress(FileNotFoundError):  # a run that fills the folder renames its files
            total += file.stat().st_size if file.is_file() else 0
    return total
