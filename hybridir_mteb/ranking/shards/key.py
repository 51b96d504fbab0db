"""What shards of embeddings depend on; another source or encoder has another folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from hybridir_mteb.errors import DataFormatError, SettingError, quoted
from hybridir_mteb.files.record import read_record

FORMAT = 1  # of the files; another format has other folders
DTYPES: dict[str, np.dtype[np.floating]] = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
}


@dataclass(frozen=True)
class ShardKey:
    """Everything that the shards of one source depend on.

    Attributes:
        source: Name of the source for people, such as ``MIRACL sw``.
        source_fingerprint: Fingerprint of the passages and their order.
        id_prefix: Such as ``p:sw:``; the tie rule hashes prefix and passage id.
        encoder: Name of the encoder for people.
        encoder_fingerprint: Any string that tells weights, tokenizer, settings and prompt apart.
        dtype: Number format of the vectors on disk, ``float32`` or ``float16``.
        rows: Number of passages in a shard.

    Raises:
        SettingError: An unknown dtype, or no rows.
    """

    source: str
    source_fingerprint: str
    id_prefix: str
    encoder: str
    encoder_fingerprint: str
    dtype: str = "float32"
    rows: int = 8192

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise SettingError(f"dtype {quoted(self.dtype)}: expected one of {', '.join(DTYPES)}")
        if self.rows < 1:
            raise SettingError(f"shards of {self.rows} passages: expected at least 1")

    @property
    def numpy_dtype(self) -> np.dtype[np.floating]:
        """Number format of the vectors on disk."""
        return DTYPES[self.dtype]

    @property
    def digest(self) -> str:
        """Hex sha256 of all fields, which binds records to the folder."""
        content = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    @property
    def folder(self) -> str:
        """Name of the folder: source, encoder and a digest of all fields."""
        slug = re.sub(r"[^A-Za-z0-9._]+", "-", f"{self.source} {self.encoder}").strip("-.")
        return f"{slug[:80]}-{self.digest[:16]}"


def key_of(manifest: Path) -> ShardKey:
    """The key that the manifest of a folder holds.

    Raises:
        DataFormatError: The manifest is damaged; the message names it.
        OSError: It is missing or cannot be read.
    """
    names = [field.name for field in fields(ShardKey)]
    content = read_record(manifest, ("format", *names))
    try:
        return ShardKey(**{name: content[name] for name in names})
    except (KeyError, TypeError, SettingError) as error:
        raise DataFormatError(f"the record {manifest} is damaged: {error}") from error
