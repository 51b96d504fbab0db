"""One shard on disk: a folder of four files and their record, there as a whole or not at all.

A shard is written beside its place and renamed into it, so whatever a kill leaves behind is never
read. Of two processes that write the same shard, the first wins.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files import beside, folder_beside, move_in, sha256_of, tie_key
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.stamp import Stamp, is_settled, settle, stamp_of
from hybridir_mteb.files.temporary import done
from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, IntArray, are_whole

VECTORS = "vectors.npy"
IDS = "ids.utf8"
ID_ENDS = "id_ends.npy"
HASHES = "hashes.npy"
RECORD = "shard.json"
FILES = (VECTORS, IDS, ID_ENDS, HASHES)
OLD_FIELDS = ("start", "stop", "dimension", "dtype", "sizes", "sha256")  # up to version 0.1

HashArray = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Shard:
    """What the record of a shard says.

    Attributes:
        folder: Where its files are.
        start: Row of its first passage in the source.
        stop: Row behind its last passage.
        dimension: Width of the vectors.
        dtype: Number format of the vectors, ``float32`` or ``float16``.
        sizes: File name -> bytes.
        digests: File name -> hex sha256.
        key: Digest of the key that the folder has; empty in records of version 0.1.
    """

    folder: Path
    start: int
    stop: int
    dimension: int
    dtype: str
    sizes: Mapping[str, int]
    digests: Mapping[str, str]
    key: str = ""

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def data_bytes(self) -> int:
        """Bytes of the vectors themselves, which end their file."""
        return len(self) * self.dimension * np.dtype(self.dtype).itemsize

    @property
    def data_offset(self) -> int:
        """Where the vectors start in their file."""
        return self.sizes[VECTORS] - self.data_bytes

    def vectors(self) -> FloatArray:
        """(n, dimension) mapped from the file: for a few rows; let go of it soon."""
        path, shape = self.folder / VECTORS, (len(self), self.dimension)
        return np.memmap(path, self.dtype, mode="r", offset=self.data_offset, shape=shape)

    def copy_vectors(self, places: IntArray, to: FloatMatrix, rows: IntArray) -> None:
        """Copy the vectors of places in the shard to rows, ascending, of a float32 matrix."""
        stored = np.asarray(self.vectors())
        piece = as_slice(rows)
        if piece is not None and stored.dtype == to.dtype:
            # At once, as only this mode does; all places are inside.
            np.take(stored, places, axis=0, out=to[piece], mode="clip")
        else:
            to[rows] = stored[places]

    def hashes(self) -> HashArray:
        """(n,) the tie rule's hashes; the smaller is the better."""
        found: HashArray = np.load(self.folder / HASHES)
        return found

    def ids(self, places: IntArray) -> list[str]:
        """Passage ids, without prefix, of places in the shard."""
        ends = np.concatenate([[0], np.load(self.folder / ID_ENDS)])
        raw = (self.folder / IDS).read_bytes()
        return [raw[ends[at] : ends[at + 1]].decode() for at in places]


Checked = tuple[Shard, list[Stamp]]  # a shard, and its files as they were when they were checked
_SOUND: dict[Path, Checked] = {}  # what this process has checked


