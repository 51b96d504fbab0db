"""Collections that the user added: BEIR folders, and pools of a multilingual collection.

Each is one JSON file in :func:`hybridir_mteb.paths.collections_dir`. At start they are registered
as if a plugin had brought them; nothing but these files is read then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from hybridir_mteb import paths
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    HybridIRError,
    SettingError,
    UnknownNameError,
    suggest,
)
from hybridir_mteb.files import write_text
from hybridir_mteb.plugins.specs import CollectionCard, StreamedPart, StreamedSpec, pool_of

if TYPE_CHECKING:
    from hybridir_mteb.collections.readers.verify import Found
    from hybridir_mteb.plugins.registry import Plugins

OWNER = "hybridir data add"
NO_LICENCE = "not specified"


def add_folder(  # noqa: PLR0913 -- options are keywords
    name: str,
    folder: Path,
    *,
    split: str = "test",
    language: str = "en",
    query_language: str = "",
    licence: str = NO_LICENCE,
    allow_missing: bool = False,
) -> Found:
    """Read a BEIR folder through and keep it as a collection, with the task ``name``.

    A collection of this name that was added before is replaced.

    Args:
        name: Letters, digits, ``_``, ``.`` and ``-``, a letter first.
        folder: In the layout of :mod:`hybridir_mteb.collections.readers.beir`; it is not copied.
        split: Of the judgements.
        language: ISO 639-1 code of the passages.
        query_language: Of the queries, if it is another one.
        licence: One of MTEB's identifiers, or a URL.
        allow_missing: Accept judgements of passages that are not there; nothing can find these.

    Returns:
        What the folder holds.

    Raises:
        SettingError: The name is malformed or taken, or the licence not known to MTEB.
        DataUnavailableError: A file is missing.
        DataFormatError: A file is malformed, a passage id occurs twice, or judged passages are
            missing and this is not allowed.
        UnknownNameError: A language is not known.
    """
    from hybridir_mteb.collections.languages import language as check_language
    from hybridir_mteb.collections.readers.beir import beir_files, read_beir_folder
    from hybridir_mteb.collections.readers.digests import content_digest
    from hybridir_mteb.collections.readers.verify import examine

    check_name(name)
    _check_licence(licence)
    check_language(query_language or language)
    folder = folder.expanduser().absolute()
    part = read_beir_folder(folder, split, language, name)
    found = examine(part)
    _check(folder, found, allow_missing)
    files = beir_files(folder, split).all
    record = AddedFolder(
        name=name,
        folder=str(folder),
        split=split,
        language=language,
        query_language=query_language or language,
        licence=licence,
        added=datetime.now(UTC).date().isoformat(),
        revision=content_digest(files),
        files=_digests(folder, files),
        passages=found.passages,
        queries=found.queries,
        judgements=found.judgements,
    )
    write_record(record)
    return found


def add_pool(collection: str, languages: tuple[str, ...]) -> StreamedSpec:
    """Keep the multilingual setting over some languages of a collection, as one pool.

    Raises:
        UnknownNameError: There is no such collection, or it does not have a language.
        SettingError: The collection has one language, is parallel, or the pool's name is taken.
    """
    from hybridir_mteb.installed import installed_plugins

    spec = installed_plugins().collections[collection]
    pool = _pool(spec, collection, languages)
    check_name(pool.name)
    check_name(f"{pool.name}MultilingualRetrieval")
    write_record(AddedPool(pool.name, collection, pool.languages))
    return pool


def remove(name: str) -> None:
    """Forget a collection that was added; its folder is not touched.

    Raises:
        UnknownNameError: None of this name was added.
    """
    place = paths.collections_dir() / f"{name}.json"
    if not NAME.fullmatch(name) or not place.is_file():
        known = [path.stem for path in record_files()]
        raise UnknownNameError(
            f"no collection {name!r} was added{suggest(name, known)} (added: "
            f"{', '.join(known) or 'none'})"
        )
    place.unlink()


def register_added(plugins: Plugins) -> None:
    """Register the kept collections; a damaged file is one problem and stops nothing."""
    for path in record_files():
        try:
            record = read_record(path)
            if isinstance(record, AddedFolder):
                spec = _spec(record)
            else:
                spec = _pool(
                    plugins.collections[record.collection], record.collection, record.languages
                )
            plugins.collections.add(record.name, spec, OWNER)
        except (HybridIRError, OSError) as error:
            plugins.report(f"{path}: {error}; to forget it run: hybridir data remove {path.stem}")


def check_name(name: str) -> None:
    """Whether a collection may have this name: it becomes a task's name and a file's.

    Raises:
        SettingError: It is malformed, or a task or collection has it that was not added.
    """
    from hybridir_mteb.adapters.mteb.register import task_owner
    from hybridir_mteb.installed import installed_plugins

    if not NAME.fullmatch(name):
        raise SettingError(
            f"name {name!r}: use letters, digits, _, . and -, a letter first: it becomes the "
            "task's name and part of file names"
        )
    collections = installed_plugins().collections
    owner = collections.owner(name) if name in collections else task_owner(name)
    if owner not in {None, OWNER}:
        raise SettingError(f"name {name!r} is taken: {owner} has it; choose another name")
    alike = [p.stem for p in record_files() if p.stem.lower() == name.lower() and p.stem != name]
    if alike:
        raise SettingError(f"name {name!r}: {alike[0]!r} was added before; choose another name")


def _check_licence(licence: str) -> None:
    from hybridir_mteb.adapters.mteb.register import licences

    if licence not in licences() and "://" not in licence:
        raise SettingError(
            f"licence {licence!r} is not known to MTEB: give a URL or one of "
            f"{', '.join(licences())}"
        )


def _check(folder: Path, found: Found, allow_missing: bool) -> None:
    if found.duplicates:
        raise DataFormatError(
            f"{folder}: {found.duplicates} of {found.passages} passages have an id that occurs "
            f"before, the first is {found.duplicate!r}; ids must be unique: remove or rename them"
        )
    if found.missing_example and not allow_missing:
        query, passage = found.missing_example
        raise DataFormatError(
            f"{folder}: {found.missing} of {found.judgements} judgements are of passages that are "
            f"not in the corpus ({found.missing_relevant} of them relevant), the first is "
            f"passage {passage!r} of query {query!r}; add the passages, or accept with "
            "--allow-missing that nothing can find them"
        )


def _digests(folder: Path, files: Sequence[Path]) -> dict[str, str]:
    """File, relative to the folder -> sha256."""
    from hybridir_mteb.collections.readers.digests import digests_of

    names = [path.relative_to(folder).as_posix() for path in files]
    return dict(zip(names, digests_of(files), strict=True))


def _load(record: AddedFolder, _code: str) -> StreamedPart:
    """The folder's content.

    Raises:
        DataUnavailableError: The folder or a file is gone.
        DataFormatError: A file is not what it was when the folder was added.
    """
    from hybridir_mteb.collections.readers.beir import beir_files, read_beir_folder

    folder = Path(record.folder)
    try:
        files = _digests(folder, beir_files(folder, record.split).all)
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
            f"{_again(record, record.folder)}"
        )
    return read_beir_folder(folder, record.split, record.language, record.name, record.passages)


def _again(record: AddedFolder, folder: str) -> str:
    """The command that adds a folder as it was added."""
    words = ["hybridir", "data", "add", record.name, folder if folder[0] == "<" else quote(folder)]
    given = (
        ("--split", record.split, "test"),
        ("--language", record.language, "en"),
        ("--query-language", record.query_language, record.language),
        ("--licence", record.licence, NO_LICENCE),
    )
    for option, value, default in given:
        if value != default:
            words += [option, quote(value)]
    return " ".join(words)


def _spec(record: AddedFolder) -> StreamedSpec:
    other = record.query_language != record.language
    return StreamedSpec(
        name=record.name,
        languages=(record.language,),
        load=partial(_load, record),
        split=record.split,
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


def _pool(spec: object, name: str, languages: tuple[str, ...]) -> StreamedSpec:
    if not isinstance(spec, StreamedSpec) or spec.task:
        raise SettingError(
            f"{name} is parallel or in one language: it has no pools of chosen languages; MIRACL "
            "has"
        )
    return pool_of(spec, languages)


FORMAT = 1
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}(?<!\.)")


@dataclass(frozen=True)
class AddedFolder:
    """A BEIR folder as it was when it was added.

    Attributes:
        name: Of the collection and of its task.
        folder: Absolute path.
        split: Of the judgements.
        language: ISO 639-1 code of the passages.
        query_language: ISO 639-1 code of the queries.
        licence: As MTEB has it.
        added: Day, ISO format.
        revision: Digest of all files.
        files: File, relative to the folder -> sha256.
        passages: Their number.
        queries: Their number.
        judgements: Their number.
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
        name: Of the pool, such as ``MIRACLSwYo``.
        collection: Whose languages they are.
        languages: ISO 639-1 codes.
    """

    name: str
    collection: str
    languages: tuple[str, ...]


def added_folders() -> list[AddedFolder]:
    """The BEIR folders that were added and whose file can be read."""
    found = []
    for path in record_files():
        try:
            record = read_record(path)
        except (HybridIRError, OSError):
            continue  # register_added reports it
        if isinstance(record, AddedFolder):
            found.append(record)
    return found


def read_record(path: Path) -> AddedFolder | AddedPool:
    """One kept collection.

    Raises:
        DataFormatError: The file is damaged, of a newer version, or was renamed.
    """
    from pydantic import TypeAdapter

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise DataFormatError(f"format {content['format']!r} is of another version of hybridir")
        kind = {"folder": AddedFolder, "pool": AddedPool}[content["kind"]]
        record: AddedFolder | AddedPool = TypeAdapter(kind).validate_python(content["collection"])
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, DataFormatError) else "damaged"
        raise DataFormatError(f"not a collection that was added: {reason}") from error
    if record.name != path.stem or not NAME.fullmatch(record.name):
        raise DataFormatError(f"the file holds {record.name!r}: it was renamed")
    return record


def record_files() -> list[Path]:
    """The kept files, sorted."""
    return sorted(paths.collections_dir().glob("[!.]*.json"))


def write_record(record: AddedFolder | AddedPool) -> None:
    """Keep a collection; one of the same name is replaced."""
    kind = "folder" if isinstance(record, AddedFolder) else "pool"
    content = {"format": FORMAT, "kind": kind, "collection": asdict(record)}
    write_text(
        paths.collections_dir() / f"{record.name}.json", json.dumps(content, indent=1) + "\n"
    )
