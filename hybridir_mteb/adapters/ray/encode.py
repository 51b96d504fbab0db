"""Shards made by the workers of a cluster, as one process would make them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hybridir_mteb.adapters.ray.workers import Crew
from hybridir_mteb.errors import ShardError
from hybridir_mteb.files import sweep
from hybridir_mteb.files.progress import progress
from hybridir_mteb.ranking.shards import ShardFolder
from hybridir_mteb.ranking.shards.maker import Filling, Made

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.encoding import Fill, Language


def fill_by(crew: Crew) -> Fill:
    """What has the shards of a language made by a cluster.

    Args:
        crew: The workers of a connected cluster.
    """
    return partial(_fill_language, crew)


def _fill_language(crew: Crew, there: Language, folder: ShardFolder, expected: int | None) -> None:
    label = f"{folder.key.source} {folder.key.encoder}"
    fill_with(crew, there, folder, label=label, expected=expected)


def fill_with(
    crew: Crew,
    build: Callable[[], Callable[[int], Made]],
    folder: ShardFolder,
    *,
    label: str = "",
    expected: int | None = None,
) -> None:
    """Have all shards of a folder made, and mark its end.

    Neither texts nor vectors come here: workers read their passages from the files and write their
    shards to the folder, which must be the same for all machines. A sound shard is kept.

    Args:
        crew: The workers of a connected cluster.
        build: Makes in each worker what makes shards by their numbers; must be picklable.
        folder: The folder; it may be partly filled.
        label: Text beside the progress bar.
        expected: Number of passages, for the progress bar.

    Raises:
        ClusterError: Workers are lost again and again.
        DataFormatError: As of :func:`~hybridir_mteb.ranking.shards.fill.fill`.
        EmbeddingError: As there.
        ShardError: As there, or the folder is not the same for all machines.
    """
    sweep(folder.path)
    filling = Filling(folder)
    with progress(
        desc=label or f"encoding {folder.key.source}",
        total=expected,
        unit="passage",
        unit_scale=True,
        leave=False,
    ) as bar:
        for number, made in crew.run(build, filling.numbers()):
            if made.passages and not folder.is_there(number):
                raise ShardError(
                    f"a worker has made shard {number}, and it is not in {folder.path}: this folder"
                    " must be the same for all machines (HYBRIDIR_SHARD_DIR), on a file system "
                    "that they share, or a URL such as s3://bucket/shards"
                )
            filling.take(number, made)
            bar.initial += made.passages - made.encoded  # what was there is no part of the rate
            bar.update(made.passages)
    filling.finish()
