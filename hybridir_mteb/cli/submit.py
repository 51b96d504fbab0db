"""``hybridir submit ...``: what a person sends to MTEB, drafted and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridir_mteb.cli.console import say
from hybridir_mteb.paths import with_home

submit_app = typer.Typer(
    help="Drafts of requests to MTEB and its leaderboard; nothing is sent.", no_args_is_help=True
)
Output = Annotated[Path, typer.Option(help="Folder to write.")]


@submit_app.command()
def bundle(
    encoder: Annotated[str, typer.Argument(help="Name, as mteb run -m takes it.")],
    results: Annotated[Path, typer.Argument(help="The --output-folder of mteb run.")],
    output: Output,
    revision: Annotated[
        str | None, typer.Option(help="Take the results of this one; its first characters do.")
    ] = None,
    public: Annotated[
        Path | None,
        typer.Option(
            help="Clone of MTEB's results repository; by default RESULTS/remote, if it is there."
        ),
    ] = None,
    mock_run: Annotated[
        bool,
        typer.Option(
            "--mock-run/--no-mock-run", help="Load the encoder and run MTEB's mock tasks with it."
        ),
    ] = True,
) -> None:
    """Write an encoder's results as the results repository takes them, and draft the requests."""
    from hybridir_mteb.adapters.mteb.submission import bundle as write
    from hybridir_mteb.adapters.mteb.submission import find_results

    results, output = with_home(results), with_home(output)
    remote = results / "remote"
    clone = with_home(public) if public is not None else remote if remote.is_dir() else None
    done = write(find_results(encoder, results, revision), output, clone, mock_run)
    for line in done.faults:
        say(line, wrap=True, label="refused:", style="bold red")
    if done.faults:
        say("nothing was written")
        raise typer.Exit(1)
    for line in done.written:
        say(str(output / line))
    for line in done.notes:
        say(line, wrap=True, label="note:", style="bold")


@submit_app.command()
def task(
    name: Annotated[str, typer.Argument(help="Name, as 'hybridir tasks' shows.")],
    output: Output,
    results: Annotated[
        Path, typer.Argument(help="The --output-folder of mteb run, for the reference models.")
    ] = Path("results"),
    count: Annotated[
        bool,
        typer.Option(
            "--statistics/--no-statistics", help="Count the texts, if nobody has; reads the data."
        ),
    ] = True,
) -> None:
    """Draft the request that brings a task: metadata, statistics, scores of reference models."""
    from hybridir_mteb.adapters.mteb.task_drafts import draft_task

    results, output = with_home(results), with_home(output)
    for line in draft_task(name, results, output, count):
        say(str(output / line))
