"""Blocks of stored vectors, read one ahead into buffers that are used again and again.

A mapped file would count every page that was touched; reading into the same buffers keeps memory
constant however many passages there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hybridir_mteb.errors import ShardError
from hybridir_mteb.ranking.arrays import FloatArray
from hybridir_mteb.ranking.shards.pools import Pools
from hybridir_mteb.ranking.shards.shard import VECTORS, Shard

Piece = tuple[Shard, range]  # rows of a shard


@dataclass(frozen=True)
class Block:
    """Rows ``start`` to ``start + n`` of a pool.

    Attributes:
        start: First row.
        vectors: (n, dimension) as stored; overwritten once the next block but one is read.
    """

    start: int
    vectors: FloatArray

    def __len__(self) -> int:
        return len(self.vectors)


def read_blocks(pools: Pools, rows: int) -> Iterator[Block]:
    """The whole pool in blocks of ``rows`` rows; dtypes do not mix within a block.

    Raises:
        ShardError: A file cannot be read to its end.
    """
    buffers: list[dict[str, FloatArray]] = [{}, {}]

    def read(plan: tuple[int, Sequence[Piece]], turn: int) -> Block:
        start, pieces = plan
        dtype = pieces[0][0].dtype
        if dtype not in buffers[turn]:
            size = (min(rows, pools.n_passages), pools.dimension)
            buffers[turn][dtype] = np.empty(size, dtype)
        buffer = buffers[turn][dtype]
        at = 0
        for shard, places in pieces:
            _read(shard, places.start, buffer[at : at + len(places)])
            at += len(places)
        return Block(start, buffer[:at])

    with ThreadPoolExecutor(1) as ahead:
        waiting = None
        for number, plan in enumerate(_plans(pools, rows)):
            following = ahead.submit(read, plan, number % 2)
            if waiting is not None:
                yield waiting.result()
            waiting = following
        if waiting is not None:
            yield waiting.result()


def _plans(pools: Pools, rows: int) -> Iterator[tuple[int, list[Piece]]]:
    pieces: list[Piece] = []
    start = room = 0
    for shard_start, shard in pools.shards():
        if pieces and shard.dtype != pieces[0][0].dtype:
            yield start, pieces
            pieces = []
        first = 0
        while first < len(shard):
            if not pieces:
                start, room = shard_start + first, rows
            stop = min(len(shard), first + room)
            pieces.append((shard, range(first, stop)))
            room -= stop - first
            first = stop
            if not room:
                yield start, pieces
                pieces = []
    if pieces:
        yield start, pieces


def _read(shard: Shard, first: int, target: FloatArray) -> None:
    path = shard.folder / VECTORS
    width = target.shape[1] * target.itemsize
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(shard.data_offset + first * width)
            view = target.view(np.uint8).reshape(-1).data
            while view.nbytes:
                n_bytes = stream.readinto(view)
                if not n_bytes:
                    raise ShardError(f"{path} is shorter than it was: encode again")
                view = view[n_bytes:]
    except OSError as error:
        raise ShardError(f"{path} cannot be read: {error}. Encode again") from error
