"""What the files of an encoder, or of a backbone, hold: digests that loading compares with.

An encoder's fingerprint is over all files that loading reads. Encoders of version 0.1 have one over
their weights alone; of those that came with its package, ``official.json`` has the other files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import ChecksumError, DataFormatError
from hybridir_mteb.files import sha256_of
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.record import SEAL, read_record, seal_of

RECORD = "hybridir.json"
CARD = "README.md"
WEIGHTS = "*.safetensors"
OFFICIAL = paths.DATA / "encoders" / "official.json"
# Of a backbone's folder, what loading reads: weights, configurations, tokenizers, code.
_READ = {
    *(".safetensors", ".bin", ".pt", ".json", ".txt", ".model", ".jinja", ".py", ".spm", ".bpe"),
    *(".vocab", ".tiktoken"),
}
_OF_EVERY = (
    *("format", "name", "fingerprint", "created", "languages", "dimension", "backbone"),
    *("parameters", "data", "leak_check", "machine", "versions"),
)
_OF_0_1 = (  # keys of the records of trained and of debiased encoders, which had no seal
    {*_OF_EVERY, "method", "recipe", "options", "selection", "curve"},
    {*_OF_EVERY, "debiaser", "similarity"},
)


def digests_of(folder: Path) -> dict[str, str]:
    """Sha256 of every file of an encoder's folder but the two that describe it."""
    found = _named(folder, folder.rglob("*"))
    return {name: digest for name, digest in found.items() if name not in {RECORD, CARD}}


def fingerprint_of(files: Mapping[str, str], applied_to: str) -> str:
    """Sha256 over names and digests of files, and what they are applied to."""
    digest = hashlib.sha256(applied_to.encode())
    for name in sorted(files):
        digest.update(name.encode())
        digest.update(files[name].encode())
    return digest.hexdigest()


def weights_of(files: Mapping[str, str]) -> dict[str, str]:
    """The weight files among others."""
    return {name: digest for name, digest in files.items() if Path(name).match(WEIGHTS)}


def applied_to(record: Mapping[str, Any]) -> str:
    """What an encoder's files change: the network it was trained from, or a debiaser's base."""
    backbone = record["backbone"]
    if "debiaser" in record:
        return str(backbone["revision"])
    digest = backbone.get("digest")  # of a local folder, whose path says nothing
    weights = None if digest else backbone.get("weights")
    known = [backbone.get("name"), weights, backbone["revision"], digest]
    if packed := backbone.get("quantization"):
        known.append(packed)  # adapters of equal bytes may be on whole weights and on packed ones
    return json.dumps(known)


def finite(value: Any) -> Any:
    """What JSON can hold: numbers of a curve that are none become null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_encoder_record(path: Path) -> dict[str, Any]:
    """The record of an encoder, which is sealed unless version 0.1 wrote it.

    Raises:
        DataFormatError: It is damaged.
        OSError: It is missing or cannot be read.
    """
    record = read_json_object(path, nan=True)  # curves of 0.1 may hold it
    if not any(record.keys() == old for old in _OF_0_1):
        record = read_record(path)
    known = official().get(str(record.get("fingerprint")))
    if known and known["created"] == record["created"] and known["record"] != seal_of(record):
        raise DataFormatError(f"the record {path} is damaged: it differs from the published one")
    return record


@cache
def official() -> dict[str, dict[str, Any]]:
    """Fingerprint of each encoder of version 0.1's package -> what of it has no fingerprint."""
    encoders: dict[str, dict[str, Any]] = read_record(OFFICIAL)["encoders"]
    return encoders


def official_entry(folder: Path) -> dict[str, Any]:
    """An entry in ``official.json``, from an encoder's folder with a record of version 0.1."""
    record = read_json_object(folder / RECORD)
    record.pop(SEAL, None)
    kept = {key: record[key] for key in ("created", "backbone", "dimension")}
    return {**kept, "record": seal_of(record), "files": digests_of(folder)}


def check_contents(folder: Path, record: Mapping[str, Any], remedy: str) -> None:
    """Compare an encoder's files with its record, or with the published ones.

    Args:
        folder: The encoder's.
        record: Its record.
        remedy: What to do about a difference, as the end of a sentence.

    Raises:
        ChecksumError: A file was changed, is missing or is one too many; or another fingerprint.
        DataFormatError: There are no weights.
    """
    found, said = digests_of(folder), str(record["fingerprint"])
    if not weights_of(found):
        raise DataFormatError(f"{folder}: holds no weights ({WEIGHTS})")
    files, known = record.get("files"), official().get(said)
    if files is not None:
        _compare(folder, found, files, remedy)
        expected = fingerprint_of(found, applied_to(record))
    else:
        expected = fingerprint_of(weights_of(found), str(record["backbone"]["revision"]))
    if expected != said:
        raise ChecksumError(
            f"{folder}: the weights have the fingerprint {expected}, the record says {said}: "
            f"{remedy}"
        )
    if files is None and known is not None:
        _compare(folder, found, known["files"], remedy)
        for key in ("backbone", "dimension"):
            if record[key] != known[key]:
                raise ChecksumError(
                    f"{folder / RECORD}: its {key!r} differs from that of the published encoder "
                    f"of this fingerprint: {remedy}"
                )


def _compare(folder: Path, found: Mapping[str, str], files: Mapping[str, str], remedy: str) -> None:
    for name in sorted(found.keys() | files.keys()):
        if found.get(name) != files.get(name):
            what = "is missing" if name not in found else "is not of this encoder"
            if name in found and name in files:
                what = "was changed: its sha256 is not that of the record"
            raise ChecksumError(f"{folder / name} {what}: {remedy}")


def backbone_digest(folder: Path) -> str:
    """Digest of all that loading a network, or a sentence-transformers model, reads of a folder."""
    found = ((path, path.is_symlink() and path.is_dir()) for path in folder.rglob("*"))
    read = (path for path, is_linked in found if path.suffix in _READ or is_linked)
    return fingerprint_of(_named(folder, read), "")


def _named(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """Name within the folder -> sha256; hidden files, which others may be writing, are not read."""
    named = {}
    for path in sorted(paths):
        within = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in within.parts)
        if hidden or (path.is_dir() and not path.is_symlink()):
            continue
        if not path.is_file():  # loading would wait for a pipe
            raise DataFormatError(
                f"{path}: a link to a folder or to nothing, a pipe or a device; remove it, or copy "
                "here what it stands for"
            )
        named[within.as_posix()] = sha256_of(path)
    return named
