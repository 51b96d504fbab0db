"""Encoders in folders, made up."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.card import write_record as write_encoder_record
from hybridir_mteb.encoders.contents import applied_to, digests_of, fingerprint_of
from hybridir_mteb.files.record import write_record

NAME = "hybridir/xlmr-hybrid"
OF_BOTH = {  # what records of version 0.1 have as well
    "format": trained.FORMAT,
    "name": NAME,
    "created": "2026-01-01T00:00:00+00:00",
    "backbone": {"name": "xlmr", "hub_id": "x/y", "weights": None, "revision": "rev"},
    "dimension": 2,
    "parameters": 4,
    "data": [{"source": "NTREX-128", "origin": "NTREX-128, pinned"}],
}


def describe(folder: Path, card: str = "# the card\n", **changes: object) -> None:
    """Record and card of the files in a folder; the fingerprint is theirs unless it is given."""
    files = digests_of(folder)
    record: dict[str, Any] = {**OF_BOTH, "files": files, **changes}
    record.setdefault("fingerprint", fingerprint_of(files, applied_to(record)))
    write_encoder_record(folder, record, card)


def fill(folder: Path, value: float = 0.0, **changes: object) -> None:
    """An encoder's folder with a made-up adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": torch.full((2, 2), value)}, folder / "adapter_model.safetensors")
    record = {**OF_BOTH, "fingerprint": trained.weights_fingerprint(folder, "rev"), **changes}
    write_record(folder / trained.RECORD, record)
    (folder / trained.CARD).write_text("# the card\n")


def put(home: str, within: str, **changes: object) -> Path:
    """A folder in the store, by hand."""
    folder = paths.model_store_dir() / home / within
    fill(folder, **changes)
    return folder
