"""The store of encoders: one folder for each encoder and fingerprint of its weights.

``<store>/<name>/<fingerprint>/`` holds ``hybridir.json`` (the record), ``README.md`` (the card), a
LoRA adapter, a whole sentence-transformers model (``model/``), or the statistics of a debiaser, as
safetensors only. Imports no torch.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from hybridir_mteb import paths
from hybridir_mteb.encoders import contents
from hybridir_mteb.encoders.contents import (
    check_contents,
    digests_of,
    fingerprint_of,
    read_encoder_record,
    weights_of,
)
from hybridir_mteb.encoders.trained_record import check_files, check_record, take_place
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    HybridIRError,
    SettingError,
    UnknownNameError,
    suggest,
)
from hybridir_mteb.files import folder_beside, replacing

OWNER = "hybridir"
NOT_HERE = "not-on-this-machine"  # revision of an encoder's name that has no weights here
NAMES = f"{OWNER}/<backbone>-<method> or {OWNER}/<base>+<debiaser>"
RECORD, CARD, WEIGHTS = contents.RECORD, contents.CARD, contents.WEIGHTS
MODEL = "model"
FORMAT = 1
PACKAGED = paths.DATA / "encoders"


@dataclass(frozen=True)
class StoredEncoder:
    """A trained encoder on this machine.

    Attributes:
        name: ``hybridir/<backbone>-<method>`` or ``hybridir/<base>+<debiaser>``.
        path: Its folder.
        record: How it was made, as ``hybridir.json`` has it.
        place: ``store`` or ``package``.
    """

    name: str
    path: Path
    record: dict[str, Any] = field(repr=False)
    place: str = "store"

    @property
    def fingerprint(self) -> str:
        """Sha256 of the weights together with what they are applied to; MTEB's revision."""
        return str(self.record["fingerprint"])

    @property
    def is_adapter(self) -> bool:
        """Whether only a LoRA adapter or a debiaser is stored."""
        return not (self.path / MODEL).is_dir()


def weights_fingerprint(folder: Path, applied_to: str) -> str:
    """Sha256 over all weight files of a folder and the revision of the network they change."""
    files = weights_of(digests_of(folder))
    if not files:
        raise DataFormatError(f"{folder}: holds no weights ({WEIGHTS})")
    return fingerprint_of(files, applied_to)


def read_encoder(folder: Path, place: str = "store") -> StoredEncoder:
    """The encoder in a folder.

    Raises:
        DataFormatError: No record, or one that cannot be read.
    """
    path = folder / RECORD
    try:
        record = read_encoder_record(path)
        name, version = record["name"], record["format"]
        record["fingerprint"], record["backbone"]["revision"]
    except FileNotFoundError as error:
        raise DataFormatError(f"{folder}: no {RECORD}; not an encoder of this package") from error
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"remove the folder {folder}, and train or import the encoder again"
        if isinstance(error, HybridIRError):
            raise DataFormatError(f"{error}: {remedy}") from error
        raise DataFormatError(
            f"{path}: not a record of a training run: {error!r}: {remedy}"
        ) from error
    if version != FORMAT:
        raise DataFormatError(
            f"{path}: format {version}, this release reads {FORMAT}: upgrade hybridir-mteb"
        )
    _check_name(name)
    return StoredEncoder(name, folder, record, place)


def verify(encoder: StoredEncoder) -> None:
    """Check every file that loading reads against record and fingerprint.

    Raises:
        ChecksumError: One is not that of the record.
    """
    remedy = f"remove the encoder (hybridir models rm {encoder.name}) and train or import it again"
    if encoder.place == "package":
        remedy = "install the package again: pip install --force-reinstall --no-deps hybridir-mteb"
    check_contents(encoder.path, encoder.record, remedy)


def encoders() -> list[StoredEncoder]:
    """Every encoder on this machine, the store's before the package's, newest first."""
    store = paths.model_store_dir()
    found = [*_in(store, "store"), *_in(PACKAGED, "package")]
    found.sort(key=lambda encoder: str(encoder.record.get("created", "")), reverse=True)
    return sorted(found, key=lambda encoder: (encoder.name, encoder.place != "store"))


def _in(root: Path, place: str) -> Iterator[StoredEncoder]:
    pattern = f"*/{RECORD}" if place == "package" else f"*/*/{RECORD}"
    for path in sorted(root.glob(pattern)):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue  # runs and folders that are still being written
        try:
            yield read_encoder(path.parent, place)
        except DataFormatError:
            continue  # 'hybridir models list' shows what is sound; verify explains the rest


