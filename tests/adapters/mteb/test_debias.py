"""Debiased encoders inside MTEB, in the store, and for users of sentence-transformers."""

import re
import sys
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta, ScoringFunction
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer
from toys import cli
from toys.cli import succeed
from toys.encoders import hash_embedding, meta
from toys.training import write_tiny_xlmr

import hybridir_mteb
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.fit import debiased_name
from hybridir_mteb.adapters.mteb.load import base_revision, load_base, load_debiased
from hybridir_mteb.adapters.mteb.metas import encoder_metas
from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, task_languages
from hybridir_mteb.debias import text as data
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    LeakError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.files.record import write_record
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.specs import Debiaser
from hybridir_mteb.ranking.arrays import Similarity
from hybridir_mteb.ranking.scorers import FunctionScorer, scorer_of
from hybridir_mteb.training.leak import EvaluationTexts
from hybridir_mteb.training.methods import METHODS

DIMENSION = 16
TEXTS = {
    "de": ["Die Katze schläft heute lange.", "Der Hund rennt über die Wiese.", "Es regnet oft."],
    "en": ["The cat sleeps long today.", "The dog runs across the meadow.", "It rains often."],
    "fr": ["Le chat dort longtemps ce matin.", "Le chien court dans le pré.", "Il pleut souvent."],
}


class Fake(AbsEncoder):
    """A foreign encoder: no network, no prompts."""

    def __init__(self, model_name: str = "", revision: str | None = None, **kwargs: Any) -> None:
        if kwargs.pop("device", None) or kwargs:
            raise TypeError(f"unexpected {sorted(kwargs)}")
        self.seen: list[str] = []

    def encode(self, inputs: Any, **kwargs: Any) -> torch.Tensor:
        texts = [text for batch in inputs for text in batch["text"]]
        self.seen += texts
        return torch.from_numpy(np.stack([hash_embedding(text) for text in texts]))


def fake_meta(revision: str = "1", **changes: Any) -> ModelMeta:
    known = {"name": "test/fake", "revision": revision, "loader": Fake, "framework": ["NumPy"]}
    known |= {"embed_dim": DIMENSION, "training_datasets": {"MSMARCO"}}
    return meta(**{**known, **changes})


def fake() -> Fake:
    return fake_meta().load_model()  # type: ignore[return-value]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The foreign encoder under a name that MTEB knows."""
    monkeypatch.setitem(MODEL_REGISTRY, "test/fake", fake_meta())


@pytest.fixture
def no_evaluation_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests need no leak check, which reads every collection."""
    monkeypatch.setattr(data, "evaluation_texts", EvaluationTexts)


def numbering(**changes: Any) -> FittedDebiaser:
    """Replaces each embedding by the number of its text's language, in both dimensions and all."""
    debiaser = Debiaser(
        "numbering",
        "",
        "",
        lambda data, role: {},
        lambda vectors, numbers, tensors: np.repeat(numbers[:, None], DIMENSION, 1) * 1.0,
        **changes,
    )
    tensors: dict[str, Any] = {"query": {}, "document": {}}
    return FittedDebiaser(debiaser, ("de", "en", "fr"), tensors, {}, DIMENSION, False)


def metadata(languages: Any, **changes: Any) -> TaskMetadata:
    values: dict[str, Any] = {
        "name": "FakeRetrieval",
        "description": "A fake.",
        "type": "Retrieval",
        "category": "t2t",
        "dataset": {"path": "test/fake", "revision": "1"},
        "eval_splits": ["test"],
        "eval_langs": languages,
        "main_score": "ndcg_at_10",
        **changes,
    }
    return TaskMetadata(**values)


ONE, TWO = metadata(["deu-Latn"]), metadata({"de-en": ["deu-Latn", "eng-Latn"]})
UNLISTED = metadata(["ces-Latn"])


def loader_of(texts: list[str], task: TaskMetadata, role: PromptType | None) -> Any:
    rows = Dataset.from_dict({"id": list(map(str, range(len(texts)))), "text": texts})
    return create_dataloader(rows, task_metadata=task, prompt_type=role, batch_size=2)


def numbers(
    model: DebiasedEncoder, texts: list[str], task: TaskMetadata, role: PromptType | None, **kw: Any
) -> list[int]:
    """Language numbers that a text gets, by the numbering debiaser."""
    (subset,) = task.hf_subsets_to_langscripts
    out = model.encode(
        loader_of(texts, task, role),
        task_metadata=task,
        hf_split="test",
        hf_subset=subset,
        prompt_type=role,
        **kw,
    )
    return [int(value) for value in out[:, 0]]


# --- Languages of tasks ---


def test_languages_of_a_task_are_iso_639_1_where_there_is_one():
    task = metadata({"a": ["arb-Arab", "zho-Hant", "zho-Hans", "cmn-Hans"], "b": ["ces-Latn"]})
    assert task_languages(task, "a") == ("ar", "zh")
    assert task_languages(task, "b") == ("cs",)
    assert task_languages(task, "c") == ()
    assert task_languages(metadata(["eng-Latn", "tlh-Latn", "python-Code"]), "default") == (
        "en",
        "python",
        "tlh",
    )


