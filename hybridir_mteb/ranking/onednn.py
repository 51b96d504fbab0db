"""Products of float32 matrices by oneDNN, which PyTorch brings and uses for networks it compiles.

The one place that calls the operator: it is not documented, and a test names the version.
"""

from __future__ import annotations

import torch
from torch import Tensor


def available() -> bool:
    """Whether this PyTorch has the operator."""
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return built and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``inputs @ weight.T + bias``.

    Args:
        inputs: (…, n) float32, in one piece or transposed.
        weight: (m, n) of the same kind.
        bias: (m,) that is added to each row.

    Returns:
        (…, m) float32.
    """
    found: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return found
