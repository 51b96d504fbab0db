"""Encoders that come from elsewhere, as a zip archive or a folder: checked before a byte is kept.

Nobody knows who made an archive. It may hold the files of an encoder and nothing else: no links, no
names that leave the folder or look alike, and no more than fits.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hybridir_mteb.errors import DataFormatError, described, quoted
from hybridir_mteb.files import RECORD_LIMIT

ALLOWED = {".safetensors", ".json", ".md", ".txt", ".model", ".jinja"}
MOST_FILES = 1000
MOST_BYTES = 64 << 30  # a model of seven billion parameters in float32 has 28
MOST_TEXT = 256 << 20  # of a file that holds no weights; tokenizers have up to 40 million
MOST_RATIO = 100  # weights hardly shrink, and texts to a twentieth
SMALL = 1 << 20
PIECE = 1 << 20
LONGEST_PATH = 200

_TOP = {
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "debiaser.safetensors",
    "hybridir.json",
    "parameters.safetensors",
}
# Of a sentence-transformers model: modules in folders such as 1_Pooling or query_0_Transformer.
_FOLDER = re.compile(r"(?:[a-z]+_)*[0-9]+_[A-Za-z]+|additional_chat_templates")
_FILE = re.compile(
    r"(?:[a-z0-9-]+_)*config(?:_[a-z_]+)?\.json"  # tokenizer_, sentence_bert_, _sentence_…
    r"|(?:modules|tokenizer|added_tokens|special_tokens_map|normalizer|chat_template)\.json"
    r"|[a-z_]*vocab\.(?:json|txt)|(?:merges|dict)\.txt|[A-Za-z0-9_.-]+\.(?:model|jinja)"
    r"|model(?:-[0-9]{5}-of-[0-9]{5})?\.safetensors|model\.safetensors\.index\.json|README\.md"
)
_DEEPEST = 4  # model/<module>/<module>/<file>
# What zipfile and its decompressors raise on damaged archives.
_DAMAGES = (
    *(OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes:
        name: Its path in the archive, with slashes.
        size: Bytes, as the archive says.
        packed: Bytes that it takes in the archive.
    """

    name: str
    size: int
    packed: int


@dataclass(frozen=True)
class Archive:
    """A checked archive.

    Attributes:
        source: Where it is, for messages.
        entries: Its files.
        open: Opens the file of a name.
    """

    source: Path
    entries: tuple[Entry, ...]
    open: Callable[[str], IO[bytes]]

    def read(self, name: str) -> bytes:
        """The content of one small file.

        Raises:
            DataFormatError: It is not there, damaged, or larger than the archive says.
        """
        return b"".join(
            piece for entry in self.entries if entry.name == name for piece in self._pieces(entry)
        )

    def copy_to(self, folder: Path) -> None:
        """Write all files into a folder.

        Raises:
            DataFormatError: A file is damaged, or larger than the archive says.
            OSError: The folder cannot be written.
        """
        for entry in self.entries:
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as copy:
                for piece in self._pieces(entry):
                    copy.write(piece)

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        left = entry.size
        with _damaged(self.source), self.open(entry.name) as stream:
            while piece := stream.read(PIECE):
                left -= len(piece)
                if left < 0:
                    raise DataFormatError(
                        f"{self.source}: {entry.name} is larger than it says; not imported"
                    )
                yield piece


@contextmanager
def opened(source: Path, record: str, *, links: bool = False) -> Iterator[Archive]:
    """A zip archive or a folder, with every name and size checked.

    Args:
        source: The archive or the folder.
        record: Name of the file that must be there.
        links: Whether files of a folder may be links, as in the cache of the hub's client.

    Raises:
        DataFormatError: Not an encoder, or one with files that an encoder does not have.
    """
    if source.is_dir():
        entries = _of_folder(source, links)
        yield _checked(Archive(source, entries, lambda name: (source / name).open("rb")), record)
        return
    if source.exists() and not source.is_file():
        raise DataFormatError(f"{source}: not an exported encoder: neither a file nor a folder")
    with _damaged(source):
        archive = zipfile.ZipFile(source)
    with archive:
        with _damaged(source):
            entries = _of_zip(source, archive)
        yield _checked(Archive(source, entries, archive.open), record)


