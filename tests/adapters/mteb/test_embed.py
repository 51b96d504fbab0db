"""Any MTEB model through encode-once: the same vectors, the same keys, the same scores."""

from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ScoringFunction
from mteb.timing import TimingStack
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from toys.encoders import meta
from toys.mteb import evaluate as run
from toys.mteb import scores_of

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.encoders.cache import store_files
from hybridir_mteb.encoders.fingerprint import weights_stamp
from hybridir_mteb.encoders.pocket.model import load_pocket, network_of
from hybridir_mteb.ranking.scorers import DenseScorer, FunctionScorer, scorer_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pocket_weights")]
TASK = "PocketQARMonolingualRetrieval"


@pytest.fixture(scope="module")
def shallow() -> SentenceTransformer:
    """The first two layers of the pocket network: what is compared needs no better embeddings."""
    model = load_pocket()
    network = network_of(model)
    network.encoder.layer = network.encoder.layer[:2]
    return model


def stock(model: SentenceTransformer) -> Any:
    """MTEB's own wrapper, as for ``mteb run -m sentence-transformers/…``."""
    wrapper = mteb.SentenceTransformerEncoderWrapper(model)
    wrapper.mteb_model_meta = meta("test/stock")
    return wrapper


def evaluate(model: Any, folder: Path, *languages: str) -> dict[str, float]:
    task = mteb.get_task(TASK, languages=list(languages))
    found = scores_of(run(model, [task], folder))
    return {subset: score["map"] for subset, score in found.items()}


def call(**encode_kwargs: Any) -> EncodeCall:
    return EncodeCall(mteb.get_task(TASK).metadata, "test", "en", encode_kwargs)


def test_a_foreign_model_is_stored_by_the_content_of_its_weights(shallow, tmp_path):
    first = stock(shallow)
    scores = evaluate(first, tmp_path / "a", "eng")
    assert of_mteb(first, call(batch_size=32)).once.encoded == 48 + 144
    again = stock(shallow)  # another object, equal weights
    assert evaluate(again, tmp_path / "b", "eng") == scores
    assert of_mteb(again, call(batch_size=32)).once.encoded == 0
    (file,) = store_files(paths.embedding_store_dir())
    assert (file.label, file.entries) == ("test/stock", 192)


def test_a_foreign_model_scores_as_it_does_through_our_adapter(pocket, tmp_path):
    ours = evaluate(mteb.get_model("hybridir/pocket-base"), tmp_path / "a", "hin")
    theirs = evaluate(stock(pocket), tmp_path / "b", "hin")
    assert theirs == pytest.approx(ours, abs=1e-6)


def test_the_store_can_be_switched_off(shallow, tmp_path, monkeypatch):
    monkeypatch.setenv(paths.STORE_VARIABLE, "0")
    evaluate(stock(shallow), tmp_path, "eng")
    assert store_files(paths.embedding_store_dir()) == []


@pytest.mark.parametrize("fingerprint", [None, "v1"])
def test_a_class_of_its_own_is_stored_only_if_it_names_its_fingerprint(fingerprint, tmp_path):
    class Remote(AbsEncoder):
        model = torch.nn.Linear(1, 1)  # what else it does with its network is unknown
        embedding_fingerprint = fingerprint
        mteb_model_meta = meta("test/api", similarity_fn_name=ScoringFunction.DOT_PRODUCT)

        def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
            texts = [text for batch in inputs for text in batch["text"]]
            return np.array([[len(text), text.count("a")] for text in texts], float)

    evaluate(Remote(), tmp_path, "eng")
    assert len(store_files(paths.embedding_store_dir())) == (0 if fingerprint is None else 1)


def test_other_arguments_of_encode_are_other_embeddings(shallow):
    model = stock(shallow)
    plain = of_mteb(model, call(batch_size=32)).once
    assert of_mteb(model, call(batch_size=8, show_progress_bar=True)).once is plain
    assert of_mteb(model, call(normalize_embeddings=False)).once is not plain


def test_the_usual_wrapper_is_scored_in_float64(shallow):
    eye = np.eye(3, dtype=np.float32)
    encoder = of_mteb(stock(shallow), call())
    assert isinstance(scorer_of(encoder.similarity, eye, eye, np.arange(3)), DenseScorer)
    shallow.similarity_fn_name = "euclidean"
    try:
        assert isinstance(scorer_of(encoder.similarity, eye, eye, np.arange(3)), FunctionScorer)
    finally:
        shallow.similarity_fn_name = "cosine"


