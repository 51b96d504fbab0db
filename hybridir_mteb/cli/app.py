"""The commands; heavy imports happen inside them, so that ``--help`` is quick."""

from __future__ import annotations

from typing import Annotated

import typer

import hybridir_mteb
from hybridir_mteb.cli.bias import bias
from hybridir_mteb.cli.cache import cache_app
from hybridir_mteb.cli.console import print_table, rows_of, say
from hybridir_mteb.cli.data import data_app, export
from hybridir_mteb.cli.debias import debias_app
from hybridir_mteb.cli.ending import Commands
from hybridir_mteb.cli.models import models_app
from hybridir_mteb.cli.plan import plan
from hybridir_mteb.cli.report import report
from hybridir_mteb.cli.scaling import scaling
from hybridir_mteb.cli.search import search
from hybridir_mteb.cli.train import train

app = typer.Typer(
    cls=Commands,
    help="Zero-shot multilingual retrieval inside MTEB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models")
app.add_typer(debias_app, name="debias")
app.add_typer(data_app, name="data")
app.add_typer(cache_app, name="cache")
app.command()(train)
app.command()(plan)
app.command()(bias)
app.command()(export)
app.command()(report)
app.command()(scaling)
app.command()(search)


def _version(show: bool) -> None:
    if show:
        say(f"hybridir-mteb {hybridir_mteb.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Zero-shot multilingual retrieval inside MTEB."""


@app.command()
def tasks() -> None:
    """List the tasks that plugins registered."""
    from hybridir_mteb.adapters.mteb.register import register

    registry = register().tasks
    print_table(
        "Tasks (mteb run -t NAME)",
        ("name", "subsets", "split", "main score", "licence", "plugin"),
        rows_of(
            registry.items(),
            lambda name, task: [
                (
                    name,
                    len(task.metadata.hf_subsets),
                    ", ".join(task.metadata.eval_splits),
                    task.metadata.main_score,
                    task.metadata.license,
                    registry.owner(name),
                )
            ],
        ),
    )


@app.command()
def doctor() -> None:
    """Show versions, what autoload found, paths and threads; exits with 1 if something is wrong."""
    from hybridir_mteb.cli.doctor import examine

    report = examine()
    for title, rows in report.sections:
        print_table(title, ("", ""), rows)
    for problem in report.problems:
        say(problem, wrap=True, label="problem:", style="bold red")
    if report.problems:
        raise typer.Exit(1)
    say("no problems found", style="green")
