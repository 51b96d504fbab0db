"""Rerankers, sparse and multi-vector models are refused by their own name in every way in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import pytest
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from sentence_transformers import (
    CrossEncoder,
    MultiVectorEncoder,
    SentenceTransformer,
    SparseEncoder,
)
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from sentence_transformers.sparse_encoder.modules import SpladePooling
from toys.encoders import HashEncoder, meta
from toys.mteb import evaluate, tasks_of
from toys.sentence import SIZE, Shapes, write_network
from transformers import BertForMaskedLM, BertForSequenceClassification, BertLMHeadModel

import hybridir_mteb
from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.adapters.sentence_transformers import LanguageBiasEvaluator
from hybridir_mteb.debias.sentence_transformer import DebiasedSentenceTransformer
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.kinds import refuse_other_files, refuse_other_kinds
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.errors import SettingError

KINDS = ("CrossEncoder", "SparseEncoder", "MultiVectorEncoder")
TEXTS = {"de": ["eins", "zwei"], "en": ["one", "two"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A model of each kind, as sentence-transformers makes it."""
    folder = tmp_path_factory.mktemp("kinds")
    heads = {
        "CrossEncoder": BertForSequenceClassification,
        "SparseEncoder": BertForMaskedLM,
        "MultiVectorEncoder": None,
    }
    for kind, head in heads.items():
        write_network(folder / kind, **({} if head is None else {"kind": head}), num_labels=1)
    masked = Transformer(str(folder / "SparseEncoder"), transformer_task="fill-mask")
    return {
        "CrossEncoder": CrossEncoder(str(folder / "CrossEncoder"), device="cpu"),
        "SparseEncoder": SparseEncoder(modules=[masked, SpladePooling("max")], device="cpu"),
        "MultiVectorEncoder": MultiVectorEncoder(str(folder / "MultiVectorEncoder"), device="cpu"),
    }


@pytest.fixture(scope="module")
def saved(made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) / "model" for kind in KINDS}
    for kind, folder in folders.items():
        made[kind].save_pretrained(str(folder))
    return folders


def refused(kind: str, way: Callable[[], Any]) -> None:
    with pytest.raises(SettingError) as caught:
        way()
    message = str(caught.value)
    assert kind in message
    assert "one dense vector for each text" in message
    assert "\n" not in message


def evaluated(model: Any) -> Any:
    relevant = {"q": {"d"}}
    return LanguageBiasEvaluator({"q": "a"}, {"d": "a"}, relevant, {"q": "de"}, {"d": "de"})(model)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_refused_by_its_name(kind, made):
    model = made[kind]
    refused(kind, lambda: BeirEncoder(model))
    refused(kind, lambda: evaluated(model))
    refused(kind, lambda: hybridir_mteb.fit_debiaser(model, TEXTS, "centre"))
    fitted: Any = None
    refused(kind, lambda: DebiasedSentenceTransformer(model, fitted))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_refused_by_its_name(kind, saved):
    folder = str(saved[kind])
    refused(kind, lambda: load_base(folder))
    refused(kind, lambda: BeirEncoder(folder))
    for name in ("me5s", "xlmr", "qwen2.5-7b"):  # as published, with pooling, a decoder
        backbone = next(one for one in BACKBONES if one.name == name)
        refused(kind, lambda backbone=backbone: load_backbone(backbone, weights=folder))