def test_truncated_embeddings_are_never_the_full_ones(shallow, tmp_path):
    full = evaluate(stock(shallow), tmp_path / "full", "deu")
    model = stock(shallow)
    shallow.truncate_dim = 64
    try:
        short = evaluate(model, tmp_path / "short", "deu")
        vectors, _ = of_mteb(model, call(batch_size=32)).once.embed(
            ["q"], "test", lambda texts: iter([([0], shallow.encode(["q"]))])
        )
    finally:
        shallow.truncate_dim = None
    assert vectors.shape == (1, 64)
    assert short["de"] < full["de"]


def test_the_prompt_is_part_of_the_key():
    class Instructed(AbsEncoder):
        model_prompts = {"query": "find: "}  # noqa: RUF012
        instruction_template = "Instruct: {instruction}"

        def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
            raise AssertionError

    model = Instructed()
    query = of_mteb(model, call()).prompt("query")
    assert "find: " in query
    assert query != of_mteb(model, call()).prompt("document")
    model.model_prompts = {"query": "other: "}
    assert of_mteb(model, call()).prompt("query") != query


def test_bf16_results_are_kept_apart(tmp_path):
    model = mteb.get_model("hybridir/pocket-base", precision="bf16")
    scores = evaluate(model, tmp_path, "eng")
    exact = evaluate(mteb.get_model("hybridir/pocket-base"), tmp_path, "eng")
    assert scores["en"] == pytest.approx(exact["en"], abs=0.02)
    files = sorted(path.parent.name for path in tmp_path.rglob(f"{TASK}.json"))
    assert files[-1] == "precision_bf16"
    assert len(files) == 2
    assert len(store_files(paths.embedding_store_dir())) == 2


def test_an_argument_that_nobody_reads_is_refused():
    with pytest.raises(TypeError, match="precison"):
        mteb.get_model("hybridir/pocket-base", precison="bf16")


def test_mtebs_own_evaluation_gives_the_same_scores(shallow, tmp_path):
    """The stock path (its search, its metrics) on the same task and model."""
    task = mteb.get_task("PocketQARMultilingualRetrieval", hf_subsets=["en"])
    task.load_data()
    theirs = AbsTaskRetrieval._evaluate_subset(
        task,
        stock(shallow),
        task.dataset["en"]["test"],
        encode_kwargs={"batch_size": 32},
        hf_split="test",
        hf_subset="en",
        timer=TimingStack(),
    )
    (ours,) = task.evaluate(stock(shallow), "test", encode_kwargs={"batch_size": 32}).values()
    for name in ("ndcg_at_10", "mrr_at_10", "recall_at_5", "recall_at_100"):
        assert ours[name] == pytest.approx(theirs[name], abs=2e-5), name


def test_weights_changed_in_place_are_encoded_anew(shallow, tmp_path):
    """A callback that evaluates the same object after each epoch."""
    model = stock(shallow)
    evaluate(model, tmp_path / "before", "eng")
    parameter = next(shallow.parameters())
    original = parameter.detach().clone()
    try:
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.manual_seed(0)))
        evaluate(model, tmp_path / "after", "eng")
        assert of_mteb(model, call(batch_size=32)).once.encoded == 192
    finally:
        with torch.no_grad():
            parameter.copy_(original)


def test_weights_are_looked_at_once_for_all_subsets_of_a_task(shallow, monkeypatch):
    """It takes a fraction of a second, and a task may have 110 subsets."""
    looked = []

    def stamp(module: torch.nn.Module) -> str:
        looked.append(module)
        return weights_stamp(module)

    monkeypatch.setattr("hybridir_mteb.adapters.mteb.encoder.weights_stamp", stamp)
    task = mteb.get_task("PocketQARMonolingualRetrieval", hf_subsets=["de", "en", "es"])
    task.load_data()
    first = task.evaluate(stock(shallow), "test", encode_kwargs={"batch_size": 32})
    assert (len(first), len(looked)) == (3, 1)
    assert task.evaluate(stock(shallow), "test", encode_kwargs={"batch_size": 32}) == first
    assert len(looked) == 2


def test_a_static_model_has_no_longest_input():
    words = Tokenizer(WordLevel({"a": 0, "b": 1}, unk_token="a"))
    static = stock(SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=4)]))
    assert static.model.max_seq_length == float("inf")
    found = of_mteb(static, call()).namespace
    assert found is not None
    assert found.max_length == 0


def test_a_subclass_of_mtebs_wrapper_is_not_trusted_to_be_its_network(shallow, tmp_path):
    class Centred(mteb.SentenceTransformerEncoderWrapper):
        def encode(self, *args: Any, **kwargs: Any) -> np.ndarray:
            vectors = np.asarray(super().encode(*args, **kwargs))
            return vectors - vectors.mean(axis=0)

    model = Centred(shallow)
    model.mteb_model_meta = stock(shallow).mteb_model_meta
    evaluate(model, tmp_path, "eng")
    assert store_files(paths.embedding_store_dir()) == []
