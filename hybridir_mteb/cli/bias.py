"""``hybridir bias``: language bias of a run, or of MTEB's predictions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridir_mteb.cli.console import UNBOUNDED, print_table, room, say
from hybridir_mteb.cli.numbers import integer
from hybridir_mteb.errors import DataUnavailableError, PluginError, SettingError, quoted
from hybridir_mteb.paths import with_home

if TYPE_CHECKING:
    from hybridir_mteb.bias.present import Sheet
    from hybridir_mteb.collections.readers.trec import LanguageMap
    from hybridir_mteb.measures.evaluate import Choices
    from hybridir_mteb.measures.report import BiasReport


class Format(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    LATEX = "latex"


def bias(
    run: Annotated[
        Path,
        typer.Argument(
            help="Run in TREC format; without QRELS the prediction folder of mteb run, or a file "
            "in it."
        ),
    ],
    qrels: Annotated[
        Path | None,
        typer.Argument(help="Judgements in TREC format; not needed for predictions of our tasks."),
    ] = None,
    doc_lang: Annotated[
        Path | None,
        typer.Option(
            help="Languages of all documents of the pool: lines of id, tab, language; or JSON."
        ),
    ] = None,
    query_lang: Annotated[
        Path | None,
        typer.Option(
            help="Languages of the queries, in the same format. A third column names what a query "
            "asks: translations share it, and mrc needs it."
        ),
    ] = None,
    measures: Annotated[
        str | None, typer.Option(help="Names, separated by commas. Default: all of language bias.")
    ] = None,
    mrc_depth: Annotated[
        int | None,
        typer.Option(
            parser=integer, help="Depth of the rankings that mrc compares; 0 leaves it out."
        ),
    ] = None,
    parallel: Annotated[
        bool | None,
        typer.Option(
            "--parallel/--no-parallel",
            help="Whether a query's relevant documents are translations of one another. Default: "
            "found out from the judgements.",
        ),
    ] = None,
    resamples: Annotated[
        int, typer.Option(parser=integer, help="Of the bootstrap; 0 leaves the intervals out.")
    ] = 1000,
    format_: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TABLE,
    matrix: Annotated[
        str | None,
        typer.Option(
            help="Also print, and draw, a matrix of query and passage languages: mean_rank, "
            "recall_at_10, share_at_10 or share_at_100."
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the report: .html, .png or .svg.")] = None,
) -> None:
    """Show the language bias of a run: by query language, on average, and what does not apply.

    Give RUN QRELS --doc-lang MAP --query-lang MAP, or the prediction folder of mteb run alone.
    Files may be compressed (.gz).
    """
    from hybridir_mteb.bias.plot.draw import DEFAULT_MATRIX, check_drawing, check_suffix, write_plot
    from hybridir_mteb.bias.present import as_json, as_latex, check_matrix, sheets, words
    from hybridir_mteb.files.room import check_file
    from hybridir_mteb.measures.measure import FAILED

    if plot is not None:
        plot = with_home(plot, "--plot")
        check_suffix(plot)  # before a long evaluation
        check_drawing()
        check_file(plot, "--plot")
    if matrix is not None:
        check_matrix(matrix)
    options: Choices = {
        "measures": None if measures is None else _names(measures),
        "mrc_depth": mrc_depth,
        "parallel": parallel,
        "resamples": resamples,
    }
    report = _report(run, qrels, doc_lang, query_lang, options)
    if format_ is Format.JSON:
        typer.echo(as_json(report))
    elif format_ is Format.LATEX:
        typer.echo(as_latex(report, matrix))
    else:
        for sheet in sheets(report, matrix):
            _print(sheet)
        for line in words(report):
            say(line, wrap=True)
    if plot is not None:
        title = f"Language bias of {run.name}"
        write_plot(report, plot, title, matrix=matrix or DEFAULT_MATRIX)
    failed = [f"{m}: {why}" for m, why in report.not_applicable.items() if why.startswith(FAILED)]
    if failed:
        raise PluginError(f"all but this was measured: {'; '.join(failed)}")


def _names(measures: str) -> list[str]:
    found = [name for name in map(str.strip, measures.split(",")) if name]
    if not found:
        raise SettingError(f"--measures {quoted(measures)} names no measure")
    return found


def _report(
    run: Path, qrels: Path | None, doc_lang: Path | None, query_lang: Path | None, options: Choices
) -> BiasReport:
    from hybridir_mteb import language_bias
    from hybridir_mteb.collections.readers.trec import read_qrels, read_run

    run = with_home(run)
    qrels = None if qrels is None else with_home(qrels)
    if not run.exists():
        raise DataUnavailableError(f"{run}: no such file or folder")
    documents = _map(doc_lang, "--doc-lang")
    queries = _map(query_lang, "--query-lang")
    if run.is_dir() or run.name.removesuffix(".gz").endswith(".json"):
        return language_bias.of_predictions(
            run,
            qrels=None if qrels is None else read_qrels(qrels),
            doc_languages=None if documents is None else documents.languages,
            query_languages=None if queries is None else queries.languages,
            items=None if queries is None else queries.items,
            **options,
        )
    needed = {"QRELS": qrels, "--doc-lang": documents, "--query-lang": queries}
    missing = [name for name, value in needed.items() if value is None]
    if qrels is None or documents is None or queries is None:
        raise SettingError(
            f"a run needs {', '.join(missing)} too: hybridir bias RUN QRELS --doc-lang MAP "
            "--query-lang MAP; or give the prediction folder of mteb run alone"
        )
    judged = read_qrels(qrels)
    ranked = read_run(run, documents.languages, judged)
    languages = documents.languages, queries.languages
    return language_bias.of_run(ranked, judged, *languages, items=queries.items, **options)


def _map(path: Path | None, option: str) -> LanguageMap | None:
    from hybridir_mteb.collections.readers.trec import read_language_map

    return None if path is None else read_language_map(with_home(path, option))


def _print(sheet: Sheet) -> None:
    """Cut a table to the width of a terminal; give piped output the width that it needs."""
    from hybridir_mteb.bias.present import fitting, folded

    for part in fitting(sheet, room()):
        heads = map(folded, part.columns)
        print_table(part.title, heads, part.rows, numbers=True, piped=UNBOUNDED)
