"""Parallel collections that the user added: BEIR folders that are translations of one another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import Collection as Loaded
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.own_records import (
    AddedParallel,
    FolderOptions,
    Taken,
    added_folder,
    card_of,
    check_licence,
    check_name,
    check_unchanged,
    check_unique,
    with_options,
    write_record,
)
from hybridir_mteb.collections.readers.parallel_beir import ParallelFolders
from hybridir_mteb.collections.readers.verify import PartSummary, read_through
from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.plugins.settings import Setting, task_name
from hybridir_mteb.plugins.specs import CollectionSpec

EXPECTED = "one folder for each of two or more languages, such as en=DIR pl=DIR"


def by_language(given: Sequence[str]) -> dict[str, Path]:
    """Folders by language, from ``en=DIR pl=DIR``.

    Raises:
        SettingError: One is written otherwise, a language is given twice, or there is only one.
        UnknownNameError: A language is not known.
    """
    folders: dict[str, Path] = {}
    for text in given:
        code, mark, folder = text.partition("=")
        if not (mark and code and folder):
            raise SettingError(f"{quoted(text, 100)}: with --parallel give {EXPECTED}")
        if check_language(code).code in folders:
            raise SettingError(f"{quoted(text, 100)}: {code} is given twice; give {EXPECTED}")
        folders[code] = Path(folder)
    if len(folders) < 2:
        raise SettingError(f"{len(folders)} folders: with --parallel give {EXPECTED}")
    return folders


def check_options(options: FolderOptions) -> None:
    """Refuse what is for a single folder.

    Raises:
        SettingError: An option is given that says nothing of several.
    """
    given = {
        "--language": options.language != "en",
        "--query-language": options.query_language,
        "--allow-missing": options.allow_missing,
    }
    if wrong := ", ".join(name for name, value in given.items() if value):
        raise SettingError(f"{wrong}: of a single folder; leave it out with --parallel")


def add_parallel(
    name: str,
    folders: Mapping[str, Path],
    options: FolderOptions,
    *,
    taken: Taken,
    licences: Collection[str],
) -> dict[str, PartSummary]:
    """Read BEIR folders that share their ids through, and keep them as a parallel collection.

    A collection of this name that was added before is replaced.

    As :func:`~hybridir_mteb.collections.own.add_folder` of ISO 639-1 code -> folder, two or more,
    and split and licence alone of the options.

    Returns:
        Language -> what it holds.

    Raises:
        DataFormatError: A file is malformed, ids occur twice or are not shared, judgements
            disagree, or a judged passage is in no language; other errors are of ``add_folder``.
    """
    for one in (name, *(task_name(name, setting) for setting in Setting)):
        check_name(one, taken)
    check_licence(options.licence, licences)
    places = {code: paths.with_home(folder).absolute() for code, folder in sorted(folders.items())}
    read = ParallelFolders(name, places, options.split)
    collection = read.read(tuple(places))
    found = {code: read_through(part) for code, part in collection.parts.items()}
    for code, place in places.items():
        check_unique(place, found[code])
    read.check_judged(collection)
    kept = [
        added_folder(name, place, replace(options, language=code), code, found[code])
        for code, place in places.items()
    ]
    write_record(AddedParallel(name, tuple(kept), len(read.grades)))
    return found


def parallel_spec(record: AddedParallel) -> CollectionSpec:
    """A kept collection as plugins register them."""
    return CollectionSpec(
        name=record.name,
        languages=record.languages,
        load=partial(_load, record),
        split=record.folders[0].split,
        has_paragraphs=False,
        main_score="ndcg_at_10",
        card=card_of(
            record.folders[0],
            f"BEIR folders in {len(record.folders)} languages that their user added: "
            f"{record.queries} queries, {record.passages} passages.",
            record.revision,
        ),
    )


def _load(record: AddedParallel, languages: Sequence[str]) -> Loaded:
    """The folders' content, which is as it was when they were added."""
    for folder in record.folders:
        check_unchanged(folder, partial(_again, record, folder.language))
    folders = {folder.language: Path(folder.folder) for folder in record.folders}
    return ParallelFolders(record.name, folders, record.folders[0].split).read(languages)


def _again(record: AddedParallel, moved: str, place: str) -> str:
    """The command that adds the folders as they were added, one of them from another place."""
    places = [
        f"{one.language}={place if one.language == moved else quote(one.folder)}"
        for one in record.folders
    ]
    command = ("hybridir", "data", "add", record.name, "--parallel", *places)
    return with_options(command, replace(record.folders[0], language="en", query_language="en"))
