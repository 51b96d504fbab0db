"""The quickest float32 matrix product of this processor that keeps to the bound of its rounding.

NumPy's own product is right everywhere. Where the processor has AVX-512, oneDNN's may be twice as
fast: OpenBLAS picks its kernels by the name of the processor, and takes older ones for names that
it does not know. PyTorch has oneDNN's float32 product under an internal name only, so it is tried
before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch

from hybridir_mteb.relevance import FloatMatrix
from hybridir_mteb.shards.pairs import slack

# (n, d) and (m, d) float32 -> (n, m) float32; the third is where the result may go.
Product = Callable[[FloatMatrix, FloatMatrix, FloatMatrix], FloatMatrix]

TRIED = 192  # rows and columns of the product that is tried


def numpy_product(passages: FloatMatrix, queries: FloatMatrix, out: FloatMatrix) -> FloatMatrix:
    """By BLAS."""
    return np.matmul(passages, queries.T, out=out)


def onednn_product(passages: FloatMatrix, queries: FloatMatrix, out: FloatMatrix) -> FloatMatrix:
    """By oneDNN, into an array of its own."""
    linear = torch.ops.mkldnn._linear_pointwise
    with torch.inference_mode():
        found = linear(torch.from_numpy(passages), torch.from_numpy(queries), None, "none", [], "")
    scores: FloatMatrix = found.numpy()
    return scores


def quickest_product() -> Product:
    """The product of oneDNN where it helps and rounds no more than it may; else NumPy's."""
    # A lower precision that the user has chosen for PyTorch is oneDNN's, too.
    exact = torch.get_float32_matmul_precision() == "highest"
    return onednn_product if exact and _onednn_is_sound() else numpy_product


@lru_cache(maxsize=1)
def _onednn_is_sound() -> bool:
    """Whether its products are there, and within the bound of float32 on random vectors."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    rng = np.random.default_rng(0)
    passages, queries = (rng.standard_normal((TRIED, TRIED), np.float32) for _ in range(2))
    try:
        found = onednn_product(passages, queries, np.empty(0, np.float32))
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False  # another version of PyTorch
    wide = passages.astype(np.float64), queries.astype(np.float64)
    lengths = np.linalg.norm(wide[0], axis=1)[:, None] * np.linalg.norm(wide[1], axis=1)
    return bool((np.abs(found - wide[0] @ wide[1].T) <= slack(TRIED) * lengths).all())


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Threads of one product; threads that start meanwhile have to say so for themselves, too."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(number)
        yield
    finally:
        torch.set_num_threads(before)
