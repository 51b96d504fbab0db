"""Products of layers in float32 by the faster library: the same numbers, where they fit."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import linear

from hybridir_mteb import paths
from hybridir_mteb.encoders import products
from hybridir_mteb.encoders.products import (
    WORTH,
    ByOneDNN,
    Library,
    fastest_products,
    library,
    measure,
    said,
    speeds,
)
from hybridir_mteb.errors import SettingError
from hybridir_mteb.ranking.onednn import onednn


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """The processor is measured, and nothing is known of it; a moment must do."""
    monkeypatch.setenv("HYBRIDIR_PROBE", "1")
    products._SPEEDS.forget()
    monkeypatch.setattr(products, "WATCHED_S", 0.0)


@pytest.fixture
def calls(monkeypatch):
    """Shapes of what oneDNN was asked for."""
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        products, "onednn", lambda inputs, *more: seen.append(inputs.shape) or onednn(inputs, *more)
    )
    return seen


def of(*shape, seed=0, grad=False):
    values = np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)
    return torch.from_numpy(values).requires_grad_(grad)


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 40),
    biased=st.booleans(),
    learns=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_products_and_gradients_are_those_of_float64(shape, inputs, outputs, biased, learns):
    given = [of(*shape, inputs, seed=1), of(outputs, inputs, seed=2)]
    given += [of(outputs, seed=3)] if biased else []
    above = of(*shape, outputs, seed=4)
    found = [one.clone().requires_grad_(grad) for one, grad in zip(given, learns, strict=False)]
    exact = [one.double().requires_grad_(grad) for one, grad in zip(given, learns, strict=False)]
    with ByOneDNN():
        ours = linear(*found)
    theirs = linear(*exact)
    assert ours.dtype is torch.float32
    assert (ours - theirs).abs().max() <= 1e-4
    assert ours.requires_grad == theirs.requires_grad
    if ours.requires_grad:
        ours.backward(above)
        theirs.backward(above.double())
    for one, other in zip(found, exact, strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            assert (one.grad - other.grad).abs().max() <= 1e-4


def test_a_layer_learns_what_it_learns_otherwise():
    def trained():
        torch.manual_seed(0)
        layers = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4, bias=False)
        )
        step = torch.optim.SGD(layers.parameters(), lr=0.1)
        for at in range(20):
            loss = (layers(of(6, 3, 8, seed=at)) - of(6, 3, 4, seed=at)).square().mean()
            step.zero_grad()
            loss.backward()
            step.step()
        return torch.cat([one.detach().flatten() for one in layers.parameters()])

    usual = trained()
    with ByOneDNN():
        ours = trained()
    assert (ours - usual).abs().max() <= 1e-5


def test_only_plain_float32_of_the_processor_goes_there(calls):
    class Own(torch.Tensor):
        pass

    weight, bias = of(5, 8), of(5)
    with ByOneDNN():
        linear(of(2, 8), weight)
        linear(of(2, 3, 8), weight, bias)
        assert calls == [(2, 8), (2, 3, 8)]
        calls.clear()
        linear(of(8), weight)
        assert linear(of(0, 8), weight).shape == (0, 5)
        linear(of(2, 8).double(), weight.double())
        linear(of(2, 8).bfloat16(), weight.bfloat16(), bias.bfloat16())
        linear(of(2, 8).as_subclass(Own), weight)
        linear(of(2, 8, grad=False).to("meta"), weight.to("meta"))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert linear(of(2, 8), weight).dtype is torch.bfloat16
        with pytest.raises(RuntimeError):
            linear(of(2, 7), weight.to("meta"))
    linear(of(2, 8), weight)
    assert calls == []


def test_sizes_that_do_not_fit_are_refused():
    with ByOneDNN(), pytest.raises(RuntimeError):
        linear(of(2, 7), of(5, 8))


def test_the_faster_library_is_taken_and_remembered(monkeypatch):
    rates = {Library.BLAS: 100.0, Library.ONEDNN: 100.0 * WORTH}
    asked: list[int] = []
    monkeypatch.setattr(products, "measure", lambda: asked.append(1) or rates)
    assert said() == "measured when an encoder first needs it"
    assert library() is Library.ONEDNN
    assert isinstance(fastest_products(), ByOneDNN)
    products._SPEEDS.forget()  # as in another process
    assert library() is Library.ONEDNN
    assert said().startswith("onednn: blas 0 GFLOP/s")
    assert len(asked) == 1
    (file,) = (paths.probes_dir() / "products").iterdir()
    file.write_text(file.read_text().replace("100", "900", 1))  # damaged: measured again
    products._SPEEDS.forget()
    rates[Library.ONEDNN] -= 1
    assert library() is Library.BLAS
    assert not isinstance(fastest_products(), ByOneDNN)
    assert len(asked) == 2


def test_the_user_may_say_which(monkeypatch):
    monkeypatch.setattr(products, "measure", lambda: pytest.fail("it measures"))
    for one in Library:
        monkeypatch.setenv("HYBRIDIR_PRODUCTS", one.value)
        assert library() is one
        assert said() == f"{one} (HYBRIDIR_PRODUCTS)"
    monkeypatch.setenv("HYBRIDIR_PRODUCTS", "mkl")
    with pytest.raises(SettingError, match="HYBRIDIR_PRODUCTS='mkl': expected blas or onednn"):
        library()
    monkeypatch.delenv("HYBRIDIR_PRODUCTS")
    monkeypatch.setenv("HYBRIDIR_PROBE", "0")
    assert library() is Library.BLAS
    assert said() == "blas (HYBRIDIR_PROBE switches the measurement off)"


def test_both_are_measured():
    assert set(measure()) == set(Library)
    assert min(speeds().values()) > 0
