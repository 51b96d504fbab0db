"""``hybridir scaling``: scores against parameters, and what laws make of them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hybridir_mteb.cli.console import UNBOUNDED, print_table, room, say
from hybridir_mteb.paths import with_home
from hybridir_mteb.scaling.scores import Size as Parameters

if TYPE_CHECKING:
    from hybridir_mteb.scaling.scores import Scores
    from hybridir_mteb.scaling.study import Study


class Measure(StrEnum):
    """What tables show; files hold both."""

    NDCG = "ndcg_at_10"
    MRR = "mrr_at_10"


def scaling(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Result folders of mteb run, whose models appear beside the public ones."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(help="What to compare, such as mlqa-cross; may be repeated. Default: all."),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(help="Show only this family, such as F2LLM-v2; may be repeated."),
    ] = None,
    families: Annotated[
        Path | None, typer.Option(help="Table of further families, in TOML.")
    ] = None,
    zero_shot_only: Annotated[
        bool,
        typer.Option(
            "--zero-shot-only", help="Leave out models that were trained on a task, or do not say."
        ),
    ] = False,
    public: Annotated[
        bool,
        typer.Option(
            "--public",
            help="Read MTEB's own clone of the public results in place of the packaged ones.",
        ),
    ] = False,
    parameters: Annotated[
        Parameters, typer.Option(help="Count all, or those that a text passes through.")
    ] = Parameters.TOTAL,
    measure: Annotated[Measure, typer.Option(help="Measure of the tables.")] = Measure.NDCG,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the models' scores as CSV.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures.")] = None,
) -> None:
    """Show public and own scores against numbers of parameters, and extrapolate them to 70B.

    Each family of models, and all together, are fitted by s = a - b N^-c and by a line in log N.
    """
    from hybridir_mteb.bias.plot.draw import check_drawing
    from hybridir_mteb.files.room import check_file
    from hybridir_mteb.installed import installed_parts, installed_plugins
    from hybridir_mteb.scaling import settings
    from hybridir_mteb.scaling.families import read_families
    from hybridir_mteb.scaling.study import Options, study

    for path, option in ((json, "--json"), (csv, "--csv"), (html, "--html")):
        if path is not None:
            check_file(with_home(path, option), option)
    if html is not None:
        check_drawing()
    names = tuple(settings.setting(name).name for name in setting or settings.SETTINGS)
    own = None if families is None else with_home(families, "--families")
    plugins = installed_parts() or installed_plugins()  # the latter bring mteb
    known = read_families(own, [one for _, one in plugins.families.items()])
    options = Options(names, parameters, tuple(family or ()), zero_shot_only)
    known.named(options.families)
    found = study(_scores(results or [], public=public), known, options)
    _print(found, measure.value)
    _write(found, json, csv, html)


def _scores(folders: list[Path], *, public: bool) -> Scores:
    from hybridir_mteb.scaling.snapshot import read_snapshot

    if not folders and not public:
        return read_snapshot()  # without MTEB, which takes longer to import than this to read
    from hybridir_mteb.adapters.mteb.published import public_results, read_results

    scores = public_results() if public else read_snapshot()
    for folder in folders:
        scores += read_results(with_home(folder))
    return scores


def _print(study: Study, measure: str) -> None:
    from hybridir_mteb.bias.present import fitting
    from hybridir_mteb.scaling.present import BROKEN_COLUMNS, broken_rows, sheet, words

    shown = [sheet(r, study.options.target) for r in study.results if r.measure == measure]
    for part in (part for one in shown for part in fitting(one, room())):
        print_table(part.title, part.columns, part.rows, numbers=True, piped=UNBOUNDED)
    if study.broken:
        title = "Broken cells, left out"
        print_table(title, BROKEN_COLUMNS, broken_rows(study.broken), piped=UNBOUNDED)
    for line in words(study):
        say(line, wrap=True)


def _write(study: Study, json: Path | None, csv: Path | None, html: Path | None) -> None:
    from hybridir_mteb.files import write_text
    from hybridir_mteb.scaling.page import page
    from hybridir_mteb.scaling.present import as_csv, as_json

    for path, make in ((json, as_json), (csv, as_csv), (html, page)):
        if path is not None:
            write_text(with_home(path), make(study))
