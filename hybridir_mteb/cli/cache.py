"""``hybridir cache ...``: stored embeddings of texts, and shards of encoded passages."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridir_mteb import paths
from hybridir_mteb.cli.console import print_table, say

cache_app = typer.Typer(help="Stored embeddings and shards.", no_args_is_help=True)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3f} GB"


@cache_app.command("info")
def cache_info() -> None:
    """Show the files of the embedding store, and the shards of large collections."""
    from hybridir_mteb.encoders.cache import store_files
    from hybridir_mteb.ranking.shards.listing import corpora_bytes, shard_files

    folder = paths.embedding_store_dir()
    files = store_files(folder)
    total = sum(file.bytes for file in files)
    print_table(
        f"{folder}: {_gigabytes(total)} of {_gigabytes(paths.embedding_store_limit())}",
        ("encoder", "embeddings", "size", "file"),
        ((f.label, str(f.entries), _gigabytes(f.bytes), f.path.name) for f in files),
    )
    corpora = paths.corpora_dir()
    if size := corpora_bytes(corpora):
        say(f"{corpora}: {_gigabytes(size)} of passages as tables, no limit", wrap=True)
    shards = shard_files(paths.shard_dir())
    if not shards:
        return
    print_table(
        f"{paths.shard_dir()}: {_gigabytes(sum(s.bytes for s in shards))}, no limit",
        ("encoder", "passages of", "number", "format", "size", "complete"),
        (
            (
                s.encoder,
                s.source,
                str(s.passages),
                s.dtype,
                _gigabytes(s.bytes),
                "yes" if s.complete else "no",
            )
            for s in shards
        ),
    )


@cache_app.command("clear")
def cache_clear(
    shards: Annotated[
        bool,
        typer.Option("--shards", help="Delete shards and tables of large collections instead."),
    ] = False,
) -> None:
    """Delete the embedding store, or the shards; they are made again as they are needed."""
    from hybridir_mteb.encoders.cache import clear_store
    from hybridir_mteb.ranking.shards.listing import clear_corpora, clear_shards

    if shards:
        freed = clear_shards(paths.shard_dir()) + clear_corpora(paths.corpora_dir())
    else:
        freed = clear_store(paths.embedding_store_dir())
    say(f"freed {_gigabytes(freed)}")
