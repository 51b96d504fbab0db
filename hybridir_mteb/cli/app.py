"""The commands; heavy imports happen inside them, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import hybridir_mteb
from hybridir_mteb import paths
from hybridir_mteb.cli.bias import bias
from hybridir_mteb.cli.debias import debias_app
from hybridir_mteb.cli.encoders import models_app
from hybridir_mteb.cli.train import train

UNBROKEN = {"name", "encoder", "collection"}

app = typer.Typer(
    help="Zero-shot multilingual retrieval inside MTEB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="The collections' data files.", no_args_is_help=True)
cache_app = typer.Typer(help="The store of embeddings.", no_args_is_help=True)
app.add_typer(models_app, name="models")
app.add_typer(debias_app, name="debias")
app.add_typer(data_app, name="data")
app.add_typer(cache_app, name="cache")
app.command()(train)
app.command()(bias)
# Piped output gets the room that the tables need; a terminal decides for itself.
console = Console(width=None if sys.stdout.isatty() else 120)


def _version(show: bool) -> None:
    if show:
        console.print(f"hybridir-mteb {hybridir_mteb.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Zero-shot multilingual retrieval inside MTEB."""


def _print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in UNBROKEN)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.3f} GB"


@app.command()
def tasks() -> None:
    """List the tasks that plugins registered."""
    from hybridir_mteb.adapters.mteb_registry import register

    registry = register().tasks
    _print_table(
        "Tasks (mteb run -t NAME)",
        ("name", "subsets", "split", "main score", "licence", "plugin"),
        (
            (
                name,
                str(len(task.metadata.hf_subsets)),
                ", ".join(task.metadata.eval_splits),
                task.metadata.main_score,
                str(task.metadata.license),
                registry.owner(name),
            )
            for name, task in registry.items()
        ),
    )


@data_app.command("list")
def data_list() -> None:
    """Show where each data file is."""
    from hybridir_mteb.plugins import installed_plugins
    from hybridir_mteb.sources import locate

    rows = [
        (name, file.path, str(locate(file) or "not here: hybridir data fetch " + name))
        for name, spec in installed_plugins().collections.items()
        for file in spec.files
    ]
    _print_table("Data files", ("collection", "file", "found at"), rows)


@data_app.command("fetch")
def data_fetch(
    collections: Annotated[list[str], typer.Argument(help="Names, as 'hybridir data list' shows.")],
) -> None:
    """Fetch the files of collections into the cache, unless the mirror has them."""
    from hybridir_mteb.plugins import installed_plugins
    from hybridir_mteb.sources import fetch

    for name in collections:
        spec = installed_plugins().collections[name]
        for file in spec.files:
            console.print(f"{file.path}: {fetch(file)}", highlight=False)
        if not spec.files:
            console.print(f"{name} ships with its package: nothing to fetch")


@data_app.command("verify")
def data_verify() -> None:
    """Check every collection's files against their pinned sha256, and its content."""
    from hybridir_mteb.errors import DataUnavailableError
    from hybridir_mteb.plugins import installed_plugins
    from hybridir_mteb.sources import locate

    for name, spec in installed_plugins().collections.items():
        missing = [file.path for file in spec.files if locate(file) is None]
        if missing:
            raise DataUnavailableError(
                f"{name}: {', '.join(missing)} missing or with a wrong checksum; run: "
                f"hybridir data fetch {name}"
            )
        collection = spec.load(spec.languages)
        collection.check_answered()
        for code in collection.languages:
            part = collection.part(code)
            console.print(
                f"{name} {code}: {len(part.queries)} queries, {len(part.passages)} passages",
                highlight=False,
            )


@cache_app.command("info")
def cache_info() -> None:
    """Show the files of the embedding store."""
    from hybridir_mteb.embedding_store import store_files

    folder = paths.embedding_store_dir()
    files = store_files(folder)
    total = sum(file.bytes for file in files)
    _print_table(
        f"{folder}: {_gigabytes(total)} of {_gigabytes(paths.embedding_store_limit())}",
        ("encoder", "embeddings", "size", "file"),
        ((f.label, str(f.entries), _gigabytes(f.bytes), f.path.name) for f in files),
    )


@cache_app.command("clear")
def cache_clear() -> None:
    """Delete the embedding store; it is filled again as texts are encoded."""
    from hybridir_mteb.embedding_store import clear_store

    console.print(f"freed {_gigabytes(clear_store(paths.embedding_store_dir()))}")


@app.command()
def doctor() -> None:
    """Show versions, what autoload found, paths and threads; exits with 1 if something is wrong."""
    from hybridir_mteb.doctor import examine

    report = examine()
    for title, rows in report.sections:
        _print_table(title, ("", ""), rows)
    for problem in report.problems:
        console.print(f"[bold red]problem:[/] {escape(problem)}", highlight=False)
    if report.problems:
        raise typer.Exit(1)
    console.print("[green]no problems found[/]")


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The --output-folder of mteb run.")] = Path(
        "results"
    ),
    collection: Annotated[str | None, typer.Option(help="Show only this collection.")] = None,
    show_bias: Annotated[
        bool, typer.Option("--bias", help="Show the measures of language bias instead.")
    ] = False,
) -> None:
    """Show the results of a folder: the three settings and the language bias of each encoder."""
    from hybridir_mteb.report import BIAS_COLUMNS, COLUMNS, summarise

    rows = summarise(folder, collection)
    if show_bias:
        title = "Language bias in the multilingual setting, means over query languages"
        _print_table(title, BIAS_COLUMNS, (row.bias_cells() for row in rows))
        return
    _print_table(
        "mAP in percent by setting; language bias as rank distance (lower is better)",
        COLUMNS,
        (row.cells() for row in rows),
    )
