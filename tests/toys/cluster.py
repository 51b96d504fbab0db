"""Shards of toy passages as a cluster makes them, with accidents."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridir_mteb.ranking.shards.fill import of_texts
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.maker import Made, ShardMaker
from toys.shards import Encoder, key, numbered

ROWS = 10


@dataclass(frozen=True)
class ToyShards:
    """What makes the shards in a worker, as :class:`Language` does; notes what is encoded.

    Attributes:
        parent: Where the folder is.
        n: Number of passages.
        log: A file with a line for each shard that was begun: its first text and the process.
        pause: Seconds for each shard.
        poison: A text whose vector is NaN.
    """

    parent: Path
    n: int
    log: Path
    pause: float = 0.0
    poison: str = ""

    @property
    def folder(self) -> ShardFolder:
        """The folder, as a new process sees it."""
        return ShardFolder(self.parent, key(ROWS))

    def __call__(self) -> Callable[[int], Made]:
        """What makes a shard."""
        bad = {self.poison: np.full(8, np.nan, np.float32)} if self.poison else {}

        def encode(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
            with self.log.open("a") as log:
                log.write(f"{texts[0]}\t{os.getpid()}\n")
            time.sleep(self.pause)
            yield from Encoder(replace=bad)(texts)

        return ShardMaker(self.folder, of_texts(numbered(self.n), encode))

    def begun(self) -> list[tuple[str, int]]:
        """First text of each shard that was begun, and the process."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(text, int(process)) for text, process in (line.split("\t") for line in lines)]


def contents(parent: Path) -> dict[str, bytes]:
    """Every file below a folder, but for records of time."""
    return {
        str(path.relative_to(parent)): path.read_bytes()
        for path in sorted(parent.rglob("*"))
        if path.is_file()
    }
