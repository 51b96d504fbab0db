"""The commands; heavy imports happen inside them, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridir_mteb.cli.bias import bias
from hybridir_mteb.cli.cache import cache_app
from hybridir_mteb.cli.compare import compare
from hybridir_mteb.cli.console import PIPED, UNBOUNDED, print_table, say
from hybridir_mteb.cli.data import data_app, export
from hybridir_mteb.cli.debias import debias_app
from hybridir_mteb.cli.encode import encode
from hybridir_mteb.cli.ending import Commands
from hybridir_mteb.cli.evaluate import evaluate
from hybridir_mteb.cli.models import models_app
from hybridir_mteb.cli.plan import plan
from hybridir_mteb.cli.report import report
from hybridir_mteb.cli.scaling import scaling
from hybridir_mteb.cli.search import search
from hybridir_mteb.cli.submit import submit_app
from hybridir_mteb.cli.train import train

SHOWN = 5  # problems that the doctor names beside the first
app = typer.Typer(
    cls=Commands,
    help="Multilingual retrieval inside MTEB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models")
app.add_typer(debias_app, name="debias")
app.add_typer(data_app, name="data")
app.add_typer(cache_app, name="cache")
app.add_typer(submit_app, name="submit")
app.command()(train)
app.command()(plan)
app.command()(bias)
app.command()(compare)
app.command()(export)
app.command()(report)
app.command()(scaling)
app.command()(search)
app.command()(encode)
app.command()(evaluate)


def _version(show: bool) -> None:
    if show:
        from hybridir_mteb.cli.version import version_line

        say(version_line())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Show version and commit."
        ),
    ] = False,
) -> None:
    """Multilingual retrieval inside MTEB."""


@app.command()
def tasks() -> None:
    """List the tasks that plugins registered."""
    from hybridir_mteb.cli.listing import TASK_COLUMNS, task_rows

    print_table("Tasks (mteb run -t NAME)", TASK_COLUMNS, task_rows())


@app.command()
def doctor(
    names: Annotated[
        bool, typer.Option("--all", help="Also the names of what is registered, and all problems.")
    ] = False,
) -> None:
    """Show versions, what autoload found, paths and threads; exits with 1 if something is wrong."""
    from hybridir_mteb.cli.doctor import examine

    report = examine(names)
    print_table("", (), report.rows(), piped=PIPED if names else UNBOUNDED)
    for line in report.others(None if names else SHOWN):
        say(line, wrap=True, label="problem:", style="bold red")
    if report.problems:
        say(report.problems[0], wrap=True, label="first thing to do:", style="bold red")
        raise typer.Exit(1)
    say("all well", style="green")
