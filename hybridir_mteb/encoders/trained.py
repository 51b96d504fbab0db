"""The store of encoders: one folder for each encoder and fingerprint of its weights.

``<store>/<name>/<fingerprint>/`` holds ``hybridir.json`` (the record), ``README.md`` (the card), a
LoRA adapter, the trained parameters of an embedded backbone, a whole sentence-transformers model
(``model/``), or the statistics of a debiaser, as safetensors only. Imports no torch.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.encoders import contents
from hybridir_mteb.encoders.archive import opened
from hybridir_mteb.encoders.contents import (
    check_contents,
    digests_of,
    fingerprint_of,
    read_encoder_record,
    weights_of,
)
from hybridir_mteb.encoders.trained_record import (
    check_record,
    delete_folder,
    folders_in,
    no_empty,
    take_place,
)
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    HybridIRError,
    SettingError,
    UnknownNameError,
    printable,
    quoted,
    suggest,
)
from hybridir_mteb.files import check_regular, folder_beside, replacing
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.files.room import check_file, check_folder, check_room
from hybridir_mteb.files.temporary import size_of
from hybridir_mteb.plugins import names
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.names import check_encoder_name

OWNER, NAMES = names.OWNER, names.ENCODERS
NOT_HERE = "not-on-this-machine"  # revision of an encoder's name that has no weights here
RECORD, CARD, WEIGHTS = contents.RECORD, contents.CARD, contents.WEIGHTS
MODEL = "model"
PARAMETERS = "parameters.safetensors"  # that training has changed, of an embedded backbone
FORMAT = 1
PACKAGED = paths.DATA / "encoders"
DESCRIBED = (CARD, RECORD)
Report = Callable[[str], None]


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
        """Whether only an adapter, trained parameters or a debiaser are stored."""
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
        check_regular(path)
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
            f"{path}: not a record of a training run: {quoted(error)}: {remedy}"
        ) from error
    if version != FORMAT:
        raise DataFormatError(
            f"{path}: format {version}, this release reads {FORMAT}: upgrade hybridir-mteb"
        )
    try:
        return StoredEncoder(check_encoder_name(name), folder, record, place)
    except SettingError as error:
        raise DataFormatError(f"{path}: {error}") from error


def verify(encoder: StoredEncoder) -> None:
    """Check every file that loading reads against record and fingerprint.

    Raises:
        ChecksumError: One is not that of the record.
    """
    remedy = f"remove the encoder (hybridir models rm {encoder.name}) and train or import it again"
    if encoder.place == "package":
        remedy = "install the package again: pip install --force-reinstall --no-deps hybridir-mteb"
    check_contents(encoder.path, encoder.record, remedy)


def encoders(report: Report | None = None) -> list[StoredEncoder]:
    """Every encoder on this machine, the store's before the package's, newest first.

    Those whose record gives no metadata come last among those of their name.

    Args:
        report: Told of each folder that holds no encoder that can be read, in one line; by default
            nobody: registering the encoders names them.
    """
    store = paths.model_store_dir()
    found = [*_in(store, "store", report), *_in(PACKAGED, "package", report)]
    found.sort(key=lambda encoder: str(encoder.record.get("created", "")), reverse=True)
    return sorted(found, key=lambda e: (e.name, not _usable(e), e.place != "store"))


def _usable(encoder: StoredEncoder) -> bool:
    try:
        check_record(encoder.record, encoder.path)
    except DataFormatError:
        return False
    return True


def _in(root: Path, place: str, report: Report | None) -> list[StoredEncoder]:
    """The encoders of the store or the package; what is none is skipped by its folder."""
    tell = report or (lambda line: None)
    found: list[StoredEncoder] = []
    homes = []
    with alone(f"the encoders in {root} are skipped", tell):
        homes = [root] if place == "package" else folders_in(root)
    for home in homes:
        with alone(f"encoders in {home} are skipped", tell, f"remove {home}"):
            for folder in folders_in(home):
                with alone(f"encoder in {folder} is skipped", tell, _remedy(folder, place)):
                    found.append(_read_in_place(folder, place))
    return found


def _read_in_place(folder: Path, place: str) -> StoredEncoder:
    """The encoder in a folder of the store, which is named after it."""
    encoder = read_encoder(folder, place)
    home = folder if place == "package" else folder.parent
    if encoder.name != f"{OWNER}/{home.name}":
        raise DataFormatError(f"{folder / RECORD}: the record is that of {encoder.name}")
    return encoder


def _remedy(folder: Path, place: str) -> str:
    if place == "package":
        return "install hybridir-mteb again"
    name = quote(printable(f"{OWNER}/{folder.parent.name}"))
    return f"remove it: hybridir models rm {name} --revision {quote(printable(folder.name))}"


def find(name: str, revision: str | None = None) -> StoredEncoder | None:
    """The encoder of a name: of the store, else of the package; the newest unless a revision asks.

    A revision is a fingerprint, or its first characters.
    """
    fits = (e for e in encoders() if e.name == name and e.fingerprint.startswith(revision or ""))
    return next(fits, None)


def get(name: str, revision: str | None = None) -> StoredEncoder:
    """Like :func:`find`.

    Raises:
        UnknownNameError: There is no such encoder.
    """
    found = find(name, revision)
    if found is None:
        bad: list[str] = []
        names = sorted({encoder.name for encoder in encoders(bad.append)})
        home = paths.model_store_dir() / name.partition("/")[2]
        if damaged := [line for line in bad if f" {home}/" in line]:
            raise UnknownNameError(damaged[0])
        which = f" with revision {revision}" if revision else ""
        raise UnknownNameError(
            f"no trained encoder {quoted(name)}{which} here{suggest(name, names)} "
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
    store = root or paths.model_store_dir()
    check_folder(store, paths.MODEL_STORE_VARIABLE)
    home = store / check_encoder_name(name).partition("/")[2]
    alike = [path.name for path in folders_in(store) if path.name.lower() == home.name.lower()]
    if alike and home.name not in alike:
        raise SettingError(f"{name}: the store has {OWNER}/{alike[0]}, one name on some machines")
    with no_empty(home), folder_beside(home / "encoder") as temporary:
        place = Place(temporary)
        yield place
        encoder = read_encoder(temporary)
        check_contents(temporary, encoder.record, f"{name} does not enter the store")
        target = home / encoder.fingerprint
        take_place(temporary, target, DESCRIBED, lambda there: _equal(there, encoder))
        place.kept = read_encoder(target)


def _equal(folder: Path, encoder: StoredEncoder) -> bool:
    """Whether a folder holds an encoder's weights, whatever its record says."""
    try:
        verify(StoredEncoder(encoder.name, folder, encoder.record))
    except (DataFormatError, ChecksumError, OSError):
        return False
    return True


