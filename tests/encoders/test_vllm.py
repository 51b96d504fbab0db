"""The engine vLLM behind its comparison with the network itself; a stand-in, as there is no GPU."""

import json

import mteb
import numpy as np
import pytest
from toys import vllm
from toys.sentence import Shapes
from toys.training import write_tiny_decoder

from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.load import engine_of
from hybridir_mteb.adapters.mteb.models import SentenceEncoder
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.four_bit import FourBit, is_packed
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.network import add_lora
from hybridir_mteb.encoders.other_engine import COMPARED, check_parity, texts_to_compare
from hybridir_mteb.encoders.sentence import cut
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import MissingExtraError, SettingError

BY_NAME = {backbone.name: backbone for backbone in BACKBONES}
TEXTS = ["one", "a text that is longer", "drei"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_tiny_decoder(tmp_path_factory.mktemp("llama"), "llama"))


def decoder(weights, dtype=None):
    model = load_backbone(BY_NAME["decoder"], weights=weights, dtype=dtype)
    return cut(model, 160)


def test_vllm_is_given_the_encoders_own_tokens_and_gives_its_vectors(weights, monkeypatch):
    vllm.install(monkeypatch)
    model = SentenceEncoder(decoder(weights), engine="vllm")
    (settings,) = vllm.LLM.made
    assert (settings["runner"], settings["dtype"]) == ("pooling", "float32")
    reference = SentenceEncoder(decoder(weights))
    for role in ("query", "document"):  # queries have an instruction
        prompt = reference.prompt(mteb.types.PromptType(role))
        theirs = model.engine.encode(TEXTS, prompt, role)
        ours = reference.engine.encode(TEXTS, prompt, role)
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
    with pytest.raises(SettingError, match="engine=vllm does not know normalize_embeddings"):
        model.engine.by_model(TEXTS, None, None, normalize_embeddings=True)


def test_an_engine_that_pools_otherwise_is_refused(weights, monkeypatch):
    vllm.install(monkeypatch, pooling="MEAN")
    with pytest.raises(
        SettingError, match=r"text \d+ of 64 has cosine -?0\.\d{5} with the"
    ) as said:
        SentenceEncoder(decoder(weights), engine="vllm")
    assert "\n" not in str(said.value)


def test_the_worst_text_is_named():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((COMPARED, 8)).astype(np.float32)
    close = reference.copy()
    close[6] += 0.02 * np.abs(close[6]).max() * rng.standard_normal(8).astype(np.float32)
    cosine = close[6] @ reference[6] / np.linalg.norm(close[6]) / np.linalg.norm(reference[6])
    assert 0.999 < cosine < 0.9999
    check_parity(reference, close, Precision.BF16, "vLLM")
    with pytest.raises(SettingError, match=rf"text 7 of 64 has cosine {cosine:.5f} .* 0\.9999 is"):
        check_parity(reference, close, Precision.FP32, "vLLM")
    close[3] = np.nan
    with pytest.raises(SettingError, match=r"text 4 of 64 has cosine -1\.0"):
        check_parity(reference, close, Precision.BF16, "vLLM")
    with pytest.raises(SettingError, match=r"shape \(64, 4\), not \(64, 8\)"):
        check_parity(reference, close[:, :4], Precision.BF16, "vLLM")


def test_the_compared_texts_are_of_both_roles_and_some_are_long():
    queries, passages = texts_to_compare("query"), texts_to_compare("document")
    assert len({*queries, *passages}) == COMPARED
    assert min(map(len, passages[-4:])) > 4 * max(map(len, passages[:-4]))


def test_the_engine_is_part_of_what_vectors_are(weights, monkeypatch, tmp_path):
    vllm.install(monkeypatch)
    task = mteb.get_task("PocketQARMonolingualRetrieval", languages=["eng"])
    call = EncodeCall(task.metadata, "test", "en", {})
    monkeypatch.setenv("HYBRIDIR_ENGINE", "vllm")
    by_vllm = SentenceEncoder(decoder(weights), engine=engine_of("x", {}))
    usual = SentenceEncoder(decoder(weights), engine=engine_of("x", {"engine": "transformers"}))
    ours, theirs = of_mteb(usual, call), of_mteb(by_vllm, call)
    assert None not in (ours.identity("document"), theirs.identity("document"))
    assert ours.identity("document") != theirs.identity("document")
    assert json.loads(theirs.variant)["engine"] == "vllm 0.99.0"
    assert "engine" not in json.loads(ours.variant)
    meta = mteb.get_model_meta("hybridir/pocket-base")
    by_vllm.mteb_model_meta, usual.mteb_model_meta = meta, meta
    assert by_vllm.mteb_model_meta.experiment_name == "engine_vllm"
    assert usual.mteb_model_meta.experiment_name is None
    with pytest.raises(TypeError, match="x does not know the arguments speed"):
        engine_of("x", {"engine": "vllm", "speed": 1})
    monkeypatch.setenv("HYBRIDIR_ENGINE", "turbo")
    with pytest.raises(SettingError, match="HYBRIDIR_ENGINE='turbo': expected one of transformers"):
        engine_of("x", {})


def test_weights_in_4_bits_are_unpacked_and_merged_for_vllm(weights, monkeypatch):
    vllm.install(monkeypatch)
    model = decoder(weights, FourBit())
    add_lora(model, rank=2, alpha=4, dropout=0.0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.1)
    before = model.encode(TEXTS)
    by_vllm = SentenceEncoder(model, engine="vllm")
    assert not is_packed(model)
    np.testing.assert_allclose(by_vllm.engine.encode(TEXTS), before, atol=1e-4)


def test_what_vllm_cannot_be_told_of_is_refused(weights, monkeypatch, tmp_path):
    vllm.install(monkeypatch)
    with pytest.raises(SettingError, match=r"normalisation after it, not Pooling, Dense \(pooling"):
        SentenceEncoder(Shapes(tmp_path).made["dense"](), engine="vllm")
    monkeypatch.setitem(vllm.sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=r"engine=vllm needs vllm: pip install .*\[vllm\]"):
        SentenceEncoder(decoder(weights), engine="vllm")
