"""``hybridir cache ...``: stored embeddings, shards, and what killed processes left behind."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
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
    from hybridir_mteb.files.temporary import size_of
    from hybridir_mteb.ranking.shards.listing import corpora_bytes, shard_files

    _print_left_behind()
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
    if size := size_of(paths.backbones_dir()):
        say(
            f"{paths.backbones_dir()}: {_gigabytes(size)} of unpacked networks, no limit", wrap=True
        )
    shards = shard_files(paths.shard_dir())
    if not shards:
        return
    rows = (
        (s.encoder, s.source, s.passages, s.dtype, _gigabytes(s.bytes), complete)
        for s in shards
        for complete in ["yes" if s.complete else "no"]
    )
    heads = ("encoder", "passages of", "number", "format", "size", "complete")
    of_all = _gigabytes(sum(s.bytes for s in shards))
    print_table(f"{paths.shard_dir()}: {of_all}, no limit", heads, rows)


def _places() -> list[Path]:
    """Every folder in which this package makes temporary files, but those that users name."""
    from hybridir_mteb.training.runs import runs_dir

    store, shards = paths.model_store_dir(), paths.shard_dir()
    data = paths.data_cache_dir()
    places = [
        *(Path(tempfile.gettempdir()), paths.cache_dir(), paths.corpora_dir()),
        *(paths.backbones_dir(), paths.collections_dir()),
        *(folder for root in (store, shards, data, runs_dir()) for folder in _with_folders(root)),
    ]
    return list(dict.fromkeys(places))


def _with_folders(root: Path, deep: int = 2) -> list[Path]:
    """A folder, those in it, and those in them: an encoder's has a name and a fingerprint."""
    try:
        found = sorted(root.iterdir())
    except OSError:
        found = []
    within = (path for path in found if path.is_dir() and not path.is_symlink())
    return [root, *(one for path in within if deep for one in _with_folders(path, deep - 1))]


def _print_left_behind() -> None:
    """What killed processes left, and trainings that can go on."""
    from hybridir_mteb.files.temporary import left_behind
    from hybridir_mteb.training.runs import unfinished

    found = [
        (left.path, left.bytes, "nothing") for place in _places() for left in left_behind(place)
    ]
    found += [(run.path, run.bytes, "hybridir train, which goes on") for run in unfinished()]
    if found:
        print_table(
            "Left by processes that were killed (hybridir cache clear, --runs)",
            ("place", "size", "of use for"),
            ((str(path), _gigabytes(size), use) for path, size, use in found),
        )


@cache_app.command("clear")
def cache_clear(
    shards: Annotated[
        bool,
        typer.Option("--shards", help="Delete shards and tables of large collections instead."),
    ] = False,
    runs: Annotated[
        bool,
        typer.Option("--runs", help="Delete trainings that did not end instead: none can go on."),
    ] = False,
    backbones: Annotated[
        bool, typer.Option("--backbones", help="Delete networks unpacked from packages instead.")
    ] = False,
) -> None:
    """Delete the embedding store, or the shards; they are made again as they are needed.

    What killed processes left behind goes in any case.
    """
    from hybridir_mteb.encoders.cache import clear_store
    from hybridir_mteb.files import sweep
    from hybridir_mteb.files.temporary import size_of
    from hybridir_mteb.ranking.shards.listing import clear_corpora, clear_shards
    from hybridir_mteb.training.runs import clear_unfinished

    freed = sum(map(sweep, _places()))
    if runs:
        freed += clear_unfinished()
    if shards:
        freed += clear_shards(paths.shard_dir()) + clear_corpora(paths.corpora_dir())
    if backbones:
        freed += size_of(paths.backbones_dir())
        shutil.rmtree(paths.backbones_dir(), ignore_errors=True)
    if not (runs or shards or backbones):
        freed += clear_store(paths.embedding_store_dir())
    say(f"freed {_gigabytes(freed)}")
