"""Fingerprints of weights: what embeddings in a store are keyed by."""

from __future__ import annotations

import hashlib
import json

import torch

PIECE_BYTES = 64 << 20  # a large model leaves the GPU in pieces


def module_fingerprint(module: torch.nn.Module) -> str:
    """Hex digest of a network: structure, tokenizer, and the bytes of parameters and buffers.

    Two modules with equal fingerprints give equal embeddings for equal input; a retrained or
    merged model differs, and so does one that splits text into other tokens, whatever name or
    revision it carries.
    """
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr(module).encode())
    backend = getattr(getattr(module, "tokenizer", None), "backend_tokenizer", None)
    if backend is not None:
        settings = json.loads(backend.to_str())
        for state in ("truncation", "padding"):  # changed by every call; the store keys the length
            settings.pop(state, None)
        digest.update(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in sorted(module.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            digest.update(f"{name}={tensor!r}".encode())
            continue
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
        for start in range(0, len(flat), PIECE_BYTES):
            digest.update(flat[start : start + PIECE_BYTES].cpu().numpy().data)
    return digest.hexdigest()