def test_a_task_of_one_language_needs_no_detection(monkeypatch):
    monkeypatch.setattr("hybridir_mteb.debias.fitted.detect", None)  # never called
    model = DebiasedEncoder(fake(), numbering())
    mixed = [TEXTS["de"][0], TEXTS["en"][0], ""]
    assert numbers(model, mixed, ONE, PromptType.document) == [0, 0, 0]
    assert numbers(model, mixed, UNLISTED, PromptType.query) == [-1, -1, -1]


def test_among_several_languages_each_text_is_detected():
    model = DebiasedEncoder(fake(), numbering())
    mixed = [TEXTS["en"][1], TEXTS["de"][1], TEXTS["fr"][1], "", TEXTS["en"][1]]
    found = numbers(model, mixed, TWO, None)
    assert (found[0], found[1], found[3], found[4]) == (1, 0, -1, 1)
    assert found[2] in {0, 1, -1}  # French does not come into question
    everything = metadata([])
    assert numbers(model, mixed, everything, PromptType.document) == [1, 0, 2, -1, 1]
    czech = metadata(["ces-Latn", "eng-Latn"])
    mixed[1] = "Kočka dnes dlouho spala na slunci a pak šla domů."
    assert numbers(model, mixed, czech, PromptType.document)[:2] == [1, -1]


def test_nothing_is_detected_where_nothing_depends_on_it(monkeypatch):
    monkeypatch.setattr("hybridir_mteb.debias.fitted.detect", None)
    free = DebiasedEncoder(fake(), numbering(uses_language=False))
    assert numbers(free, TEXTS["de"], TWO, PromptType.query) == [-1, -1, -1]
    documents = DebiasedEncoder(fake(), numbering(roles=frozenset({"document"})))
    base = documents.undebiased
    for role in (PromptType.query, None):
        loader = [{"text": TEXTS["de"]}]
        arguments: Any = {"task_metadata": TWO, "hf_split": "test", "hf_subset": "de-en"}
        plain = base.encode(loader)
        out = documents.encode(loader, prompt_type=role, **arguments)  # type: ignore[arg-type]
        assert out.tobytes() == plain.numpy().tobytes()


# --- Through encode-once ---


def call(task: TaskMetadata = TWO, subset: str = "de-en") -> EncodeCall:
    return EncodeCall(task, "test", subset, {})


def test_equal_texts_share_a_row_in_one_language_and_not_in_two():
    model = DebiasedEncoder(fake(), numbering())
    texts = ["Berlin", "Berlin", "Berlin", "Rom", "Berlin"]
    codes = ["en", "de", "en", "de", "xx"]
    vectors, rows = of_mteb(model, call()).embed(texts, "document", codes)
    assert vectors.dtype == np.float32
    assert len(vectors) == 4
    assert vectors[rows][:, 0].tolist() == [1, 0, 1, 0, -1]
    assert rows[0] == rows[2]
    assert len({rows[0], rows[1], rows[3], rows[4]}) == 4
    assert sorted(model.undebiased.seen) == ["Berlin", "Rom"]


def test_without_given_languages_embed_does_as_encode_does():
    model = DebiasedEncoder(fake(), numbering())
    mixed = [TEXTS["en"][1], TEXTS["de"][1], TEXTS["en"][1]]
    vectors, rows = of_mteb(model, call()).embed(mixed, "document")
    assert vectors[rows][:, 0].tolist() == [1, 0, 1]
    assert len(vectors) == 2


def test_embeddings_of_the_base_are_shared_and_debiased_by_its_similarity():
    base = fake()
    texts = TEXTS["de"]
    plain = of_mteb(base, call()).embed(texts, "query").matrix
    fitted = hybridir_mteb.fit_debiaser(base, TEXTS, "centre")
    model = DebiasedEncoder(base, fitted)
    debiased = of_mteb(model, call())
    assert debiased.base.once is of_mteb(base, call()).once
    before = len(base.seen)
    found = debiased.embed(texts, "query", ["de"] * 3).matrix
    assert len(base.seen) == before
    expected = fitted(plain, "de", "query")
    assert found.tolist() == expected.tolist()
    assert debiased.similarity is Similarity.COSINE
    assert torch.equal(model.similarity(expected, expected), base.similarity(expected, expected))
    pairs = model.similarity_pairwise(expected, expected)
    assert pairs.tolist() == pytest.approx([1, 1, 1])
    nested = of_mteb(DebiasedEncoder(model, numbering()), call())
    again = nested.embed(texts, "query", ["fr", "de", "xx"]).matrix
    assert again[:, 0].tolist() == [2, 0, -1]
    assert nested.similarity is Similarity.COSINE


