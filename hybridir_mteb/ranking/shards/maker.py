"""Single shards, made by whoever is asked: one worker among many that fill a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files import sweep
from hybridir_mteb.ranking.shards.fill import Inputs, encoded
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import Checked, checked, trust


@dataclass(frozen=True)
class Made:
    """What is known of one shard, once it was asked for.

    Attributes:
        passages: How many passages it has; fewer than others where the source ends, 0 behind it.
        encoded: How many of them were encoded now; 0 if the shard was there.
        checked: What was checked, so that nobody on the same file system has to read it again;
            None behind the end.
    """

    passages: int
    encoded: int
    checked: Checked | None


class ShardMaker:
    """Makes shards by their numbers; the passages are read once as long as numbers only grow.

    A shard is encoded by itself, as :func:`~hybridir_mteb.ranking.shards.fill.fill` does it, so its
    vectors do not depend on who makes it or what was made before.

    Args:
        folder: The folder to fill; others may be filling it.
        inputs: The passages, those that the folder's key names.
    """

    def __init__(self, folder: ShardFolder, inputs: Inputs) -> None:
        self._folder, self._inputs = folder, inputs
        self._stream: Iterator[Any] = iter(())
        self._next: int | None = None  # number of the shard where the stream is
        sweep(folder.path)

    def __call__(self, number: int) -> Made:
        """Make one shard unless it is there; a damaged one is made anew.

        Raises:
            DataFormatError: A malformed line, or a passage id that occurs twice.
            EmbeddingError: An embedding that cannot be kept; the message names the passage.
            ShardError: The disk is full.
        """
        folder = self._folder
        if folder.has(number, discard_damaged=True):
            folder.share(number)
            return Made(len(folder.shard(number)), 0, checked(folder.shard(number)))
        some = self._read(number)
        if not some:
            return Made(0, 0, None)
        ids, vectors = encoded(self._inputs, some, folder.key, None, lambda _: None)
        folder.write(number, ids, vectors)
        return Made(len(some), len(some), checked(folder.shard(number)))

    def _read(self, number: int) -> list[Any]:
        """The passages of one shard; where the last ones were not further on, from the start."""
        rows = self._folder.key.rows
        if self._next is None or number < self._next:
            self._stream = iter(self._inputs.passages(number * rows, None))
        else:
            passed = (number - self._next) * rows
            next(islice(self._stream, passed, passed), None)
        self._next = None  # until the passages are here
        some = list(islice(self._stream, rows))
        self._next = number + 1
        return some


class Filling:
    """The shards of a folder that others make, in any order, until the source ends.

    Args:
        folder: The folder.

    Attributes:
        end: Number of passages, once it is known.
    """

    def __init__(self, folder: ShardFolder) -> None:
        self._folder, self.end = folder, folder.known_end
        self._expected = self.end

    def numbers(self) -> Iterator[int]:
        """Numbers of the shards to ask for, as long as the end is not known."""
        rows = self._folder.key.rows
        for number in count():
            if self.end is not None and number * rows >= self.end:
                return
            yield number

    def take(self, number: int, made: Made) -> None:
        """Note what somebody made.

        Raises:
            DataFormatError: The source has become shorter.
        """
        rows = self._folder.key.rows
        stop = number * rows + made.passages
        if self._expected is not None and stop < min(self._expected, (number + 1) * rows):
            raise DataFormatError(
                f"{self._folder.key.source} has only {stop} passages, but had {self._expected} "
                "when its first shards were made: bring the old file back, or encode again in a "
                "new folder"
            )
        if made.passages < rows:
            self.end = stop if self.end is None else min(self.end, stop)
        if made.checked is not None:
            trust(made.checked)

    def finish(self) -> None:
        """Mark the end; errors as of :meth:`ShardFolder.finish`."""
        assert self.end is not None  # noqa: S101 -- numbers() has ended
        self._folder.finish(self.end)
        sweep(self._folder.path)
