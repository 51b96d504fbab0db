"""``hybridir encode``: the passages of a task, encoded before anything is searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from hybridir_mteb.cli.console import print_table
from hybridir_mteb.cli.numbers import integer
from hybridir_mteb.errors import SettingError

if TYPE_CHECKING:
    from hybridir_mteb.adapters.ray.workers import Crew

RAY = "--ray"
HERE = "local"
RAY_HELP = (
    "Work on Ray: one of its own on this machine, or a cluster by its address: auto, host:port or "
    "ray://host:port."
)
WORKERS_HELP = "Workers of Ray. Default: one for each GPU, or for each four cores."
THREADS_HELP = "Cores of a worker. Default: those that there are, shared out."

Subsets = Annotated[
    list[str] | None, typer.Option(help="Name of a subset, repeatable. Default: all.")
]
Dtype = Annotated[
    str | None,
    typer.Option(help="float32 or float16: number format of the encoded passages on disk."),
]
Device = Annotated[str | None, typer.Option(help="Torch device. Default: a GPU if there is one.")]
Precision = Annotated[
    str | None,
    typer.Option(help="fp32, bf16 or auto, the faster one, for encoders of this package."),
]
Ray = Annotated[str | None, typer.Option(RAY, metavar="[ADDRESS]", help=RAY_HELP)]
Workers = Annotated[int | None, typer.Option(parser=integer, help=WORKERS_HELP)]
Threads = Annotated[int | None, typer.Option(parser=integer, help=THREADS_HELP)]


def with_address(arguments: Sequence[str]) -> list[str]:
    """The same arguments, where ``--ray`` has its address also if none is given."""
    given = []
    for at, word in enumerate(arguments):
        given.append(word)
        following = arguments[at + 1] if at + 1 < len(arguments) else ""
        if word == RAY and not (following in {HERE, "auto"} or ":" in following):
            given.append(HERE)
    return given


@contextmanager
def crew_of(ray: str | None, workers: int | None, threads: int | None) -> Iterator[Crew | None]:
    """The workers of the cluster that options name; None without ``--ray``.

    Raises:
        SettingError: Workers or threads without it.
    """
    if ray is None:
        if workers is not None or threads is not None:
            raise SettingError("--workers and --threads are of Ray: give --ray, too")
        from hybridir_mteb.encoders.threads import use_free_cores

        use_free_cores()
        yield None
        return
    from hybridir_mteb.adapters.ray.cluster import ClusterOptions, connected

    with connected(ClusterOptions(ray, workers, threads)) as crew:
        yield crew


def encode(
    task: Annotated[str, typer.Argument(help="A task, as 'hybridir tasks' shows.")],
    encoder: Annotated[
        str,
        typer.Option(
            help="Name that mteb knows, folder of a sentence-transformers model, or hub id."
        ),
    ],
    subset: Subsets = None,
    dtype: Dtype = None,
    device: Device = None,
    precision: Precision = None,
    ray: Ray = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Encode the passages of a large task; 'mteb run' and 'hybridir search' then find them.

    What was interrupted goes on where it was, with the same command.
    """
    from hybridir_mteb.adapters.mteb.encoding import encode as encode_task
    from hybridir_mteb.adapters.mteb.run import RunOptions

    rows = []
    try:
        with crew_of(ray, workers, threads) as crew:
            fill = None
            if crew is not None:
                from hybridir_mteb.adapters.ray.encode import fill_by

                fill = fill_by(crew)
            options: RunOptions = {
                "subsets": subset or (),
                "dtype": dtype,
                "device": device,
                "precision": precision,
            }
            for code, folder in encode_task(encoder, task, options, fill):
                count, shards = str(folder.n_passages), str(folder.n_shards)
                rows.append((code, count, shards, folder.path))
    finally:  # what is done is shown before what failed
        if rows:
            columns = ("language", "passages", "shards", "folder")
            print_table(f"{encoder} on {task}", columns, rows)
