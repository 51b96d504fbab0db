"""What is kept of a collection that the user added: one JSON file each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from hybridir_mteb import paths
from hybridir_mteb.errors import DataFormatError, HybridIRError
from hybridir_mteb.files import write_text

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