def remove(name: str, revision: str | None = None) -> list[StoredEncoder]:
    """Delete an encoder from the store: all its fingerprints, or one; damaged ones as well.

    Args:
        name: ``hybridir/<name>``, whatever the record in its folder says.
        revision: Fingerprint, or its first characters.

    Raises:
        UnknownNameError: The store does not hold it.
    """
    store, part = paths.model_store_dir(), name.removeprefix(f"{OWNER}/")
    home = store / Path(part).name
    doomed = []
    if home.name == part and not part.startswith(".") and home in folders_in(store):
        linked = [home] if home.is_symlink() and not home.is_dir() else folders_in(home)
        for folder in linked:
            try:
                found = read_encoder(folder)
            except (HybridIRError, OSError):
                found = StoredEncoder(name, folder, {"fingerprint": folder.name})
            revisions = (folder.name, found.fingerprint)
            if any(known.startswith(revision or "") for known in revisions):
                doomed.append(found)
    if not doomed:
        held = [f"{OWNER}/{folder.name}" for folder in folders_in(store)]
        raise UnknownNameError(f"the store {store} holds no {quoted(name)}{suggest(name, held)}")
    for encoder in doomed:
        delete_folder(encoder.path)
    with suppress(OSError):
        home.rmdir()  # if it is empty
    return doomed


def export(encoder: StoredEncoder, target: Path) -> Path:
    """Write an encoder as a zip archive.

    Raises:
        SettingError: The target exists.
    """
    check_file(target)
    if target.exists():
        raise SettingError(f"{target} exists; give another name or remove it")
    check_room(target, size_of(encoder.path), "the archive")
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(encoder.path.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                archive.write(path, path.relative_to(encoder.path).as_posix())
    return target


def import_encoder(
    source: Path, *, links: bool = False, over_shipped: bool = False
) -> StoredEncoder:
    """Take an encoder from a folder or a zip archive into the store.

    Args:
        source: The folder or the archive.
        links: Whether files of the folder may be links, as in the cache of the hub's client.
        over_shipped: Whether it may have the name of an encoder of the package, which it then
            hides.

    Raises:
        DataFormatError: Not an encoder, one with files that an encoder does not need, or one whose
            record gives no usable metadata.
        ChecksumError: Its weights are not those of its record.
        SettingError: It has the name of an encoder of the package, and is another.
    """
    with opened(source, RECORD, links=links) as archive:
        record = parse_json(archive.read(RECORD), f"{source}: {RECORD}", nan=True)
        check_record(record, f"{source}: {RECORD}")
        needed = sum(entry.size for entry in archive.entries)
        check_room(paths.model_store_dir(), needed, "the encoder")
        with keep(record["name"]) as place:
            archive.copy_to(place.folder)
            _check_shipped(source, read_encoder(place.folder), over_shipped)
    return place.kept


def _check_shipped(source: Path, encoder: StoredEncoder, over: bool) -> None:
    """Refuse what would stand for an encoder of the package and is another."""
    for shipped in _in(PACKAGED, "package", None):
        if shipped.name.lower() != encoder.name.lower():
            continue
        same = shipped.fingerprint == encoder.fingerprint
        others = ", ".join(_differing(shipped, encoder)) if same else ""
        if others:
            raise ChecksumError(
                f"{source}: has the fingerprint of {shipped.name} of this package, and another "
                f"{others}; not imported"
            )
        if shipped.name != encoder.name or (not same and not over):
            raise SettingError(
                f"{source}: {encoder.name} comes with this package, and this is another encoder; "
                "to use it instead, import it with --over-shipped"
            )


def _differing(one: StoredEncoder, other: StoredEncoder) -> list[str]:
    """Which of the files that are loaded differ: records and cards may be of another release."""
    mine, theirs = digests_of(one.path), digests_of(other.path)
    names = sorted(n for n in mine.keys() | theirs.keys() if mine.get(n) != theirs.get(n))
    return names + [RECORD] * (one.record["backbone"] != other.record["backbone"])
