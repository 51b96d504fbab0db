"""``hybridir data ...`` and ``hybridir export``: collections, their files, and files for others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hybridir_mteb.cli.console import UNBOUNDED, print_table, rows_of, say
from hybridir_mteb.collections.languages import suggest_language
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
    quoted,
)
from hybridir_mteb.paths import with_home
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.settings import Setting, task_name

if TYPE_CHECKING:
    from hybridir_mteb.collections.download import DataFile
    from hybridir_mteb.collections.hub import HubDataset
    from hybridir_mteb.collections.readers.verify import PartSummary
    from hybridir_mteb.plugins.specs import CollectionSpec

SHOWN = 3
data_app = typer.Typer(help="Collections: their files, and your own.", no_args_is_help=True)
Names = Annotated[list[str], typer.Argument(help="Names, as 'hybridir data list' shows.")]
OptionalNames = Annotated[
    list[str] | None, typer.Argument(help="Names, as 'hybridir data list' shows; by default all.")
]
Languages = Annotated[
    list[str] | None, typer.Option("--language", help="Fetch the passages of this language too.")
]


@data_app.command("list")
def list_(
    files: Annotated[bool, typer.Option("--files", help="Where each single file is.")] = False,
) -> None:
    """Show the collections, how much of each is here, and which were added."""
    from hybridir_mteb.collections.own import OWNER, added
    from hybridir_mteb.installed import installed_collections

    collections = installed_collections()
    known = [(name, spec) for name, spec in collections.items() if collections.owner(name) != OWNER]
    if files:
        _print_files(known)
    else:
        print_table(
            "Collections (--files shows where each file is)",
            ("collection", "languages", "files here", "passages here", "where, or how to get them"),
            rows_of(known, lambda name, spec: [_in_short(name, spec)]),
            piped=UNBOUNDED,
        )
    own = [(record.name, *record.described()) for record in added()]
    if own:
        print_table("Added here", ("name", "what", "holds"), own)


def _in_short(name: str, spec: CollectionSpec) -> tuple[object, ...]:
    """One line about a collection: how many of its files are here, and where."""
    from hybridir_mteb.collections.download import locate, locate_folder

    found = [path for path in map(locate, spec.files) if path]
    folders = [paths[0].parent for paths in map(locate_folder, spec.corpora.values()) if paths]
    where = "in the package, or made by its plugin" if not spec.files else ""
    if found:
        where = os.path.commonpath([path.parent for path in found])
    if len(found) < len(spec.files):
        where = f"hybridir data fetch {name}"
    elif len(folders) < len(spec.corpora):
        where = f"hybridir data fetch {name} --language {spec.languages[0]}"
    files = f"{len(found)} of {len(spec.files)}" if spec.files else "-"
    corpora = f"{len(folders)} of {len(spec.corpora)} languages" if spec.corpora else "-"
    return name, len(spec.languages), files, corpora, where


def _print_files(known: Sequence[tuple[str, CollectionSpec]]) -> None:
    from hybridir_mteb.collections.download import locate, locate_folder

    files = rows_of(
        known,
        lambda name, spec: [
            (name, file.path, locate(file) or f"not here: hybridir data fetch {name}")
            for file in spec.files
        ],
    )
    print_table("Data files", ("collection", "file", "found at"), files)
    corpora = rows_of(
        known,
        lambda name, spec: [
            (name, code, folder.count, found[0].parent if found else f"not here: {folder.how}")
            for code, folder in getattr(spec, "corpora", {}).items()
            for found in [locate_folder(folder)]
        ],
    )
    print_table("Passages of many files", ("collection", "language", "files", "found at"), corpora)


@data_app.command("fetch")
def fetch_(collections: Names, languages: Languages = None) -> None:
    """Fetch the files of collections into the cache, unless the mirror has them."""
    from hybridir_mteb.collections.download import fetch
    from hybridir_mteb.installed import installed_plugins

    for name in collections:
        spec = installed_plugins().collections[name]
        for code in languages or ():
            _fetch_language(name, code, spec)
        if languages:
            continue
        for file in spec.files:
            say(f"{file.path}: {fetch(file)}")
        if not spec.files:
            say(f"{name} is on this machine: nothing to fetch")
        if getattr(spec, "corpora", {}):
            say(f"the passages of {name} are fetched by language: --language {spec.languages[0]}")


def _fetch_language(name: str, code: str, spec: CollectionSpec) -> None:
    """Everything that one language of a streamed collection needs."""
    from hybridir_mteb.collections.download import fetch, fetch_folder

    if spec.parallel or not spec.corpora:
        raise SettingError(f"{name} is not fetched by language: leave --language out")
    _check_language(name, code, spec)
    for file in spec.files:
        if file.language in {code, ""}:
            say(f"{file.path}: {fetch(file)}")
    for path in fetch_folder(spec.corpora[code]):
        say(f"{spec.corpora[code].place}/{path.name}: {path}")


def _check_language(name: str, code: str, spec: CollectionSpec) -> None:
    if code not in spec.languages:
        only = ", ".join(spec.languages) + suggest_language(code, spec.languages)
        raise UnknownNameError(f"{name} has no language {quoted(code)}, only {only}")


@data_app.command()
def verify(
    collections: OptionalNames = None,
    languages: Annotated[
        list[str] | None, typer.Option("--language", help="Only this one of streamed collections.")
    ] = None,
) -> None:
    """Check collections' files against their pinned sha256, and their content."""
    from hybridir_mteb.collections.own import OWNER
    from hybridir_mteb.installed import installed_plugins

    registry = installed_plugins().collections
    names = collections or [name for name, spec in registry.items() if _is_here(spec)]
    failed: list[str] = []
    for name in names:
        spec = registry[name]
        if spec.parallel:
            _tell(name, _check_parallel(name, spec), failed)
        elif not spec.task and registry.owner(name) == OWNER:  # its languages are not read twice
            if collections:
                say(f"{name} is a pool: verify the collection that its languages are of")
        else:
            for code in (languages or ()) if collections else ():
                _check_language(name, code, spec)
            codes = [code for code in spec.languages if not languages or code in languages]
            wanted = {"", *codes}
            files = [file for file in spec.files if file.language in wanted]
            if _tell(name, _check_files(name, files), failed):
                for code in codes:
                    _tell(f"{name} {code}", _check_streamed(name, code, spec), failed)
    for line in failed[:-1]:
        say(line, label="problem:", style="bold red")
    if failed:
        raise DataFormatError(failed[-1])


