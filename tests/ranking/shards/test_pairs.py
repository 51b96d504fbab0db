"""The float32 products that select candidates: within the bound, or not used."""

import numpy as np
import pytest
import torch

from hybridir_mteb.ranking.shards import pairs as products
from hybridir_mteb.ranking.shards.pairs import slack


@pytest.fixture(autouse=True)
def _try_again():
    products._onednn_is_sound.cache_clear()
    yield
    products._onednn_is_sound.cache_clear()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (512, 500, 384), (7, 33, 4096)])
def test_products_are_within_the_bound(shape):
    n, m, dimension = shape
    rng = np.random.default_rng(1)
    passages = rng.standard_normal((n, dimension), np.float32)
    queries = rng.standard_normal((m, dimension), np.float32)
    exact = passages.astype(np.float64) @ queries.astype(np.float64).T
    most = np.linalg.norm(passages, axis=1)[:, None] * np.linalg.norm(queries, axis=1)
    for multiply in {products.numpy_product, products.quickest_product()}:
        found = multiply(passages, queries, np.empty((n, m), np.float32))
        assert found.dtype == np.float32
        assert (np.abs(found - exact) <= slack(dimension) * most * 1.001).all()


def test_the_internal_name_is_in_the_version_that_is_pinned():
    """If this fails: torch was upgraded; see whether the product has another name now."""
    assert torch.__version__.startswith("2.13.0")
    if torch.backends.mkldnn.is_available():
        assert hasattr(torch.ops.mkldnn, "_linear_pointwise")


def test_a_product_that_rounds_more_is_not_used(monkeypatch):
    def coarse(passages, queries, out):
        halves = (torch.from_numpy(x).bfloat16().float() for x in (passages, queries))
        return (next(halves) @ next(halves).T).numpy()

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    exact = lambda passages, queries, out: passages @ queries.T  # noqa: E731
    monkeypatch.setattr(products, "onednn_product", exact)
    assert products.quickest_product() is products.onednn_product
    products._onednn_is_sound.cache_clear()
    monkeypatch.setattr(products, "onednn_product", coarse)
    assert products.quickest_product() is products.numpy_product


def test_a_product_that_is_not_there_is_not_used(monkeypatch):
    def missing(*_):
        raise AttributeError("no attribute '_linear_pointwise'")

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(products, "onednn_product", missing)
    assert products.quickest_product() is products.numpy_product


def test_a_precision_that_the_user_lowered_is_not_used():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert products.quickest_product() is products.numpy_product
    finally:
        torch.set_float32_matmul_precision(before)


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with products.torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
