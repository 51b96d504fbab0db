"""A file of embeddings in NumPy's ``.npz``: how it is written, and what is read of it.

It says what it is a part of, and has a checksum over all that it holds; files of version 0.1 have
neither.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, one_line
from hybridir_mteb.files import replacing
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.ranking.arrays import FloatMatrix

_ZIP, _PICKLE = b"PK", b"\x80"
_OLD_PARTS = {"ids", "embeddings", "key"}  # up to version 0.1
_PARTS = _OLD_PARTS | {"about", "sha256"}
# What NumPy and zipfile raise on damaged files.
_DAMAGED = (
    *(ValueError, TypeError, KeyError, OSError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)


@dataclass(frozen=True)
class About:
    """What a file is a part of.

    Attributes:
        what: ``query`` or ``passage``.
        encoder: Digest of what the encoder is; empty if it cannot be seen.
        chunk: Number of the file, from 0.
        chunks: Number of files.
    """

    what: str
    encoder: str
    chunk: int = 0
    chunks: int = 1


@dataclass(frozen=True)
class Saved:
    """One file: ids and the (n, dimension) float32 embeddings of their texts.

    Attributes:
        ids: (n,) ids.
        vectors: (n, dimension) float32.
        about: What the file is a part of; None in files of version 0.1.
    """

    ids: list[str]
    vectors: FloatMatrix
    about: About | None = None


def write(path: Path, saved: Saved, key: str) -> None:
    """Write a file, whole or not at all."""
    assert saved.about is not None  # noqa: S101 -- of what is written now
    content: dict[str, Any] = {
        "ids": np.frombuffer(json.dumps(saved.ids).encode(), np.uint8),
        "embeddings": saved.vectors,
        "key": np.array(key),
        "about": np.frombuffer(json.dumps(asdict(saved.about)).encode(), np.uint8),
    }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **content, sha256=np.array(_digest(content)))


def _digest(content: Mapping[str, Any]) -> str:
    """Hex sha256 of all parts but itself."""
    digest = hashlib.sha256()
    for name in sorted(_PARTS - {"sha256"}):
        part = content[name]
        digest.update(f"{name} {part.dtype.str} {part.shape}\n".encode())
        digest.update(np.ascontiguousarray(part).data if part.size else b"")
    return digest.hexdigest()


def read(path: Path, what: str | None = None) -> Saved:
    """Ids and embeddings of a file, which are of ``query`` or ``passage`` texts if that is asked.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It holds something else, is damaged, or is a pickle.
    """
    content = opened(path, with_vectors=True)
    saved = Saved(_ids(path, content), content["embeddings"], _about(path, content))
    if saved.vectors.shape[:1] != (len(saved.ids),) or saved.vectors.ndim != 2:
        raise DataFormatError(
            f"{path} has {len(saved.ids)} ids and embeddings of shape {saved.vectors.shape}. "
            "Remove it and encode again"
        )
    if saved.about and what not in {None, saved.about.what}:
        raise DataFormatError(f"{path} holds embeddings of {saved.about.what} texts, not {what}")
    return saved


def read_corpus(
    paths: Sequence[Path], queries: Saved | None = None
) -> tuple[list[str], Iterator[FloatMatrix]]:
    """Ids of all passages in several files, and their vectors one by one in the same order.

    One file is held at a time.

    Args:
        paths: The files, in any order.
        queries: What is searched for, where it must be by the same encoder.

    Raises:
        DataUnavailableError: A file is missing, or there are none.
        DataFormatError: A file holds something else or is of another encoder or corpus, or an id
            occurs twice.
    """
    if not paths:
        raise DataUnavailableError("no file of passages' embeddings is there; encode first")
    files, ids, parts = sorted(paths), [], {}
    for path in files:
        content = opened(path)
        ids += _ids(path, content)
        parts[path] = _about(path, content)
    if len(set(ids)) < len(ids):
        raise DataFormatError(
            f"a passage occurs twice in {', '.join(map(str, files))}: the files are of "
            "different corpora; encode again with overwrite=True"
        )
    _check_parts(parts, queries.about if queries else None)
    return ids, (vector for path in files for vector in read(path, "passage").vectors)


def _check_parts(parts: Mapping[Path, About | None], queries: About | None) -> None:
    """Refuse files that are not all those of one corpus, by one encoder; 0.1's do not say."""
    encoder = queries.encoder if queries else ""
    for path, about in parts.items():
        if about is None:
            continue
        encoder = encoder or about.encoder
        if about.encoder not in {"", encoder}:
            raise DataFormatError(
                f"{path} is of another encoder than the other files; encode again with "
                "overwrite=True"
            )
        if about.chunks != len(parts):
            raise DataFormatError(
                f"{path} is one of {about.chunks} files of its corpus, and {len(parts)} are given: "
                "that would be a search in a part of it; encode again"
            )


def _ids(path: Path, content: Mapping[str, Any]) -> list[str]:
    ids = parse_json(content["ids"].tobytes(), str(path))
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise DataFormatError(f"{path} holds no list of ids. Remove it and encode again")
    return ids


def _about(path: Path, content: Mapping[str, Any]) -> About | None:
    if "about" not in content:
        return None
    try:
        return About(**parse_json(content["about"].tobytes(), str(path)))
    except TypeError as error:
        raise DataFormatError(f"{path}: {error}. Remove it and encode again") from error


def opened(path: Path, *, with_vectors: bool = False) -> dict[str, Any]:
    """The parts of a file by name; with embeddings, the checksum is compared, too.

    Raises:
        DataUnavailableError: There is no such file.
        DataFormatError: It is damaged, or something else.
    """
    if not path.is_file():
        raise DataUnavailableError(f"{path}: no such file; encode first")
    with path.open("rb") as stream:
        start = stream.read(2)
    if start[:1] == _PICKLE:
        raise DataFormatError(
            f"{path} is a pickle, as BEIR's own searches write; it is not opened, since a pickle "
            "can run any code. Remove it or give another encode_output_path, and encode again"
        )
    try:
        if start != _ZIP:
            raise ValueError("not a zip archive")
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) not in (_OLD_PARTS, _PARTS):
                raise ValueError(f"it has the parts {', '.join(file.files)}")
            names = [name for name in file.files if with_vectors or name != "embeddings"]
            content = {name: file[name] for name in names}
        if with_vectors and "sha256" in content and _digest(content) != str(content["sha256"]):
            raise ValueError("it differs from its checksum")
    except _DAMAGED as error:
        raise DataFormatError(
            f"{path} is no file of embeddings, or damaged: {one_line(error, 200)}. Remove it and "
            "encode again"
        ) from error
    return content
