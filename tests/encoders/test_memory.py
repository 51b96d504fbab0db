"""Each distinct (prompt, text) is encoded once, and nothing finished is encoded again."""

import gc
import hashlib
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace, text_key
from hybridir_mteb.encoders.memory import EncodeOnce, PerModel, encode_once_for
from hybridir_mteb.errors import EmbeddingError


def vector(text: str, prompt: str = "", dimension: int = 4) -> np.ndarray:
    digest = hashlib.blake2b(f"{prompt}|{text}".encode(), digest_size=8).digest()
    generator = np.random.default_rng(int.from_bytes(digest, "little"))
    return generator.standard_normal(dimension).astype(np.float32)


class Recorder:
    """A batch encoder that is a function of the text and notes what it was asked for.

    Batches come in reverse order: no caller may count on the order of the texts.
    """

    def __init__(self, prompt: str = "", batch: int = 2, dimension: int = 4) -> None:
        self.prompt, self.batch, self.dimension = prompt, batch, dimension
        self.seen: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        positions = list(range(len(texts)))[::-1]
        for start in range(0, len(positions), self.batch):
            part = positions[start : start + self.batch]
            self.seen += [texts[at] for at in part]
            yield (part, np.stack([vector(texts[at], self.prompt, self.dimension) for at in part]))


def open_store(folder: Path) -> EmbeddingStore:
    return EmbeddingStore(folder, Namespace("toy", 512, "float32"), 10**9)


def test_repeated_texts_share_a_row():
    matrix, rows = EncodeOnce(None).embed(["a", "b", "a", "a", "b"], "", Recorder())
    assert matrix.shape == (2, 4)
    assert rows.tolist() == [0, 1, 0, 0, 1]
    np.testing.assert_array_equal(matrix, [vector("a"), vector("b")])


def test_each_text_is_encoded_once_over_many_calls():
    once, recorder = EncodeOnce(None), Recorder()
    for texts in (["a", "b", "a"], ["b", "c"], ["c", "a", "b"], ["d"]):
        once.embed(texts, "", recorder)
    assert sorted(recorder.seen) == ["a", "b", "c", "d"]
    assert once.encoded == 4


def test_the_same_text_under_another_prompt_is_another_text():
    once = EncodeOnce(None)
    query, passage = Recorder("query: "), Recorder("passage: ")
    as_query, _ = once.embed(["a", "b"], "query: ", query)
    as_passage, _ = once.embed(["a", "b"], "passage: ", passage)
    assert (sorted(query.seen), sorted(passage.seen)) == (["a", "b"], ["a", "b"])
    np.testing.assert_array_equal(as_query, [vector("a", "query: "), vector("b", "query: ")])
    np.testing.assert_array_equal(as_passage, [vector("a", "passage: "), vector("b", "passage: ")])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.text(max_size=3), min_size=1, max_size=12), min_size=1, max_size=4))
def test_rows_map_back_to_the_embeddings_of_direct_encoding(calls):
    once, recorder = EncodeOnce(None), Recorder(batch=3)
    for texts in calls:
        matrix, rows = once.embed(texts, "", recorder)
        assert len(matrix) == len(set(texts))
        np.testing.assert_array_equal(matrix[rows], [vector(text) for text in texts])
    assert sorted(recorder.seen) == sorted({text for texts in calls for text in texts})


def test_a_later_run_takes_everything_from_the_store(tmp_path):
    first, second = Recorder(), Recorder()
    EncodeOnce(open_store(tmp_path)).embed(["a", "b", "c"], "", first)
    once = EncodeOnce(open_store(tmp_path))
    matrix, rows = once.embed(["c", "d", "a"], "", second)
    assert (second.seen, once.encoded) == (["d"], 1)
    np.testing.assert_array_equal(matrix[rows], [vector("c"), vector("d"), vector("a")])


def test_the_store_keeps_prompts_apart(tmp_path):
    EncodeOnce(open_store(tmp_path)).embed(["a"], "query: ", Recorder("query: "))
    recorder = Recorder("passage: ")
    matrix, _ = EncodeOnce(open_store(tmp_path)).embed(["a"], "passage: ", recorder)
    assert recorder.seen == ["a"]
    np.testing.assert_array_equal(matrix, [vector("a", "passage: ")])