def find(name: str, revision: str | None = None) -> StoredEncoder | None:
    """The encoder of a name: of the store, else of the package; the newest unless a revision asks.

    Args:
        name: ``hybridir/<backbone>-<method>``.
        revision: Fingerprint, or its first characters.
    """
    for encoder in encoders():
        if encoder.name == name and encoder.fingerprint.startswith(revision or ""):
            return encoder
    return None


def get(name: str, revision: str | None = None) -> StoredEncoder:
    """Like :func:`find`.

    Raises:
        UnknownNameError: There is no such encoder.
    """
    found = find(name, revision)
    if found is None:
        names = sorted({encoder.name for encoder in encoders()})
        which = f" with revision {revision}" if revision else ""
        raise UnknownNameError(
            f"no trained encoder {name!r}{which} here{suggest(name, names)} "
            f"(here: {', '.join(names) or 'none'})"
        )
    return found


@dataclass
class Place:
    """A folder that is being filled; ``kept`` is there once the block has ended without error."""

    folder: Path
    kept: StoredEncoder = field(init=False)


@contextmanager
def keep(name: str, root: Path | None = None) -> Iterator[Place]:
    """A temporary folder that becomes ``<store>/<name>/<fingerprint>`` when it is complete.

    Raises:
        DataFormatError: What was written is not an encoder.
        ChecksumError: Its fingerprint is not that of its weights.
    """
    _check_name(name)
    store = root or paths.model_store_dir()
    home = store / name.partition("/")[2]
    with folder_beside(home / "encoder") as temporary:
        place = Place(temporary)
        yield place
        encoder = read_encoder(temporary)
        verify(encoder)
        target = home / encoder.fingerprint
        take_place(temporary, target, (CARD, RECORD), lambda there: _equal(there, encoder))
        place.kept = read_encoder(target)


def _equal(folder: Path, encoder: StoredEncoder) -> bool:
    """Whether a folder holds an encoder's weights, whatever its record says."""
    try:
        verify(StoredEncoder(encoder.name, folder, encoder.record))
    except (DataFormatError, ChecksumError, OSError):
        return False
    return True


def _check_name(name: object) -> None:
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) != 2 or parts[0] != OWNER or not parts[1] or parts[1].startswith("."):
        raise SettingError(f"an encoder is named {NAMES}, not {name!r}")


def remove(name: str, revision: str | None = None) -> list[StoredEncoder]:
    """Delete an encoder from the store: all its fingerprints, or one.

    Raises:
        UnknownNameError: The store does not hold it.
    """
    doomed = [
        encoder
        for encoder in encoders()
        if encoder.name == name
        and encoder.place == "store"
        and encoder.fingerprint.startswith(revision or "")
    ]
    if not doomed:
        raise UnknownNameError(f"the store {paths.model_store_dir()} holds no {name!r}")
    for encoder in doomed:
        shutil.rmtree(encoder.path)
    return doomed


def export(encoder: StoredEncoder, target: Path) -> Path:
    """Write an encoder as a zip archive.

    Raises:
        SettingError: The target exists.
    """
    if target.exists():
        raise SettingError(f"{target} exists; give another name or remove it")
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(encoder.path.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(encoder.path).as_posix())
    return target


def import_encoder(source: Path) -> StoredEncoder:
    """Take an encoder from a folder or a zip archive into the store.

    Raises:
        DataFormatError: Not an encoder, one with files that an encoder does not need, or one whose
            record gives no usable metadata.
        ChecksumError: Its weights are not those of its record.
    """
    if source.is_dir():
        read_encoder(source)
        files = [path for path in source.rglob("*") if path.is_file()]
        names = [path.relative_to(source).as_posix() for path in files]
        return _take_in(source, names, lambda name: (source / name).open("rb"))
    try:
        with zipfile.ZipFile(source) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            return _take_in(source, names, archive.open)
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        if isinstance(error, HybridIRError):
            raise
        raise DataFormatError(f"{source}: not an exported encoder: {error}") from error


def _take_in(source: Path, names: list[str], opened: Callable[[str], IO[bytes]]) -> StoredEncoder:
    """Copy an encoder's files into the store, once its names and its record are found sound."""
    check_files(names, source)
    with opened(RECORD) as stream:
        record = json.load(stream)
    check_record(record, f"{source}: {RECORD}")
    with keep(record["name"]) as place:
        for name in names:
            target = place.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened(name) as stream, target.open("wb") as copy:
                shutil.copyfileobj(stream, copy)
    return place.kept
