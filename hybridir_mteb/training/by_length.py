"""A batch's texts embedded in chunks of similar length: the same embeddings with less padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

ROWS = 8


def embed_by_length(
    model: Callable[[dict[str, Any]], dict[str, Any]], features: dict[str, Any], rows: int = ROWS
) -> Tensor:
    """Embeddings of one column, in its order.

    A padded batch costs rows x longest text. Sorted by length and cut into chunks, each as wide as
    its own longest text, it costs little more than its tokens. Only on a CPU: other devices would
    rather have one large batch.

    Args:
        model: Network with pooling.
        features: ``input_ids``, ``attention_mask`` and so on, (n, longest).
        rows: Texts of a chunk.

    Returns:
        (n, dimension), differentiable.
    """
    mask = features["attention_mask"]
    if mask.device.type != "cpu" or len(mask) <= rows:
        whole: Tensor = model(features)["sentence_embedding"]
        return whole
    order = torch.argsort(mask.sum(dim=1), descending=True, stable=True)
    parts = [
        model(_chunk(features, chosen))["sentence_embedding"] for chosen in torch.split(order, rows)
    ]
    return torch.cat(parts)[torch.argsort(order)]


def _chunk(features: dict[str, Any], chosen: Tensor) -> dict[str, Any]:
    """Some rows, without the columns that are padding in all of them."""
    mask = features["attention_mask"]
    used = mask[chosen].any(dim=0).nonzero()
    span = slice(int(used[0]), int(used[-1]) + 1)  # padding may be on either side

    def cut(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != len(mask):
            return value
        rows = value[chosen]
        return rows[:, span] if value.shape == mask.shape else rows

    return {name: cut(value) for name, value in features.items()}
