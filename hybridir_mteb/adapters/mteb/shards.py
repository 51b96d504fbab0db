"""Passages of a language, encoded into shards that settings, tasks and later runs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.collections.collection import (
    CollectionPart,
    at_most_passages,
    expected_passages,
    passage_id,
)
from hybridir_mteb.debias.encoder import Debiased
from hybridir_mteb.encoders.encoder import Encoder, Role, TextEncoder
from hybridir_mteb.encoders.memory import PerModel
from hybridir_mteb.errors import SettingError, plain_logger
from hybridir_mteb.files.room import check_folder, disk_free
from hybridir_mteb.files.temporary import TemporaryFolder
from hybridir_mteb.ranking.arrays import FloatMatrix
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey, fill, fill_rows
from hybridir_mteb.ranking.shards.fill import of_rows, of_texts
from hybridir_mteb.ranking.shards.listing import TEMPORARY
from hybridir_mteb.ranking.shards.maker import ShardMaker
from hybridir_mteb.ranking.shards.object_store import ObjectStore

logger = plain_logger(__name__)

ROLE: Role = "document"
ROWS = 8192  # of a shard: what a kill can cost
ROOM = 1.05  # ids and manifests, beside the vectors


@dataclass
class _ModelShards:
    """The shards of one model object that were opened, or made, in this process."""

    identity: str | None
    folders: dict[tuple[str, ShardKey], ShardFolder] = field(default_factory=dict)
    own: str = field(default_factory=lambda: uuid4().hex)
    temporary: TemporaryFolder | None = None

    def parent(self, name: str) -> Path:
        """Where they lie: a folder that ends with the model if nothing is known of its weights."""
        if self.identity is not None:
            return paths.shard_dir()
        if self.temporary is None:
            self.temporary = TemporaryFolder(paths.shard_dir(), TEMPORARY)
            logger.info("%s has no fingerprint: its shards are deleted at the end", name)
        return self.temporary.path


_SHARDS: PerModel[_ModelShards] = PerModel()


def encoded(encoder: Encoder, part: CollectionPart, dtype: str, dimension: int) -> ShardFolder:
    """The passages of one language, encoded; what a former run left is used, and resumed.

    A debiased encoder's shards are made from those of the encoder that it debiases.

    Args:
        encoder: The encoder.
        part: The language.
        dtype: ``float32`` or ``float16``, of the vectors on disk.
        dimension: Of the embeddings, to foresee the room that they take.

    Raises:
        SettingError: The disk has no room for them.
        EmbeddingError: Embeddings that cannot be ranked.
        DataUnavailableError: A file of passages is missing.
        DataFormatError: A malformed line.
    """
    if isinstance(encoder, Debiased) and not encoder.changes(ROLE):
        return encoded(encoder.base, part, dtype, dimension)
    shards = _shards_of(encoder)
    folder = _folder(shards, encoder, part, dtype)
    place = str(folder.path.parent), folder.key
    known = shards.folders.get(place)
    if known is not None and known.complete:
        return known
    if not folder.complete:
        check_room(encoder, [part], dtype, dimension)
        _fill(folder, encoder, part, dimension)
    shards.folders[place] = folder
    return folder


def _folder(
    shards: _ModelShards, encoder: Encoder, part: CollectionPart, dtype: str
) -> ShardFolder:
    key = ShardKey(
        source=part.passages.name,
        source_fingerprint=part.passages.fingerprint,
        id_prefix=passage_id(part.language, ""),
        encoder=encoder.name,
        encoder_fingerprint=shards.identity or shards.own,
        dtype=dtype,
        rows=ROWS,
    )
    store = None if shards.identity is None else ObjectStore.chosen()
    return ShardFolder(shards.parent(encoder.name), key, known_dimension(encoder), store)


def check_room(
    encoder: Encoder, parts: Sequence[CollectionPart], dtype: str, dimension: int
) -> None:
    """Refuse to start what the disk cannot hold, all languages together; as :func:`encoded`.

    Raises:
        SettingError: It cannot hold them, or the folder of shards cannot be written.
    """
    missing = sum(_missing(encoder, part, dtype) for part in parts)
    if not missing:
        return
    place = paths.shard_dir()
    check_folder(place, paths.SHARD_DIR_VARIABLE)
    needed, free = missing * dimension * np.dtype(dtype).itemsize * ROOM, disk_free(place)
    if needed > free:
        names = ", ".join(part.passages.name for part in parts)
        raise SettingError(
            f"{missing} passages of {names} in {dimension} dimensions need "
            f"{needed / 1e9:.1f} GB more, and {place} has {free / 1e9:.1f} GB: free some space "
            f"(hybridir cache info), set {paths.SHARD_DIR_VARIABLE} to another disk, or "
            f"{paths.SHARD_DTYPE_VARIABLE}=float16 for half the size"
        )


def _missing(encoder: Encoder, part: CollectionPart, dtype: str) -> int:
    """Embeddings that are still to be written, as far as it is known how many there will be."""
    more = 0
    if isinstance(encoder, Debiased):
        more = _missing(encoder.base, part, dtype)
        if not encoder.changes(ROLE):
            return more
    folder = _folder(_shards_of(encoder), encoder, part, dtype)
    expected = at_most_passages(part.passages) if folder.known_end is None else folder.known_end
    kept = len(folder.present()) * folder.key.rows
    return more + max((expected or 0) - kept, 0)


def check_parts(encoder: Encoder, parts: Sequence[CollectionPart], dtype: str) -> None:
    """Look at the ids of those languages that are not encoded yet.

    Raises:
        DataFormatError: An id occurs twice or is no text.
    """
    while isinstance(encoder, Debiased):
        encoder = encoder.base
    for part in parts:
        if not _folder(_shards_of(encoder), encoder, part, dtype).complete:
            check_passage_ids(part.passages)


def known_dimension(encoder: Encoder) -> int | None:
    """Of the embeddings, if the network says so before it encodes anything."""
    while isinstance(encoder, Debiased):
        encoder = encoder.base
    return encoder.width if isinstance(encoder, TextEncoder) else None


def _shards_of(encoder: Encoder) -> _ModelShards:
    """What is known of an encoder in its present state."""
    identity = encoder.identity(ROLE)
    state, use = encoder.state(), encoder.use(ROLE)
    return _SHARDS.get(encoder.host, state, lambda: _ModelShards(identity), use)


def _fill(folder: ShardFolder, encoder: Encoder, part: CollectionPart, dimension: int) -> None:
    """Encode what is missing."""
    source, expected = part.passages, expected_passages(part.passages)
    label = f"{source.name} {folder.key.encoder}"
    if isinstance(encoder, Debiased):
        below = encoded(encoder.base, part, folder.key.dtype, dimension)
        vectors = _debiased(encoder, part, below)
        fill_rows(folder, below.n_passages, below.ids, vectors, label=label)
        return
    fill(folder, source, lambda texts: encoder.batches(texts, ROLE), label=label, expected=expected)


def _debiased(
    encoder: Debiased, part: CollectionPart, below: ShardFolder
) -> Callable[[Sequence[int]], FloatMatrix]:
    """Gives the vectors of rows, from those of the encoder that is debiased."""
    return lambda rows: encoder.fitted(below.vectors(list(rows)), part.language, ROLE)


def layers(encoder: Encoder) -> list[Encoder]:
    """The encoders whose shards are needed, each made from those of the one before."""
    if not isinstance(encoder, Debiased):
        return [encoder]
    below = layers(encoder.base)
    return [*below, encoder] if encoder.changes(ROLE) else below


def folder_of(encoder: Encoder, part: CollectionPart, dtype: str) -> ShardFolder:
    """Where the shards of one language are, or will be; they are for all processes.

    Raises:
        SettingError: Nothing is known of the encoder's weights, so its shards are no others'.
    """
    shards = _shards_of(encoder)
    if shards.identity is None:
        raise SettingError(
            f"{encoder.name} has no fingerprint, so its shards are of use in one process only: "
            "leave out --ray, or use 'mteb run'"
        )
    return _folder(shards, encoder, part, dtype)


def maker_of(encoder: Encoder, part: CollectionPart, dtype: str) -> tuple[ShardFolder, ShardMaker]:
    """What makes single shards of one language, beside other workers.

    Args:
        encoder: One of :func:`layers`; the shards of those before it are complete.
        part: The language.
        dtype: ``float32`` or ``float16``, of the vectors on disk.
    """
    folder, source = folder_of(encoder, part, dtype), part.passages
    if not isinstance(encoder, Debiased):
        inputs = of_texts(source, lambda texts: encoder.batches(texts, ROLE))
        return folder, ShardMaker(folder, inputs)
    below = folder_of(layers(encoder)[-2], part, dtype)
    vectors = _debiased(encoder, part, below)
    return folder, ShardMaker(folder, of_rows(source.name, below.n_passages, below.ids, vectors))
