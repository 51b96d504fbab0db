"""Matrix products of layers in float32 by the library that is faster on the processor at hand.

PyTorch multiplies float32 by MKL, which takes no 512-bit instructions on processors that are not
Intel's: half the speed of oneDNN there, which PyTorch brings, too, and uses for bf16. Both compute
in float32; results differ by rounding, as between two machines.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from hybridir_mteb import paths
from hybridir_mteb.encoders.cpu import processor
from hybridir_mteb.encoders.probes import Probes
from hybridir_mteb.ranking.onednn import available, onednn

VERSION = 1  # of the measurement: another number, and all is measured again
ROWS, INPUTS, OUTPUTS = 1024, 384, 1536  # of a small encoder's layer
WATCHED_S = 0.3
WORTH = 1.2  # times as fast, or PyTorch's own stays


class Library(StrEnum):
    """What multiplies."""

    BLAS = "blas"
    ONEDNN = "onednn"


class _Product(torch.autograd.Function):
    """The product with its gradients."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(inputs if weight.requires_grad else None, weight)
        return onednn(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        rows = above.reshape(-1, above.shape[-1])
        of_inputs, of_weight, of_bias = ctx.needs_input_grad
        return (
            onednn(above, weight.t()) if of_inputs else None,
            onednn(rows.t(), inputs.reshape(-1, inputs.shape[-1]).t()) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


class ByOneDNN(TorchFunctionMode):
    """Within the block, linear layers in float32 on the processor multiply by oneDNN."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """See :class:`torch.overrides.TorchFunctionMode`."""
        if func is linear and not kwargs and all(map(_ours, args)) and _rows(args[0]):
            if torch.is_autocast_enabled("cpu"):
                return func(*args)
            learns = any(one is not None and one.requires_grad for one in args)
            if learns and torch.is_grad_enabled():
                inputs, weight, *bias = args
                bias_or_none = bias[0] if bias else None
                return _Product.apply(inputs, weight, bias_or_none)  # type: ignore[no-untyped-call]
            return onednn(*args)
        return func(*args, **(kwargs or {}))


def _ours(one: Any) -> bool:
    """A plain float32 tensor of the processor, or none."""
    if one is None:
        return True
    plain = type(one) in {Tensor, Parameter}
    return plain and one.dtype is torch.float32 and one.device.type == "cpu"


def _rows(inputs: Tensor) -> bool:
    return inputs.dim() > 1 and inputs.numel() > 0


def fastest_products() -> AbstractContextManager[object]:
    """Within the block, products in float32 are computed by the faster library."""
    return ByOneDNN() if library() is Library.ONEDNN else nullcontext()


def library() -> Library:
    """What multiplies float32 here: ``HYBRIDIR_PRODUCTS``, else what was measured to be faster.

    Raises:
        SettingError: The variable names no library.
    """
    asked = paths.products()
    if asked is not None:
        return Library(asked)
    if not paths.probe_enabled() or not available():
        return Library.BLAS
    rates = speeds()
    return Library.ONEDNN if rates["onednn"] >= WORTH * rates["blas"] else Library.BLAS


def said() -> str:
    """What multiplies float32 here and why, in words; nothing is measured for it."""
    asked = paths.products()
    if asked is not None:
        return f"{asked} ({paths.PRODUCTS_VARIABLE})"
    if not paths.probe_enabled():
        return f"{Library.BLAS} ({paths.PROBE_VARIABLE} switches the measurement off)"
    rates = _SPEEDS.known(_file())
    if rates is None:
        return "measured when an encoder first needs it"
    return f"{library()}: " + ", ".join(f"{k} {v / 1e9:,.0f} GFLOP/s" for k, v in rates.items())


def speeds() -> dict[str, float]:
    """Floating point operations a second of each library: kept, else measured in half a second."""
    return _SPEEDS.get(_file(), lambda: {one.value: rate for one, rate in measure().items()})


_SPEEDS: Probes[dict[str, float]] = Probes(
    lambda record: {one.value: float(record[one.value]) for one in Library}, dict
)


def _file() -> Path:
    about = [VERSION, *processor(), torch.get_num_threads(), torch.__version__]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return paths.probes_dir() / "products" / f"{digest[:32]}.json"


def measure() -> dict[Library, float]:
    """Time a layer of a small encoder in both, by turns, so that both see the same load."""
    inputs, weight = torch.ones(ROWS, INPUTS), torch.ones(OUTPUTS, INPUTS)
    ways: dict[Library, Callable[[], Tensor]] = {
        Library.BLAS: partial(linear, inputs, weight),
        Library.ONEDNN: partial(onednn, inputs, weight),
    }
    least = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for work in ways.values():
            work()  # memory and kernels are not ready the first time
        end = time.perf_counter() + WATCHED_S
        while float("inf") in least.values() or time.perf_counter() < end:
            for one, work in ways.items():
                start = time.perf_counter()
                work()
                least[one] = min(least[one], time.perf_counter() - start)
    return {one: 2.0 * ROWS * INPUTS * OUTPUTS / spent for one, spent in least.items()}
