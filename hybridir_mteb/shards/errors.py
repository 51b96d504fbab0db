"""The error of shards."""

from __future__ import annotations

from hybridir_mteb.errors import HybridIRError


class ShardError(HybridIRError):
    """Shards that are damaged, not complete or cannot be written; the message says what to do."""
