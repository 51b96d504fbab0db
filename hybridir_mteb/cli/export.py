"""``hybridir export``: a collection as files for other toolkits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridir_mteb.cli.console import say


def export(
    format_: Annotated[str, typer.Argument(metavar="FORMAT", help="beir, trec or jsonl.")],
    task: Annotated[str, typer.Argument(help="Name of a task, as 'hybridir tasks' shows.")],
    folder: Annotated[Path, typer.Argument(help="Where to write; it is made.")],
    subset: Annotated[
        list[str] | None,
        typer.Option(help="Only this subset, such as de or de-en; repeatable. Default: all."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an older export in the same place.")
    ] = False,
) -> None:
    """Write a task as BEIR folders, as TREC topics, qrels and corpus, or as MTEB's JSON lines."""
    from hybridir_mteb.export import export_task

    done = export_task(task, folder, format=format_, subsets=subset, overwrite=overwrite)
    for one in done.subsets:
        place = done.folder if one.folder == "." else done.folder / one.folder
        counts = f"{one.queries} queries, {one.judgements} judgements, {one.passages} passages"
        say(f"{place}: {counts}", wrap=True)