def _is_here(spec: CollectionSpec) -> bool:
    """Whether its data sets of the hub are: of those, most people have none."""
    from hybridir_mteb.collections.download import locate
    from hybridir_mteb.collections.hub import HubDataset

    return all(locate(file) for file in spec.files if isinstance(file, HubDataset))


def _tell(what: str, lines: Iterator[str], failed: list[str]) -> bool:
    """Print what was found of a collection; a line about what fails is kept, and stops nothing."""
    found: list[str] = []
    before = len(failed)
    with alone(what, failed.append):
        found += lines
    for line in found:  # not in there: a closed output is no fault of the collection
        say(line)
    return len(failed) == before


def _check_files(name: str, files: Sequence[DataFile | HubDataset]) -> Iterator[str]:
    """Whether all are here, with the pinned sha256; nothing is said of those that are."""
    from hybridir_mteb.collections.download import locate

    missing = [file.path for file in files if locate(file) is None]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise DataUnavailableError(
            f"{', '.join(missing[:SHOWN])}{more} missing or with a wrong checksum; run: "
            f"hybridir data fetch {name}"
        )
    yield from ()


def _check_parallel(name: str, spec: CollectionSpec) -> Iterator[str]:
    from hybridir_mteb.collections.collection import ParallelCollection
    from hybridir_mteb.collections.readers.verify import read_through

    yield from _check_files(name, spec.files)
    collection = spec.load(spec.languages)
    if not isinstance(collection, ParallelCollection):
        for code, part in collection.parts.items():
            yield f"{name} {code}: {read_through(part)}"
        return
    collection.check_answered()
    for code in collection.languages:
        found = collection.part(code)
        yield f"{name} {code}: {len(found.queries)} queries, {len(found.passages)} passages"


