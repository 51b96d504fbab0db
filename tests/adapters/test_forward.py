"""Vectors of every way in are those of the model's own ``encode_query`` and ``encode_document``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer
from toys.encoders import meta
from toys.sentence import Shapes

import hybridir_mteb
from hybridir_mteb import paths
from hybridir_mteb.adapters import sentence_transformers as evaluator
from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.mteb import fit
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.load import encoder_of, load_base
from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, SentenceEncoder
from hybridir_mteb.debias.sentence_transformer import DebiasedSentenceTransformer
from hybridir_mteb.errors import SettingError

TASK = "PocketQARMonolingualRetrieval"
TEXTS = ["Wie hoch ist der Turm?", "a", "Turm", "Der Turm, der sehr hoch ist, steht.", "ελληνικά"]
FIT = {"de": TEXTS[:3], "en": ["the tower", "two", "three words here"]}
NAMES = list(Shapes(Path()).made)
# What saving a model to a folder does not keep.
OBJECTS_ONLY = {"subclass", "in training"}
Vectors = tuple[np.ndarray, np.ndarray]  # of queries and of documents


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Shapes:
    return Shapes(tmp_path_factory.mktemp("networks"))


@pytest.fixture(autouse=True)
def _no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one way in made must not help another."""
    monkeypatch.setenv(paths.STORE_VARIABLE, "0")


def own(model: SentenceTransformer) -> Vectors:
    """By the model itself."""
    found = model.encode_query(TEXTS), model.encode_document(TEXTS)
    return tuple(np.asarray(vectors, np.float32) for vectors in found)


def call() -> EncodeCall:
    return EncodeCall(mteb.get_task(TASK).metadata, "test", "de", {"batch_size": 2})


def in_our_tasks(model: Any) -> Vectors:
    encoder = of_mteb(model, call())
    return tuple(encoder.embed(TEXTS, role, ["de"] * 5).matrix for role in ("query", "document"))


def in_mtebs_tasks(model: Any) -> Vectors:
    """As MTEB's own tasks call it."""
    found = []
    for role in (PromptType.query, PromptType.document):
        metadata = mteb.get_task(TASK).metadata
        rows = Dataset.from_dict({"id": list("abcde"), "text": TEXTS})
        loader = create_dataloader(rows, task_metadata=metadata, prompt_type=role, batch_size=2)
        told = {"task_metadata": metadata, "hf_split": "test", "hf_subset": "de"}
        vectors = model.encode(loader, prompt_type=role, batch_size=2, **told)
        found.append(np.asarray(vectors, np.float32))
    return found[0], found[1]


def in_beir(model: Any) -> Vectors:
    encoder = BeirEncoder(model, language="de")
    return encoder.encode_queries(TEXTS), encoder.encode_corpus(TEXTS)


