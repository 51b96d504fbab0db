"""Passages of a language, encoded into shards that settings, tasks and later runs share."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from mteb.types import PromptType

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.collections.collection import passage_id
from hybridir_mteb.encoders.fingerprint import weights_stamp
from hybridir_mteb.errors import SettingError
from hybridir_mteb.plugins.specs import StreamedPart
from hybridir_mteb.ranking.arrays import FloatMatrix
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey, fill, fill_rows
from hybridir_mteb.ranking.shards.listing import TEMPORARY

logger = logging.getLogger(__name__)

ROLE = PromptType.document
ROWS = 8192  # of a shard: what a kill can cost
SMALLEST = 32  # bytes that a passage takes at least in a compressed file
ROOM = 1.05  # ids and manifests, beside the vectors


@dataclass
class _ModelShards:
    """The shards of one model object that were opened, or made, in this process."""

    stamp: str
    identity: str | None
    folders: dict[tuple[str, ShardKey], ShardFolder] = field(default_factory=dict)
    own: str = field(default_factory=lambda: uuid4().hex)
    temporary: TemporaryDirectory[str] | None = None

    def parent(self, name: str) -> Path:
        """Where they lie: a folder that ends with the model if nothing is known of its weights."""
        if self.identity is not None:
            return paths.shard_dir()
        if self.temporary is None:
            paths.shard_dir().mkdir(parents=True, exist_ok=True)
            self.temporary = TemporaryDirectory(prefix=TEMPORARY, dir=paths.shard_dir())
            logger.info("%s has no fingerprint: its shards are deleted at the end", name)
        return Path(self.temporary.name)


_OF_MODEL: WeakKeyDictionary[Any, dict[str, _ModelShards]] = WeakKeyDictionary()


def encoded(
    model: Any, part: StreamedPart, call: mteb_embed.EncodeCall, dtype: str, dimension: int
) -> ShardFolder:
    """The passages of one language, encoded; what a former run left is used, and resumed.

    A debiased encoder's shards are made from those of the encoder that it debiases.

    Args:
        model: An MTEB encoder.
        part: Whose passages.
        call: MTEB's arguments.
        dtype: ``float32`` or ``float16``, of the vectors on disk.
        dimension: Of the embeddings, to foresee the room that they take.

    Raises:
        SettingError: The disk has no room for them.
        EmbeddingError: Embeddings that cannot be ranked.
        DataUnavailableError: A file of passages is missing.
        DataFormatError: A malformed line.
    """
    base = getattr(model, "undebiased", None)
    if base is not None and ROLE.value not in model.fitted.debiaser.roles:
        return encoded(base, part, call, dtype, dimension)
    shards = _shards_of(model, call)
    name = _name(model)
    key = ShardKey(
        source=part.passages.name,
        source_fingerprint=part.passages.fingerprint,
        id_prefix=passage_id(part.language, ""),
        encoder=name,
        encoder_fingerprint=shards.identity or shards.own,
        dtype=dtype,
        rows=ROWS,
    )
    parent = shards.parent(name)
    known = shards.folders.get((str(parent), key))
    if known is not None and known.complete:
        return known
    folder = ShardFolder(parent, key)
    if not folder.complete:
        _fill(folder, model, part, call, dimension)
    shards.folders[str(parent), key] = folder
    return folder


def _name(model: Any) -> str:
    """For people; that of a debiased encoder that MTEB has not loaded comes from its base."""
    base = getattr(model, "undebiased", None)
    if base is None or getattr(model, "mteb_model_meta", None) is not None:
        return mteb_embed.name_of(model)
    return f"{_name(base)}+{model.fitted.debiaser.name}"


def _fill(
    folder: ShardFolder, model: Any, part: StreamedPart, call: mteb_embed.EncodeCall, dimension: int
) -> None:
    """Encode what is missing."""
    base = getattr(model, "undebiased", None)
    label = f"{part.passages.name} {folder.key.encoder}"
    if base is None:
        expected = getattr(part.passages, "expected", None)
        _check_room(folder, _at_most(part.passages, expected), dimension)
        encode = mteb_embed.batch_encoder(model, ROLE, call)
        fill(folder, part.passages, encode, label=label, expected=expected)
        return
    below = encoded(base, part, call, folder.key.dtype, dimension)

    def debias(rows: Sequence[int]) -> FloatMatrix:
        debiased: FloatMatrix = model.debias(below.vectors(rows), part.language, ROLE.value)
        return debiased

    _check_room(folder, below.n_passages, dimension)
    fill_rows(folder, below.n_passages, below.ids, debias, label=label)


def _at_most(source: Any, expected: int | None) -> int | None:
    """Number of passages: the official one, unless the files are too small to hold so many."""
    n_bytes = getattr(source, "n_bytes", None)
    if expected is None or n_bytes is None:
        return expected
    return min(expected, int(n_bytes) // SMALLEST)


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


def _shards_of(model: Any, call: mteb_embed.EncodeCall) -> _ModelShards:
    """What is known of a model object in its present state; fingerprints take long."""
    prompt = mteb_embed.prompt_signature(mteb_embed.undebiased(model), ROLE, call)
    settings = f"{call.variant(mteb_embed.undebiased(model))}|{prompt}"
    module = mteb_embed.module_of(mteb_embed.undebiased(model))
    stamp = weights_stamp(module) if module is not None else ""
    states = _OF_MODEL.setdefault(model, {})
    known = states.get(settings)
    if known is None or known.stamp != stamp:
        known = states[settings] = _ModelShards(stamp, _identity(model, prompt, call))
    return known


def _identity(model: Any, prompt: str, call: mteb_embed.EncodeCall) -> str | None:
    """Fingerprint of all that a passage's vector depends on besides its text; None if unknown."""
    base = getattr(model, "undebiased", None)
    if base is not None:
        below = _identity(base, prompt, call)
        return None if below is None else _digest(below, model.fitted.fingerprint)
    namespace = mteb_embed.namespace_of(model, call.variant(model))
    if namespace is None:
        return None
    return _digest(json.dumps(vars(replace(namespace, label="")), sort_keys=True), prompt)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
