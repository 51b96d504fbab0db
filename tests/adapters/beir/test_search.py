"""Encoders and searches for BEIR's own classes, against BEIR 2.2.0 itself."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search import dense
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import BoW, StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from toys.beir import BeirHash, toy_set
from toys.encoders import HashEncoder

from hybridir_mteb.adapters import beir as ours
from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.beir.saved import passage_texts, query_texts, read
from hybridir_mteb.adapters.beir.search import ExactSearch
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    SettingError,
    UnknownNameError,
)

Results = dict[str, dict[str, float]]


@pytest.fixture
def corpus() -> Any:
    return toy_set()[0]


@pytest.fixture
def queries() -> Any:
    return toy_set()[1]


@pytest.fixture
def encoder() -> BeirEncoder:
    return BeirEncoder(BeirHash())


def close(first: Results, second: Results) -> None:
    """The same passages with the same scores."""
    assert first.keys() == second.keys()
    for query, hits in first.items():
        assert second[query] == pytest.approx(hits, abs=1e-6)


# --- Encoders ---


def test_title_and_text_are_joined_as_beir_and_mteb_do_it():
    rows = [{"title": "A", "text": "b "}, {"title": "", "text": " c"}, {"text": "d"}]
    assert passage_texts(rows) == ["A b", "c", "d"]
    assert passage_texts([{"title": None, "text": "e"}]) == ["e"]  # as BEIR's loader leaves it
    assert passage_texts({"title": ["A", ""], "text": ["b", "c"]}) == ["A b", "c"]
    assert passage_texts({"text": ["b"]}) == ["b"]
    assert passage_texts([" f "]) == ["f"]
    with pytest.raises(DataFormatError, match="passage number 1"):
        passage_texts([{"text": "a"}, {"title": "b"}])
    with pytest.raises(DataFormatError, match="number 0 of the corpus: the title 3 is no string"):
        passage_texts([{"title": 3, "text": "a"}])
    with pytest.raises(DataFormatError, match="passage number 1 of the corpus has no text: 7"):
        passage_texts(["a", 7])
    with pytest.raises(DataFormatError, match="query number 1 is no string: None"):
        query_texts(["a", None])
    with pytest.raises(DataFormatError, match="2 texts and 1 titles"):
        passage_texts({"title": ["A"], "text": ["b", "c"]})


def test_rows_come_in_input_order_and_each_text_is_encoded_once(encoder):
    texts = ["b", "a", "b", "c"]
    vectors = encoder.encode_queries(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (4, 32)
    assert (vectors[0] == vectors[2]).all()
    assert sorted(encoder.model.seen) == [("query", "a"), ("query", "b"), ("query", "c")]
    assert (encoder.encode_queries(texts[::-1]) == vectors[::-1]).all()
    assert len(encoder.model.seen) == 3
    assert not (encoder.encode_corpus(texts) == vectors).any()  # in the other role


def test_the_options_of_beir_are_honoured(encoder):
    rows = [{"title": "A", "text": "b"}]
    array = encoder.encode_corpus(rows, batch_size=2, show_progress_bar=True)
    tensor = encoder.encode_corpus(rows, batch_size=8, convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    assert tensor.dtype == torch.float32
    assert tensor.device.type == "cpu"
    assert (tensor.numpy() == array).all()
    unit = encoder.encode_queries(["a", "b"], normalize_embeddings=True)
    assert np.linalg.norm(unit, axis=1) == pytest.approx([1, 1])
    assert np.linalg.norm(encoder.encode_queries(["a"])) != pytest.approx(1, abs=1e-3)
    with pytest.raises(SettingError, match="prompt_name: not an option"):
        encoder.encode_queries(["a"], prompt_name="query")
    assert encoder.encode_queries([]).shape == (0, 32)
    with pytest.raises(EmbeddingError, match="no texts"):
        BeirEncoder(BeirHash()).encode_queries([])  # of unknown dimension


def test_without_keeping_each_call_encodes_anew():
    encoder = BeirEncoder(BeirHash(), keep=False)
    first = encoder.encode_corpus(["a", "b", "a"])
    assert len(encoder.model.seen) == 2
    assert (encoder.encode_corpus(["a", "b", "a"]) == first).all()
    assert len(encoder.model.seen) == 4
    encoder.keep = True
    assert [len(encoder.encode_corpus(["a"])) for _ in range(2)] == [1, 1]
    assert len(encoder.model.seen) == 5


def test_what_is_no_encoder_is_refused():
    with pytest.raises(SettingError, match="must be an encoder"):
        BeirEncoder(object())
    with pytest.raises(UnknownNameError, match="hybridir/pocket-hybrid"):
        BeirEncoder("hybridir/pocket-hybird")
    with pytest.raises(UnknownNameError, match="unknown language code"):
        BeirEncoder(BeirHash(), language="xx")
    encoder = BeirEncoder(BeirHash())
    with pytest.raises(SettingError, match="no sentence-transformers model"):
        encoder.start_multi_process_pool(["cpu"])


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
def test_names_objects_and_debiased_encoders_give_the_vectors_of_mteb():
    from sentence_transformers import SentenceTransformer

    from hybridir_mteb import DebiasedSentenceTransformer, load_debiaser

    texts, rows = ["Wie hoch ist der Turm?"], [{"title": "Turm", "text": "Er ist hoch."}]
    named = BeirEncoder("hybridir/pocket-base")
    network: SentenceTransformer = named.model.model
    query = network.encode(["query: " + texts[0]])
    passage = network.encode(["passage: Turm Er ist hoch."])
    assert named.encode_queries(texts) == pytest.approx(query, abs=1e-5)
    assert named.encode_corpus(rows) == pytest.approx(passage, abs=1e-5)
    network.prompts = {"query": "query: ", "passage": "passage: "}  # as E5's users name them
    bare = BeirEncoder(network)
    assert bare.encode_corpus(rows) == pytest.approx(passage, abs=1e-5)
    fitted = load_debiaser("hybridir/pocket-base+leace")
    wanted = fitted(passage, "de", "document")
    for language in ("de", None):  # None: it is detected
        debiased = BeirEncoder(DebiasedSentenceTransformer(network, fitted), language=language)
        assert debiased.encode_corpus(rows) == pytest.approx(wanted, abs=1e-5)
    assert debiased.embedding_key("query") != bare.embedding_key("query")


def tiny_sentence_transformer() -> Any:
    """A network of two numbers a word, quick to send to other processes."""
    words = [f"w{at}" for at in range(12)]
    return SentenceTransformer(modules=[BoW(vocab=words)], device="cpu")


def test_the_key_of_saved_embeddings_sees_every_weight():
    words = Tokenizer(WordLevel({f"w{at}": at for at in range(100)}, unk_token="w0"))
    network = SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=8)], device="cpu")
    encoder = BeirEncoder(network)
    before = encoder.embedding_key("document")
    assert before is not None
    with torch.no_grad():
        next(network.parameters())[9, 7] += 1  # no sample of the cheap digest
    assert encoder.embedding_key("document") != before


@pytest.mark.slow
def test_several_processes_give_the_same_vectors():
    encoder = BeirEncoder(tiny_sentence_transformer())
    corpus, queries, _ = toy_set()
    rows, texts = list(corpus.values()), list(queries.values())
    alone = BeirEncoder(tiny_sentence_transformer(), keep=False)
    pool = encoder.start_multi_process_pool(["cpu", "cpu"])
    try:
        found = encoder.encode_corpus_parallel(rows, pool, batch_size=4, chunk_id=0)
        asked = encoder.encode_queries_parallel(texts, pool, convert_to_tensor=True)
    finally:
        encoder.stop_multi_process_pool(pool)
    assert found == pytest.approx(alone.encode_corpus(rows))
    assert asked.numpy() == pytest.approx(alone.encode_queries(texts))


# --- Searches ---


@pytest.mark.parametrize("score_function", ["cos_sim", "dot"])
def test_exact_search_finds_what_beir_finds(encoder, corpus, queries, score_function):
    qrels = toy_set()[2]
    theirs = EvaluateRetrieval(
        dense.DenseRetrievalExactSearch(encoder, show_progress_bar=False),
        score_function=score_function,
    )
    search = ExactSearch(encoder, corpus_chunk_size=13)
    mine = EvaluateRetrieval(search, score_function=score_function)
    expected, found = theirs.retrieve(corpus, queries), mine.retrieve(corpus, queries)
    close(expected, found)
    assert all("0" not in hits for query, hits in found.items() if query == "0")
    for hits in found.values():
        assert list(hits.values()) == sorted(hits.values(), reverse=True)
    assert mine.evaluate(qrels, found, [10]) == theirs.evaluate(qrels, expected, [10])


def test_results_do_not_depend_on_chunks(encoder, corpus, queries):
    wanted = ExactSearch(encoder).search(corpus, queries, 10, "cos_sim")
    for size in (7, 50):
        found = ExactSearch(encoder, corpus_chunk_size=size).search(corpus, queries, 10, "cos_sim")
        assert [list(hits) for hits in found.values()] == [list(h) for h in wanted.values()]


def test_one_query_works_and_identical_ids_may_stay(encoder, corpus, queries):
    one = {"0": queries["0"]}
    dropping, keeping = (
        ExactSearch(encoder, ignore_identical_ids=drop).search(corpus, one, len(corpus), "dot")
        for drop in (True, False)
    )
    assert set(keeping["0"]) - set(dropping["0"]) == {"0"}
    assert len(ExactSearch(encoder).search(corpus, one, 5, "dot")["0"]) == 5
    with pytest.raises(IndexError):  # what BEIR 2.2.0 makes of it: if this fails, say so no more
        dense.DenseRetrievalExactSearch(encoder, show_progress_bar=False).search(
            {"a": corpus["1"]}, one, 5, "dot"
        )


class Broken(HashEncoder):
    """Gives NaN, and does not say what it is."""

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        return np.full_like(super().encode(inputs, **kwargs), np.nan)


def test_what_cannot_be_ranked_is_an_error(encoder, corpus, queries):
    with pytest.raises(EmbeddingError, match="NaN"):
        ExactSearch(BeirEncoder(Broken(""))).search(corpus, queries, 5, "dot")
    with pytest.raises(EmbeddingError, match="no passage"):
        ExactSearch(encoder).search({}, queries, 5, "dot")
    with pytest.raises(EmbeddingError, match="no queries"):
        ExactSearch(encoder).search(corpus, {}, 5, "dot")
    with pytest.raises(SettingError, match="query id 1 is of type int; ids are strings"):
        ExactSearch(encoder).search(corpus, {1: "x"}, 5, "dot")
    with pytest.raises(SettingError, match="passage id 7 is of type int; ids are strings"):
        ExactSearch(encoder).search({7: {"text": "x"}}, queries, 5, "dot")
    with pytest.raises(SettingError, match="passage id 7 is of type int; ids are strings"):
        ExactSearch(encoder).encode({7: {"text": "x"}}, queries)
    with pytest.raises(SettingError, match="corpus: expected a mapping from ids, got"):
        ExactSearch(encoder).search(["text"], queries, 5, "dot")
    with pytest.raises(SettingError, match="score_function 3: choose from cos_sim, dot"):
        ExactSearch(encoder).search(corpus, queries, 5, 3)
    for depth in (0, -1, True, 2.5, "5", None):
        with pytest.raises(SettingError, match=r"top_k=.*: give 1 or more"):
            ExactSearch(encoder).search(corpus, queries, depth, "dot")
    with pytest.raises(SettingError, match="'euclid': choose from cos_sim, dot"):
        ExactSearch(encoder).search(corpus, queries, 5, "euclid")
    with pytest.raises(SettingError, match="choose from"):
        ExactSearch(encoder, score_function="euclid")


def test_saved_embeddings_are_searched_and_not_made_twice(encoder, corpus, queries, tmp_path):
    search = ExactSearch(encoder, corpus_chunk_size=50)
    wanted = search.search(corpus, queries, 20, "cos_sim")
    retriever = EvaluateRetrieval(search, k_values=[20])
    folder = str(tmp_path / "embeddings")
    found = retriever.encode_and_retrieve(corpus, queries, encode_output_path=folder)
    assert found == wanted
    names = sorted(path.name for path in Path(folder).iterdir())
    assert names == ["corpus.0.pkl", "corpus.1.pkl", "corpus.2.pkl", "queries.pkl"]
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads((Path(folder) / "queries.pkl").read_bytes())
    assert read(Path(folder) / "corpus.2.pkl").ids == list(corpus)[100:]
    times = {path: path.stat().st_mtime_ns for path in Path(folder).iterdir()}
    again = retriever.encode_and_retrieve(
        corpus, queries, encode_output_path=folder, score_function="dot"
    )
    assert again == search.search(corpus, queries, 20, "dot")
    assert {path: path.stat().st_mtime_ns for path in Path(folder).iterdir()} == times


def test_saved_embeddings_of_something_else_are_not_used(encoder, corpus, queries, tmp_path):
    search = ExactSearch(encoder, corpus_chunk_size=50)
    search.encode(corpus, queries, str(tmp_path))
    with pytest.raises(SettingError, match=r"queries\.pkl holds embeddings of other texts"):
        search.encode(corpus, {"0": "another"}, str(tmp_path))
    other = BeirEncoder(Broken(""))  # cannot be told apart from any other
    with pytest.raises(SettingError, match="of an encoder that is not known to be this one"):
        ExactSearch(other).encode(corpus, queries, str(tmp_path))
    shorter = dict(list(corpus.items())[:50])
    with pytest.raises(SettingError, match=r"corpus\.1\.pkl is a chunk of another, longer corpus"):
        search.encode(shorter, queries, str(tmp_path))
    search.encode(shorter, queries, str(tmp_path), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.0.pkl", "queries.pkl"]
    with pytest.raises(SettingError, match=r"needs one \*"):
        search.encode(corpus, queries, str(tmp_path), corpus_filename="corpus.npz")


def test_a_pickle_is_never_opened(encoder, corpus, queries, tmp_path):
    search = ExactSearch(encoder)
    (tmp_path / "queries.pkl").write_bytes(pickle.dumps((np.zeros((1, 2)), ["0"])))
    for overwrite in (False, True):
        with pytest.raises(DataFormatError, match="is a pickle"):
            search.encode(corpus, queries, str(tmp_path), overwrite=overwrite)
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataFormatError, match="is no file of embeddings, or damaged"):
        search.search_from_files(str(tmp_path / "text"), [], 5)
    with pytest.raises(DataUnavailableError, match="encode first"):
        search.search_from_files(str(tmp_path / "absent"), [], 5)


def test_files_of_two_corpora_are_not_mixed(encoder, corpus, queries, tmp_path):
    search = ExactSearch(encoder)
    search.encode(corpus, queries, str(tmp_path))
    twice = [str(tmp_path / "corpus.0.pkl")] * 2
    with pytest.raises(DataFormatError, match="occurs twice"):
        search.search_from_files(str(tmp_path / "queries.pkl"), twice, 5)
    with pytest.raises(DataUnavailableError, match="encode first"):
        search.search_from_files(str(tmp_path / "queries.pkl"), [], 5)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.99])
def test_a_damaged_file_of_embeddings_is_named(encoder, corpus, queries, tmp_path, share):
    search = ExactSearch(encoder)
    search.encode(corpus, queries, str(tmp_path))
    path = tmp_path / "corpus.0.pkl"
    whole, wanted = path.read_bytes(), read(path)
    at = int(share * len(whole))
    for damaged in (
        whole[:at],
        whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :],
        whole[:at] + whole[at + 7 :],
    ):
        path.write_bytes(damaged)
        said = ""
        try:
            found = read(path)
        except DataFormatError as error:
            found, said = wanted, str(error)
        assert not said or ("is no file of embeddings" in said and "\n" not in said)
        assert found.ids == wanted.ids  # the damage is named, or beside what is read
        np.testing.assert_array_equal(found.vectors, wanted.vectors)


def test_files_of_version_0_1_are_searched(encoder, corpus, queries, tmp_path):
    search = ExactSearch(encoder, corpus_chunk_size=60)
    search.encode(corpus, queries, str(tmp_path))
    files = sorted(map(str, tmp_path.glob("corpus.*")))
    wanted = search.search_from_files(str(tmp_path / "queries.pkl"), files, 5)
    for path in tmp_path.iterdir():
        with np.load(path) as content:
            old = {name: content[name] for name in ("ids", "embeddings", "key")}
        with path.open("wb") as stream:
            np.savez(stream, **old)
    assert search.search_from_files(str(tmp_path / "queries.pkl"), files, 5) == wanted


@pytest.mark.parametrize(
    ("name", "options", "exact"),
    [
        ("FlatIPFaissSearch", {}, True),
        ("SQFaissSearch", {"quantizer_type": "QT_fp16"}, False),
        ("HNSWFaissSearch", {"hnsw_store_n": 32}, False),
        ("PQFaissSearch", {"num_of_centroids": 16, "code_size": 4}, False),
    ],
)
def test_the_faiss_searches_of_beir_run_again(
    encoder, corpus, queries, tmp_path, name, options, exact
):
    with pytest.raises(TypeError, match="abstract"):  # if this fails, BEIR has mended it
        getattr(dense, name)(encoder)
    make = getattr(ours, name)
    found = EvaluateRetrieval(make(encoder, **options)).retrieve(corpus, queries)
    wanted = ExactSearch(encoder, ignore_identical_ids=False).search(
        corpus, queries, len(corpus), "cos_sim"
    )
    saved = EvaluateRetrieval(make(encoder, **options)).encode_and_retrieve(
        corpus, queries, encode_output_path=str(tmp_path)
    )
    for results in (found, saved):
        assert results.keys() == wanted.keys()
        if exact:
            close(wanted, results)
        # The approximate ones agree on most of the best.
        shared = [len({*list(wanted[q])[:30]} & {*list(results[q])[:30]}) for q in queries]
        assert np.mean(shared) > 15
    search = make(encoder, **options)
    search.search(corpus, queries, 5, "dot")
    with pytest.raises(SettingError, match="holds other passages"):
        search.search({"x": {"text": "w1"}}, queries, 5, "dot")


def test_beirs_own_search_with_saved_embeddings_takes_our_encoder(
    encoder, corpus, queries, tmp_path
):
    search = dense.DenseRetrievalExactSearch(encoder, show_progress_bar=False)
    found = EvaluateRetrieval(search, k_values=[20]).encode_and_retrieve(
        corpus, queries, encode_output_path=str(tmp_path)
    )
    mine = ExactSearch(encoder, ignore_identical_ids=False).search(corpus, queries, 20, "dot")
    best = {query: max(hits.values()) for query, hits in found.items()}
    assert best == pytest.approx(
        {query: max(hits.values()) for query, hits in mine.items()}, abs=1e-5
    )
