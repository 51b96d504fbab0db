"""Products of float32 matrices by oneDNN, which PyTorch brings and uses for networks it compiles.

PyTorch's own products of float32 are MKL's, which on processors that are not Intel's leaves half of
their speed; oneDNN has kernels for all. It computes in float32 as well, so that results differ by
rounding, unless a lower precision was chosen for PyTorch as a whole.

The one place that calls its operators: they are not documented, and a test names the version.
"""

from __future__ import annotations

import torch
from torch import Tensor


def available() -> bool:
    """Whether this PyTorch has the operators.

    It is built with oneDNN for x86 and for most of Arm; a later version may have them under other
    names, and then products are PyTorch's own.
    """
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    names = ("_linear_pointwise", "_reorder_linear_weight")
    return built and all(hasattr(torch.ops.mkldnn, name) for name in names)


def onednn(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``inputs @ weight.T + bias``.

    Args:
        inputs: (…, n) float32, in one piece or transposed.
        weight: (m, n) of the same kind, or what :func:`laid_out` made of it.
        bias: (m,) that is added to each row.

    Returns:
        (…, m) float32.

    Raises:
        RuntimeError: The sizes do not fit.
    """
    found: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return found


def laid_out(weight: Tensor, rows: int) -> Tensor:
    """A weight as oneDNN reads it in blocks; otherwise it lays it out anew for every product.

    Args:
        weight: (m, n) float32.
        rows: About how many rows of inputs each product has.
    """
    # It takes no tensors of inference mode, and gives none.
    with torch.inference_mode(False), torch.no_grad():
        found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return found