def test_a_similarity_of_its_own_stays_the_models():
    class Own(Fake):
        def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
            return torch.zeros(len(embeddings1), len(embeddings2))

    similarity = of_mteb(DebiasedEncoder(Own(), numbering()), call()).similarity
    vectors = np.ones((2, DIMENSION), np.float32)
    found = scorer_of(similarity, vectors, vectors, np.arange(2))
    assert isinstance(found, FunctionScorer)
    assert found.block(0, 1).tolist() == [[0, 0]]


def test_what_is_no_encoder_is_refused():
    class Searches(Fake):
        def index(self, *args: Any, **kwargs: Any) -> None: ...

        def search(self, *args: Any, **kwargs: Any) -> None: ...

    for model in (Searches(), object()):
        with pytest.raises(SettingError, match="cannot be debiased"):
            DebiasedEncoder(model, numbering())


def fake_task(task_metadata: TaskMetadata, name: str) -> AbsTaskRetrieval:
    """A retrieval task that MTEB's own code evaluates."""

    def load_data(self: Any, num_proc: int | None = None, **kwargs: Any) -> None:
        split = {
            "queries": Dataset.from_dict({"id": ["q0", "q1"], "text": TEXTS["en"][:2]}),
            "corpus": Dataset.from_dict(
                {"id": list("abcd"), "text": [*TEXTS["de"][:2], *TEXTS["en"][:2]]}
            ),
            "relevant_docs": {"q0": {"a": 1, "c": 1}, "q1": {"b": 1, "d": 1}},
            "top_ranked": None,
        }
        self.dataset = {subset: {"test": split} for subset in self.hf_subsets}
        self.data_loaded = True

    renamed = task_metadata.model_copy(update={"name": name})
    made = type(name, (AbsTaskRetrieval,), {"metadata": renamed, "load_data": load_data})
    return made()


@pytest.mark.parametrize(
    ("task", "expected"), [(ONE, {0}), (TWO, {0, 1}), (UNLISTED, {-1})], ids=["one", "two", "other"]
)
def test_mteb_evaluates_tasks_of_any_languages(task, expected, registered, tmp_path):
    seen: set[int] = set()

    def apply(vectors: Any, found: Any, tensors: Any) -> Any:
        seen.update(found.tolist())
        return vectors

    base = fake()
    fitted = hybridir_mteb.fit_debiaser(base, TEXTS, "centre")
    watched = Debiaser("watched", "", "", fitted.debiaser.fit, apply)
    model = DebiasedEncoder(base, numbering_of(fitted, watched))
    model.mteb_model_meta = fake_meta()
    (result,) = mteb.evaluate(
        model, [fake_task(task, "FakeRetrieval")], cache=None, co2_tracker=False
    ).task_results
    assert result.get_score() > 0
    assert seen == expected


def numbering_of(fitted: FittedDebiaser, debiaser: Debiaser) -> FittedDebiaser:
    """Another debiaser with the same statistics."""
    return FittedDebiaser(
        debiaser, fitted.languages, fitted.tensors, {}, fitted.dimension, fitted.unit_length
    )


