"""``hybridir report``: the results of a folder as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridir_mteb.cli.console import print_table
from hybridir_mteb.paths import with_home


def report(
    folder: Annotated[Path, typer.Argument(help="The --output-folder of mteb run.")] = Path(
        "results"
    ),
    collection: Annotated[str | None, typer.Option(help="Show only this collection.")] = None,
    benchmark: Annotated[
        str | None, typer.Option(help="Show only this benchmark, such as HybridIR-BEIR.")
    ] = None,
    show_bias: Annotated[
        bool, typer.Option("--bias", help="Show the measures of language bias instead.")
    ] = False,
) -> None:
    """Show the results of a folder: settings and language bias, and nDCG@10 of other tasks."""
    from hybridir_mteb.results.benchmarks import HYBRIDIR, PARALLEL
    from hybridir_mteb.results.tables import (
        BIAS_COLUMNS,
        COLUMNS,
        FOUND,
        FOUND_COLUMNS,
        NDCG_COLUMNS,
        nothing_found,
        parallel_rows,
        summarise,
        summarise_ndcg,
    )

    folder = with_home(folder)
    if show_bias:
        title = "Language bias in the multilingual setting, means over query languages"
        found = summarise(folder, collection)
        print_table(title, BIAS_COLUMNS, (row.bias_cells() for row in found))
        newer = [row for row in found if FOUND.keys() & row.means.get("multi", {}).keys()]
        if newer:
            title = "What is found of the relevant passages in the query's language and in others"
            print_table(title, FOUND_COLUMNS, (row.bias_cells(FOUND) for row in newer))
        return
    ranked = [] if benchmark == HYBRIDIR else summarise_ndcg(folder, collection, benchmark)
    rows = parallel_rows(folder, collection) if benchmark in {None, HYBRIDIR} else []
    if benchmark == HYBRIDIR:
        rows = [row for row in rows if row.collection in PARALLEL]
    if not rows and not ranked:
        raise nothing_found(folder, benchmark or HYBRIDIR)
    if rows:
        title = "mAP in percent by setting; language bias as rank distance (lower is better)"
        print_table(title, COLUMNS, (row.cells() for row in rows))
    if ranked:
        title = "nDCG@10 and others in percent; mAP of MTEB's own tasks to rank 1000"
        print_table(title, NDCG_COLUMNS, (row.cells() for row in ranked))
