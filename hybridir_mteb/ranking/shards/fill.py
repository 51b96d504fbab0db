"""Fill a folder of shards: encode its texts, or take its vectors from a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, NoReturn

import numpy as np

from hybridir_mteb.collections.collection import PassageSource
from hybridir_mteb.errors import DataFormatError, EmbeddingError, quoted
from hybridir_mteb.files import sweep
from hybridir_mteb.files.progress import progress
from hybridir_mteb.ranking.arrays import BatchEncoder, FloatArray, FloatMatrix
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.key import ShardKey


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
        folder: The folder to fill; it may be partly filled, and others may be filling it.
        source: The passages, those that the folder's key names.
        encode: Encodes texts, batch by batch in any order.
        label: Text beside the progress bar.
        expected: Number of passages, for the progress bar.
        shards: Numbers of the shards to fill, as one worker's share. By default all, and then the
            end is marked.

    Raises:
        DataFormatError: A passage id occurs twice, or the source is not the one of old shards.
        EmbeddingError: An embedding is missing, NaN, infinite in the folder's dtype, or of
            another dimension; the message names the passage.
        ShardError: The disk is full; finished shards are kept.
    """
    _fill(folder, of_texts(source, encode), label, expected, shards)


def fill_rows(
    folder: ShardFolder,
    n_passages: int,
    ids_of: Callable[[Sequence[int]], Sequence[str]],
    vectors_of: Callable[[Sequence[int]], FloatMatrix],
    *,
    label: str = "",
) -> None:
    """Fill the shards that are missing or damaged with vectors that need no text.

    Args:
        folder: The folder to fill; it may be partly filled, and others may be filling it.
        n_passages: Number of rows, which are numbered from 0.
        ids_of: Gives the passage ids of rows, without prefix.
        vectors_of: Gives the (n, dimension) float32 embeddings of rows. Every call is for one
            shard, and shards come in order.
        label: Text beside the progress bar.

    Raises:
        DataFormatError: A passage id occurs twice, or there are fewer rows than old shards had.
        EmbeddingError: As of :func:`fill`.
        ShardError: The disk is full; finished shards are kept.
    """
    _fill(
        folder, of_rows(folder.key.source, n_passages, ids_of, vectors_of), label, n_passages, None
    )


@dataclass(frozen=True)
class Inputs:
    """Where ids and vectors come from.

    Attributes:
        name: Name of the source, for messages.
        passages: Gives the passages, or the numbers of their rows, from start to stop.
        ids_of: Gives their ids.
        inputs_of: Gives what is encoded for each; equal inputs of a shard are encoded once.
        encode: Encodes inputs, batch by batch in any order.
    """

    name: str
    passages: Callable[[int, int | None], Iterable[Any]]
    ids_of: Callable[[Sequence[Any]], Sequence[str]]
    inputs_of: Callable[[Sequence[Any]], Sequence[Any]]
    encode: Callable[[Sequence[Any]], Iterator[tuple[Sequence[int], FloatMatrix]]]


def of_texts(source: PassageSource, encode: BatchEncoder) -> Inputs:
    """Passages that are read and encoded; arguments as of :func:`fill`."""
    return Inputs(
        source.name,
        source.passages,
        lambda passages: [passage.id for passage in passages],
        lambda passages: [passage.content for passage in passages],
        encode,
    )


def of_rows(
    name: str,
    n_passages: int,
    ids_of: Callable[[Sequence[int]], Sequence[str]],
    vectors_of: Callable[[Sequence[int]], FloatMatrix],
) -> Inputs:
    """Rows whose vectors need no text; arguments as of :func:`fill_rows`."""

    def rows(start: int, stop: int | None) -> Iterable[int]:
        return range(start, n_passages if stop is None else min(stop, n_passages))

    def encode(some: Sequence[int]) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        yield range(len(some)), vectors_of(some)

    return Inputs(name, rows, ids_of, list, encode)


@dataclass(frozen=True)
class _Plan:
    """Which shards to fill.

    Attributes:
        kept: Numbers of sound shards that stay.
        skipped: Numbers of shards that are not to be filled.
        first: The first that is missing.
        stop: Behind the last that is missing; None: until the source ends.
        end: Number of passages, if it is known.
    """

    kept: frozenset[int]
    skipped: frozenset[int]
    first: int
    stop: int | None
    end: int | None


