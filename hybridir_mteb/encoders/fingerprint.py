"""Fingerprints of networks: what embeddings in a store are keyed by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch

PIECE_BYTES = 64 << 20  # a large model leaves the GPU in pieces
SAMPLES = 16
# Where a model came from and what read it do not change what it computes.
_NOT_IN_CONFIG = {"_name_or_path", "transformers_version", "architectures", "torch_dtype", "dtype"}


def module_fingerprint(module: torch.nn.Module) -> str | None:
    """Hex digest of structure, configuration, tokenizer, parameters and buffers.

    Two modules with equal fingerprints give equal embeddings for equal input; a retrained or
    merged model differs, and so does one that splits text into other tokens, whatever name or
    revision it carries. None for a tokenizer whose settings cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(module).encode())
    for settings in (_tokenizer_settings(module), *_configurations(module)):
        if settings is None:
            return None
        digest.update(json.dumps(settings, sort_keys=True, default=repr).encode())
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            digest.update(f"{name}={tensor!r}".encode())
            continue
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        for start in range(0, len(flat), PIECE_BYTES):
            digest.update(flat[start : start + PIECE_BYTES].cpu().numpy().data)
    return digest.hexdigest()


def weights_stamp(module: torch.nn.Module) -> str:
    """Cheap digest that changes when a model is trained or merged in place.

    A few numbers of every parameter: milliseconds, for use before each evaluation within one
    process. Not a fingerprint: an edit of a single weight may go unseen.
    """
    digest = hashlib.blake2b(digest_size=16)
    for parameter in module.parameters():
        flat = parameter.detach().reshape(-1)
        step = max(1, len(flat) // SAMPLES)
        digest.update(flat[::step].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _tokenizer_settings(module: torch.nn.Module) -> dict[str, Any] | None:
    """Everything a tokenizer is made of; None if it cannot be read."""
    tokenizer = getattr(module, "tokenizer", None)
    if tokenizer is None:
        return {}
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):
        return None
    settings: dict[str, Any] = json.loads(backend.to_str())
    for state in ("truncation", "padding"):  # changed by every call; the store keys the length
        settings.pop(state, None)
    return settings


def _configurations(module: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Settings that are in no parameter: number of heads, activation, base of the positions."""
    for _, part in sorted(module.named_modules()):
        config: Any = getattr(part, "config", None)
        if hasattr(config, "to_dict"):
            found = config.to_dict()
            yield {key: value for key, value in found.items() if key not in _NOT_IN_CONFIG}
