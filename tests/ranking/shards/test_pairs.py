"""The float32 products that select candidates: within the bound, or not used."""

import numpy as np
import pytest
import torch

from hybridir_mteb.ranking.arrays import Similarity
from hybridir_mteb.ranking.onednn import available, laid_out, onednn
from hybridir_mteb.ranking.shards import pairs as products
from hybridir_mteb.ranking.shards.pairs import (
    AT_ONCE,
    PairScorer,
    Product,
    are_unit,
    slack,
    unit_slack,
)
from hybridir_mteb.ranking.shards.tiles import NumpyTiles, TorchTiles


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
    for product in (Product(), products.quickest_product()):
        ready = product.ready(queries, n)
        assert ready.shape[0] == m
        found = product.of(passages, ready, np.empty((n, m), np.float32))
        assert found.dtype == np.float32
        assert (np.abs(found - exact) <= slack(dimension) * most * 1.001).all()


def test_the_internal_name_is_in_the_version_that_is_pinned():
    """If this fails: torch was upgraded; see whether the product has another name now."""
    assert torch.__version__.startswith("2.13.0")
    if torch.backends.mkldnn.is_available():
        assert str(torch.ops.mkldnn._linear_pointwise.default._schema) == (
            "mkldnn::_linear_pointwise(Tensor X, Tensor W, Tensor? B, str attr, Scalar?[] scalars, "
            "str? algorithm) -> Tensor Y"
        )
        assert str(torch.ops.mkldnn._reorder_linear_weight.default._schema) == (
            "mkldnn::_reorder_linear_weight(Tensor self, int? batch_size=None) -> Tensor Y"
        )


@pytest.mark.skipif(not available(), reason="PyTorch was built without oneDNN")
@pytest.mark.parametrize("rows", [1, 7, 512])
def test_what_is_laid_out_is_within_the_bound_for_any_number_of_rows(rows):
    rng = np.random.default_rng(rows)
    inputs = torch.from_numpy(rng.standard_normal((rows, 384), np.float32))
    weight = torch.from_numpy(rng.standard_normal((500, 384), np.float32))
    most = slack(384) * inputs.norm(dim=1)[:, None] * weight.norm(dim=1)
    exact = inputs.double() @ weight.double().T
    with torch.inference_mode():
        found = onednn(inputs, laid_out(weight, 512))
        assert ((found - exact).abs() <= most).all()


def test_a_product_that_rounds_more_is_not_used(monkeypatch):
    def coarse(inputs, weight):
        return inputs.bfloat16().float() @ weight.bfloat16().float().T

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(products, "available", lambda: True)
    monkeypatch.setattr(products, "laid_out", lambda weight, rows: weight)
    monkeypatch.setattr(products, "onednn", lambda inputs, weight: inputs @ weight.T)
    assert products.quickest_product().name == "onednn"
    products._onednn_is_sound.cache_clear()
    monkeypatch.setattr(products, "onednn", coarse)
    assert products.quickest_product().name == "blas"


@pytest.mark.parametrize("name", ["onednn", "laid_out"])
def test_a_product_that_is_not_there_is_not_used(monkeypatch, name):
    def missing(*_):
        raise AttributeError("no attribute '_linear_pointwise'")

    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(products, "available", lambda: True)
    monkeypatch.setattr(products, name, missing)
    assert products.quickest_product().name == "blas"


@pytest.mark.parametrize("similarity", Similarity)
@pytest.mark.parametrize("n", [1, AT_ONCE - 1, 3 * AT_ONCE + 5])
def test_pairs_that_share_vectors_have_the_scores_of_pairs_that_do_not(similarity, n):
    rng = np.random.default_rng(n)
    queries, vectors = (rng.standard_normal((size, 7), np.float32) for size in (9, n // 3 + 1))
    of = rng.integers(0, len(queries), n)
    place = rng.permutation(
        np.concatenate([np.arange(len(vectors)), rng.integers(0, len(vectors), n)])[:n]
    )
    _, place = np.unique(place, return_inverse=True)
    vectors = vectors[: place.max() + 1]
    pairs = PairScorer(queries, similarity)
    np.testing.assert_array_equal(
        pairs.scores(of, vectors, place), pairs.scores(of, vectors[place])
    )


@pytest.mark.parametrize("dimension", [1, 2, 384, 4096])
def test_lengths_that_float32_cannot_tell_from_1_are_within_the_bound(dimension):
    rng = np.random.default_rng(dimension)
    plain = np.abs(rng.standard_normal((2000, dimension))) + 0.01  # one sign: errors add up
    apart = dimension * 2.0**-24 * rng.uniform(-3, 3, 2000)
    scale = (1 + apart) / np.linalg.norm(plain, axis=1)
    vectors = (plain * scale[:, None]).astype(np.float32)
    off = np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1)
    unit = np.array([are_unit(vectors[at : at + 1]) for at in range(len(vectors))])
    assert 0 < unit.sum() < len(unit)
    assert off[unit].max() <= unit_slack(dimension)
    assert not are_unit(vectors)
    assert are_unit(vectors[unit])


@pytest.mark.parametrize(
    "vectors",
    [np.eye(3, dtype=np.float16), np.zeros((1, 3), np.float32), np.full((1, 3), 1e30, np.float32)],
)
def test_what_is_not_of_length_1_in_float32_is_told(vectors):
    assert not are_unit(vectors)


@pytest.mark.parametrize("tiles", [NumpyTiles(), TorchTiles("cpu")])
def test_the_best_of_a_small_tile_is_that_of_sorting(tiles):
    tile = np.random.default_rng(0).integers(0, 9, (40, 6)).astype(np.float32)  # with ties
    given = tile if isinstance(tiles, NumpyTiles) else torch.from_numpy(tile)
    for depth in (1, 7, 40):
        expected = -np.sort(-tile, axis=0)[depth - 1]
        np.testing.assert_array_equal(tiles.reached(given, depth), expected)


@pytest.mark.parametrize("tiles", [NumpyTiles(), TorchTiles("cpu")])
def test_as_many_rows_of_a_tile_reach_what_is_said_and_few_more(tiles):
    tile = np.random.default_rng(0).standard_normal((400, 6), np.float32).round(2)  # with ties
    given = tile if isinstance(tiles, NumpyTiles) else torch.from_numpy(tile)
    for depth in (1, 7, 99, 400):
        reached = tiles.reached(given, depth)
        assert ((tile >= reached).sum(axis=0) >= depth).all()
        exact = -np.sort(-tile, axis=0)[min(2 * depth, len(tile)) - 1]
        assert (reached >= exact).all()


def test_a_precision_that_the_user_lowered_is_not_used():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        assert products.quickest_product().name == "blas"
    finally:
        torch.set_float32_matmul_precision(before)


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with products.torch_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