def _plan(folder: ShardFolder, shards: range | None) -> _Plan:
    end, rows = folder.known_end, folder.key.rows
    kept = frozenset(
        number
        for number in folder.present()
        if (shards is None or number in shards) and folder.has(number, discard_damaged=True)
    )
    last = max(kept, default=-1)
    if end is None and shards is None and kept and len(folder.shard(last)) < rows:
        end = folder.shard(last).stop  # only the last shard is not full
    wanted = shards
    if shards is None and end is not None:
        wanted = range(-(-end // rows))
    if wanted is None:
        first = next(number for number in count() if number not in kept)
        return _Plan(kept, kept, first, None, None)
    missing = set(wanted) - kept
    first, stop = (min(missing), max(missing) + 1) if missing else (0, 0)
    return _Plan(kept, frozenset(range(first, stop)) - missing, first, stop, end)


def _fill(
    folder: ShardFolder, source: Inputs, label: str, expected: int | None, shards: range | None
) -> None:
    """One pass over the source; the end is marked if all shards are to be filled."""
    sweep(folder.path)
    plan = _plan(folder, shards)
    kept = sum(len(folder.shard(number)) for number in plan.kept)
    dimension = folder.dimension if kept else None
    rows, limit = folder.key.rows, plan.stop and plan.stop * folder.key.rows
    seen, stream = plan.first * rows, iter(source.passages(plan.first * rows, limit))
    with progress(
        desc=label or f"encoding {source.name}",
        total=expected if shards is None else None,
        initial=kept,
        unit="passage",
        unit_scale=True,
        leave=False,
    ) as bar:
        bar.set_postfix_str(f"resumed={kept}" if kept else "", refresh=False)
        for number in count(plan.first) if plan.first != plan.stop else ():
            some = list(islice(stream, rows))
            seen += len(some)
            if some and number not in plan.skipped:
                ids, vectors = encoded(source, some, folder.key, dimension, bar.update)
                dimension = vectors.shape[1]
                folder.write(number, ids, vectors)
            if len(some) < rows:
                break
    if limit and plan.end is not None and seen < min(plan.end, limit):
        raise DataFormatError(
            f"{source.name} has only {seen} passages, but had {plan.end} when its first "
            "shards were made: bring the old file back, or encode again in a new folder"
        )
    if shards is None:
        folder.finish(seen if plan.end is None else plan.end)


def encoded(
    source: Inputs,
    some: Sequence[Any],
    key: ShardKey,
    dimension: int | None,
    advance: Callable[[int], object],
) -> tuple[Sequence[str], FloatArray]:
    """Ids of the passages of one shard, and (n, dimension) embeddings in the dtype of the key."""
    ids, inputs = source.ids_of(some), source.inputs_of(some)
    place = {item: at for at, item in enumerate(dict.fromkeys(inputs))}
    row = np.fromiter((place[item] for item in inputs), np.int64, len(inputs))
    repeats, first = np.bincount(row), np.unique(row, return_index=True)[1]

    def refuse(at: int, why: str) -> NoReturn:
        raise EmbeddingError(f"passage {quoted(ids[first[at]])} of {key.source}: {why}")

    vectors: FloatMatrix | None = None
    there = np.zeros(len(place), bool)
    try:
        for positions, batch in source.encode(list(place)):
            at = np.asarray(positions, np.int64)
            width = batch.shape[1] if dimension is None else dimension
            if batch.shape != (len(at), width):
                refuse(int(at[0]), f"embeddings of shape {batch.shape}, not ({len(at)}, {width})")
            if vectors is None:
                dimension, vectors = width, np.empty((len(place), width), np.float32)
            vectors[at], there[at] = batch, True
            advance(int(repeats[at].sum()))
    except EmbeddingError as error:
        if error.position is None:
            raise
        refuse(error.position, "its embedding holds NaN or infinity")  # as the encoder has seen
    if vectors is None or not there.all():
        refuse(int(np.argmin(there)), "the model returned no embedding")
    with np.errstate(over="ignore"):
        kept = vectors.astype(key.numpy_dtype)
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        fault = int(np.argmin(finite))
        if np.isfinite(vectors[fault]).all():
            refuse(fault, "a value of its embedding is too large for float16: use float32")
        refuse(fault, "its embedding holds NaN or infinity")
    return ids, kept[row]
