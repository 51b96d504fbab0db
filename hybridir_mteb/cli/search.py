"""``hybridir search``: the rankings of an encoder as TREC runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hybridir_mteb.cli.console import print_table, say
from hybridir_mteb.cli.encode import (
    Device,
    Dtype,
    Precision,
    Ray,
    Subsets,
    Threads,
    Workers,
    crew_of,
)
from hybridir_mteb.cli.numbers import integer, measures_of_plugins
from hybridir_mteb.errors import SettingError
from hybridir_mteb.files.numbers import number
from hybridir_mteb.paths import with_home

MEASURES = ("ndcg_at_10", "recall_at_100", "mrr_at_10", "map")


def search(
    encoder: Annotated[
        str,
        typer.Argument(
            help="Name that mteb knows, folder of a sentence-transformers model, or hub id."
        ),
    ],
    task: Annotated[str, typer.Argument(help="A task, as 'hybridir tasks' shows.")],
    output: Annotated[Path, typer.Option(help="Folder for runs, judgements and measures.")],
    subset: Subsets = None,
    depth: Annotated[
        int, typer.Option(parser=integer, help="Passages for each query in the run.")
    ] = 1000,
    dtype: Dtype = None,
    device: Device = None,
    precision: Precision = None,
    ray: Ray = None,
    workers: Workers = None,
    threads: Threads = None,
    approximate: Annotated[
        str | None,
        typer.Option(
            metavar="[hnsw|ivfpq]",
            help="Search an index that is built beside the encoded passages: quick, not exact.",
        ),
    ] = None,
    recall_queries: Annotated[
        int,
        typer.Option(
            parser=integer,
            help="Queries of each subset that --approximate searches exactly, too, to tell its "
            "recall; 0 for none.",
        ),
    ] = 100,
) -> None:
    """Search a task and write each subset as a TREC run, with judgements and measures.

    A search of a large collection that was interrupted goes on where it was.
    """
    from hybridir_mteb.adapters.mteb.run import RunOptions
    from hybridir_mteb.adapters.mteb.run import search as search_task
    from hybridir_mteb.ranking.shards.approximate import RECALL

    output = with_home(output, "--output")
    if approximate is not None and ray is not None:
        raise SettingError(
            "--approximate searches on this machine: give 'hybridir encode' the --ray"
        )
    options: RunOptions = {
        "subsets": subset or (),
        "depth": depth,
        "dtype": dtype,
        "device": device,
        "precision": precision,
        "approximate": approximate,
        "recall_queries": recall_queries,
    }
    rows: list[tuple[str, ...]] = []
    scores: list[Mapping[str, Any]] = []
    try:
        with crew_of(ray, workers, threads) as crew:
            if crew is not None:
                from hybridir_mteb.adapters.ray.search import encode_and_search_by

                options = encode_and_search_by(crew, encoder, task, options)
            for name, found in search_task(encoder, task, output, **options):
                counts = (str(found.scores["n_queries"]), str(found.scores["n_passages"]))
                rows.append((name, *counts))
                scores.append(found.scores)
    finally:  # what was measured is shown before what failed
        if rows:
            numbers = {key for one in scores for key, v in one.items() if number(v) is not None}
            shown = (*MEASURES, *sorted({RECALL} & numbers), *measures_of_plugins(numbers))
            cells = (
                (*row, *("" if (v := one.get(name)) is None else f"{v:.4f}" for name in shown))
                for row, one in zip(rows, scores, strict=True)
            )
            columns = ("subset", "queries", "passages", *shown)
            print_table(f"{encoder} on {task}", columns, cells, numbers=True)
    say(f"runs and measures: {output}")
