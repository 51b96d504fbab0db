"""The engine OpenVINO: the network's own vectors, or a refusal."""

import subprocess
import sys

import mteb
import numpy as np
import pytest
from toys.sentence import Shapes
from toys.training import write_tiny_decoder

from hybridir_mteb.adapters.mteb.load import engine_of
from hybridir_mteb.adapters.mteb.models import SentenceEncoder
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.network import add_lora
from hybridir_mteb.encoders.openvino import OpenVinoEncoder
from hybridir_mteb.encoders.sentence import cut
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.errors import MissingExtraError, SettingError

TEXTS = ["w1", "w2 w3 w4 w5 w6", "w7 w8 " * 9, "w9"]


@pytest.fixture
def shapes(tmp_path):
    return Shapes(tmp_path).made


def both(model, precision=Precision.FP32, budget=64):
    made = (TokenBudgetEncoder, OpenVinoEncoder)
    usual, ours = (kind(model, precision=precision, token_budget=budget) for kind in made)
    return usual.encode(TEXTS, "query: ", "query"), ours.encode(TEXTS, "query: ", "query")


@pytest.mark.parametrize(
    "kind", ["mean", "no norm", "dense", "prompts", "truncated", "short", "in training"]
)
def test_vectors_are_the_networks(shapes, kind):
    usual, ours = both(shapes[kind]())
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, usual, atol=1e-6)


def test_in_bf16_they_have_three_digits(shapes):
    usual, ours = both(shapes["mean"](), Precision.BF16)
    exact, _ = both(shapes["mean"]())
    assert 1e-6 < np.abs(ours - exact).max() < 2e-2
    assert np.abs(usual - exact).max() < 2e-2


def test_adapters_that_are_not_merged_are_computed(shapes):
    model = shapes["mean"]()
    before, _ = both(model)
    add_lora(model, rank=2, alpha=4, dropout=0.0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.1)
    usual, ours = both(model)
    np.testing.assert_allclose(ours, usual, atol=1e-6)
    assert np.abs(ours - before).max() > 1e-3


def test_a_decoder_whose_padding_it_gets_wrong_is_refused(tmp_path):
    weights = str(write_tiny_decoder(tmp_path / "llama", "llama"))
    (of,) = (one for one in BACKBONES if one.name == "decoder")
    model = cut(load_backbone(of, weights=weights), 160)
    with pytest.raises(SettingError, match=r"OpenVINO .*: leave engine out"):
        OpenVinoEncoder(model)


def test_what_is_no_network_of_transformers_is_refused(shapes):
    with pytest.raises(SettingError, match="computes transformers' networks on the processor"):
        OpenVinoEncoder(shapes["static"]())


def test_other_vectors_are_refused(shapes, monkeypatch):
    vectors = OpenVinoEncoder.vectors
    monkeypatch.setattr(
        OpenVinoEncoder, "vectors", lambda *given: vectors(*given)[:, ::-1], raising=True
    )
    with pytest.raises(SettingError, match=r"OpenVINO does not give the encoder's vectors in fp32"):
        OpenVinoEncoder(shapes["mean"]())


def test_the_engine_is_named_in_results_and_asked_for_by_a_variable(shapes, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_ENGINE", "openvino")
    model = SentenceEncoder(shapes["mean"](), engine=engine_of("x", {}))
    assert model.engine.name.startswith("openvino 2")
    model.mteb_model_meta = mteb.get_model_meta("hybridir/pocket-base")
    assert model.mteb_model_meta.experiment_name == "engine_openvino"
    with pytest.raises(SettingError, match="engine=openvino does not know normalize_embeddings"):
        model.engine.by_model(TEXTS, None, None, normalize_embeddings=True)


def test_where_it_is_not_installed_the_extra_is_named(shapes, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hybridir-mteb\[openvino\]"'):
        OpenVinoEncoder(shapes["mean"]())


def test_nobody_is_told_that_it_is_used():
    code = (
        "import sys\n"
        "from hybridir_mteb.encoders.openvino import unreported\n"
        "with unreported():\n"
        "    import openvino\n"
        "    from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm.__name__.endswith('telemetry_stub'), telemetry_utils.tm\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "import openvino_telemetry\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