# --- Made by the command line, kept in the store ---


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The --text options of parallel files in three languages."""
    options = []
    for code, lines in TEXTS.items():
        path = tmp_path / f"{code}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        options += ["--text", f"{code}={path}"]
    return options


def run(*arguments: str) -> str:
    return cli.run("debias", *arguments)


@pytest.fixture
def made(registered: None, no_evaluation_sets: None, files: list[str]) -> trained.StoredEncoder:
    """``hybridir/test__fake+centre`` in the store."""
    run("fit", "--model", "test/fake", "--method", "centre", *files)
    return trained.get("hybridir/test__fake+centre")


def test_the_record_says_what_was_done(made):
    record = made.record
    assert record["backbone"] == {"name": "test/fake", "revision": "1", "model_revision": "1"}
    assert record["dimension"] == DIMENSION
    assert record["languages"] == ["de", "en", "fr"]
    debiaser = record["debiaser"]
    assert (debiaser["method"], debiaser["options"], debiaser["parallel"]) == ("centre", {}, True)
    assert debiaser["roles"] == ["document", "query"]
    assert debiaser["text"]["lines"] == {"de": 3, "en": 3, "fr": 3}
    assert len(debiaser["text"]["sha256"]) == 64
    assert record["versions"]["hybridir-mteb"] == hybridir_mteb.__version__
    text = (made.path / trained.RECORD).read_text() + (made.path / trained.CARD).read_text()
    assert str(made.path.parent) not in text
    assert "training-free debiasing by `centre`" in text
    trained.verify(made)


def test_an_option_is_chosen_on_held_out_lines(registered, no_evaluation_sets, files, tmp_path):
    command = ["fit", "--model", "test/fake", "--method", "shift", "--option", "alpha=auto", *files]
    with pytest.raises(SettingError, match=r"so 100 lines of each language are needed; .* has 3"):
        run(*command)
    for code, lines in TEXTS.items():
        many = [f"{lines[at % 3]} {code} {at}" for at in range(100)]
        (tmp_path / f"{code}.txt").write_text("\n".join(many), encoding="utf-8")
    shown = run(*command, "--method", "lir")
    made = trained.get("hybridir/test__fake+shift")
    choice = made.record["debiaser"]["choice"]
    assert (choice["held_out_lines"], choice["refitted_on_lines"]) == (20, 100)
    assert max(choice["scores"], key=lambda row: row["map"])["value"] == choice["value"]
    assert f"{made.fingerprint}\nalpha={choice['value']} by 20 held-out lines\n" in shown
    card = (made.path / trained.CARD).read_text()
    assert f"- alpha={choice['value']} was chosen on 20 held-out lines, every 5th, by" in card
    assert card.count("\n| ") == 13  # the head, its line, eleven values
    assert "choice" not in trained.get("hybridir/test__fake+lir").record["debiaser"]


def test_fitting_again_gives_the_same_fingerprint(made, files):
    shown = run("fit", "--model", "test/fake", "--method", "centre", "--method", "lir", *files)
    assert f"{made.name} {made.fingerprint}" in shown
    assert [e.fingerprint for e in trained.encoders() if e.name == made.name] == [made.fingerprint]
    assert trained.get("hybridir/test__fake+lir").record["debiaser"]["options"] == {"k": 1}


def test_the_store_treats_it_like_any_encoder(made, tmp_path):
    def models(*arguments: str) -> str:
        return cli.run("models", *arguments).replace("\n", "")

    assert f"# {made.name}" in models("show", made.name)
    models("export", made.name, str(tmp_path / "made.zip"))
    assert "removed" in models("rm", made.name)
    assert trained.find(made.name) is None
    assert made.fingerprint in models("import", str(tmp_path / "made.zip"))
    assert trained.get(made.name, made.fingerprint[:8]).record == made.record


def test_a_packaged_one_is_found(made, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "PACKAGED", tmp_path / "encoders")
    (tmp_path / "encoders").mkdir()
    made.path.rename(tmp_path / "encoders" / "test__fake+centre")
    found = trained.get(made.name)
    assert (found.place, found.fingerprint) == ("package", made.fingerprint)


def metas() -> dict[str, ModelMeta]:
    return {str(m.name): m for m in encoder_metas(list(BACKBONES), list(METHODS))}


def test_mteb_is_told_the_truth(made, monkeypatch, tmp_path):
    known = metas()[made.name]
    assert known.revision == made.fingerprint
    assert known.loader is load_debiased
    assert known.adapted_from == "test/fake"
    assert known.training_datasets == {"MSMARCO"}
    written = known.to_dict()
    assert ModelMeta.model_validate({**known.model_dump(), "loader": None}).name == made.name
    assert (written["loader"], written["embed_dim"]) == ("load_debiased", DIMENSION)
    monkeypatch.setitem(MODEL_REGISTRY, made.name, known)
    assert mteb.get_model_meta(made.name).name == made.name
    model = mteb.get_model(made.name)
    cache = mteb.ResultCache(tmp_path / "results")
    task = fake_task(TWO, "FakeRetrieval")
    mteb.evaluate(model, [task], cache=cache, co2_tracker=False)
    (file,) = (tmp_path / "results").rglob("FakeRetrieval.json")
    assert file.parent.name == made.fingerprint
    assert file.parent.parent.name == "hybridir__test__fake+centre"
    found = cache.load_task_result("FakeRetrieval", known)
    assert found is not None
    assert found.get_score() > 0


def test_training_data_are_those_of_the_base_and_what_was_fitted_on(made, monkeypatch):
    def datasets(base: set[str] | None, **changes: Any) -> set[str] | None:
        monkeypatch.setitem(MODEL_REGISTRY, "test/fake", fake_meta(training_datasets=base))
        record = {**made.record, **changes}
        write_record(made.path / trained.RECORD, record)
        return metas()[made.name].training_datasets

    ntrex = [{"source": "x", "origin": "NTREX-128, pinned"}]
    assert datasets({"MSMARCO"}, data=ntrex) == {"MSMARCO", "NTREXBitextMining"}
    assert datasets(None, data=ntrex) is None
    leaked = datasets(None, leak_check={"leaked_sets": ["XQuADR"]})
    assert leaked is not None
    assert "XQuADRMultilingualRetrieval" in leaked


def test_a_damaged_file_or_another_base_is_never_used(made, monkeypatch):
    assert isinstance(load_debiased(made.name), DebiasedEncoder)
    monkeypatch.setitem(MODEL_REGISTRY, "test/fake", fake_meta(revision="2"))
    # The loader is asked for the old revision; this one takes what it is told.
    assert load_debiased(made.name).undebiased.mteb_model_meta.revision == "1"
    monkeypatch.setattr("hybridir_mteb.adapters.mteb.load.base_revision", lambda model: "2")
    with pytest.raises(ChecksumError, match=r"has 2: fit it again: hybridir debias fit"):
        load_debiased(made.name)
    path = made.path / "debiaser.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(ChecksumError, match="hybridir models rm"):
        load_debiased(made.name)
    with pytest.raises(DataUnavailableError, match="fit --model hybridir/pocket-x --method lir"):
        load_debiased("hybridir/pocket-x+lir")


def test_arguments_go_to_the_loader_of_the_base(made):
    with pytest.raises(SettingError, match=r"test/fake cannot be loaded with precision.*precision"):
        load_debiased(made.name, precision="bf16")


def test_a_base_that_is_here_has_a_name_for_every_debiaser_that_says_how_to_fit_it():
    base = MODEL_REGISTRY["hybridir/pocket-base"]
    made_up = base.model_copy(update={"name": "hybridir/made-up"})
    known = {"hybridir/made-up": made_up, "org/other": base}
    metas = {str(m.name): m for m in encoder_metas([], [], known, ["centre", "lir"])}
    names = {name for name in metas if name.startswith("hybridir/made-up")}
    assert names == {"hybridir/made-up+centre", "hybridir/made-up+lir"}
    assert not any(name.startswith("org/other") for name in metas)
    known = metas["hybridir/made-up+centre"]
    assert known.adapted_from == "hybridir/made-up"
    message = "Fit it: hybridir debias fit --model hybridir/made-up --method centre"
    with pytest.raises(DataUnavailableError, match=message):
        known.load_model()


def test_names():
    assert debiased_name("hybridir/pocket-base", "lir") == "hybridir/pocket-base+lir"
    assert debiased_name("org/name", "lir") == "hybridir/org__name+lir"


# --- What the command line refuses ---


@pytest.mark.usefixtures("registered", "no_evaluation_sets")
def test_errors_are_one_message(failure, files, tmp_path):
    def said(*arguments: str) -> str:
        command = ("debias", "fit", "--model", "test/fake", "--method", *arguments)
        return " ".join(failure(*command).split())

    assert "Did you mean centre" in said("center", *files)
    assert "no option m: lir has k; centre has none" in said(
        "lir", "--method", "centre", *files, "--option", "m=2"
    )
    assert "expected NAME=VALUE" in said("lir", *files, "--option", "k")
    assert "option k of lir is of type int" in said("lir", *files, "--option", "k=two")
    assert "expected a whole number from 1 to 3" in said("lir", *files, "--option", "k=4")
    assert "--text 'de.txt': expected CODE=FILE" in said("lir", "--text", "de.txt")
    assert "gives de twice" in said("lir", *files, "--text", "de=other.txt")
    assert "names fi, for which" in said("lir", *files, "--languages", "en,fi")
    assert "at least 2 languages" in said("lir", *files, "--languages", "en,,")
    assert "names no language" in said("lir", *files, "--languages", ", ,")
    assert "source='ar' is not among" in said("shift", *files, "--option", "source=ar")
    assert "cannot be loaded with precision" in said("lir", *files, "--precision", "bf16")
    (tmp_path / "en.txt").write_text("one\ntwo\n")
    assert "shift needs line-parallel text" in said("shift", *files)
    message = said("lir", *files, "--model", "nobody/nothing")
    assert "nobody/nothing cannot be loaded" in message
    assert [e for e in trained.encoders() if "debiaser" in e.record and e.place == "store"] == []


def test_leaks_are_refused_or_written_down(registered, files, monkeypatch):
    known = EvaluationTexts()
    known.add("XQuADR", [TEXTS["de"][1]])
    monkeypatch.setattr(data, "evaluation_texts", lambda: known)
    command = ["fit", "--model", "test/fake", "--method", "centre", *files]
    with pytest.raises(LeakError, match=r"de\.txt:2 \(de\) occurs in XQuADR"):
        run(*command)
    run(*command, "--allow-leaks")
    made = trained.get("hybridir/test__fake+centre")
    assert made.record["leak_check"]["allowed_leaks"][0].count("de.txt:2") == 1
    assert made.record["leak_check"]["leaked_sets"] == ["XQuADR"]
    assert "NOT zero-shot: 1 lines" in (made.path / trained.CARD).read_text()
    assert "XQuADRMultilingualRetrieval" in (metas()[made.name].training_datasets or ())
    # The same statistics, fitted where the set is not at hand: what is known stays known.
    missing = EvaluationTexts(checked=["MLQAR"], not_at_hand=["XQuADR"])
    monkeypatch.setattr(data, "evaluation_texts", lambda: missing)
    shown = run(*command, "--method", "lir")
    assert "\nnot compared with: XQuADR, which" in shown
    again = trained.get("hybridir/test__fake+centre")
    assert again.fingerprint == made.fingerprint
    assert again.record["leak_check"]["leaked_sets"] == ["XQuADR"]
    assert "NOT zero-shot: 1 lines" in (again.path / trained.CARD).read_text()
    other = (trained.get("hybridir/test__fake+lir").path / trained.CARD).read_text()
    assert "compared with MLQAR\n- Not compared with: XQuADR" in other
    assert "zero-shot" not in other.lower()


@pytest.mark.parametrize(("base", "said"), [(None, True), ({"MSMARCO"}, False)])
def test_the_card_says_zero_shot_and_unknown_data_only_where_that_is_so(
    base, said, files, registered, monkeypatch
):
    monkeypatch.setitem(MODEL_REGISTRY, "test/fake", fake_meta(training_datasets=base))
    known = EvaluationTexts()
    known.add("XQuADR", ["Something else that is long enough."])
    monkeypatch.setattr(data, "evaluation_texts", lambda: known)
    shown = run("fit", "--model", "test/fake", "--method", "centre", *files)
    card = (trained.get("hybridir/test__fake+centre").path / trained.CARD).read_text()
    assert "- No text that it was fitted on occurs in XQuADR; what its base" in card
    assert ("the base itself was trained on is unknown" in card) is said
    assert "not compared" not in shown


def test_nothing_is_stored_if_one_of_the_methods_fails(registered, no_evaluation_sets, files):
    command = ["fit", "--model", "test/fake", *files, "--option", "k=4"]
    with pytest.raises(SettingError):
        run(*command, "--method", "centre", "--method", "lir")
    assert trained.find("hybridir/test__fake+centre") is None


# --- Bases ---


def test_a_name_that_another_base_has_is_refused(made, files, tmp_path, monkeypatch):
    assert debiased_name(str(tmp_path), "lir") == f"hybridir/local__{tmp_path.name}+lir"
    pocket = tmp_path / "pocket-base"
    pocket.mkdir()
    assert debiased_name(str(pocket), "centre") == "hybridir/local__pocket-base+centre"
    monkeypatch.setitem(MODEL_REGISTRY, "test__fake", fake_meta(name="test/other"))
    command = ["fit", "--method", "centre", *files, "--model"]
    message = f"of another base, test/fake: remove that one: hybridir models rm {made.name}"
    with pytest.raises(SettingError, match=re.escape(message)):
        run(*command, "test__fake")
    with trained.keep("hybridir/local__pocket-base+centre") as place:
        fill = {"name": "hybridir/local__pocket-base+centre"}
        fill |= {"backbone": {**made.record["backbone"], "name": "/elsewhere/pocket-base"}}
        for path in made.path.iterdir():
            (place.folder / path.name).write_bytes(path.read_bytes())
        write_record(place.folder / trained.RECORD, {**made.record, **fill})
    with pytest.raises(SettingError, match="/elsewhere/pocket-base: rename the folder, or remove"):
        run(*command, str(pocket))


@pytest.mark.slow
def test_the_revision_of_a_foreign_base_is_of_all_that_changes_embeddings(tiny):
    wrapper = SentenceTransformerEncoderWrapper(str(tiny), device="cpu")

    def revision(**changes: Any) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in changes.items():
                patch.setattr(wrapper if name == "model_prompts" else wrapper.model, name, value)
            return base_revision(wrapper)

    changes: list[dict[str, Any]] = [
        {"prompts": {"query": "q: ", "document": "passage: "}},
        {"default_prompt_name": "query"},
        {"max_seq_length": 7},
        {"truncate_dim": 8},
        {"similarity_fn_name": "dot"},
        {"model_prompts": {"query": "other: "}},
    ]
    found = [revision(), *(revision(**change) for change in changes)]
    assert len(set(found)) == len(found)
    assert revision() == found[0]
    plain = fake()
    assert base_revision(plain) == "1"
    plain.model_prompts = {"query": "q: "}
    assert base_revision(plain).startswith("1:")
    plain.mteb_model_meta = fake_meta("abc", name="hybridir/ours")
    assert base_revision(plain) == "abc"


@pytest.mark.parametrize(
    "error", [NotImplementedError("no code"), ImportError("pip install x"), RuntimeError, KeyError]
)
def test_a_base_that_cannot_be_loaded_gives_one_message(error, monkeypatch):
    def loader(model_name: str, revision: str | None = None, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setitem(MODEL_REGISTRY, "test/broken", fake_meta(loader=loader))
    with pytest.raises(DataUnavailableError, match=r"test/broken cannot be loaded: .*models list"):
        load_base("test/broken")
    no_code = fake_meta().model_copy(update={"loader": None})
    monkeypatch.setitem(MODEL_REGISTRY, "test/broken", no_code)
    with pytest.raises(DataUnavailableError, match="No model implementation"):
        load_base("test/broken")


def test_paths_and_names_that_are_nothing_are_refused_before_any_work(monkeypatch, tmp_path):
    for name in ("get_model_meta.get_model_meta", "model_meta.ModelMeta.from_hub"):
        monkeypatch.setattr(f"mteb.models.{name}", None)  # nobody asks the hub
    for path in ("./nothing", "/no/such/folder", "~/no-such-folder", f"{tmp_path}/x"):
        with pytest.raises(DataUnavailableError, match="there is no such folder"):
            load_base(path)
    with pytest.raises(UnknownNameError, match="Did you mean hybridir/pocket-base"):
        load_base("hybridir/pocket-bsae")


def test_a_name_registered_before_the_fit_loads_after_it(files, no_evaluation_sets, monkeypatch):
    base = fake_meta(name="hybridir/made-up", revision="1")
    monkeypatch.setitem(MODEL_REGISTRY, "hybridir/made-up", base)
    found = encoder_metas([], [], {"hybridir/made-up": base}, ["centre"])
    (known,) = [one for one in found if one.name == "hybridir/made-up+centre"]
    run("fit", "--model", "hybridir/made-up", "--method", "centre", *files)
    model: Any = known.load_model()
    assert isinstance(model, DebiasedEncoder)
    made = trained.get("hybridir/made-up+centre")
    assert model.mteb_model_meta.revision == made.fingerprint  # where results are filed
    assert base_revision(model) == made.fingerprint


@pytest.mark.slow
def test_it_works_without_the_autoload_hook(pocket_weights):
    script = """
