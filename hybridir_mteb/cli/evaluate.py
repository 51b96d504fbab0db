"""``hybridir evaluate``: a grid of evaluations by MTEB, in this process or on a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridir_mteb.cli.console import print_table, say
from hybridir_mteb.cli.encode import Device, Precision, Ray, Threads, Workers, crew_of
from hybridir_mteb.paths import with_home

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.grid import Cell, Outcome

COLUMNS = ("encoder", "revision", "seed", "task", "main score", "seconds", "")


def evaluate(
    encoders: Annotated[
        list[str],
        typer.Argument(
            help="Names that mteb knows, or hub ids; NAME@FINGERPRINT is one of several seeds."
        ),
    ],
    task: Annotated[list[str], typer.Option(help="A task that mteb knows, repeatable.")],
    seeds: Annotated[
        bool,
        typer.Option("--seeds", help="All stored encoders of a name, and not only the newest."),
    ] = False,
    output_folder: Annotated[
        Path | None, typer.Option(help="Folder of results. Default: that of 'mteb run'.")
    ] = None,
    device: Device = None,
    precision: Precision = None,
    ray: Ray = None,
    workers: Workers = None,
    threads: Threads = None,
) -> None:
    """Evaluate encoders on tasks as 'mteb run' does; what is in its cache is not run again.

    Whatever fails is told at the end, and stops nothing else.
    """
    from hybridir_mteb.adapters.mteb.grid import Grid, cells, results_folder
    from hybridir_mteb.files.progress import progress

    folder = results_folder(output_folder and with_home(output_folder, "--output-folder"))
    wanted, grid = cells(encoders, task, seeds=seeds), Grid(folder, device, precision)
    found: dict[Cell, Outcome] = {}
    try:
        with crew_of(ray, workers, threads) as crew:
            outcomes: Iterable[tuple[Cell, Outcome]]
            if crew is None:
                outcomes = ((cell, grid.evaluate(cell)) for cell in wanted)
            else:
                from hybridir_mteb.adapters.ray.evaluate import evaluate_by

                outcomes = evaluate_by(crew, grid, wanted)
            options = {"total": len(wanted), "unit": "cell", "leave": False}
            found.update(progress(outcomes, desc="evaluating", **options))
    finally:  # what is done is shown before what failed
        if found:
            rows = (_row(cell, found[cell]) for cell in wanted if cell in found)
            print_table("Main scores", COLUMNS, rows)
        failed = [cell for cell, one in found.items() if one.error]
        for cell in failed:
            say(f"{cell}: {found[cell].error}", wrap=True, label="failed:", style="bold red")
    say(f"results: {folder}; all measures: hybridir report {folder}", wrap=True)
    if failed:
        say(
            f"{len(failed)} of {len(wanted)} failed; the same command tries them again",
            wrap=True,
            style="bold red",
        )
        raise typer.Exit(1)


def _row(cell: Cell, found: Outcome) -> tuple[str, ...]:
    said = "failed" if found.error else "was there" if found.known else ""
    return (
        cell.encoder,
        (cell.revision or "")[:12],
        "" if cell.seed is None else str(cell.seed),
        cell.task,
        "" if found.score is None else f"{found.score:.4f}",
        f"{found.seconds:.1f}",
        said,
    )