def in_the_evaluator(model: Any, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    seen: list[Any] = []
    monkeypatch.setattr(evaluator, "scorer_of", lambda *given: seen.append(given) or 1 / 0)
    ids = [str(at) for at in range(len(TEXTS))]
    texts, languages = dict(zip(ids, TEXTS, strict=True)), dict.fromkeys(ids, "de")
    relevant = {one: {one} for one in ids}
    with pytest.raises(ZeroDivisionError):
        evaluator.LanguageBiasEvaluator(texts, texts, relevant, languages, languages)(model)
    ((_, queries, passages, columns),) = seen
    return queries, passages[columns]


def in_fitting(model: Any, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    seen: list[Any] = []
    monkeypatch.setattr(fit, "fit", lambda _, embeddings, **__: seen.append(embeddings))
    hybridir_mteb.fit_debiaser(model, {"de": TEXTS, "en": TEXTS}, "centre")
    return seen[0]["query"]["de"], seen[0]["document"]["de"]


def named(monkeypatch: pytest.MonkeyPatch, name: str, loader: Callable[..., Any]) -> str:
    monkeypatch.setitem(MODEL_REGISTRY, name, meta(name, loader=loader))
    return name


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_object_gives_its_own_vectors_in_every_way_in(name, shapes, monkeypatch):
    model = shapes.made[name]()
    ours = named(monkeypatch, "hybridir/toy", lambda *_, **__: SentenceEncoder(model))
    ways = {
        "MTEB, a name of ours": lambda: in_our_tasks(load_base(ours)),
        "MTEB's tasks, a name of ours": lambda: in_mtebs_tasks(load_base(ours)),
        "MTEB, an object": lambda: in_our_tasks(SentenceTransformerEncoderWrapper(model)),
        "MTEB, an object by BEIR's way": lambda: in_our_tasks(encoder_of(model)),
        "BEIR, a name": lambda: in_beir(ours),
        "BEIR, an object": lambda: in_beir(model),
        "the evaluator": lambda: in_the_evaluator(model, monkeypatch),
        "fitting, an object": lambda: in_fitting(model, monkeypatch),
        "fitting, MTEB's": lambda: in_fitting(load_base(ours), monkeypatch),
    }
    for way, vectors in ways.items():
        if name == "in training":
            model.train()
        found = vectors()
        equal(found, own(model), f"{way}: {name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in OBJECTS_ONLY])
def test_a_folder_gives_its_own_vectors_in_every_way_in(name, shapes, monkeypatch, tmp_path):
    folder = str(tmp_path / "saved")
    shapes.made[name]().save_pretrained(folder)
    wanted = own(SentenceTransformer(folder, device="cpu"))
    theirs = named(
        monkeypatch,
        "test/mteb",
        lambda *_, **__: SentenceTransformerEncoderWrapper(folder, device="cpu"),
    )
    ways = {
        "MTEB, a folder": lambda: in_our_tasks(load_base(folder)),
        "MTEB, a name of MTEB's": lambda: in_our_tasks(load_base(theirs)),
        "BEIR, a folder": lambda: in_beir(folder),
        "BEIR, a name of MTEB's": lambda: in_beir(theirs),
    }
    for way, vectors in ways.items():
        equal(vectors(), wanted, f"{way}: {name}")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_debiased_vectors_are_the_models_own_debiased(name, shapes, monkeypatch):
    model = shapes.made[name]()
    fitted = hybridir_mteb.fit_debiaser(model, FIT, "centre")
    debiased = DebiasedSentenceTransformer(model, fitted)
    queries, documents = own(model)
    wanted = fitted(queries, "de", "query"), fitted(documents, "de", "document")
    by_itself = tuple(
        encode(TEXTS, languages="de")
        for encode in (debiased.encode_query, debiased.encode_document)
    )
    equal(by_itself, wanted, f"itself: {name}")
    equal(in_beir(debiased), wanted, f"BEIR: {name}")
    detected = debiased.encode_query(TEXTS), debiased.encode_document(TEXTS)
    equal(in_the_evaluator(debiased, monkeypatch), detected, f"the evaluator: {name}")
    for base in (SentenceEncoder(model), SentenceTransformerEncoderWrapper(model)):
        equal(in_our_tasks(DebiasedEncoder(base, fitted)), wanted, f"{type(base)}: {name}")
        equal(in_mtebs_tasks(DebiasedEncoder(base, fitted)), wanted, f"{type(base)}: {name}")


def equal(found: Vectors, wanted: Vectors, what: str) -> None:
    tolerance = 0.1 if "bf16" in what else 1e-5  # padding moves the last bits
    for role, one, other in zip(("query", "document"), found, wanted, strict=True):
        assert np.asarray(one).shape == other.shape, f"{what}, {role}"
        np.testing.assert_allclose(one, other, atol=tolerance, err_msg=f"{what}, {role}")


def similarity_in_the_evaluator(model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    seen: list[Any] = []
    monkeypatch.setattr(evaluator, "scorer_of", lambda *given: seen.append(given[0]) or 1 / 0)
    one = {"a": "a"}
    evaluate = evaluator.LanguageBiasEvaluator(one, one, {"a": {"a"}}, one, one)
    with pytest.raises(ZeroDivisionError):
        evaluate(model)
    return seen[0]


@pytest.mark.parametrize("name", ["mean", "dot", "euclidean", "router", "static"])
def test_similarity_is_the_models_own_in_every_way_in(name, shapes, monkeypatch, tmp_path):
    model = shapes.made[name]()
    model.save_pretrained(str(tmp_path))
    fitted = hybridir_mteb.fit_debiaser(model, FIT, "centre")
    debiased = DebiasedSentenceTransformer(model, fitted)
    bases = [encoder_of(model), SentenceEncoder(model), load_base(str(tmp_path))]
    bases.append(SentenceTransformerEncoderWrapper(model))
    models = [*bases, *(DebiasedEncoder(base, fitted) for base in bases), encoder_of(debiased)]
    found = [of_mteb(one, call()).similarity for one in models]
    found += [similarity_in_the_evaluator(one, monkeypatch) for one in (model, debiased)]
    a, b = own(model)
    for one in models:
        assert one.similarity(a, b).numpy() == pytest.approx(
            model.similarity(a, b).numpy(), abs=1e-5
        )
    if name != "euclidean":
        assert found == ["dot" if name == "dot" else "cosine"] * len(found)
        return
    for function in found:
        assert function(a, b).numpy() == pytest.approx(
            -np.linalg.norm(a[:, None] - b, axis=2), abs=1e-4
        )


def test_a_similarity_of_somebody_else_is_used(shapes, monkeypatch):
    """A class or an object with code of its own, whatever it is named after."""

    class Far(SentenceTransformer):
        def similarity(self, a: Any, b: Any) -> Any:
            return -super().similarity(a, b)

    far = Far(modules=list(shapes.made["mean"]()), device="cpu")
    plain = shapes.made["mean"]()
    wrapper = SentenceTransformerEncoderWrapper(plain)
    wrapper.similarity = far.similarity  # type: ignore[method-assign]
    for model in (encoder_of(far), SentenceTransformerEncoderWrapper(far), wrapper):
        function = of_mteb(model, call()).similarity
        assert callable(function)
        assert function(np.eye(2), np.eye(2)).numpy() == pytest.approx(-np.eye(2))
    assert callable(similarity_in_the_evaluator(far, monkeypatch))


def test_what_is_no_model_is_refused_by_the_evaluator():
    one = {"a": "a"}
    evaluate = evaluator.LanguageBiasEvaluator(one, one, {"a": {"a"}}, one, one)
    with pytest.raises(SettingError, match="object is no sentence-transformers model"):
        evaluate(object())


def test_the_shapes_differ_from_the_plain_one(shapes):
    """Else a way in that ignores what is odd would pass."""
    plain = own(shapes.made["mean"]())
    alike = {"mean", "bf16", "euclidean", "dot"}
    for name in NAMES:
        found = own(shapes.made[name]())
        differs = any(
            one.shape != other.shape or np.abs(one - other).max() > 0.05
            for one, other in zip(found, plain, strict=True)
        )
        assert differs or name in alike, name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["router", "truncated", "empty document", "prompt not pooled"])
def test_several_processes_give_the_models_own_vectors(name, shapes):
    model = shapes.made[name]()
    encoder = BeirEncoder(model, keep=False)
    # A process costs seconds; two of them for one shape, one for the others.
    pool = encoder.start_multi_process_pool(["cpu"] * (2 if name == "router" else 1))
    try:
        found = (
            encoder.encode_queries_parallel(TEXTS, pool),
            encoder.encode_corpus_parallel(TEXTS, pool),
        )
    finally:
        encoder.stop_multi_process_pool(pool)
    equal(found, own(model), name)
