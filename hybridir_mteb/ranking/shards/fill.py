"""Encode what is missing in a folder of shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import NoReturn, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from hybridir_mteb.collections.collection import PassageSource, StreamedPassage
from hybridir_mteb.encoders.memory import BatchEncoder
from hybridir_mteb.errors import DataFormatError, EmbeddingError
from hybridir_mteb.ranking.arrays import FloatMatrix
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import sweep


class Bar(Protocol):
    """The part of a progress bar that is used."""

    def update(self, n: float) -> object:
        """Advance by n."""
        ...


def fill(
    folder: ShardFolder,
    source: PassageSource,
    encode: BatchEncoder,
    *,
    label: str = "",
    expected: int | None = None,
    shards: range | None = None,
) -> None:
    """Encode the passages whose shards are missing or damaged; sound shards are kept.

    Texts that are identical within a shard are encoded once. Memory is bounded by the texts and
    vectors of one shard.

    Args:
        folder: Where to; it may be partly filled, and others may be filling it.
        source: The passages; the one that the folder's key names.
        encode: Encodes texts, batch by batch in any order.
        label: Beside the progress bar.
        expected: Number of passages, for the progress bar.
        shards: Numbers of the shards to fill, as one worker's share. By default all, and then the
            end is marked.

    Raises:
        DataFormatError: A passage id occurs twice, or the source is not the one of old shards.
        EmbeddingError: An embedding is missing, NaN, infinite in the folder's dtype, or of
            another dimension; the message names the passage.
        ShardError: The disk is full; finished shards are kept.
    """
    sweep(folder.path)
    plan = _plan(folder, shards)
    kept = sum(len(folder.shard(number)) for number in plan.done)
    with tqdm(
        total=expected if shards is None else None,
        initial=kept,
        desc=label or f"encoding {source.name}",
        unit="passage",
        unit_scale=True,
        leave=False,
    ) as bar:
        bar.set_postfix_str(f"resumed={kept}" if kept else "", refresh=False)
        dimension = folder.dimension if plan.done else None
        end = _Filling(folder, encode, bar, dimension).run(source, plan)
    if shards is None:
        folder.finish(end)


@dataclass(frozen=True)
class _Plan:
    """Which shards to fill.

    Attributes:
        done: Numbers of the shards that are there and sound.
        wanted: Numbers of all that are to be there; None: until the source ends.
        first: The first that is missing.
        stop: Behind the last that is missing; None: until the source ends.
        end: Number of passages, if it is known.
    """

    done: frozenset[int]
    wanted: range | None
    first: int
    stop: int | None
    end: int | None

    def missing(self, number: int) -> bool:
        """Whether a shard is to be filled."""
        return number not in self.done and (self.wanted is None or number in self.wanted)


def _plan(folder: ShardFolder, shards: range | None) -> _Plan:
    present = folder.present()
    done = frozenset(
        number
        for number in present
        if (shards is None or number in shards) and folder.has(number, discard_damaged=True)
    )
    end, rows, last = folder.known_end, folder.key.rows, max(done, default=-1)
    if end is None and shards is None and done and len(folder.shard(last)) < rows:
        end = folder.shard(last).stop  # only the last shard is not full
    wanted = shards
    if shards is None and end is not None:
        wanted = range(-(-end // rows))
    if wanted is None:
        first = next(number for number in count() if number not in done)
        return _Plan(done, None, first, None, None)
    missing = [number for number in wanted if number not in done]
    first, stop = (min(missing), max(missing) + 1) if missing else (0, 0)
    return _Plan(done, wanted, first, stop, end)


@dataclass
class _Filling:
    folder: ShardFolder
    encode: BatchEncoder
    bar: Bar
    dimension: int | None

    def run(self, source: PassageSource, plan: _Plan) -> int:
        """Encode the missing shards from one pass over the source.

        Returns:
            Number of passages of the source, as far as it was read or is known.
        """
        if plan.first == plan.stop:
            return plan.end or 0
        rows = self.folder.key.rows
        seen = plan.first * rows
        stream = source.passages(seen, None if plan.stop is None else plan.stop * rows)
        for number in count(plan.first):
            passages = list(islice(stream, rows))
            seen += len(passages)
            if passages and plan.missing(number):
                vectors = self._embed(passages)
                self.folder.write(number, [passage.id for passage in passages], vectors)
            if len(passages) < rows:
                break
        if plan.end is not None and plan.stop and seen < min(plan.end, plan.stop * rows):
            raise DataFormatError(
                f"{source.name} has only {seen} passages, but had {plan.end} when its first "
                "shards were made: bring the old file back, or encode again in a new folder"
            )
        return seen if plan.end is None else plan.end

    def _embed(self, passages: Sequence[StreamedPassage]) -> npt.NDArray[np.floating]:
        """(n, dimension) embeddings of the passages of one shard, in the dtype of the folder."""
        contents = [passage.content for passage in passages]
        place = {text: at for at, text in enumerate(dict.fromkeys(contents))}
        row = np.fromiter((place[text] for text in contents), np.int64, len(contents))
        repeats, first = np.bincount(row), np.unique(row, return_index=True)[1]

        def refuse(at: int, why: str) -> NoReturn:
            who = f"passage {passages[first[at]].id!r} of {self.folder.key.source}"
            raise EmbeddingError(f"{who}: {why}")

        vectors: FloatMatrix | None = None
        there = np.zeros(len(place), bool)
        for positions, batch in self.encode(list(place)):
            at = np.asarray(positions, np.int64)
            width = batch.shape[1] if self.dimension is None else self.dimension
            if batch.shape != (len(at), width):
                refuse(int(at[0]), f"embeddings of shape {batch.shape}, not ({len(at)}, {width})")
            if vectors is None:
                self.dimension, vectors = width, np.empty((len(place), width), np.float32)
            vectors[at], there[at] = batch, True
            self.bar.update(int(repeats[at].sum()))
        if vectors is None or not there.all():
            refuse(int(np.argmin(there)), "the model returned no embedding")
        with np.errstate(over="ignore"):
            kept = vectors.astype(self.folder.key.numpy_dtype)
        finite = np.isfinite(kept).all(axis=1)
        if not finite.all():
            fault = int(np.argmin(finite))
            if np.isfinite(vectors[fault]).all():
                refuse(fault, "a value of its embedding is too large for float16: use float32")
            refuse(fault, "its embedding holds NaN or infinity")
        return kept[row]
