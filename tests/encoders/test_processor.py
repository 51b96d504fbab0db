"""What is measured of the processor: once, kept, and only where nothing else was asked for."""

import json
from dataclasses import replace

import mteb
import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from toys.bert import write_bert_network

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, SentenceEncoder, settled
from hybridir_mteb.cli import doctor
from hybridir_mteb.encoders import cpu, processor
from hybridir_mteb.encoders.processor import (
    AUTO,
    LAYERS,
    Best,
    Measured,
    Way,
    all_kept,
    best_for,
    by_instructions,
    measured,
    peak,
    products,
)
from hybridir_mteb.encoders.token_budget import CPU_TOKEN_BUDGET, Precision, TokenBudgetEncoder
from hybridir_mteb.errors import SettingError
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.training.run import training_precision

FP32, BF16 = Precision
LARGE = 4 * CPU_TOKEN_BUDGET


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_bert_network(tmp_path_factory.mktemp("network"), num_hidden_layers=LAYERS + 2)


@pytest.fixture
def model(folder):
    return SentenceTransformer(modules=[Transformer(str(folder)), Pooling(16)], device="cpu")


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """The processor is measured, and nothing is known of it; a moment must do."""
    monkeypatch.setenv("HYBRIDIR_PROBE", "1")
    processor._PROBES.forget()
    monkeypatch.setattr(processor, "WATCHED_S", 0.0)
    monkeypatch.setattr(processor, "OF_A_PRODUCT_S", 0.0)
    monkeypatch.setenv("HYBRIDIR_PRODUCTS", "blas")


def of_rates(rates):
    """A measurement by hand: ``{(precision, budget, threads): tokens a second}``."""
    return Measured("a processor", "a network", dict.fromkeys(Precision, 1e9), rates)


HALF_IS_FASTER = of_rates(
    {
        Way(FP32, CPU_TOKEN_BUDGET, 4): 100.0,
        Way(FP32, LARGE, 4): 104.0,
        Way(FP32, CPU_TOKEN_BUDGET, 2): 90.0,
        Way(BF16, CPU_TOKEN_BUDGET, 4): 110.0,
        Way(BF16, LARGE, 4): 100.0,
        Way(BF16, CPU_TOKEN_BUDGET, 2): 116.0,
    }
)


@pytest.fixture
def counted(monkeypatch):
    """Encoders that were measured; what is found is ``HALF_IS_FASTER``, of this processor."""
    seen = []
    found = replace(HALF_IS_FASTER, processor=cpu.processor_name())
    monkeypatch.setattr(processor, "measure", lambda model: seen.append(model) or found)
    return seen


def test_each_precision_and_batch_is_timed_on_the_first_layers_alone(model):
    went = []
    for at, layer in enumerate(model[0].model.encoder.layer):
        layer.register_forward_pre_hook(lambda *_, at=at: went.append(at))
    random, before = torch.get_rng_state(), TokenBudgetEncoder(model).encode(["w1 w2", "w3"])
    went.clear()
    found = measured(model)
    assert set(went) == {*range(LAYERS)}
    assert [*found.rates][:2] == [Way(FP32, CPU_TOKEN_BUDGET, 1), Way(FP32, LARGE, 1)]
    assert {way.precision for way in found.rates} == {FP32, BF16}
    assert min(*found.rates.values(), *found.peaks.values()) > 0
    assert found.encoder == f"BertModel, {sum(p.numel() for p in model.parameters()):,} parameters"
    # Nothing is left of it.
    assert (TokenBudgetEncoder(model).encode(["w1 w2", "w3"]) == before).all()
    assert {*went} == {*range(LAYERS + 2)}
    assert torch.equal(random, torch.get_rng_state())


def test_it_is_measured_once_for_each_processor_shape_and_number_of_threads(
    model, counted, monkeypatch
):
    def again():
        processor._PROBES.forget()  # as in another process
        return measured(model)

    first = measured(model)
    assert measured(model) is first
    assert again() == first
    assert len(counted) == 1
    with monkeypatch.context() as other:
        other.setattr(processor, "processor", lambda: ("another", "avx2", 2.0))
        again()
        assert len(counted) == 2
        again()
        assert len(counted) == 2
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    again()
    assert len(counted) == 3
    model[0].model.encoder.layer.pop(-1)
    again()
    assert len(counted) == 4
    assert [found for _, found in all_kept()] == [first] * 4


def test_flags_and_cores_tell_processors_apart(monkeypatch):
    known = cpu.processor()
    assert known[0] == cpu.processor_name() != ""
    monkeypatch.setattr(cpu, "allowed_cores", lambda: 96.0)
    assert cpu.processor() == (*known[:2], 96.0)


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "digit", "other keys", "one precision", "no number", "folder"]
)
def test_a_damaged_entry_is_measured_again(model, counted, damage):
    first = measured(model)
    ((file, _),) = all_kept()
    good, content = file.read_text(), read_record(file)
    if damage == "folder":
        file.unlink()
        file.mkdir()
    elif damage == "other keys":
        write_record(file, {"rates": content["rates"]})
    elif damage == "one precision":
        write_record(file, {**content, "rates": content["rates"][:2]})
    elif damage == "no number":
        write_record(file, {**content, "peaks": {"fp32": "fast"}})
    else:
        kept = {"empty": "", "cut": good[:90], "digit": good.replace("116.0", "996.0")}
        file.write_text(kept[damage])
    processor._PROBES.forget()
    assert [*all_kept()] == []
    assert measured(model) == first
    assert len(counted) == 2
    if damage != "folder":
        assert json.loads(file.read_text()) == json.loads(good)


