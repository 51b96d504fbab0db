"""Passage ids that occur twice in a source, found in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.ranking.shards.shard import Shard

HASHES_AT_ONCE = 1 << 22  # 32 MiB


def check_unique(shards: Sequence[Shard], source: str) -> None:
    """Refuse a source in which a passage id occurs twice.

    The hashes are compared range by range, so that memory does not grow with the source; ids are
    read only where two hashes are equal.

    Raises:
        DataFormatError: The message names source and id.
    """
    total = sum(len(shard) for shard in shards)
    parts = -(-total // HASHES_AT_ONCE)
    edges = [(1 << 64) * part // parts for part in range(parts + 1)]
    for low, high in pairwise(edges):
        found = []
        for shard in shards:
            hashes = shard.hashes()
            found.append(hashes[(hashes >= np.uint64(low)) & (hashes <= np.uint64(high - 1))])
        ordered = np.sort(np.concatenate(found))
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        if len(twice):
            _compare_ids(shards, twice, source)


def _compare_ids(
    shards: Sequence[Shard], twice: np.ndarray[tuple[int], np.dtype[np.uint64]], source: str
) -> None:
    seen: dict[str, int] = {}
    for shard in shards:
        places = np.flatnonzero(np.isin(shard.hashes(), twice))
        for place, identifier in zip(places, shard.ids(places), strict=True):
            row = shard.start + int(place)
            if identifier in seen:
                raise DataFormatError(
                    f"{source}: the passage id {identifier!r} occurs twice, as passage "
                    f"{seen[identifier] + 1} and {row + 1}: ids must be unique"
                )
            seen[identifier] = row
