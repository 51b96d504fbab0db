"""Collections that the user added: BEIR folders, and pools of a multilingual collection.

Each is one JSON file in :func:`hybridir_mteb.paths.collections_dir`. At start they are registered
as if a plugin had brought them; nothing but these files is read then.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hybridir_mteb import paths
from hybridir_mteb.collections.collection import CollectionPart
from hybridir_mteb.collections.languages import language as check_language
from hybridir_mteb.collections.readers.beir import beir_files, read_beir_folder
from hybridir_mteb.collections.readers.digests import content_digest, digests_of, joint_digest
from hybridir_mteb.collections.readers.verify import PartSummary, read_through
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
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
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec, pool_of

if TYPE_CHECKING:
    from hybridir_mteb.plugins.registry import Plugins

OWNER = "hybridir data add"
NO_LICENCE = "not specified"
FORMAT = 1
KEPT = ("format", "kind", "collection")  # in a record; up to version 0.1 without a checksum
Taken = Callable[[str], str | None]


@dataclass(frozen=True)
class FolderOptions:
    """What ``hybridir data add`` is told about a folder.

    Attributes:
        split: Which judgements to read: the name of their file in ``qrels``.
        language: ISO 639-1 code of the passages.
        query_language: ISO 639-1 code of the queries; empty if it is the passages'.
        licence: One of MTEB's licence identifiers, or a URL.
        allow_missing: Accept judgements of passages that are not there; nothing can find these.
    """

    split: str = "test"
    language: str = "en"
    query_language: str = ""
    licence: str = NO_LICENCE
    allow_missing: bool = False


@dataclass(frozen=True)
class AddedFolder:
    """A BEIR folder as it was when it was added.

    Attributes:
        name: Name of the collection and of its task.
        folder: Absolute path.
        split: Which judgements are read.
        language: ISO 639-1 code of the passages.
        query_language: ISO 639-1 code of the queries.
        licence: One of MTEB's licence identifiers, or a URL.
        added: Day on which it was added, ISO format.
        revision: Digest of all files together.
        files: File, relative to the folder -> sha256.
        passages: Number of passages.
        queries: Number of queries.
        judgements: Number of judgements, of any grade.
    """

    name: str
    folder: str
    split: str
    language: str
    query_language: str
    licence: str
    added: str
    revision: str
    files: Mapping[str, str] = field(repr=False)
    passages: int
    queries: int
    judgements: int


@dataclass(frozen=True)
class AddedPool:
    """The multilingual setting over chosen languages of a collection.

    Attributes:
        name: Name of the pool, such as ``MIRACLSwYo``.
        collection: Name of the collection that the languages belong to.
        languages: ISO 639-1 codes.
    """

    name: str
    collection: str
    languages: tuple[str, ...]


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
    _check_licence(options.licence, licences)
    query_language = check_language(options.query_language or options.language).code
    folder = paths.with_home(folder).absolute()
    found = read_through(read_beir_folder(folder, options.split, options.language, name))
    _check(folder, found, options.allow_missing)
    record = AddedFolder(
        name=name,
        folder=str(folder),
        split=options.split,
        language=options.language,
        query_language=query_language,
        licence=options.licence,
        added=datetime.now(UTC).date().isoformat(),
        revision=content_digest(beir_files(folder, options.split).all),
        files=_digests(folder, options.split),
        passages=found.passages,
        queries=found.queries,
        judgements=found.judgements,
    )
    write_record(record)
    return found


def add_pool(spec: CollectionSpec, languages: tuple[str, ...], *, taken: Taken) -> CollectionSpec:
    """Keep the multilingual setting over some languages of a collection, as one pool.

    Args:
        spec: The collection that the languages belong to.
        languages: ISO 639-1 codes.
        taken: Tells who has a collection or task of a name; None if nobody has.

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
    """Forget a collection that was added; its folder is not touched.

    Args:
        name: Its name, or that of its file if the file is damaged.

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
            if isinstance(record, AddedFolder):
                spec = _spec(record)
            else:
                spec = _pool(plugins.collections[record.collection], record.languages)
            plugins.collections.add(record.name, spec, OWNER)


def _skipping(path: Path, report: Callable[[str], None]) -> AbstractContextManager[None]:
    remedy = f"to forget it run: hybridir data remove {quote(printable(path.stem))}"
    return alone(str(path), report, remedy)


def _readable(report: Callable[[str], None]) -> list[tuple[Path, AddedFolder | AddedPool]]:
    """The kept collections whose files can be read."""
    found = []
    for path in record_files():
        with _skipping(path, report):
            check_regular(path)
            found.append((path, read_record(path)))
    return found


def check_name(name: str, taken: Taken) -> None:
    """Whether a collection may have this name: it becomes a task's name and a file's.

    Args:
        name: What somebody wants to call a collection or its task.
        taken: Tells who has a collection or task of a name; None if nobody has.

    Raises:
        SettingError: It is malformed, or a task or collection has it that was not added.
    """
    if not NAME.fullmatch(name):
        raise SettingError(
            f"name {quoted(name)}: use letters, digits, _, . and -, a letter first: it becomes the "
            "task's name and part of file names"
        )
    owner = taken(name)
    if owner not in {None, OWNER}:
        raise SettingError(f"name {quoted(name)} is taken: {owner} has it; choose another name")
    others = (p.stem for p in record_files() if p.stem != name)
    if alike := next((stem for stem in others if stem.lower() == name.lower()), ""):
        raise SettingError(f"name {quoted(name)}: {quoted(alike)} was added before; take another")


def _check_licence(licence: str, licences: Collection[str]) -> None:
    if licence not in licences and "://" not in licence:
        raise SettingError(
            f"licence {quoted(licence)} is not known to MTEB: give a URL, or {', '.join(licences)}"
        )


def _check(folder: Path, found: PartSummary, allow_missing: bool) -> None:
    if found.duplicates:
        raise DataFormatError(
            f"{folder}: {found.duplicates} of {found.passages} passages have an id that occurs "
            f"before, the first is {quoted(found.duplicate)}; ids are unique: remove or rename one"
        )
    if found.missing_example and not allow_missing:
        query, passage = found.missing_example
        raise DataFormatError(
            f"{folder}: {found.missing} of {found.judgements} judgements are of passages that are "
            f"not in the corpus ({found.missing_relevant} of them relevant), the first is "
            f"passage {quoted(passage)} of query {quoted(query)}; add the passages, or accept with "
            "--allow-missing that nothing can find them"
        )


def _digests(folder: Path, split: str) -> dict[str, str]:
    """File that a split needs, relative to the folder -> sha256."""
    files = beir_files(folder, split).all
    names = [path.relative_to(folder).as_posix() for path in files]
    return dict(zip(names, digests_of(files), strict=True))


def _load(record: AddedFolder, _code: str) -> CollectionPart:
    """The folder's content.

    Raises:
        DataUnavailableError: The folder or a file is gone.
        DataFormatError: A file is not what it was when the folder was added.
    """
    folder = Path(record.folder)
    try:
        files = _digests(folder, record.split)
    except DataUnavailableError as error:
        raise DataUnavailableError(
            f"{record.name}: {error}. If it was moved, run: {_again(record, '<folder>')}; to "
            f"forget it: hybridir data remove {record.name}"
        ) from error
    changed = sorted(dict(set(files.items()) ^ set(record.files.items())))
    if changed:
        raise DataFormatError(
            f"{record.name}: {folder / changed[0]} is not what it was when the folder was added; "
            f"old results would be taken for new ones. Delete those, and run: "
            f"{_again(record, quote(record.folder))}"
        )
    sealed.seal(paths.collections_dir() / f"{record.name}.json", KEPT)
    return read_beir_folder(folder, record.split, record.language, record.name, record.passages)


def _again(record: AddedFolder, folder: str) -> str:
    """The command that adds a folder as it was added."""
    words = ["hybridir", "data", "add", record.name, folder]
    for option, value, default in (
        ("--split", record.split, "test"),
        ("--language", record.language, "en"),
        ("--query-language", record.query_language, record.language),
        ("--licence", record.licence, NO_LICENCE),
    ):
        if value != default:
            words += [option, quote(value)]
    return " ".join(words)


def _spec(record: AddedFolder) -> CollectionSpec:
    other = record.query_language != record.language
    return CollectionSpec(
        name=record.name,
        languages=(record.language,),
        load=partial(_load, record),
        split=record.split,
        parallel=False,
        task=record.name,
        query_languages=(record.query_language,) if other else (),
        card=CollectionCard(
            description=(
                f"A BEIR folder that its user added: {record.queries} queries, {record.passages} "
                "passages."
            ),
            reference="https://pypi.org/project/hybridir-mteb/",
            dataset=f"local/{record.name}",
            revision=record.revision,
            license=record.licence,
            date=(record.added, record.added),  # MTEB wants one; the text's own is not known
            domains=("Written",),
        ),
    )


def _pool(spec: CollectionSpec, languages: tuple[str, ...]) -> CollectionSpec:
    if spec.parallel or spec.task:
        raise SettingError(
            f"{spec.name} is parallel or in one language: it has no pools of chosen languages; "
            "MIRACL has"
        )
    return pool_of(spec, languages)


def added_folders() -> list[AddedFolder]:
    """The BEIR folders that were added and whose file can be read; registering names the others."""
    records = [record for _, record in _readable(lambda line: None)]
    return [record for record in records if isinstance(record, AddedFolder)]


def read_record(path: Path) -> AddedFolder | AddedPool:
    """One kept collection.

    Raises:
        DataFormatError: The file is damaged, of a newer version, or was renamed.
    """
    from pydantic import TypeAdapter

    try:
        content = sealed.read_record(path, KEPT)
        if content["format"] != FORMAT:
            raise DataFormatError(f"format {quoted(content['format'])} is of another version")
        kind = {"folder": AddedFolder, "pool": AddedPool}[content["kind"]]
        record: AddedFolder | AddedPool = TypeAdapter(kind).validate_python(content["collection"])
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, DataFormatError) else "damaged"
        raise DataFormatError(f"not a collection that was added: {reason}") from error
    if record.name != path.stem or not NAME.fullmatch(record.name):
        raise DataFormatError(f"the file holds {quoted(record.name)}: it was renamed")
    if isinstance(record, AddedFolder) and record.revision != joint_digest(record.files.items()):
        raise DataFormatError("not a collection that was added: its revision is not of its files")
    return record


def record_files() -> list[Path]:
    """The kept files, sorted."""
    return sorted(paths.collections_dir().glob("[!.]*.json"))


def write_record(record: AddedFolder | AddedPool) -> None:
    """Keep a collection; one of the same name is replaced."""
    kind = "folder" if isinstance(record, AddedFolder) else "pool"
    content = {"format": FORMAT, "kind": kind, "collection": asdict(record)}
    sealed.write_record(paths.collections_dir() / f"{record.name}.json", content)
