"""Records of collections that the user added: one JSON file each, and what all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from hybridir_mteb import paths
from hybridir_mteb.collections.readers.beir import beir_files
from hybridir_mteb.collections.readers.digests import digests_of, joint_digest
from hybridir_mteb.collections.readers.verify import PartSummary
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, SettingError, quoted
from hybridir_mteb.files import record as sealed
from hybridir_mteb.plugins.names import COLLECTION as NAME
from hybridir_mteb.plugins.specs import CollectionCard

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

    def described(self) -> tuple[str, str]:
        """Where it is, and what it holds."""
        holds = f"{self.queries} queries, {self.passages} passages in {self.language}"
        return f"{self.folder}, split {self.split}", holds


@dataclass(frozen=True)
class AddedParallel:
    """BEIR folders that are translations of one another, as they were when they were added.

    Attributes:
        name: Name of the collection; its tasks are ``<name>MonolingualRetrieval`` and so on.
        folders: One a language, sorted by it.
        queries: Number of queries, each counted once for all languages.
    """

    name: str
    folders: tuple[AddedFolder, ...]
    queries: int

    @property
    def languages(self) -> tuple[str, ...]:
        """ISO 639-1 codes, sorted."""
        return tuple(folder.language for folder in self.folders)

    @property
    def revision(self) -> str:
        """Digest of all files together, and of the languages that they are in."""
        return joint_digest((folder.language, folder.revision) for folder in self.folders)

    @property
    def passages(self) -> int:
        """Number of passages in all languages."""
        return sum(folder.passages for folder in self.folders)

    def described(self) -> tuple[str, str]:
        """Where it is, and what it holds."""
        places = " ".join(f"{one.language}={one.folder}" for one in self.folders)
        held = f"{self.queries} queries, {self.passages} passages in {' '.join(self.languages)}"
        return f"{places}, split {self.folders[0].split}", held


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

    def described(self) -> tuple[str, str]:
        """What it is, and what it holds."""
        return "pool", " ".join(self.languages)


AddedCollection = AddedFolder | AddedParallel | AddedPool
KINDS: dict[str, type[AddedCollection]] = {
    "folder": AddedFolder,
    "parallel": AddedParallel,
    "pool": AddedPool,
}


def check_name(name: str, taken: Taken) -> None:
    """Whether a collection may have this name: it becomes a task's name and a file's.

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


def check_licence(licence: str, licences: Collection[str]) -> None:
    """Whether MTEB accepts a licence.

    Raises:
        SettingError: It does not.
    """
    if licence not in licences and "://" not in licence:
        raise SettingError(
            f"licence {quoted(licence)} is not known to MTEB: give a URL, or {', '.join(licences)}"
        )


def check_unique(folder: Path, found: PartSummary) -> None:
    """Refuse a folder in which a passage id occurs twice.

    Raises:
        DataFormatError: One does.
    """
    if found.duplicates:
        raise DataFormatError(
            f"{folder}: {found.duplicates} of {found.passages} passages have an id that occurs "
            f"before, the first is {quoted(found.duplicate)}; ids are unique: remove or rename one"
        )


def added_folder(
    name: str, folder: Path, options: FolderOptions, query_language: str, found: PartSummary
) -> AddedFolder:
    """A folder that was read through, by its absolute path, as it is to be kept."""
    files = digests(folder, options.split)
    return AddedFolder(
        name=name,
        folder=str(folder),
        split=options.split,
        language=options.language,
        query_language=query_language,
        licence=options.licence,
        added=datetime.now(UTC).date().isoformat(),
        revision=joint_digest(files.items()),
        files=files,
        passages=found.passages,
        queries=found.queries,
        judgements=found.judgements,
    )


def card_of(record: AddedFolder, description: str, revision: str) -> CollectionCard:
    """What MTEB is told of a collection that was added."""
    return CollectionCard(
        description=description,
        reference="https://pypi.org/project/hybridir-mteb/",
        dataset=f"local/{record.name}",
        revision=revision,
        license=record.licence,
        date=(record.added, record.added),  # MTEB wants one; the text's own is not known
        domains=("Written",),
    )


def check_unchanged(record: AddedFolder, again: Callable[[str], str]) -> None:
    """Refuse a folder that is not as it was; ``again`` gives the command that adds one at a place.

    Raises:
        DataUnavailableError: The folder or a file is gone.
        DataFormatError: A file is not what it was.
    """
    folder = Path(record.folder)
    try:
        files = digests(folder, record.split)
    except DataUnavailableError as error:
        raise DataUnavailableError(
            f"{record.name}: {error}. If it was moved, run: {again('<folder>')}; to "
            f"forget it: hybridir data remove {record.name}"
        ) from error
    changed = sorted(dict(set(files.items()) ^ set(record.files.items())))
    if changed:
        raise DataFormatError(
            f"{record.name}: {folder / changed[0]} is not what it was when the folder was added; "
            f"old results would be taken for new ones. Delete those, and run: "
            f"{again(quote(record.folder))}"
        )


def with_options(words: Sequence[str], record: AddedFolder) -> str:
    """The command that adds a folder as it was added; ``words`` are its beginning."""
    given = list(words)
    for option, value, default in (
        ("--split", record.split, "test"),
        ("--language", record.language, "en"),
        ("--query-language", record.query_language, record.language),
        ("--licence", record.licence, NO_LICENCE),
    ):
        if value != default:
            given += [option, quote(value)]
    return " ".join(given)


def digests(folder: Path, split: str) -> dict[str, str]:
    """File that a split needs, relative to the folder -> sha256."""
    files = beir_files(folder, split).all
    names = [path.relative_to(folder).as_posix() for path in files]
    return dict(zip(names, digests_of(files), strict=True))


def read_record(path: Path) -> AddedCollection:
    """One kept collection.

    Raises:
        DataFormatError: The file is damaged, of a newer version, or was renamed.
    """
    from pydantic import TypeAdapter

    try:
        content = sealed.read_record(path, KEPT)
        if content["format"] != FORMAT:
            raise DataFormatError(f"format {quoted(content['format'])} is of another version")
        kind = KINDS[content["kind"]]
        record: AddedCollection = TypeAdapter(kind).validate_python(content["collection"])
    except (ValueError, KeyError, TypeError) as error:
        reason = str(error) if isinstance(error, DataFormatError) else "damaged"
        raise DataFormatError(f"not a collection that was added: {reason}") from error
    if record.name != path.stem or not NAME.fullmatch(record.name):
        raise DataFormatError(f"the file holds {quoted(record.name)}: it was renamed")
    folders = getattr(record, "folders", (record,))
    for folder in (one for one in folders if isinstance(one, AddedFolder)):
        if folder.revision != joint_digest(folder.files.items()):
            wrong = "its revision is not of its files"
            raise DataFormatError(f"not a collection that was added: {wrong}")
    return record


def record_files() -> list[Path]:
    """The kept files, sorted."""
    return sorted(paths.collections_dir().glob("[!.]*.json"))


def write_record(record: AddedCollection) -> None:
    """Keep a collection; one of the same name is replaced."""
    kind = next(name for name, kind in KINDS.items() if isinstance(record, kind))
    content = {"format": FORMAT, "kind": kind, "collection": asdict(record)}
    sealed.write_record(paths.collections_dir() / f"{record.name}.json", content)
