"""The shards of one source and one encoder, in one folder.

There is no list of shards: each is there or not, so any number of processes may fill a folder. The
end is marked once all shards are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from hybridir_mteb.errors import DataFormatError, ShardError, plain_logger, quoted
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.repeats import Repeats
from hybridir_mteb.ranking.arrays import FloatArray, FloatMatrix, IntArray
from hybridir_mteb.ranking.shards.key import FORMAT, ShardKey, key_of
from hybridir_mteb.ranking.shards.object_store import ObjectStore
from hybridir_mteb.ranking.shards.shard import (
    HashArray,
    Shard,
    by_number,
    check_contents,
    discard,
    read_shard,
    sealed,
    tie_hashes,
    write_shard,
)

logger = plain_logger(__name__)

MANIFEST = "manifest.json"
END = "end.json"
AGAIN = "Encode again: what is sound is kept, the rest is made anew"

OLD_END = ("n_passages",)  # what its record had up to version 0.1
_NUMBER = re.compile("0[0-9]{7}|[1-9][0-9]{7,}")

Rows = Sequence[int] | IntArray


class ShardFolder:
    """Passage embeddings on disk; creates nothing until it is written to.

    Args:
        parent: The folder that holds the folders of all keys.
        key: Everything that the shards depend on.
        width: Of vectors that are not quantised, where it is known.
        store: Where finished shards are shared, beside the folder; None if nowhere.

    Attributes:
        key: The same key.
        path: The folder of this key.
        store: The same.
    """

    def __init__(
        self,
        parent: Path,
        key: ShardKey,
        width: int | None = None,
        store: ObjectStore | None = None,
    ) -> None:
        self.key, self._width, self.store = key, width, store
        self.path = Path(parent) / key.folder
        self._far = None if store is None else store.of(key.folder)
        self._shards: dict[int, Shard] = {}
        self._end: int | None = None  # once it is known
        self._end_is_old = False

    @property
    def complete(self) -> bool:
        """Whether the end is marked and every shard is there and sound.

        The contents of each shard are compared with their checksums once per process, and again
        where a file has changed. A damaged manifest is written again.
        """
        self._end = None
        end = self.known_end
        if end is None or not all(map(self.has, range(self._n_shards(end)))):
            return False
        with suppress(OSError):  # a folder that is only read stays as it is
            self._describe()
            if self._end_is_old:
                self._mark(end)
        if self._far is not None and not self._far.has(END):
            self._spread(end)
        return True

    @property
    def n_passages(self) -> int:
        """Number of passages.

        Raises:
            ShardError: The end is not marked yet.
        """
        end = self.known_end
        if end is None:
            raise ShardError(f"the embeddings in {self.path} are not complete. {AGAIN}")
        return end

    @property
    def n_shards(self) -> int:
        """Number of shards; errors as in :attr:`n_passages`."""
        return self._n_shards(self.n_passages)

    @property
    def dimension(self) -> int:
        """Width of the vectors.

        Raises:
            ShardError: There is no shard.
        """
        for number in self.present():
            return self.shard(number).dimension
        raise ShardError(f"there are no embeddings in {self.path} yet")

    @property
    def known_end(self) -> int | None:
        """Number of passages, if the end is marked."""
        if self._end is None:
            if self._far is not None and not (self.path / END).exists():
                self._far.pull_file(self.path / END)
            try:
                self._end = self._read_end()
            except FileNotFoundError:
                pass
            except (DataFormatError, OSError) as error:
                logger.warning("%s. It is ignored, and the end is marked again", error)
        return self._end

    def present(self) -> list[int]:
        """Numbers of the shards that are there, sound or not, in order."""
        here = {
            int(path.name)
            for path in self.path.glob("[0-9]*")
            if _NUMBER.fullmatch(path.name) and path.is_dir()
        }
        return sorted(here if self._far is None else here | self._far.numbers())

    def is_there(self, number: int) -> bool:
        """Whether there is a shard of a number, sound or not."""
        place = self._place(number)
        return place.is_dir() or (self._far is not None and self._far.has(place.name))

    def shard(self, number: int) -> Shard:
        """One sound shard.

        Raises:
            ShardError: It is missing or damaged.
        """
        if number not in self._shards:
            if self._far is not None and not self._place(number).is_dir():
                self._far.pull(self._place(number))
            try:
                shard = read_shard(self._place(number))
                if shard is None:
                    raise ShardError(f"shard {number} is missing in {self.path}. {AGAIN}")
                self._check(shard, number)
                check_contents(shard)
                if not shard.key:
                    shard = sealed(shard, self.key.digest, self._width)
                self._shards[number] = shard
            except (DataFormatError, OSError) as error:
                raise ShardError(f"damaged embeddings: {error}. {AGAIN}") from error
        return self._shards[number]

    def has(self, number: int, *, discard_damaged: bool = False) -> bool:
        """Whether a shard is there and sound now; a damaged one is reported with a warning.

        Args:
            number: Number of the shard.
            discard_damaged: Remove a damaged one.
        """
        self._shards.pop(number, None)
        try:
            self.shard(number)
        except ShardError as error:
            if isinstance(error.__cause__, (DataFormatError, OSError)):
                logger.warning("%s", error)
                if discard_damaged:
                    discard(self._place(number))
            return False
        return True

    def ids(self, rows: Rows) -> list[str]:
        """Passage ids, without prefix, of any rows in any order."""
        found = np.empty(len(rows), object)
        for shard, at, places in self._by_shard(rows):
            found[at] = shard.ids(places)
        return found.tolist()

    def hashes(self, rows: Rows) -> HashArray:
        """(n,) hashes of the tie rule of any rows in any order."""
        found = np.empty(len(rows), np.uint64)
        for shard, at, places in self._by_shard(rows):
            found[at] = shard.hashes()[places]
        return found

    def vectors(self, rows: Rows, out: FloatMatrix | None = None) -> FloatMatrix:
        """(n, dimension) float32 embeddings of any rows in any order; in ``out`` if it is given."""
        found = np.empty((len(rows), self.dimension), np.float32) if out is None else out
        for shard, at, places in self._by_shard(rows):
            shard.copy_vectors(places, found, at)
        return found

    def rows_of(self, ids: Iterable[str]) -> dict[str, int]:
        """Row of each passage id that exists; one pass over the hashes, in constant memory."""
        wanted = list(dict.fromkeys(ids))
        hashes = tie_hashes(self.key.id_prefix, wanted)
        sought = set(wanted)
        found: dict[str, int] = {}
        for number in range(self.n_shards):
            shard = self.shard(number)
            places = np.flatnonzero(np.isin(shard.hashes(), hashes))
            for place, identifier in zip(places, shard.ids(places), strict=True):
                if identifier in sought:  # and not only a passage of the same hash
                    found[identifier] = shard.start + int(place)
        return found

    def write(self, number: int, ids: Sequence[str], vectors: FloatArray) -> None:
        """Write one shard; one that is there already stays.

        Args:
            number: Number of the shard; its first row is ``number * key.rows``.
            ids: Passage ids without prefix; ``key.rows`` of them, fewer in the last shard only.
            vectors: (n, dimension) in ``key.dtype``.

        Raises:
            DataFormatError: A passage id occurs twice.
            ShardError: The disk is full or the folder cannot be written.
        """
        hashes = tie_hashes(self.key.id_prefix, ids)
        if len(set(ids)) < len(ids):
            twice = next(item for at, item in enumerate(ids) if item in set(ids[:at]))
            raise DataFormatError(f"{self.key.source}: the passage id {quoted(twice)} occurs twice")
        start = number * self.key.rows
        with self._writing(f"shard {number}"):
            self._describe()
            write_shard(self._place(number), start, ids, hashes, vectors, self.key.digest)
        self.share(number)

    def share(self, number: int) -> None:
        """Put a sound shard where others find it, if that is not this folder alone."""
        if self._far is not None:
            self._far.push(self.shard(number))

    def _spread(self, n_passages: int) -> None:
        """Put all that is complete there."""
        if self._far is None:
            return
        for number in sorted({*range(self._n_shards(n_passages))} - self._far.numbers()):
            self.share(number)
        for name in (MANIFEST, END):
            self._far.push_file(self.path / name)

    def finish(self, n_passages: int) -> None:
        """Mark the end, once all shards are there; anybody may.

        Args:
            n_passages: Number of passages of the source.

        Raises:
            ShardError: A shard is missing, or has another dimension than the rest.
            DataFormatError: There are no passages, or a passage id occurs twice.
        """
        if n_passages < 1:
            raise DataFormatError(f"{self.key.source} holds no passages")
        shards = [self.shard(number) for number in range(self._n_shards(n_passages))]
        dimensions = {shard.dimension for shard in shards}
        if len(dimensions) > 1 or shards[-1].stop != n_passages:
            raise ShardError(
                f"the shards in {self.path} do not fit together: dimensions "
                f"{sorted(dimensions)}, the last ends at {shards[-1].stop} of {n_passages}. "
                "Remove the folder and encode again"
            )
        with self._writing(END):
            _check_unique(shards, self.key.source, self.path)
            self._describe()
            self._mark(n_passages)
        self._spread(n_passages)

    @contextmanager
    def _writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ShardError(
                f"{what} cannot be written to {self.path}: {error}. Free some space or choose "
                "another folder, then go on: finished shards are kept"
            ) from error

    def _describe(self) -> None:
        """Write the manifest, unless it is there and says whose the folder is."""
        if self._described() != self.key:
            write_record(self.path / MANIFEST, {"format": FORMAT, **asdict(self.key)})

    def _described(self) -> ShardKey | None:
        """The key that the manifest holds; None if it is missing or damaged."""
        try:
            return key_of(self.path / MANIFEST)
        except FileNotFoundError:
            return None
        except (DataFormatError, OSError) as error:
            logger.warning("%s. It is ignored, and written again", error)
            return None

    def _mark(self, n_passages: int) -> None:
        fields = {"n_passages": n_passages, "key": self.key.digest}
        write_record(self.path / END, fields, indent=None)
        self._end, self._end_is_old = n_passages, False

    def _read_end(self) -> int:
        """Number of passages that the end's record gives.

        One of version 0.1 has no checksum: all shards must be there, and the last must end there.

        Raises:
            DataFormatError: The record is damaged, or of another folder.
            OSError: It is missing or cannot be read.
        """
        fields = read_record(self.path / END, OLD_END)
        end, self._end_is_old = fields.get("n_passages"), "key" not in fields
        if type(end) is not int or fields.get("key", self.key.digest) != self.key.digest:
            raise DataFormatError(f"the record {self.path / END} is of another folder")
        if self._end_is_old:
            present = self.present()
            last = read_shard(self._place(present[-1])) if present else None
            if present != [*range(self._n_shards(end))] or last is None or last.stop != end:
                raise DataFormatError(
                    f"the record {self.path / END} is damaged: the shards do not end at {end}"
                )
        return end

    def _place(self, number: int) -> Path:
        return self.path / f"{number:08d}"

    def _n_shards(self, n_passages: int) -> int:
        return -(-n_passages // self.key.rows)

    def _check(self, shard: Shard, number: int) -> None:
        start, end = number * self.key.rows, self._end
        stop = start + self.key.rows
        right = stop if end is None else min(stop, end)
        if (
            shard.start != start
            or shard.dtype != self.key.dtype
            or shard.stop > stop
            or (end is not None and shard.stop != right)
        ):
            raise DataFormatError(f"shard {shard.folder}: its record is of other passages")
        owner = shard.key or (self._described() or self.key).digest
        if owner != self.key.digest:
            raise DataFormatError(f"shard {shard.folder}: its record is of another encoder")

    def _by_shard(self, rows: Rows) -> Iterator[tuple[Shard, IntArray, IntArray]]:
        """Each shard with the positions in ``rows`` that fall into it, and their places there."""
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < self.n_passages):
            raise IndexError(f"rows outside the {self.n_passages} passages of {self.path}")
        for number, at in by_number(wanted // self.key.rows):
            shard = self.shard(number)
            yield shard, at, wanted[at] - shard.start


def _check_unique(shards: Sequence[Shard], source: str, place: Path) -> None:
    """Refuse a source in which a passage id occurs twice.

    Memory does not grow with the source; ids are read only where two hashes are equal.

    Raises:
        DataFormatError: The message names source and id.
        OSError: The folder is on a full disk.
    """
    with Repeats(place) as hashes:
        for shard in shards:
            hashes.add_all(shard.hashes())
        twice = hashes.found()
    if len(twice):
        _compare_ids(shards, twice, source)


def _compare_ids(shards: Sequence[Shard], twice: HashArray, source: str) -> None:
    seen: dict[str, int] = {}
    for shard in shards:
        places = np.flatnonzero(np.isin(shard.hashes(), twice))
        for place, identifier in zip(places, shard.ids(places), strict=True):
            row = shard.start + int(place)
            if identifier in seen:
                raise DataFormatError(
                    f"{source}: the passage id {quoted(identifier)} occurs twice, as passage "
                    f"{seen[identifier] + 1} and {row + 1}: ids must be unique"
                )
            seen[identifier] = row
