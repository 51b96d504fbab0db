"""The backbone as it was before training: what distillation compares with."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.training.by_length import embed_by_length


class Teacher:
    """Embeds with the frozen backbone.

    A model with LoRA adapters is its own teacher with the adapters switched off; one that is
    trained whole is copied.

    Args:
        model: The encoder, before its first step.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self._network: Any = network_of(model)
        self._adapters = hasattr(self._network, "disable_adapter")
        self._model = model if self._adapters else copy.deepcopy(model).requires_grad_(False)

    def __call__(self, features: dict[str, Any]) -> Tensor:
        """(n, dimension) float32 embeddings without gradient."""
        was_training = self._model.training
        self._model.eval()
        without = self._network.disable_adapter() if self._adapters else nullcontext()
        try:
            with torch.no_grad(), without:
                return embed_by_length(self._model, dict(features)).float()
        finally:
            self._model.train(was_training)
