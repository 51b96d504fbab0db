"""Which of many hashes occur more than once: in the memory of few, however many there are."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hybridir_mteb.files.room import room_for
from hybridir_mteb.files.temporary import TemporaryFolder

AT_ONCE = 262_144  # hashes in memory, 2 MiB; more are sorted into files by their first bits
BUCKETS = 256
_SHIFT = np.uint64(64 - 8)

Hashes = npt.NDArray[np.uint64]


class Repeats:
    """Hashes of 64 bits that come one by one, or many at once; to be closed by a block.

    Args:
        place: A folder; where there are many hashes, they are in files there until the block ends.
    """

    def __init__(self, place: Path) -> None:
        self._place, self._held = place, array("Q")
        self._folder: TemporaryFolder | None = None

    def __enter__(self) -> Repeats:
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder is not None:
            self._folder.close()

    def add(self, one: int) -> None:
        """Take one.

        Raises:
            NoSpaceError: The disk is full.
        """
        self._held.append(one)
        if len(self._held) >= AT_ONCE:
            self._to_files()

    def add_all(self, many: Hashes) -> None:
        """Take many; as :meth:`add`."""
        self._held.frombytes(many.tobytes())
        if len(self._held) >= AT_ONCE:
            self._to_files()

    def found(self) -> Hashes:
        """Those that occur more than once, each once."""
        if self._folder is None:
            return _repeated(np.array(self._held, np.uint64))
        self._to_files()
        files = (self._folder.path / f"{number}" for number in range(BUCKETS))
        buckets = (np.fromfile(file, np.uint64) for file in files if file.exists())
        return np.concatenate([_repeated(bucket) for bucket in buckets])

    def _to_files(self) -> None:
        hashes = np.sort(np.array(self._held, np.uint64))
        self._held = array("Q")
        edges = np.searchsorted(hashes >> _SHIFT, np.arange(BUCKETS + 1, dtype=np.uint64))
        with room_for(self._place):
            if self._folder is None:
                self._folder = TemporaryFolder(self._place, "ids")
            for number in np.flatnonzero(np.diff(edges)):
                with (self._folder.path / f"{number}").open("ab") as file:
                    file.write(hashes[edges[number] : edges[number + 1]].tobytes())


def _repeated(hashes: Hashes) -> Hashes:
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
