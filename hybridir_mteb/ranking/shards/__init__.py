"""Embeddings of corpora larger than memory: shards on disk, and exact search over them."""

from hybridir_mteb.errors import ShardError
from hybridir_mteb.ranking.shards.fill import fill, fill_rows
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.key import ShardKey
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions
from hybridir_mteb.ranking.shards.search import search

__all__ = [
    "Hits",
    "SearchOptions",
    "ShardError",
    "ShardFolder",
    "ShardKey",
    "fill",
    "fill_rows",
    "search",
]
