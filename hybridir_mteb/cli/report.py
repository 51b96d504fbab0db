"""``hybridir report``: the results of a folder as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hybridir_mteb.cli.console import print_table, say
from hybridir_mteb.cli.numbers import measure_of_plugin, measures_of_plugins
from hybridir_mteb.errors import UnknownNameError, quoted, suggest
from hybridir_mteb.paths import with_home

if TYPE_CHECKING:
    from hybridir_mteb.results.tables import NdcgRow, ResultRow

Row = TypeVar("Row", bound="ResultRow | NdcgRow")


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
    html: Annotated[
        Path | None,
        typer.Option(help="Also write a page with pictures, to sort, filter and compare."),
    ] = None,
) -> None:
    """Show the results of a folder: settings and language bias, and nDCG@10 of other tasks."""
    from hybridir_mteb.files.room import check_file
    from hybridir_mteb.results.tables import COLUMNS, NDCG_COLUMNS

    folder = with_home(folder)
    if html is not None:
        html = with_home(html, "--html")
        check_file(html, "--html")
    if show_bias:
        _show_bias(folder, collection)
        if html is None:
            return
    rows, ranked = _rows(folder, collection, benchmark)
    if rows and not show_bias:
        title = "mAP in percent by setting; language bias as rank distance (lower is better)"
        print_table(title, COLUMNS, (row.cells() for row in rows), grouped=True)
    if ranked and not show_bias:
        title = "nDCG@10 and others in percent; mAP of MTEB's own tasks to rank 1000"
        print_table(title, NDCG_COLUMNS, (row.cells() for row in ranked), grouped=True)
    trained = _not_zero_shot(folder, [*rows, *ranked])
    for line in [] if show_bias else trained:
        say(line, wrap=True, label="not zero-shot:")
    if html is not None:
        notes = [f"Not zero-shot: {line}." for line in trained]
        _write_page(folder, (rows, ranked), notes, html)


def _rows(
    folder: Path, collection: str | None, benchmark: str | None
) -> tuple[list[ResultRow], list[NdcgRow]]:
    """What is asked for, the encoders of a collection together.

    Raises:
        DataUnavailableError: There is nothing of it.
        UnknownNameError: No such collection, but others.
    """
    from hybridir_mteb.results.benchmarks import HYBRIDIR, PARALLEL
    from hybridir_mteb.results.tables import nothing_found, parallel_rows, summarise_ndcg

    ranked = [] if benchmark == HYBRIDIR else summarise_ndcg(folder, collection, benchmark)
    rows = parallel_rows(folder, collection) if benchmark in {None, HYBRIDIR} else []
    if benchmark == HYBRIDIR:
        rows = [row for row in rows if row.collection in PARALLEL]
    if not rows and not ranked:
        if collection is not None and benchmark is None:
            _check(collection, [*parallel_rows(folder), *summarise_ndcg(folder)], folder)
        raise nothing_found(folder, benchmark or HYBRIDIR)
    return _grouped(rows), _grouped(ranked)


def _write_page(
    folder: Path, found: tuple[list[ResultRow], list[NdcgRow]], notes: list[str], path: Path
) -> None:
    from hybridir_mteb.cli.texts import texts_of
    from hybridir_mteb.files import write_text
    from hybridir_mteb.results.html.content import content_of
    from hybridir_mteb.results.html.gather import known_of
    from hybridir_mteb.results.html.page import TITLE, page
    from hybridir_mteb.scaling.beside import public_beside
    from hybridir_mteb.scaling.snapshot import read_snapshot

    rows, ranked = found
    snapshot = read_snapshot()
    sizes = {name: of.parameters for name, of in snapshot.facts.items() if of.parameters}
    known = replace(
        known_of(rows, ranked, sizes, texts_of),
        public=public_beside((row.collection for row in ranked), snapshot),
        lower=_lower_of_plugins(rows),
    )
    made = f"Made by hybridir report of the results in the folder {folder.absolute().name}."
    write_text(path, page(content_of(rows, ranked, known), TITLE, [made, *notes]))
    say(f"written to {path}: open it in a browser")


def _lower_of_plugins(rows: Sequence[ResultRow]) -> frozenset[str]:
    """Measures of installed plugins of which less is better."""
    names = measures_of_plugins(name for row in rows for of in row.means.values() for name in of)
    found = ((name, measure_of_plugin(name)) for name in names)
    return frozenset(name for name, one in found if one is not None and one.lower_is_better)


def _not_zero_shot(folder: Path, rows: Sequence[ResultRow | NdcgRow]) -> list[str]:
    """Which encoders are not zero-shot on which collection, a line for each collection."""
    from hybridir_mteb.installed import installed_collections
    from hybridir_mteb.plugins.settings import IN_CONTEXT
    from hybridir_mteb.results.zero_shot import not_zero_shot

    registry = installed_collections()
    known: dict[str, frozenset[str]] = {}
    for spec in (registry[name] for name in registry):
        names = {spec.task_name(setting) for setting in spec.settings}
        same = frozenset({spec.name, *names, *spec.card.adapted_from})
        known |= dict.fromkeys((spec.name, f"{spec.name}{IN_CONTEXT}", *names), same)
    pairs = [(row.collection, row.encoder) for row in rows]
    return [
        f"{collection}: {', '.join(encoders)} (trained on its data, the backbone included)"
        for collection, encoders in not_zero_shot(folder, pairs, known).items()
    ]


def _show_bias(folder: Path, collection: str | None) -> None:
    from hybridir_mteb.results.tables import BIAS_COLUMNS, FOUND, FOUND_COLUMNS, summarise

    rows = summarise(folder)
    if collection is not None:
        _check(collection, rows, folder)
    found = _grouped([row for row in rows if collection in {None, row.collection}])
    title = "Language bias in the multilingual setting, means over query languages"
    print_table(title, BIAS_COLUMNS, (row.bias_cells() for row in found), grouped=True)
    if not any("multi" in row.means for row in found):
        say("no result is of the multilingual setting: run tasks named …MultilingualRetrieval")
    newer = [row for row in found if FOUND.keys() & row.means.get("multi", {}).keys()]
    if newer:
        title = "What is found of the relevant passages in the query's language and in others"
        cells = (row.bias_cells(FOUND) for row in newer)
        print_table(title, FOUND_COLUMNS, cells, grouped=True)
    _show_others(found)


def _show_others(found: Sequence[ResultRow]) -> None:
    """The measures of plugins, if there are any."""
    means = [row.means.get("multi", {}) for row in found]
    others = measures_of_plugins(name for one in means for name in one)
    if others:
        columns = ("collection", "encoder", *others)
        values = [[one.get(name) for name in others] for one in means]
        cells = (
            (row.collection, row.encoder, *("-" if v is None else f"{v:.4g}" for v in value))
            for row, value in zip(found, values, strict=True)
        )
        print_table("Measures of plugins, means over query languages", columns, cells, grouped=True)


def _grouped(rows: Sequence[Row]) -> list[Row]:
    """The encoders of a collection together, in the order in which collections first appear."""
    order = {name: at for at, name in enumerate(dict.fromkeys(row.collection for row in rows))}
    return sorted(rows, key=lambda row: order[row.collection])


def _check(collection: str, rows: Iterable[ResultRow | NdcgRow], folder: Path) -> None:
    """Refuse a collection that the folder has nothing of, where it has something of others."""
    known = sorted({row.collection for row in rows})
    if known and collection not in known:
        raise UnknownNameError(
            f"{folder} has no results of {quoted(collection)}, only of {', '.join(known)}"
            f"{suggest(collection, known)}"
        )