def test_every_batch_is_in_the_store_before_the_next(tmp_path):
    texts, found = list("abcdefg"), []

    def encode(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        for batch in Recorder()(texts):
            keys = [text_key("", text) for text in texts]
            found.append(len(open_store(tmp_path).get(keys)))
            yield batch

    EncodeOnce(open_store(tmp_path)).embed(texts, "", encode)
    assert found == [0, 2, 4, 6]


def interrupted_after_two_batches(recorder: Recorder):
    def encode(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        for number, batch in enumerate(recorder(texts)):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    return encode


def test_an_interrupted_call_keeps_what_it_had_in_memory():
    texts = list("abcdefg")
    once, rest = EncodeOnce(None), Recorder()
    with pytest.raises(KeyboardInterrupt):
        once.embed(texts, "", interrupted_after_two_batches(Recorder()))
    assert once.encoded == 4
    matrix, rows = once.embed(texts, "", rest)
    assert sorted(rest.seen) == ["a", "b", "c"]  # the recorder begins at the end
    np.testing.assert_array_equal(matrix[rows], [vector(text) for text in texts])


def test_an_interrupted_call_keeps_what_it_had_in_the_store(tmp_path):
    texts = list("abcdefg")
    rest = Recorder()
    with pytest.raises(KeyboardInterrupt):
        EncodeOnce(open_store(tmp_path)).embed(texts, "", interrupted_after_two_batches(Recorder()))
    matrix, rows = EncodeOnce(open_store(tmp_path)).embed(texts, "", rest)
    assert sorted(rest.seen) == ["a", "b", "c"]
    np.testing.assert_array_equal(matrix[rows], [vector(text) for text in texts])


def test_a_text_that_the_model_forgets_is_an_error():
    def forgetful(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        yield [0, 1], np.stack([vector(text) for text in texts[:2]])

    with pytest.raises(EmbeddingError, match="1 of 3 texts"):
        EncodeOnce(None).embed(["a", "b", "c"], "", forgetful)


def test_another_dimension_than_before_is_an_error():
    once = EncodeOnce(None)
    once.embed(["a"], "", Recorder(dimension=4))
    with pytest.raises(EmbeddingError, match=r"dimension.*(4.*5|5.*4)"):
        once.embed(["b"], "", Recorder(dimension=5))


def test_another_dimension_than_in_the_store_is_an_error(tmp_path):
    EncodeOnce(open_store(tmp_path)).embed(["a"], "", Recorder(dimension=4))
    with pytest.raises(EmbeddingError, match=r"dimension.*(4.*5|5.*4)"):
        EncodeOnce(open_store(tmp_path)).embed(["a", "b"], "", Recorder(dimension=5))


def test_two_dimensions_in_one_call_are_an_error():
    def uneven(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        for at, text in enumerate(texts):
            yield [at], vector(text, dimension=4 + at)[None]

    with pytest.raises(EmbeddingError, match="dimension"):
        EncodeOnce(None).embed(["a", "b"], "", uneven)


def test_two_dimensions_in_the_store_are_an_error(tmp_path):
    for text, dimension in (("a", 4), ("b", 5)):
        EncodeOnce(open_store(tmp_path)).embed([text], "", Recorder(dimension=dimension))
    with pytest.raises(EmbeddingError, match="dimension"):
        EncodeOnce(open_store(tmp_path)).embed(["a", "b"], "", Recorder())


def test_no_texts_at_all_is_an_error():
    with pytest.raises(EmbeddingError, match="no texts"):
        EncodeOnce(None).embed([], "", Recorder())


class Model:
    """Anything that can be weakly referenced."""


def test_a_model_object_keeps_one_memory_for_each_variant():
    model, other = Model(), Model()
    opened: list[str] = []

    def make_store() -> None:
        opened.append("store")

    once = encode_once_for(model, "", "s", make_store)
    assert encode_once_for(model, "", "s", make_store) is once
    assert opened == ["store"]
    assert encode_once_for(model, "normalize=False", "s", make_store) is not once
    assert encode_once_for(other, "", "s", make_store) is not once


def test_the_memory_is_freed_with_the_model():
    model = Model()
    memories = [weakref.ref(encode_once_for(model, name, "s", lambda: None)) for name in ("a", "b")]
    gc.collect()
    assert all(memory() is not None for memory in memories)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert [memory() for memory in memories] == [None, None]


def test_weights_in_another_state_start_a_new_memory():
    model = Model()
    before = encode_once_for(model, "", "epoch 1", lambda: None)
    assert encode_once_for(model, "", "epoch 2", lambda: None) is not before


def test_what_is_forgotten_before_the_model_is_freed_at_once():
    model, values = Model(), PerModel()
    value = weakref.ref(values.get(model, "s", Model))
    assert value() is not None
    del values
    gc.collect()
    assert value() is None
