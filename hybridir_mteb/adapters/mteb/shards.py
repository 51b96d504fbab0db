"""Passages of a language, encoded into shards that settings, tasks and later runs share."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import (
    CollectionPart,
    at_most_passages,
    expected_passages,
    passage_id,
)
from hybridir_mteb.debias.encoder import Debiased
from hybridir_mteb.encoders.encoder import Encoder, Role
from hybridir_mteb.encoders.memory import PerModel
from hybridir_mteb.errors import SettingError
from hybridir_mteb.files.temporary import TemporaryFolder
from hybridir_mteb.ranking.arrays import FloatMatrix
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey, fill, fill_rows
from hybridir_mteb.ranking.shards.listing import TEMPORARY

logger = logging.getLogger(__name__)

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
    key = ShardKey(
        source=part.passages.name,
        source_fingerprint=part.passages.fingerprint,
        id_prefix=passage_id(part.language, ""),
        encoder=encoder.name,
        encoder_fingerprint=shards.identity or shards.own,
        dtype=dtype,
        rows=ROWS,
    )
    parent = shards.parent(encoder.name)
    known = shards.folders.get((str(parent), key))
    if known is not None and known.complete:
        return known
    folder = ShardFolder(parent, key)
    if not folder.complete:
        _fill(folder, encoder, part, dimension)
    shards.folders[str(parent), key] = folder
    return folder


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
        below, fitted = encoded(encoder.base, part, folder.key.dtype, dimension), encoder.fitted

        def debias(rows: Sequence[int]) -> FloatMatrix:
            return fitted(below.vectors(list(rows)), part.language, ROLE)

        _check_room(folder, below.n_passages, dimension)
        fill_rows(folder, below.n_passages, below.ids, debias, label=label)
        return
    _check_room(folder, at_most_passages(source), dimension)
    fill(folder, source, lambda texts: encoder.batches(texts, ROLE), label=label, expected=expected)


def _check_room(folder: ShardFolder, expected: int | None, dimension: int) -> None:
    """Refuse to start what the disk cannot hold.

    Raises:
        SettingError: It cannot.
    """
    if expected is None:
        return
    each = dimension * folder.key.numpy_dtype.itemsize
    kept = len(folder.present()) * folder.key.rows
    needed = int(max(expected - kept, 0) * each * ROOM)
    place = paths.shard_dir()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise SettingError(
            f"{expected} passages of {folder.key.source} in {dimension} dimensions need "
            f"{needed / 1e9:.1f} GB more, and {place} has {free / 1e9:.1f} GB: free some space "
            f"(hybridir cache info), set {paths.SHARD_DIR_VARIABLE} to another disk, or "
            f"{paths.SHARD_DTYPE_VARIABLE}=float16 for half the size"
        )
