"""Collections that the user added: BEIR folders, and pools of a multilingual collection.

Each is one JSON file in :func:`hybridir_mteb.paths.collections_dir`. At start they are registered
as if a plugin had brought them; nothing but these files is read then. Folders that are translations
of one another are in :mod:`hybridir_mteb.collections.own_parallel`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.own_parallel import parallel_spec
from hybridir_mteb.collections.own_records import (
    FORMAT,
    KEPT,
    NO_LICENCE,
    OWNER,
    AddedCollection,
    AddedFolder,
    AddedParallel,
    AddedPool,
    FolderOptions,
    Taken,
    added_folder,
    card_of,
    check_licence,
    check_name,
    check_unchanged,
    check_unique,
    read_record,
    record_files,
    with_options,
    write_record,
)
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.collections.readers.verify import PartSummary, read_through
from hybridir_mteb.errors import (
    DataFormatError,
    SettingError,
    UnknownNameError,
    printable,
    quoted,
    suggest,
)
from hybridir_mteb.files import check_regular
from hybridir_mteb.files import record as sealed
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.names import COLLECTION as NAME
from hybridir_mteb.plugins.specs import CollectionSpec, pool_of

__all__ = [
    "FORMAT",
    "NAME",
    "NO_LICENCE",
    "OWNER",
    "AddedFolder",
    "AddedParallel",
    "AddedPool",
    "FolderOptions",
    "add_folder",
    "add_pool",
    "added",
    "added_folders",
    "check_name",
    "read_record",
    "record_files",
    "register_added",
    "remove",
    "write_record",
]

if TYPE_CHECKING:
    from hybridir_mteb.plugins.registry import Plugins


def add_folder(
    name: str,
    folder: Path,
    options: FolderOptions,
    *,
    taken: Taken,
    licences: Collection[str],
) -> PartSummary:
    """Read a BEIR folder through and keep it as a collection, with the task ``name``.

    A collection of this name that was added before is replaced.

    Args:
        name: Letters, digits, ``_``, ``.`` and ``-``, a letter first.
        folder: A folder in BEIR's layout; it is not copied.
        options: Split, languages and licence.
        taken: Tells who has a collection or task of a name; None if nobody has.
        licences: The licence identifiers that MTEB knows.

    Raises:
        SettingError: The name is malformed or taken, or the licence not known to MTEB.
        DataUnavailableError: A file is missing.
        DataFormatError: A file is malformed, a passage id occurs twice, or judged passages are
            missing and this is not allowed.
        UnknownNameError: A language is not known.
    """
    check_name(name, taken)
    check_licence(options.licence, licences)
    query_language = check_language(options.query_language or options.language).code
    folder = paths.with_home(folder).absolute()
    found = read_through(read_beir_folder(folder, options.split, options.language, name))
    check_unique(folder, found)
    if found.missing_example and not options.allow_missing:
        query, passage = found.missing_example
        raise DataFormatError(
            f"{folder}: {found.missing} of {found.judgements} judgements are of passages that are "
            f"not in the corpus ({found.missing_relevant} of them relevant), the first is "
            f"passage {quoted(passage)} of query {quoted(query)}; add the passages, or accept with "
            "--allow-missing that nothing can find them"
        )
    write_record(added_folder(name, folder, options, query_language, found))
    return found


def add_pool(spec: CollectionSpec, languages: tuple[str, ...], *, taken: Taken) -> CollectionSpec:
    """Keep the multilingual setting over some languages of a collection, as one pool.

    Raises:
        UnknownNameError: The collection does not have a language, or there are fewer than two.
        SettingError: The collection has one language, is parallel, or the pool's name is taken.
    """
    pool = _pool(spec, languages)
    check_name(pool.name, taken)
    check_name(f"{pool.name}MultilingualRetrieval", taken)
    write_record(AddedPool(pool.name, spec.name, pool.languages))
    return pool


def remove(name: str) -> None:
    """Forget a collection, by its name or its file's if that is damaged; its folder is not touched.

    Raises:
        UnknownNameError: None of this name was added.
    """
    known = {path.stem: path for path in record_files()}
    if name not in known:
        raise UnknownNameError(
            f"no collection {quoted(name)} was added{suggest(name, known)} (added: "
            f"{', '.join(known) or 'none'})"
        )
    place = known[name]
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


def register_added(plugins: Plugins) -> None:
    """Register the kept collections; a damaged file is one problem and stops nothing."""
    for path, record in _readable(plugins.report):
        with _skipping(path, plugins.report):
            if isinstance(record, AddedPool):
                spec = _pool(plugins.collections[record.collection], record.languages)
            else:
                spec = _spec(record) if isinstance(record, AddedFolder) else parallel_spec(record)
            plugins.collections.add(record.name, spec, OWNER)


def _skipping(path: Path, report: Callable[[str], None]) -> AbstractContextManager[None]:
    remedy = f"to forget it run: hybridir data remove {quote(printable(path.stem))}"
    return alone(str(path), report, remedy)


def _readable(report: Callable[[str], None]) -> list[tuple[Path, AddedCollection]]:
    """The kept collections whose files can be read."""
    found = []
    for path in record_files():
        with _skipping(path, report):
            check_regular(path)
            found.append((path, read_record(path)))
    return found


def _load(record: AddedFolder, _code: str) -> CollectionPart:
    """The folder's content, which is as it was when it was added."""
    command = ("hybridir", "data", "add", record.name)
    check_unchanged(record, lambda place: with_options((*command, place), record))
    sealed.seal(paths.collections_dir() / f"{record.name}.json", KEPT)
    folder = Path(record.folder)
    return read_beir_folder(folder, record.split, record.language, record.name, record.passages)


def _spec(record: AddedFolder) -> CollectionSpec:
    other = record.query_language != record.language
    held = f"{record.queries} queries, {record.passages} passages"
    return CollectionSpec(
        name=record.name,
        languages=(record.language,),
        load=partial(_load, record),
        split=record.split,
        parallel=False,
        task=record.name,
        query_languages=(record.query_language,) if other else (),
        card=card_of(record, f"A BEIR folder that its user added: {held}.", record.revision),
    )


def _pool(spec: CollectionSpec, languages: tuple[str, ...]) -> CollectionSpec:
    if spec.parallel or spec.task:
        raise SettingError(
            f"{spec.name} is parallel or in one language: it has no pools of chosen languages; "
            "MIRACL has"
        )
    return pool_of(spec, languages)


def added_folders() -> list[AddedFolder]:
    """The BEIR folders that were added and whose file can be read; registering names the others.

    Those of parallel collections are not among them.
    """
    return [record for record in added() if isinstance(record, AddedFolder)]


def added() -> list[AddedCollection]:
    """All that were added and whose file can be read; registering names the others."""
    return [record for _, record in _readable(lambda line: None)]