def check_files(names: list[str], source: Path) -> None:
    """Refuse paths of an archive that an encoder does not need, or that leave its folder.

    Raises:
        DataFormatError: There is such a file, or one name occurs twice, be it in other letters.
    """
    seen: dict[str, str] = {}
    for name in names:
        path, said = Path(name), f"{source}: {quoted(name, LONGEST_PATH)}"
        if path.is_absolute() or ".." in path.parts or "\\" in name:
            raise DataFormatError(f"{said} points outside the archive; not imported")
        if path.suffix not in ALLOWED:
            raise DataFormatError(f"{said} is no file of an encoder; weights are safetensors only")
        if not _known(name):
            raise DataFormatError(f"{said} is no file of an encoder; not imported")
        if name.lower() in seen:
            raise DataFormatError(
                f"{said} and {quoted(seen[name.lower()], LONGEST_PATH)} are one file on some "
                "machines; not imported"
            )
        seen[name.lower()] = name


def _known(name: str) -> bool:
    """Whether an encoder may have a file of this path."""
    *folders, file = name.split("/")
    if not folders:
        return file in _TOP
    return (
        folders[0] == "model"
        and len(folders) < _DEEPEST
        and all(_FOLDER.fullmatch(folder) for folder in folders[1:])
        and _FILE.fullmatch(file) is not None
    )


def _checked(archive: Archive, record: str) -> Archive:
    source, entries = archive.source, archive.entries
    if len(entries) > MOST_FILES:
        raise DataFormatError(f"{source}: more than {MOST_FILES} files; not imported")
    check_files([entry.name for entry in entries], source)
    if record not in {entry.name for entry in entries}:
        raise DataFormatError(f"{source}: no {record}; not an encoder of this package")
    for entry in entries:
        limit = RECORD_LIMIT if entry.name == record else MOST_TEXT
        if entry.size > (MOST_BYTES if entry.name.endswith(".safetensors") else limit):
            raise DataFormatError(f"{source}: {entry.name} is too large; not imported")
    total = sum(entry.size for entry in entries)
    packed = source.stat().st_size if source.is_file() else total
    if total > MOST_BYTES:
        raise DataFormatError(
            f"{source}: {total / 1e9:.1f} GB in all, at most {MOST_BYTES / 1e9:.1f} GB are taken"
        )
    for size, within in ((total, packed), *((entry.size, entry.packed) for entry in entries)):
        if size > SMALL and size > MOST_RATIO * within:
            raise DataFormatError(
                f"{source}: it unpacks to more than {MOST_RATIO} times its size; not imported"
            )
    return archive


def _of_zip(source: Path, archive: zipfile.ZipFile) -> tuple[Entry, ...]:
    infos = archive.infolist()
    for info in infos[: MOST_FILES + 1]:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFDIR if info.is_dir() else stat.S_IFREG}:
            raise DataFormatError(
                f"{source}: {quoted(info.filename, LONGEST_PATH)} is a link or no file at all; not "
                "imported"
            )
        if info.flag_bits & 1:
            raise DataFormatError(f"{source}: its files are encrypted; unpack it, and import that")
    if len(infos) > MOST_FILES:
        raise DataFormatError(f"{source}: more than {MOST_FILES} files; not imported")
    return tuple(
        Entry(info.orig_filename, info.file_size, info.compress_size)
        for info in infos
        if not info.is_dir()
    )


def _of_folder(source: Path, links: bool) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for place, folders, files in os.walk(source, onerror=_raise):
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            found = path.stat() if links else path.lstat()
            is_folder = stat.S_ISDIR(found.st_mode)
            if is_folder and not path.is_symlink():
                continue
            shown = path.relative_to(source).as_posix()
            if not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and not links):
                raise DataFormatError(
                    f"{source}: {quoted(shown, LONGEST_PATH)} is a link or no file at all; copy "
                    "the folder (cp -rL), and import that"
                )
            entries.append(Entry(shown, found.st_size, found.st_size))
        if len(entries) > MOST_FILES:
            break
    return tuple(entries)


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _damaged(source: Path) -> Iterator[None]:
    """Whatever reading an archive raises is one error that names it."""
    try:
        yield
    except DataFormatError:
        raise
    except FileNotFoundError as error:
        raise DataFormatError(f"{source}: not an exported encoder: no such file") from error
    except _DAMAGES as error:
        raise DataFormatError(f"{source}: not an exported encoder: {described(error)}") from error