import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_implementations import MODEL_REGISTRY
from hybridir_mteb.adapters.beir import BeirEncoder
from hybridir_mteb.adapters.mteb.fit import embed_for_fitting

class Zeros(AbsEncoder):
    def __init__(self, **kwargs): ...
    def encode(self, inputs, **kwargs):
        return np.zeros((sum(len(batch["text"]) for batch in inputs), 4))

assert "hybridir/pocket-base" not in MODEL_REGISTRY
before = dict(MODEL_REGISTRY)
BeirEncoder("hybridir/pocket-base")
MODEL_REGISTRY.clear()
MODEL_REGISTRY.update(before)
embed_for_fitting(Zeros(), {"de": ["a", "b"], "en": ["c", "d"]})
"""
    succeed(sys.executable, "-c", script, HYBRIDIR_AUTOLOAD="0")


# --- What encode is given ---


def test_inputs_that_can_be_read_once_and_texts_that_are_not_needed():
    arguments: Any = {"task_metadata": TWO, "hf_split": "test", "hf_subset": "de-en"}
    batches: list[Any] = [{"text": [TEXTS["en"][1], TEXTS["de"][1]]}, {"text": [TEXTS["de"][0]]}]
    model = DebiasedEncoder(fake(), numbering())
    found = model.encode(iter(batches), **arguments)  # type: ignore[arg-type]
    assert found[:, 0].tolist() == [1, 0, 0]

    class Counting(list[Any]):
        read = 0

        def __iter__(self) -> Any:
            self.read += 1
            return super().__iter__()

    counted: Any = Counting(batches)
    DebiasedEncoder(fake(), numbering(uses_language=False)).encode(counted, **arguments)
    assert counted.read == 1

    class Short(Fake):
        def encode(self, inputs: Any, **kwargs: Any) -> torch.Tensor:
            return super().encode(inputs, **kwargs)[:2]

    with pytest.raises(EmbeddingError, match=r"Short\.encode returned 2 embeddings for 3 texts"):
        DebiasedEncoder(Short(), numbering()).encode(batches, **arguments)  # type: ignore[arg-type]


def test_methods_are_listed():
    shown = run("methods")
    for name in ("centre", "lir", "shift", "leace"):
        assert f"│ {name} " in shown
    assert "k=1" in shown


# --- sentence-transformers ---


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, pocket_weights: None) -> Path:
    """A folder of a small sentence-transformers model with a query prompt."""
    network = write_tiny_xlmr(tmp_path_factory.mktemp("network"))
    model = SentenceTransformer(str(network), device="cpu")
    model.prompts = {"query": "query: ", "document": "passage: "}
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def model(tiny: Path) -> SentenceTransformer:
    return SentenceTransformer(str(tiny), device="cpu").eval()


def test_the_wrapper_returns_what_sentence_transformers_returns(model):
    fitted = hybridir_mteb.fit_debiaser(model, TEXTS, "centre")
    debiased = hybridir_mteb.DebiasedSentenceTransformer(model, fitted)
    texts = TEXTS["de"]
    matrix = debiased.encode_document(texts, languages="de")
    np.testing.assert_allclose(matrix.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(
        matrix, fitted(model.encode_document(texts), "de", "document"), atol=1e-6
    )
    assert debiased.encode_query(texts[0], languages="de").shape == (16,)
    tensor = debiased.encode(texts, languages=["de", None, "en"], convert_to_tensor=True)
    assert isinstance(tensor, torch.Tensor)
    expected = fitted(model.encode(texts), ["de", None, "en"], "query")
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-6)
    vectors = debiased.encode(texts, convert_to_numpy=False, normalize_embeddings=True)
    assert [float(vector.norm()) for vector in vectors] == pytest.approx([1, 1, 1])
    detected = debiased.encode_document(texts[:2])
    np.testing.assert_allclose(detected, matrix[:2], atol=1e-6)
    assert debiased.similarity(matrix, matrix).shape == (3, 3)
    assert debiased.similarity_pairwise(matrix, matrix).tolist() == pytest.approx([1, 1, 1])
    for arguments in ({"precision": "int8"}, {"output_value": "token_embeddings"}):
        with pytest.raises(SettingError, match="cannot be debiased"):
            debiased.encode(texts, **arguments)
    for languages in ("german", ["de", "english", "fr"], "zxx"):
        with pytest.raises(SettingError, match=r"unknown language code '(german|english|zxx)'"):
            debiased.encode(texts, languages=languages)
    unknown = debiased.encode(texts, languages=[None] * 3)
    assert debiased.encode(texts, languages="ja").tolist() == unknown.tolist()
    assert debiased.encode(texts, languages=["nb", None, "ja"]).tolist() == unknown.tolist()
    for nothing in (debiased.encode([]), debiased.encode_query([], languages="de")):
        assert nothing.shape == (0, 16)
    assert debiased.encode_document([], convert_to_tensor=True).shape == (0, 16)


def test_parallel_text_is_told_by_its_length(model):
    uneven = {**TEXTS, "de": TEXTS["de"][:2]}
    with pytest.raises(SettingError, match="line-parallel"):
        hybridir_mteb.fit_debiaser(model, uneven, "shift")
    shift = hybridir_mteb.fit_debiaser(model, TEXTS, "shift", source="fr")
    assert shift.options == {"source": "fr"}
    lazy = {code: (line for line in lines) for code, lines in TEXTS.items()}
    again = hybridir_mteb.fit_debiaser(model, lazy, "shift", source="fr")
    assert (
        again.tensors["document"]["shift"].tolist() == shift.tensors["document"]["shift"].tolist()
    )
    with pytest.raises(SettingError, match="texts in 'en': expected a list of texts"):
        hybridir_mteb.fit_debiaser(model, {**TEXTS, "en": "one text"}, "centre")
    with pytest.raises(UnknownNameError, match="Did you mean lir"):
        hybridir_mteb.fit_debiaser(model, TEXTS, "lirr")


@pytest.mark.slow
def test_a_folder_is_debiased_by_the_content_of_its_weights(tiny, files, no_evaluation_sets, model):
    run("fit", "--model", str(tiny), "--method", "centre", *files)
    made = trained.get("hybridir/local__tiny+centre")
    weights = made.record["backbone"]["revision"]
    assert weights.startswith("local:")
    card = (made.path / trained.CARD).read_text()
    assert "what the base itself was trained on is unknown" in card.lower()
    assert made.record["backbone"]["name"] == str(tiny)
    assert made.record["parameters"] == sum(p.numel() for p in model.parameters())
    known = metas()[made.name]
    assert (known.adapted_from, known.embed_dim) == (None, 16)
    assert known.similarity_fn_name is ScoringFunction.COSINE
    debiased = load_debiased(made.name)
    fitted = hybridir_mteb.load_debiaser(made.name)
    here = hybridir_mteb.fit_debiaser(model, TEXTS, "centre")
    for text in (TEXTS["fr"][0], TEXTS["en"][2]):
        raw = model.encode_query([text])
        task = metadata(["fra-Latn"])
        arguments: Any = {"task_metadata": task, "hf_split": "test", "hf_subset": "default"}
        loader = loader_of([text], task, PromptType.query)
        found = debiased.encode(loader, prompt_type=PromptType.query, **arguments)
        np.testing.assert_allclose(found, fitted(raw, "fr", "query"), atol=1e-5)
        np.testing.assert_allclose(found, here(raw, "fr", "query"), atol=1e-4)
    assert hybridir_mteb.load_debiaser(made.path).tensors.keys() == fitted.tensors.keys()
    other = SentenceTransformer(str(tiny), device="cpu")
    with torch.no_grad():
        next(other.parameters()).add_(0.1)
    original = {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    other.save_pretrained(str(tiny))
    try:
        with pytest.raises(ChecksumError, match=f"was fitted on {tiny} with the revision"):
            load_debiased(made.name)
    finally:
        for path, content in original.items():
            path.write_bytes(content)


def test_load_debiaser_refuses_what_is_not_one():
    with pytest.raises(UnknownNameError, match="no trained encoder"):
        hybridir_mteb.load_debiaser("hybridir/nothing+centre")
    with pytest.raises(DataFormatError, match=r"a trained encoder.*hybridir/pocket-mixed\+centre"):
        hybridir_mteb.load_debiaser("hybridir/pocket-mixed")
    assert "centre" in installed_plugins().debiasers
