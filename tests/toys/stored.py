"""Encoders in folders, made up."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.files.record import write_record

NAME = "hybridir/xlmr-hybrid"


def fill(folder: Path, value: float = 0.0, **changes: object) -> None:
    """An encoder's folder with a made-up adapter."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": torch.full((2, 2), value)}, folder / "adapter_model.safetensors")
    record = {
        "format": trained.FORMAT,
        "name": NAME,
        "fingerprint": trained.weights_fingerprint(folder, "rev"),
        "created": "2026-01-01T00:00:00+00:00",
        "backbone": {"name": "xlmr", "hub_id": "x/y", "weights": None, "revision": "rev"},
        "dimension": 2,
        "parameters": 4,
        "data": [{"source": "NTREX-128", "origin": "NTREX-128, pinned"}],
        **changes,
    }
    write_record(folder / trained.RECORD, record)
    (folder / trained.CARD).write_text("# the card\n")


def put(home: str, within: str, **changes: object) -> Path:
    """A folder in the store, by hand."""
    folder = paths.model_store_dir() / home / within
    fill(folder, **changes)
    return folder
