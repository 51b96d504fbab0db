"""``hybridir compare``: which systems differ, question by question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridir_mteb.cli.console import UNBOUNDED, print_table, room, say
from hybridir_mteb.cli.numbers import measure_of_plugin
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.paths import with_home

if TYPE_CHECKING:
    from hybridir_mteb.comparison.pairs import Comparison
    from hybridir_mteb.comparison.runs import Judged, Judges
    from hybridir_mteb.comparison.systems import Source


def compare(
    results: Annotated[
        Path, typer.Argument(help="The --output-folder of mteb run, or the folder of the runs.")
    ],
    systems: Annotated[
        list[str],
        typer.Argument(
            help="Two or more: names of encoders as hybridir report shows them, or files and "
            "folders in RESULTS: prediction folders of mteb run, runs in TREC format. "
            "NAME=ONE,TWO,THREE gives the seeds of one method."
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(help="Compare on this task; may be repeated. Default: all that all have."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="Measure; may be repeated. Default: the task's main measure."),
    ] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgements in TREC format, for runs.")] = None,
    query_lang: Annotated[
        Path | None,
        typer.Option(
            help="Lines of query, language and what it asks, with tabs, for runs: translations of "
            "a question are one unit."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers as JSON.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the tables in LaTeX.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw: .png, .svg or .pdf.")] = None,
) -> None:
    """Show which systems differ: paired tests by question, corrected, with intervals and power.

    Translations of one question are one unit. Tasks keep what this needs beside their results.
    """
    from hybridir_mteb.bias.plot.draw import check_drawing
    from hybridir_mteb.comparison.plot import check_suffix, write_picture
    from hybridir_mteb.comparison.present import as_json, as_latex
    from hybridir_mteb.comparison.runs import RunSource
    from hybridir_mteb.comparison.systems import compare_all, sources_of
    from hybridir_mteb.files import write_text
    from hybridir_mteb.files.room import check_file

    named = {"--json": json, "--latex": latex, "--picture": picture}
    places = {option: with_home(p, option) for option, p in named.items() if p is not None}
    for option, path in places.items():
        check_file(path, option)
    if "--picture" in places:
        check_suffix(places["--picture"])
        check_drawing()
    more = [one for name in measure or () if (one := measure_of_plugin(name))]
    judges = replace(_judges(qrels, query_lang), more=more)
    folder = with_home(results)
    if not folder.is_dir():
        raise DataUnavailableError(
            f"{folder}: no such folder; give the --output-folder of mteb run"
        )

    def run(path: Path) -> Source:
        return RunSource(path, judges)

    found = compare_all(sources_of(folder, systems, run), task or (), measure or (), cache(_lower))
    _print(found)
    writers: Mapping[str, Callable[[Path], None]] = {
        "--json": lambda path: write_text(path, as_json(found)),
        "--latex": lambda path: write_text(path, as_latex(found)),
        "--picture": lambda path: write_picture(found, path),
    }
    for option, path in places.items():
        writers[option](path)


def _lower(name: str) -> bool | None:
    """Whether less of a measure is better; None for one that is built in."""
    from hybridir_mteb.measures.builtin import BUILT_IN

    found = measure_of_plugin(name)
    if found is None and name not in BUILT_IN:
        say(f"{name}: no installed plugin has this measure, so more is taken as better", wrap=True)
    return None if found is None else found.lower_is_better


def _print(found: Sequence[Comparison]) -> None:
    from hybridir_mteb.bias.present import fitting
    from hybridir_mteb.comparison.present import means, pairs, words

    for one in found:
        for sheet in (means(one), pairs(one)):
            say(sheet.title)  # a title would be as narrow as its table
            for part in fitting(sheet, room()):
                print_table("", part.columns, part.rows, numbers=True, piped=UNBOUNDED)
    for line in words(found):
        say(line, wrap=True)


def _judges(qrels: Path | None, query_lang: Path | None) -> Judges:
    """What is relevant to the queries of runs, and which of them are translations."""
    from hybridir_mteb.collections.readers.trec import read_language_map, read_qrels
    from hybridir_mteb.comparison.runs import Judged, Judges

    items: Mapping[str, str] = {}
    if query_lang is not None:
        items = read_language_map(with_home(query_lang, "--query-lang")).items or {}

    def ask(task: str, subsets: Sequence[str]) -> tuple[str, Mapping[str, Judged]]:
        from hybridir_mteb.adapters.mteb.run import judged_of_task

        main, judged = judged_of_task(task, subsets)
        return main, {s: Judged(one.qrels, {**items, **one.units}) for s, one in judged.items()}

    if qrels is None:
        return Judges(ask)
    given = with_home(qrels, "--qrels")
    return Judges(ask, Judged(read_qrels(given), items), given.name.removesuffix(".gz"))