def by_number(numbers: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Each number that occurs, with the positions where it does."""
    order = np.argsort(numbers, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []:
        yield int(numbers[at[0]]), at


def as_slice(rows: IntArray) -> slice | None:
    """Ascending rows as a slice, if none between them is missing: an array of it is no copy."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first == len(rows) - 1 else None


def tie_hashes(prefix: str, ids: Sequence[str]) -> HashArray:
    """Hashes that order passages of equal score.

    The order is that of :func:`~hybridir_mteb.ranking.ranking.tie_order`.

    Raises:
        DataFormatError: An id is not valid Unicode.
    """
    try:
        digests = b"".join(tie_key(prefix + identifier) for identifier in ids)
    except UnicodeEncodeError as error:
        raise DataFormatError(
            f"passage id {quoted(error.object)} is not valid Unicode: correct the source"
        ) from error
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def write_shard(
    target: Path,
    start: int,
    ids: Sequence[str],
    hashes: HashArray,
    vectors: FloatArray,
    key: str,
) -> None:
    """Write one shard; if another process has written it meanwhile, that one stays.

    Args:
        target: The shard's folder.
        start: Row of its first passage.
        ids: (n,) passage ids without prefix.
        hashes: (n,) hashes from :func:`tie_hashes`.
        vectors: (n, dimension) embeddings in the dtype to keep.
        key: Digest of the folder's key.

    Raises:
        OSError: The shard cannot be written; nothing of it is left.
    """
    with folder_beside(target) as temporary:
        raw = [identifier.encode() for identifier in ids]
        np.save(temporary / VECTORS, np.ascontiguousarray(vectors), allow_pickle=False)
        (temporary / IDS).write_bytes(b"".join(raw))
        np.save(temporary / ID_ENDS, np.cumsum([len(item) for item in raw], dtype=np.int64))
        np.save(temporary / HASHES, hashes)
        for name in FILES:
            settle(temporary / name)
        shard = Shard(
            target,
            start,
            start + len(ids),
            vectors.shape[1],
            vectors.dtype.name,
            {name: (temporary / name).stat().st_size for name in FILES},
            {name: sha256_of(temporary / name) for name in FILES},
            key,
        )
        _write_record(temporary, shard)
        stamps = _stamps(temporary)
        if move_in(temporary, target):
            _SOUND[target.absolute()] = shard, stamps


def _write_record(folder: Path, shard: Shard) -> None:
    fields = {name: value for name, value in asdict(shard).items() if name != "folder"}
    write_record(folder / RECORD, fields)


def sealed(shard: Shard, key: str, width: int | None) -> Shard:
    """A sound shard of version 0.1, whose record had neither checksum nor key; now it has.

    Args:
        shard: The shard, whose contents have been checked.
        key: Digest of the folder's key.
        width: Of vectors that are not quantised; None if it is not known.

    Raises:
        DataFormatError: They are quantised or truncated: 0.1 stored such under the name of a plain
            run.
    """
    if width is not None and (shard.dimension != width or are_whole(shard.vectors())):
        raise DataFormatError(f"shard {shard.folder}: quantised or truncated by version 0.1")
    new = replace(shard, key=key)
    with suppress(OSError):  # a folder that is only read stays as it is
        _write_record(shard.folder, new)
        _SOUND[shard.folder.absolute()] = new, _stamps(shard.folder)
    return new


def read_shard(folder: Path) -> Shard | None:
    """What the record of a shard says; None if there is no such shard.

    Raises:
        DataFormatError: The record or the size of a file is wrong; the message says which.
    """
    if not folder.is_dir():
        return None
    try:
        fields = read_record(folder / RECORD, OLD_FIELDS)
        if "digests" not in fields:
            fields["digests"] = fields.pop("sha256")
        shard = Shard(folder=folder, **fields)
        for name in FILES:
            size = (folder / name).stat().st_size
            if size != shard.sizes[name]:
                raise DataFormatError(f"{name} has {size} bytes, not {shard.sizes[name]}")
        whole = all(type(one) is int for one in (shard.start, shard.stop, shard.dimension))
        if not whole or len(shard) < 1 or shard.data_offset < 0 or set(shard.digests) != {*FILES}:
            raise DataFormatError(f"{RECORD} contradicts itself")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataFormatError(f"shard {folder}: {error}") from error
    return shard


def _stamps(folder: Path) -> list[Stamp]:
    return [stamp_of(folder / name) for name in FILES]


def check_contents(shard: Shard) -> None:
    """Compare the sha256 of each file, once per process and whenever a file has changed.

    Raises:
        DataFormatError: A file differs from its record, or holds arrays of other shapes.
        OSError: A file cannot be read.
    """
    place, stamps = shard.folder.absolute(), _stamps(shard.folder)
    if _SOUND.get(place) == (shard, stamps):
        return
    for name in FILES:
        if sha256_of(shard.folder / name) != shard.digests[name]:
            raise DataFormatError(f"shard {shard.folder}: the sha256 of {name} differs")
    n, number = len(shard), np.dtype(np.int64)
    for name, shape, dtype in (
        (VECTORS, (n, shard.dimension), np.dtype(shard.dtype)),
        (ID_ENDS, (n,), number),
        (HASHES, (n,), np.dtype(np.uint64)),
    ):
        held = np.load(shard.folder / name, mmap_mode="r", allow_pickle=False)
        if held.shape != shape or held.dtype != dtype or not held.flags.c_contiguous:
            raise DataFormatError(f"shard {shard.folder}: {RECORD} is not that of {name}")
    if stamps == _stamps(shard.folder) and all(map(is_settled, stamps)):
        _SOUND[place] = shard, stamps


def checked(shard: Shard) -> Checked | None:
    """What this process knows of a shard that it has checked or written, for another process."""
    return _SOUND.get(shard.folder.absolute())


def trust(known: Checked) -> None:
    """Take over what another process has checked; it is of no use once a file has changed."""
    _SOUND[known[0].folder.absolute()] = known


def discard(folder: Path) -> None:
    """Take a shard away: first out of its place, then off the disk."""
    trash = beside(folder)
    try:
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)
    except FileNotFoundError:
        return  # another process was first
    finally:
        done(trash)
