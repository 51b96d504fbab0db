"""What shards of embeddings depend on; another source or encoder has another folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

import numpy as np

from hybridir_mteb.errors import SettingError

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
            raise SettingError(f"dtype {self.dtype!r}: expected one of {', '.join(DTYPES)}")
        if self.rows < 1:
            raise SettingError(f"shards of {self.rows} passages: expected at least 1")

    @property
    def numpy_dtype(self) -> np.dtype[np.floating]:
        """Number format of the vectors on disk."""
        return DTYPES[self.dtype]

    @property
    def folder(self) -> str:
        """Name of the folder: source, encoder and a digest of all fields."""
        fields = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        digest = hashlib.sha256(fields.encode()).hexdigest()[:16]
        slug = re.sub(r"[^A-Za-z0-9._]+", "-", f"{self.source} {self.encoder}").strip("-.")
        return f"{slug[:80]}-{digest}"