def test_where_nothing_can_be_kept_a_process_measures_once(model, counted):
    paths.probes_dir().write_text("a file in its place")
    assert measured(model) is measured(model)
    assert len(counted) == 1


def test_the_usual_way_stays_unless_another_is_worth_it():
    found = HALF_IS_FASTER
    assert found.way(FP32) == Way(FP32, CPU_TOKEN_BUDGET, 4)
    assert found.way(BF16) == Way(BF16, CPU_TOKEN_BUDGET, 2)
    assert found.precision is BF16
    rates = {**found.rates, Way(BF16, CPU_TOKEN_BUDGET, 2): 109.0}
    assert of_rates({**rates, Way(BF16, CPU_TOKEN_BUDGET, 4): 109.0}).precision is FP32
    assert of_rates({**rates, Way(FP32, LARGE, 4): 105.0}).way(FP32) == Way(FP32, LARGE, 4)


def test_what_is_asked_for_is_taken(model, counted, monkeypatch):
    assert best_for(model, "fp32", 77) == Best(FP32, 77)
    monkeypatch.setenv("HYBRIDIR_TOKEN_BUDGET", "99")
    assert best_for(model, "bf16") == Best(BF16, 99)
    assert counted == []
    assert best_for(model, AUTO) == Best(BF16, 99, 2)
    monkeypatch.delenv("HYBRIDIR_TOKEN_BUDGET")
    assert best_for(model) == Best(FP32, CPU_TOKEN_BUDGET, 4)
    assert best_for(model, AUTO, 55) == Best(BF16, 55, 2)
    assert len(counted) == 1
    monkeypatch.setenv("HYBRIDIR_PROBE", "0")
    assert best_for(model, AUTO) == Best(by_instructions())
    assert best_for(model) == Best(FP32)
    monkeypatch.setenv("HYBRIDIR_TOKEN_BUDGET", "many")
    with pytest.raises(SettingError, match="HYBRIDIR_TOKEN_BUDGET='many': expected the number"):
        best_for(model)


def test_a_model_that_makes_its_batches_itself_is_not_measured(model, counted):
    model.encode = model.encode
    assert best_for(model, AUTO) == Best(by_instructions())
    assert counted == []


def test_an_encoder_is_exact_unless_auto_is_asked_for(model, counted):
    usual, fast = SentenceEncoder(model), SentenceEncoder(model, precision=AUTO)
    assert (usual.engine.precision, fast.engine.precision) == (FP32, BF16)
    assert (usual.engine.token_budget, usual.engine.threads) == (CPU_TOKEN_BUDGET, 4)
    assert fast.engine.threads == 2
    exact, half = (one.engine.encode(["w1 w2 w3"]) for one in (usual, fast))
    assert not np.array_equal(exact, half)
    assert settled(AUTO, fast) == "bf16"
    assert (settled("fp32", fast), settled(None, fast), settled(AUTO, object())) == (
        *("fp32", None, AUTO),
    )


def test_results_are_filed_under_what_auto_has_become(model, counted):
    meta = mteb.get_model_meta("hybridir/pocket-base")
    asked = meta.model_copy(update={"experiment_kwargs": {"precision": AUTO}})
    encoder = SentenceEncoder(model, precision=AUTO)
    for loaded in (encoder, DebiasedEncoder(encoder, fitted=None)):  # type: ignore[arg-type]
        loaded.mteb_model_meta = asked
        assert loaded.mteb_model_meta.experiment_kwargs == {"precision": "bf16"}
        loaded.mteb_model_meta = meta
        assert loaded.mteb_model_meta.experiment_kwargs == meta.experiment_kwargs


def test_training_takes_what_is_faster_for_its_backbone(model, counted):
    assert training_precision(AUTO, model) is BF16
    assert training_precision("fp32", model) is FP32
    assert training_precision(AUTO) is by_instructions()
    assert len(counted) == 1


def test_a_forward_pass_has_its_own_number_of_threads(model):
    seen = []
    model[0].register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    engine = TokenBudgetEncoder(model)
    before = engine.encode(["w1 w2"])
    engine.threads = 2
    assert np.abs(engine.encode(["w1 w2"]) - before).max() <= 1e-6
    assert (seen, torch.get_num_threads()) == ([1, 2], 1)


def test_the_doctor_shows_what_was_measured(model, counted, monkeypatch):
    def shown():
        titles = {title: dict(found) for title, found in doctor.examine().sections}
        return titles["Machine"]

    assert shown()["encoders measured"] == f"0, in {paths.probes_dir()}"
    measured(model)
    machine = shown()
    assert machine["processor"] == cpu.processor_name()
    assert machine["encoders measured"].startswith("1, in ")
    said = "auto is bf16, 1024 tokens a batch, 2 threads; tokens/s in 2 layers: fp32 100, bf16 116"
    assert machine["a network"].startswith(said)
    monkeypatch.setenv("HYBRIDIR_PROBE", "0")
    assert shown()["encoders measured"] == "off (HYBRIDIR_PROBE)"


def test_the_peak_is_of_the_shapes_that_an_encoder_has(model, monkeypatch):
    layers = LAYERS + 2
    squares = 4 * layers + 1  # and BERT's own pooler
    assert products(model) == {(16, 16): squares, (32, 16): layers, (16, 32): layers}
    monkeypatch.setattr(processor, "least_seconds", lambda work, watched: 2.0)
    operations = 2 * 10 * (squares * 16 * 16 + 2 * layers * 16 * 32)
    assert peak(model, 10, FP32) == operations / ((squares + 2 * layers) * 2.0)
    assert peak(torch.nn.Embedding(3, 4), 10, FP32) == 0
