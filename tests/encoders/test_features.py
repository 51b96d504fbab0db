"""Batches from tokens that are there already: what the model's own method gives, tokenised once."""

from collections import Counter

import numpy as np
import pytest
import torch
from toys.encoders import meta
from toys.mteb import evaluate, tasks_of
from toys.sentence import Shapes

from hybridir_mteb.adapters.mteb.models import SentenceEncoder
from hybridir_mteb.encoders.features import SAMPLES, Reader, Texts
from hybridir_mteb.encoders.sentence import is_plain, role_prompt
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.plugins.settings import Setting

TEXTS = ["one", "two words", "", " ", "drei Wörter\n hier", "long " * 30, "三 つ", "one"]
BATCHES = ([0], [1, 4, 3], [5, 2], [7, 6, 5, 4, 3, 2, 1, 0])
PLAIN = ["mean", "prompts", "prompt not pooled", "short", "no limit", "truncated"]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return Shapes(tmp_path_factory.mktemp("shapes")).made


def assert_as_by_model(model, role):
    prompt = role_prompt(model, role) if role else ""
    reader = Reader(model, prompt, role)
    assert reader.same
    read = Texts(reader, TEXTS)
    for batch in BATCHES:
        found = read.batch(batch)
        expected = reader.by_model([TEXTS[at] for at in batch])
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, found[name]), name
            else:
                assert value == found[name], name
        assert found["attention_mask"].sum(1).tolist() == [read.lengths[at] for at in batch]


@pytest.mark.parametrize("role", [None, "query", "document"])
@pytest.mark.parametrize("shape", PLAIN)
def test_a_batch_is_what_the_models_own_method_makes_of_its_texts(shapes, shape, role):
    model = shapes[shape]()
    assert is_plain(model)
    assert_as_by_model(model, role)


def test_so_it_is_where_padding_is_on_the_left(shapes):
    model = shapes["prompts"]()
    model.tokenizer.padding_side = "left"
    assert_as_by_model(model, "query")
    assert Texts(Reader(model, "", None), ["a", "a b"]).batch([0, 1])["attention_mask"][0, 0] == 0


@pytest.mark.parametrize("change", ["another width", "more tensors", "other tokens"])
def test_a_model_that_reads_otherwise_reads_itself(shapes, monkeypatch, change):
    model = shapes["prompts"]()
    theirs = type(model[0]).preprocess

    def preprocess(module, texts, *rest, **options):
        if change == "other tokens":
            texts = [text.upper() for text in texts]
        found = theirs(module, texts, *rest, **options)
        return {**found, "more": torch.ones(len(texts))} if change == "more tensors" else found

    monkeypatch.setattr(type(model[0]), "preprocess", preprocess)
    if change == "another width":
        model[0].processing_kwargs = {"text": {"pad_to_multiple_of": 8}}
    reader = Reader(model, "", None)
    assert not reader.same
    for batch in BATCHES:
        found = Texts(reader, TEXTS).batch(batch)
        expected = reader.by_model([TEXTS[at] for at in batch])
        assert torch.equal(found["input_ids"], expected["input_ids"])
    assert np.isfinite(TokenBudgetEncoder(model, token_budget=40).encode(TEXTS)).all()


def test_a_run_of_all_settings_tokenises_each_text_once(shapes, toy, tmp_path, monkeypatch):
    """With its prompt; the samples that tell how a model reads are not texts of the collection."""
    model = shapes["prompts"]()
    seen, kind = Counter(), type(model.tokenizer)
    theirs = kind.__call__

    def counted(tokenizer, text=None, *rest, **options):
        seen.update([text] if isinstance(text, str) else text)
        return theirs(tokenizer, text, *rest, **options)

    monkeypatch.setattr(kind, "__call__", counted)
    encoder = SentenceEncoder(model)
    encoder.mteb_model_meta = meta("test/counted")
    evaluate(encoder, [tasks_of(toy)(setting) for setting in Setting], tmp_path)
    for prompt in model.prompts.values():
        for sample in ("", *SAMPLES):
            del seen[prompt + sample]
    texts = {f"query: {query.text}" for part in toy.parts.values() for query in part.queries}
    texts |= {
        f"passage: {passage.text}" for part in toy.parts.values() for passage in part.passages
    }
    assert seen == dict.fromkeys(texts, 1)
