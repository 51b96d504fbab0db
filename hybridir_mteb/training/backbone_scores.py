"""Held-out scores of a backbone, which are the same for all methods and seeds: computed once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer

import hybridir_mteb
from hybridir_mteb import paths
from hybridir_mteb.encoders.cpu import device_name
from hybridir_mteb.encoders.products import library
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import DataFormatError, HybridIRError
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.training.held_out import HeldOut, HeldOutScores
from hybridir_mteb.training.plan import Plan

VERSION = 1  # of the evaluation: another number, and all is computed again
OF_RUN = "base.json"


def scores_key(
    plan: Plan,
    held_out: HeldOut,
    model: SentenceTransformer,
    fingerprint: str,
    precisions: tuple[Precision, Precision],
) -> str:
    """Name under which scores are kept: digest of all that decides them.

    Args:
        plan: Of the run.
        held_out: What is searched.
        model: The network as it is trained, before the first step.
        fingerprint: Of the backbone, before adapters were put in.
        precisions: Of training, in which frozen weights may be held, and of the evaluation.
    """
    kind = model.device.type
    device = [device_name(kind), library() if kind == "cpu" else ""]
    versions = [hybridir_mteb.__version__, torch.__version__, transformers.__version__]
    of_network = [fingerprint, model.max_seq_length, plan.lora is not None, *precisions]
    decides = [VERSION, *versions, *device, torch.get_num_threads(), *of_network, held_out.digest()]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


def backbone_scores(
    folder: Path, key: str | None, compute: Callable[[], HeldOutScores]
) -> HeldOutScores:
    """Scores of a run's backbone: from the run's folder, from the cache, or computed.

    Args:
        folder: Of the run, which keeps them for when it goes on, whatever becomes of the cache.
        key: Of the cache; None where they cannot be told from others.
        compute: Evaluates the backbone.
    """
    own = folder / OF_RUN
    shared = None if key is None else paths.held_out_dir() / f"{key}.json"
    found = _kept(own) or (None if shared is None else _kept(shared))
    if found is None:
        found = compute()
        if shared is not None:
            with suppress(OSError, HybridIRError):  # where nothing can be kept, each run computes
                _keep(shared, found)
    if not own.is_file():
        _keep(own, found)
    return found


def _kept(file: Path) -> HeldOutScores | None:
    """What a record holds; None if there is none, or none that can be believed."""
    with suppress(FileNotFoundError, DataFormatError, TypeError):
        held: dict[str, Any] = read_record(file)
        held |= {name: math.nan for name, value in held.items() if value is None}
        return HeldOutScores(**held)
    return None


def _keep(file: Path, found: HeldOutScores) -> None:
    write_record(file, {k: v if math.isfinite(v) else None for k, v in vars(found).items()})
