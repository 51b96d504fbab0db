"""Fingerprints of networks: what embeddings in a store are keyed by."""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Iterator
from typing import Any

import torch

from hybridir_mteb.encoders.module_state import cheap_state, module_state
from hybridir_mteb.encoders.values import NOT_IN_CONFIG, UnseenError, Values, feed_tensor

logger = logging.getLogger(__name__)

SAMPLES = 16
_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # as large as a float


def module_fingerprint(module: torch.nn.Module) -> str | None:
    """Hex digest of structure, configuration, tokenizers, parameters, buffers, and other state.

    Two modules with equal fingerprints give equal embeddings for equal input; a retrained or
    merged model differs, and so does one that splits text into other tokens, whatever name or
    revision it carries. So does one with another adapter, a hook or a changed attribute. None if
    something that decides embeddings cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(module).encode())
    for settings in (_tokenizer_settings(module), *_configurations(module)):
        if settings is None:
            return None
        digest.update(json.dumps(settings, sort_keys=True, default=repr).encode())
    try:
        for name, tensor in sorted(module.state_dict().items()):
            if isinstance(tensor, torch.Tensor):
                digest.update(name.encode())
                feed_tensor(digest, tensor)
            elif isinstance(tensor, str):
                digest.update(f"{name}={tensor!r}".encode())
            else:
                digest.update(json.dumps([name, Values().of(tensor)]).encode())
        if state := module_state(module):
            digest.update(json.dumps(state).encode())
    except UnseenError as error:
        logger.info("%s has no fingerprint: %s cannot be read", type(module).__name__, error)
        return None
    return digest.hexdigest()


def weights_stamp(module: torch.nn.Module) -> str:
    """Digest that changes when a model is trained, merged, edited or set otherwise in place.

    Of every parameter and buffer a checksum, a few numbers, and how often torch counted a change;
    and all other state. A fraction of a second for usual sizes, for use before each evaluation
    within one process. Not a fingerprint.
    """
    digest = hashlib.blake2b(json.dumps(cheap_state(module)).encode(), digest_size=16)
    for tensor in (*module.parameters(), *module.buffers()):
        flat = tensor.detach().reshape(-1)
        step = max(1, len(flat) // SAMPLES)
        count = None if tensor.is_inference() else tensor._version
        digest.update(f"{count}:{tensor.dtype}:{_checksum(flat)}".encode())
        digest.update(flat[::step].float().cpu().numpy().tobytes())
    return digest.hexdigest()


def _checksum(flat: torch.Tensor) -> int | None:
    """Of all of a tensor's bytes, where it lies: torch does not count edits of ``data``."""
    try:
        if flat.device.type == "cpu":
            return zlib.crc32(flat.contiguous().view(torch.uint8).numpy().data)
        whole = _WHOLE.get(flat.element_size(), torch.uint8)
        return int(flat.contiguous().view(whole).sum(dtype=torch.int64))
    except (RuntimeError, NotImplementedError, TypeError):  # a kind that does not show its bytes
        return None


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
            yield {key: value for key, value in found.items() if key not in NOT_IN_CONFIG}
