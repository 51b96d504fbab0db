"""The passages of a task encoded ahead, so that every run finds their shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from mteb.models import EncoderProtocol

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.adapters.mteb.models import settled
from hybridir_mteb.adapters.mteb.run import ENCODE_KWARGS, RunOptions, chosen_task, finder
from hybridir_mteb.adapters.mteb.shards import (
    ROLE,
    check_room,
    encoded,
    folder_of,
    known_dimension,
    layers,
    maker_of,
)
from hybridir_mteb.adapters.mteb.task import CollectionTask
from hybridir_mteb.collections.collection import CollectionPart, expected_passages
from hybridir_mteb.encoders.encoder import Encoder
from hybridir_mteb.errors import ClusterError, SettingError
from hybridir_mteb.ranking.shards import ShardFolder
from hybridir_mteb.ranking.shards.maker import Made


@dataclass(frozen=True)
class Language:
    """One language of a task that is to be encoded, as other processes can make it, too.

    Attributes:
        encoder: Name of the encoder.
        task: Name of the task.
        options: Subsets, number format, device and precision.
        subset: A subset in whose pool the language is.
        code: The language.
        layer: Number of the encoder among those whose shards are made one from the other.
        digest: Of the key that the shards have where the work is shared out; None: not known yet.
    """

    encoder: str
    task: str
    options: RunOptions
    subset: str
    code: str
    layer: int = 0
    digest: str | None = None

    def __call__(self) -> Callable[[int], Made]:
        """What makes shards by their numbers, in a process that has loaded nothing yet.

        Raises:
            ClusterError: Encoder or passages differ from those where the work is shared out.
        """
        options = {**self.options, "subsets": tuple(self.options.get("subsets", ()))}
        work = _loaded(self.encoder, self.task, tuple(options.items()))
        encoder = layers(work.encoder_for(self.subset))[self.layer]
        folder, maker = maker_of(encoder, work.part(self.code), work.dtype)
        if self.digest not in {None, folder.key.digest}:
            raise ClusterError(
                f"a worker has another {work.name} or other passages of {folder.key.source} than "
                "this machine: give all machines the same versions, encoders and data"
            )
        return maker


@lru_cache(maxsize=1)
def _loaded(encoder: str, task: str, options: tuple[tuple[str, Any], ...]) -> Work:
    """One encoder stays in a worker for all languages."""
    return Work(encoder, task, cast("RunOptions", dict(options)))


# A language, its folder, and how many passages there should be -> its shards are complete.
Fill = Callable[[Language, ShardFolder, int | None], None]


class Work:
    """An encoder and a task, loaded.

    Args:
        encoder: Name that MTEB knows, folder of a sentence-transformers model, or hub id.
        task: A task of this package or its plugins whose passages are streamed.
        options: Subsets, number format, device and precision.

    Raises:
        SettingError: A task whose passages are no shards, or a model that searches by itself.
        UnknownNameError: No such encoder, task or subset.
        DataUnavailableError: The encoder cannot be had.
    """

    def __init__(self, encoder: str, task: str, options: RunOptions) -> None:
        self.name, self._task = encoder, chosen_task(task, options)
        if self._task.spec.parallel:
            raise SettingError(
                f"{task} is small and is encoded in memory when it is run: there is nothing to "
                "encode ahead"
            )
        self.dtype = options.get("dtype") or paths.shard_dtype()
        precision = options.get("precision")
        self._model: Any = finder(encoder, options.get("device"), precision)
        # Other machines compute as this one does, whatever is faster on them.
        told: RunOptions = {**options, "precision": settled(precision, self._model)}
        self._given = encoder, task, told
        if not isinstance(self._model, EncoderProtocol):
            raise SettingError(f"{encoder} searches by itself: there is nothing to encode ahead")
        self._parts: dict[str, CollectionPart] = {}

    def encoder_for(self, subset: str) -> Encoder:
        """The encoder as a run of a subset uses it."""
        task: CollectionTask = self._task
        call = EncodeCall(task.metadata, task.eval_splits[0], subset, ENCODE_KWARGS)
        return of_mteb(self._model, call)

    def part(self, code: str) -> CollectionPart:
        """One language.

        Raises:
            DataUnavailableError: A file is missing.
        """
        if code not in self._parts:
            self._parts.update(self._task.spec.read([code], self._task.context))
        return self._parts[code]

    def languages(self) -> Iterator[Language]:
        """Each language of the subsets once."""
        seen = set()
        for name in self._task.hf_subsets:
            for code in self._task.subset(name).passage_languages:
                if code not in seen:
                    seen.add(code)
                    yield Language(*self._given, name, code)

    def encode(self, one: Language, fill: Fill | None) -> ShardFolder:
        """One language, encoded; what is there already is kept.

        Args:
            one: From :meth:`languages`.
            fill: Has the shards made elsewhere; None: they are made here.
        """
        encoder, part = self.encoder_for(one.subset), self.part(one.code)
        dimension = known_dimension(encoder)
        if dimension is None:
            dimension = next(encoder.batches(["width"], ROLE))[1].shape[1]
        if fill is None:
            return encoded(encoder, part, self.dtype, dimension)
        for number, layer in enumerate(layers(encoder)):
            folder = folder_of(layer, part, self.dtype)
            if folder.complete:
                continue
            check_room(layer, [part], self.dtype, dimension)
            if not number:
                check_passage_ids(part.passages)
            there = Language(*self._given, one.subset, one.code, number, folder.key.digest)
            fill(there, folder, expected_passages(part.passages))
        return folder


def encode(
    encoder: str, task: str, options: RunOptions, fill: Fill | None = None
) -> Iterator[tuple[str, ShardFolder]]:
    """Encode the passages of a task, language by language; an interrupted run goes on.

    Args:
        encoder: Name that MTEB knows, folder of a sentence-transformers model, or hub id.
        task: A task of this package or its plugins.
        options: Subsets, number format, device and precision.
        fill: Has the shards made elsewhere; None: they are made here.

    Yields:
        Code of each language, and its complete shards.

    Raises:
        SettingError: As of :class:`Work`, or the disk is too small.
        DataFormatError: A malformed line, or an id that occurs twice.
        EmbeddingError: Embeddings that cannot be kept.
        ShardError: The disk is full; finished shards are kept.
    """
    work = Work(encoder, task, options)
    for one in work.languages():
        yield one.code, work.encode(one, fill)