def test_a_published_backbone_is_trained_for_cosine_and_starts_with_one_transformer(tmp_path):
    shapes = Shapes(tmp_path)
    backbone = next(one for one in BACKBONES if one.name == "me5s")
    for name in ("dot", "router"):
        shapes.made[name]().save_pretrained(str(tmp_path / name))
    found = load_backbone(backbone, weights=str(tmp_path / "dot"))
    assert found.similarity_fn_name == "cosine"
    with pytest.raises(SettingError, match="starts with Router; give other weights"):
        load_backbone(backbone, weights=str(tmp_path / "router"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_commands_say_it_in_one_line(kind, saved, failure, tmp_path):
    folder = str(saved[kind])
    task = "PocketQARMonolingualRetrieval"
    for command in (
        ("search", folder, task, "--output", str(tmp_path / "out"), "--subset", "de"),
        ("debias", "fit", "--model", folder, "--method", "centre"),
    ):
        said = failure(*command)
        assert kind in said
        assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_in_mteb_the_wrappers_are_refused_and_a_search_model_searches(made, toy, tmp_path):
    for kind in ("CrossEncoder", "SparseEncoder"):
        refused(kind, lambda kind=kind: evaluate(made[kind], tasks_of(toy)(), tmp_path / kind))
    found = evaluate(made["MultiVectorEncoder"], tasks_of(toy)(), tmp_path / "many")
    assert found.task_results  # MTEB's wrapper searches by MaxSim itself
    wrapper = mteb.models.MultiVectorWrapper(made["MultiVectorEncoder"])
    refused("MultiVectorEncoder", lambda: BeirEncoder(wrapper))


def test_a_plain_network_is_told_by_its_head(tmp_path):
    """Without modules.json; sentence-transformers averages the tokens of any."""
    reranker = write_network(tmp_path / "reranker", kind=BertForSequenceClassification)
    refused("CrossEncoder", lambda: refuse_other_files(reranker))
    for name, kind in (("masked", BertForMaskedLM), ("causal", BertLMHeadModel)):
        refuse_other_files(write_network(tmp_path / name, kind=kind, is_decoder=name == "causal"))
    # A head under a SentenceTransformer of its own is that SentenceTransformer.
    own = SentenceTransformer(modules=[Transformer(str(reranker)), Pooling(SIZE)], device="cpu")
    own.save_pretrained(str(tmp_path / "own"))
    refuse_other_files(tmp_path / "own")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("config_sentence_transformers.json", {"model_type": "Newer"}, "Newer"),
        ("modules.json", [{"type": "pylate.models.Dense"}], "MultiVectorEncoder"),
        (
            "modules.json",
            [{"type": "sentence_transformers.sparse_encoder.models.SpladePooling"}],
            "SparseEncoder",
        ),
        ("config.json", {"architectures": ["HF_ColBERT"]}, "MultiVectorEncoder"),
        ("adapter_config.json", {"task_type": "SEQ_CLS"}, "CrossEncoder"),
    ],
)
def test_older_files_are_told_too(name, content, kind, tmp_path):
    (tmp_path / name).write_text(json.dumps(content))
    refused(kind, lambda: refuse_other_files(tmp_path))


@pytest.mark.parametrize("content", [{}, [], None, "x", {"architectures": "x"}, [1, {"type": 2}]])
def test_files_of_another_form_say_nothing(content, tmp_path):
    for name in ("config_sentence_transformers.json", "config.json", "adapter_config.json"):
        (tmp_path / name).write_text(json.dumps(content))
    refuse_other_files(tmp_path)
    (tmp_path / "modules.json").write_text(json.dumps(content))
    refuse_other_files(tmp_path)


def test_a_hub_id_that_mteb_took_for_a_bi_encoder_is_refused(saved, monkeypatch):
    """As for a classifier without modules.json, of which MTEB knows nothing."""
    folder = saved["CrossEncoder"]
    loader = lambda *_, **__: SentenceTransformerEncoderWrapper(str(folder), device="cpu")  # noqa: E731
    known = meta("who/reranker", loader=loader)
    monkeypatch.setattr("mteb.models.get_model_meta.get_model_meta", lambda *_, **__: known)
    asked: list[Any] = []

    def file_of(place: str, name: str, **options: Any) -> str:
        asked.append((place, options))
        return str(folder / name)

    monkeypatch.setattr("hybridir_mteb.encoders.kinds.load_file_path", file_of)
    refused("CrossEncoder", lambda: load_base("who/reranker"))
    assert asked[0] == ("who/reranker", {"revision": "1", "local_files_only": True})


def test_other_objects_are_not_refused():
    for model in (object(), HashEncoder(), "text", None):
        refuse_other_kinds(model)
