"""Embeddings of corpora larger than memory: shards on disk, and exact search over them."""

from hybridir_mteb.shards.errors import ShardError
from hybridir_mteb.shards.fill import fill
from hybridir_mteb.shards.folder import ShardFolder
from hybridir_mteb.shards.key import ShardKey
from hybridir_mteb.shards.search import Hits, search

__all__ = ["Hits", "ShardError", "ShardFolder", "ShardKey", "fill", "search"]
