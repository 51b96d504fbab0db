"""Frozen weights in 4 bits: loading, training and inference with bitsandbytes, on the CPU."""

import sys

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from toys.training import write_parallel_jsonl, write_tiny_decoder

from hybridir_mteb.adapters.mteb.load import load_encoder
from hybridir_mteb.adapters.mteb.metas import encoder_metas
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.contents import applied_to
from hybridir_mteb.encoders.fingerprint import module_fingerprint, weights_stamp
from hybridir_mteb.encoders.four_bit import FourBit, check_four_bit, count, is_packed, pack
from hybridir_mteb.encoders.load import load_backbone, load_sentence_transformer
from hybridir_mteb.encoders.network import add_lora, freeze_in_bf16
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.errors import MissingExtraError, SettingError
from hybridir_mteb.training.plan import make_plan, run_folder
from hybridir_mteb.training.recipe import make_recipe
from hybridir_mteb.training.run import _packed, train

BY_NAME = {backbone.name: backbone for backbone in BACKBONES}
TEXTS = ["de", "a text that is somewhat longer than the other", "zwei Wörter"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_tiny_decoder(tmp_path_factory.mktemp("llama"), "llama"))


def decoder(weights, dtype=None):
    return load_backbone(BY_NAME["decoder"], weights=weights, dtype=dtype)


@pytest.fixture(scope="module")
def plan(weights, tmp_path_factory):
    data = write_parallel_jsonl(tmp_path_factory.mktemp("data") / "data.jsonl", 20)
    fields = {
        "backbone": "decoder",
        "method": "hybrid",
        "weights": weights,
        "data": [{"kind": "jsonl", "path": str(data)}],
        "held_out_every": 0,
        "steps": 2,
        "batch_size": 4,
        "mini_batch_size": 4,
        "learning_rate": 0.05,
        "precision": "fp32",
        "quantization": "nf4",
    }
    return make_plan(make_recipe(fields), leak_check=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def made(plan, store):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYBRIDIR_MODEL_STORE", store)
        return train(plan)


@pytest.fixture
def encoder(made, store, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", store)
    return made


def test_weights_are_packed_as_they_are_read_or_where_they_are(weights):
    read, packed = decoder(weights, FourBit()), decoder(weights)
    whole = sum(p.numel() for p in packed.parameters())
    pack(network_of(packed), FourBit())
    ours, theirs = network_of(packed).state_dict(), network_of(read).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert sum(map(count, read.parameters())) == whole > sum(p.numel() for p in read.parameters())
    assert np.array_equal(read.encode(TEXTS), packed.encode(TEXTS))
    cosines = (read.encode(TEXTS) * decoder(weights).encode(TEXTS)).sum(axis=1)
    assert ((cosines > 0.9) & (cosines < 0.99999)).all()  # close, and not the same


def test_encoding_changes_nothing_that_tells_the_network(weights):
    model = decoder(weights, FourBit())
    before = module_fingerprint(model), weights_stamp(model)
    model.encode(TEXTS)
    assert (module_fingerprint(model), weights_stamp(model)) == before
    assert None not in before
    assert before[0] != module_fingerprint(decoder(weights))
    with torch.no_grad():
        next(p for p in model.parameters() if p.dtype is torch.uint8).view(-1)[0] ^= 1
    assert module_fingerprint(model) != before[0]
    assert weights_stamp(model) != before[1]


def test_bytes_of_packed_layers_are_never_taken_for_numbers(weights):
    model = decoder(weights, FourBit())
    add_lora(model, rank=2, alpha=4, dropout=0.0)
    before = [p.dtype for p in model.parameters()]
    freeze_in_bf16(model)
    assert [p.dtype for p in model.parameters()] == before
    assert torch.uint8 in before


def test_an_encoder_is_trained_on_packed_weights_and_counted_whole(encoder, weights):
    whole = decoder(weights)
    record = encoder.record
    assert record["parameters"] == sum(p.numel() for p in whole.parameters())
    assert record["backbone"]["quantization"] == record["recipe"]["quantization"] == "nf4"
    assert "bitsandbytes" in record["versions"]
    (meta,) = [m for m in encoder_metas(list(BACKBONES), []) if m.name == encoder.name]
    assert meta.n_parameters == record["parameters"]
    embeddings = network_of(whole).get_input_embeddings().weight.numel()
    assert record["facts"]["embedding_parameters"] == embeddings
    assert "hybridir-mteb[qlora]" in (encoder.path / "README.md").read_text()


def test_packed_weights_and_the_adapter_beside_them_are_what_was_trained(encoder, weights):
    trained.verify(encoder)
    packed = load_sentence_transformer(encoder, BY_NAME.__getitem__)
    assert is_packed(packed)
    merged = load_sentence_transformer(encoder, BY_NAME.__getitem__, whole=True)
    assert not is_packed(merged)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    base, vectors = decoder(weights, FourBit()).encode(TEXTS), packed.encode(TEXTS)
    assert np.abs(vectors - base).max() > 1e-3  # something was learnt
    np.testing.assert_allclose(merged.encode(TEXTS), vectors, atol=1e-5)
    fingerprints = {module_fingerprint(model) for model in (packed, merged)}
    assert len(fingerprints - {None}) == 2
    assert is_packed(load_encoder(encoder.name).model)


def test_a_merged_encoder_is_an_ordinary_model_once_it_is_saved(encoder, tmp_path):
    merged = load_sentence_transformer(encoder, BY_NAME.__getitem__, whole=True)
    merged.save(str(tmp_path))
    again = SentenceTransformer(str(tmp_path), device="cpu")
    assert not is_packed(again)
    assert again.prompts == merged.prompts
    np.testing.assert_allclose(again.encode(TEXTS), merged.encode(TEXTS), atol=1e-6)


def test_the_format_decides_what_an_encoder_is(encoder):
    packed, whole = dict(encoder.record), dict(encoder.record)
    whole["backbone"] = {k: v for k, v in packed["backbone"].items() if k != "quantization"}
    assert applied_to(packed) != applied_to(whole)


def test_recipes_without_it_are_those_of_before(plan):
    assert '"quantization":"nf4"' in plan.recipe.model_dump_json()
    fields = plan.recipe.model_dump(exclude={"quantization"})
    whole = make_plan(make_recipe(fields), leak_check=False)
    assert "quantization" not in whole.recipe.model_dump_json()
    assert run_folder(whole) != run_folder(plan)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"lora": "none"}, "quantization: weights in 4 bits are frozen, so it needs lora"),
        ({"backbone": "xlmr", "weights": "."}, "xlmr is trained whole by default: add lora"),
        ({"quantization": "int3"}, "'nf4'"),
    ],
)
def test_what_cannot_be_packed_is_refused(plan, fields, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=said):
        make_plan(make_recipe({**plan.recipe.model_dump(), **fields}), leak_check=False)


def test_packed_weights_are_not_sharded(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(SettingError, match=r"nf4 is not sharded.*torchrun"):
        _packed(torch.float32)


def test_a_missing_package_and_a_device_that_cannot_are_one_line_each(monkeypatch):
    with pytest.raises(SettingError, match="cannot work on the device 'meta': ") as found:
        check_four_bit("meta")
    assert "\n" not in str(found.value)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    with pytest.raises(MissingExtraError) as missing:
        load_backbone(BY_NAME["pocket"], dtype=FourBit())
    assert str(missing.value) == (
        'quantization: nf4 needs bitsandbytes: pip install "hybridir-mteb[qlora]"'
    )
