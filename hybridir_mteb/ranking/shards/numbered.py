"""Passages whose embeddings come from somewhere else than their text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.encoders.memory import BatchEncoder
from hybridir_mteb.ranking.arrays import FloatMatrix

AT_ONCE = 8192  # ids in memory


@dataclass(frozen=True)
class NumberedPassages:
    """A source of passages whose text is the number of their row; see :func:`by_number`.

    Attributes:
        name: For messages and progress bars.
        fingerprint: Of the content.
        n_passages: Their number.
        ids: Gives the ids of consecutive rows.
    """

    name: str
    fingerprint: str
    n_passages: int
    ids: Callable[[range], Sequence[str]]

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        """Ids and numbers of rows."""
        end = self.n_passages if stop is None else min(stop, self.n_passages)
        for first in range(start, end, AT_ONCE):
            rows = range(first, min(first + AT_ONCE, end))
            for row, identifier in zip(rows, self.ids(rows), strict=True):
                yield StreamedPassage(identifier, str(row))


def by_number(embed: Callable[[list[int]], FloatMatrix]) -> BatchEncoder:
    """What :func:`~hybridir_mteb.ranking.shards.fill` encodes such passages with.

    Args:
        embed: Rows -> (n, dimension) float32 embeddings.
    """

    def encode(numbers: Sequence[str]) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        yield range(len(numbers)), embed([int(number) for number in numbers])

    return encode