def _check_streamed(name: str, code: str, spec: CollectionSpec) -> Iterator[str]:
    from hybridir_mteb.collections.download import locate_folder
    from hybridir_mteb.collections.readers.verify import read_through

    part = spec.load(code)
    folder = spec.corpora.get(code)
    if folder is not None and locate_folder(folder) is None:
        counts = f"{len(part.queries)} queries, {sum(map(len, part.qrels.values()))} judgements"
        yield f"{name} {code}: {counts}; its passages are not here"
        return
    found = read_through(part)
    yield f"{name} {code}: {found}"
    if found.missing:
        yield f"{name} {code}: {found.missing} judgements are of passages that are not here"
    if found.duplicates:
        raise DataFormatError(
            f"{found.duplicates} passages have an id that occurs before, the first is "
            f"{quoted(found.duplicate, 80)}; fetch or copy the files again"
        )


@data_app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the collection, and of its task.")],
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="folder",
            help="A folder in BEIR's layout; with --parallel several, as en=DIR pl=DIR. They stay.",
        ),
    ],
    parallel: Annotated[
        bool, typer.Option("--parallel", help="The folders are translations: they share their ids.")
    ] = False,
    split: Annotated[str, typer.Option(help="Which of the folder's qrels.")] = "test",
    language: Annotated[str, typer.Option(help="Of the passages, ISO 639-1.")] = "en",
    query_language: Annotated[str, typer.Option(help="Of the queries, if it differs.")] = "",
    licence: Annotated[
        str, typer.Option(help="As MTEB has it, such as cc-by-4.0, or a URL.")
    ] = "not specified",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept judgements of missing passages.")
    ] = False,
) -> None:
    """Read BEIR folders through and make them tasks of MTEB, on this machine."""
    from hybridir_mteb.adapters.mteb.register import licences, owner_of
    from hybridir_mteb.collections.own import FolderOptions, add_folder, added
    from hybridir_mteb.collections.own_parallel import add_parallel, by_language, check_options

    def revision() -> str | None:
        return next((getattr(r, "revision", None) for r in added() if r.name == name), None)

    former = revision()
    options = FolderOptions(split, language, query_language, licence, allow_missing)
    known: Any = {"taken": owner_of, "licences": licences()}
    if parallel:
        check_options(options)
        found = add_parallel(name, by_language(folders), options, **known)
    elif len(folders) > 1:
        raise SettingError(
            f"{len(folders)} folders: give one, or one for each language: --parallel en=DIR pl=DIR"
        )
    else:
        found = {"": add_folder(name, Path(folders[0]), options, **known)}
    for code, summary in found.items():
        _say_added(f"{name} {code}".strip(), summary)
    if former not in {None, revision()}:
        say(
            f"{name} had other content before: delete its old results, MTEB would take them for new"
        )
    tasks = [task_name(name, setting) for setting in Setting] if parallel else [name]
    say(f"evaluate on it: mteb run -m hybridir/pocket-base -t {' '.join(tasks)}")


def _say_added(what: str, found: PartSummary) -> None:
    say(f"{what}: {found}")
    if found.empty:
        say(f"{found.empty} passages are empty")
    if found.missing:
        say(f"{found.missing} judgements are of missing passages: nothing can find these")


@data_app.command()
def pool(
    collection: Annotated[str, typer.Argument(help="A collection in many languages: MIRACL.")],
    languages: Annotated[list[str], typer.Argument(help="Two or more, ISO 639-1.")],
) -> None:
    """Make one pool of chosen languages, for the multilingual setting, on this machine."""
    from hybridir_mteb.adapters.mteb.register import owner_of
    from hybridir_mteb.collections.own import add_pool
    from hybridir_mteb.installed import installed_plugins

    spec = installed_plugins().collections[collection]
    name = add_pool(spec, tuple(languages), taken=owner_of).name
    say(f"{name}: evaluate on it: mteb run -m hybridir/pocket-base -t {name}MultilingualRetrieval")


@data_app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="Names that were given to data add.")],
) -> None:
    """Forget collections that were added; their folders and results stay."""
    from hybridir_mteb.collections.own import remove as remove_one

    for name in names:
        remove_one(name)
        say(f"{name} is no longer a collection")


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

    done = export_task(task, with_home(folder), format=format_, subsets=subset, overwrite=overwrite)
    for one in done.subsets:
        place = done.folder if one.folder == "." else done.folder / one.folder
        counts = f"{one.queries} queries, {one.judgements} judgements, {one.passages} passages"
        say(f"{place}: {counts}", wrap=True)
