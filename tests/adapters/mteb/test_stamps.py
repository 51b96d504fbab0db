"""What a run of many subsets does once: it reads the weights, unless something changes them."""

import pytest
import torch
from mteb.timing import TimingStack
from toys.encoders import meta
from toys.mteb import evaluate, tasks_of
from toys.sentence import Shapes

from hybridir_mteb.adapters.mteb import encoder
from hybridir_mteb.adapters.mteb.encoder import _stamp, unchanged
from hybridir_mteb.adapters.mteb.models import SentenceEncoder
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.plugins.settings import Setting


@pytest.fixture
def model(tmp_path):
    found = SentenceEncoder(Shapes(tmp_path / "network").made["mean"]())
    found.mteb_model_meta = meta("test/stamps")
    return found


@pytest.fixture
def counted(monkeypatch):
    """How often weights were read, and batches computed."""
    seen = {"weights": 0, "batches": 0}
    stamp, vectors = encoder.weights_stamp, TokenBudgetEncoder.vectors

    def read(module):
        seen["weights"] += 1
        return stamp(module)

    def computed(engine, *arguments):
        seen["batches"] += 1
        return vectors(engine, *arguments)

    monkeypatch.setattr(encoder, "weights_stamp", read)
    monkeypatch.setattr(TokenBudgetEncoder, "vectors", computed)
    return seen


def test_the_weights_are_read_once_for_all_subsets_of_a_task(model, toy, tmp_path, counted):
    task = tasks_of(toy)(Setting.CROSS_LINGUAL)
    assert len(task.hf_subsets) == 6
    evaluate(model, [task], tmp_path / "a")
    assert counted["weights"] == 1
    computed = counted["batches"]
    evaluate(model, [task], tmp_path / "b")
    assert counted == {"weights": 2, "batches": computed}


def test_an_edit_between_two_runs_is_seen_where_torch_does_not_count_it(
    model, toy, tmp_path, counted
):
    task = tasks_of(toy)(Setting.MONOLINGUAL)
    evaluate(model, [task], tmp_path / "a")
    computed = counted["batches"]
    next(model.model.parameters()).data.mul_(1.5)
    evaluate(model, [task], tmp_path / "b")
    assert counted["batches"] == 2 * computed


def test_a_step_of_training_is_seen_even_within_one_call(model):
    timer, module = TimingStack(), model.model
    parameter = next(module.parameters())
    stamps = []
    for change in (lambda: None, lambda: parameter.mul_(1.5), lambda: None):
        with torch.no_grad():
            change()
        with unchanged(timer):
            stamps.append(_stamp(module))
    assert stamps[0] != stamps[1] == stamps[2]
    other = parameter.detach() * 2
    parameter.data = other
    with unchanged(timer):
        assert _stamp(module) not in stamps
