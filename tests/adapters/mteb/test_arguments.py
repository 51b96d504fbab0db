"""Arguments of ``encode``: applied or refused, and never mixed with an ordinary run."""

import json
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from sentence_transformers import SentenceTransformer
from toys.encoders import HashEncoder, WordSearch, meta
from toys.mteb import evaluate, scores_of, tasks_of
from toys.sentence import Shapes
from toys.streamed import MONO, task_of

import hybridir_mteb
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.adapters.mteb.models import DebiasedEncoder, SentenceEncoder
from hybridir_mteb.errors import SettingError
from hybridir_mteb.plugins.settings import Setting

TASK = "PocketQARMonolingualRetrieval"
TEXTS = ["Wie hoch ist der Turm?", "a", "Turm", "Der Turm, der sehr hoch ist, steht.", "ελληνικά"]
WRAPPERS = (SentenceTransformerEncoderWrapper, SentenceEncoder)
ARGUMENTS: list[dict[str, Any]] = [
    {"precision": "int8"},
    {"precision": "uint8"},
    {"precision": "binary"},
    {"precision": "ubinary"},
    {"truncate_dim": 8},
    {"normalize_embeddings": True},
    {"processing_kwargs": {"text": {"max_length": 6, "truncation": True}}},
    {"truncate_dim": 8, "precision": "binary", "normalize_embeddings": True},
]


@pytest.fixture
def model(tmp_path: Path) -> SentenceTransformer:
    return Shapes(tmp_path).made["no norm"]()


def call(encode_kwargs: dict[str, Any]) -> EncodeCall:
    return EncodeCall(
        mteb.get_task(TASK).metadata, "test", "de", {"batch_size": 2, **encode_kwargs}
    )


def embedded(wrapped: Any, **encode_kwargs: Any) -> tuple[np.ndarray, ...]:
    encoder = of_mteb(wrapped, call(encode_kwargs))
    return tuple(encoder.embed(TEXTS, role).matrix for role in ("query", "document"))


def own(model: SentenceTransformer, **arguments: Any) -> tuple[np.ndarray, ...]:
    return model.encode_query(TEXTS, **arguments), model.encode_document(TEXTS, **arguments)


def same(found: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...]) -> None:
    # A rounded value may fall to either side.
    tolerance = 1e-5 if wanted[0].dtype == np.float32 else 1
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=str)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_an_experiment_and_an_ordinary_run_do_not_meet(wrapper, arguments, model):
    plain, odd = own(model), own(model, **arguments)
    wrapped = wrapper(model)
    same(embedded(wrapped, **arguments), odd)
    same(embedded(wrapped), plain)  # in memory
    same(embedded(wrapped, **arguments), odd)
    again = wrapper(model)  # from the store
    same(embedded(again), plain)
    same(embedded(again, **arguments), odd)
    same(embedded(wrapper(model), **arguments), odd)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_argument_has_a_key_of_its_own_and_the_plain_run_its_old_one(wrapper, model):
    wrapped = wrapper(model)
    told = [{}, *(one for one in ARGUMENTS if one.get("precision") not in {"int8", "uint8"})]
    # Named like settings that are read from the model.
    told += [{"max_seq_length": 7}, {"default_prompt_name": "query"}, {"wrapper": "x"}]
    variants = [of_mteb(wrapped, call(one)).variant for one in told]
    assert len(set(variants)) == len(variants)
    assert of_mteb(wrapped, call({"show_progress_bar": True})).variant == variants[0]
    precision = "fp32" if wrapper is SentenceEncoder else None
    name = {
        SentenceEncoder: "hybridir_mteb.adapters.mteb_encoder.SentenceEncoder",
        SentenceTransformerEncoderWrapper: (
            "mteb.models.sentence_transformer_wrapper.SentenceTransformerEncoderWrapper"
        ),
    }[wrapper]

    assert json.loads(variants[0]) == {
        "default_prompt_name": None,
        "max_seq_length": 64,
        "precision": precision,
        "truncate_dim": None,
        "wrapper": name,
    }


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_is_computed_in_mixed_precision_is_kept_apart(wrapper, model):
    plain = own(model)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = embedded(wrapper(model))
    assert np.abs(rounded[0] - plain[0]).max() > 1e-3
    same(embedded(wrapper(model)), plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(embedded(wrapper(model))[0], rounded[0])


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_vectors_that_depend_on_their_neighbours_are_not_kept(precision, model):
    """int8 takes its ranges from all texts of a call: a vector is no function of its text."""
    wrapped = SentenceEncoder(model)
    embedded(wrapped, precision=precision)
    encoder = of_mteb(wrapped, call({"precision": precision}))
    assert encoder.identity("query") is None
    few = encoder.embed(TEXTS[:2], "query").matrix
    assert few == pytest.approx(model.encode_query(TEXTS[:2], precision=precision), abs=1)


def test_objects_that_cannot_be_told_apart_are_never_kept():
    class Instructed(HashEncoder):
        def encode(self, inputs: Any, *, how: Any, **kwargs: Any) -> np.ndarray:
            return super().encode(inputs, **kwargs) * how.factor

    class How:
        def __init__(self, factor: float) -> None:
            self.factor = np.float32(factor)

        def __repr__(self) -> str:
            return "How()"

    model = Instructed()
    once, twice = embedded(model, how=How(1)), embedded(model, how=How(2))
    assert twice[0] == pytest.approx(2 * once[0])
    assert of_mteb(model, call({"how": How(1)})).identity("query") is None


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "find: "}, "^prompt in encode_kwargs: MTEB chooses"),
    ({"prompt_name": "query"}, "^prompt_name in encode_kwargs"),
    ({"task": "query"}, "^task in encode_kwargs"),
    ({"output_value": "token_embeddings"}, "^output_value='token_embeddings'"),
    ({"output_value": None}, "^output_value=None"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_what_cannot_be_honoured_is_refused(wrapper, arguments, message, model):
    with pytest.raises(SettingError, match=message):
        embedded(wrapper(model), **arguments)


@pytest.mark.parametrize(
    "arguments", [{"precision": "fp8"}, {"no_such": 1}, {"truncate_dim": "8"}], ids=str
)
def test_an_argument_that_nobody_knows_is_refused_in_one_line(arguments, model):
    with pytest.raises(SettingError, match=r"^encode_kwargs: ") as caught:
        embedded(SentenceEncoder(model), **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"precision": "int8"},
        {"truncate_dim": 8},
        {"normalize_embeddings": True},
        {"prompt": "x"},
        {"output_value": None},
    ],
    ids=str,
)
def test_a_debiased_encoder_refuses_what_its_statistics_were_not_made_of(arguments, model):
    fitted = hybridir_mteb.fit_debiaser(model, {"de": TEXTS, "en": TEXTS[::-1]}, "centre")
    debiased = DebiasedEncoder(SentenceEncoder(model), fitted)
    (name,) = arguments
    with pytest.raises(SettingError, match=f"^{name}=.* cannot be debiased"):
        embedded(debiased, **arguments)
    with pytest.raises(SettingError, match=f"^{name}=.* cannot be debiased"):
        debiased.encode(
            [{"text": TEXTS}],
            task_metadata=mteb.get_task(TASK).metadata,
            hf_split="test",
            hf_subset="de",
            **arguments,
        )


# By MTEB itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_mteb_files_what_it_says_and_leaves_the_ordinary_result(wrapper, model, toy, tmp_path):
    make = tasks_of(toy)
    wrapped = wrapper(model)
    wrapped.mteb_model_meta = meta("test/tiny")
    plain = scores_of(evaluate(wrapped, make(Setting.MONOLINGUAL), tmp_path / "first"))

    def run(at: str, **encode_kwargs: Any) -> dict[str, dict[str, Any]]:
        again = wrapper(model)
        again.mteb_model_meta = meta("test/tiny")
        task = make(Setting.MONOLINGUAL)
        return scores_of(evaluate(again, task, tmp_path / at, encode_kwargs=encode_kwargs))

    binary = run("second", precision="binary")
    assert {path.parent.name for path in (tmp_path / "second").rglob("Toy*.json")} == {
        "output_dtypes_binary"
    }
    assert run("third") == plain
    assert binary == run("fourth", precision="binary")
    assert binary != plain


def test_it_is_said_once_what_mteb_files_as_ordinary_results(model, toy, tmp_path, caplog):
    task = tasks_of(toy)(Setting.MONOLINGUAL)
    for at in ("a", "b"):
        evaluate(model, task, tmp_path / at, encode_kwargs={"truncate_dim": 8})
    said = [one.getMessage() for one in caplog.records if "ordinary" in one.getMessage()]
    assert len(said) == 2  # once for each run, of three subsets
    assert "with truncate_dim in encode_kwargs" in said[0]
    caplog.clear()
    evaluate(model, task, tmp_path / "c", encode_kwargs={"precision": "binary"})
    assert not [one for one in caplog.records if "ordinary" in one.getMessage()]


def test_a_streamed_collection_refuses_ranges_of_all_passages(model, tmp_path):
    wrapped = SentenceEncoder(model)
    wrapped.mteb_model_meta = meta("test/tiny")
    task = task_of(MONO)
    with pytest.raises(SettingError, match=r"precision='int8' .* takes its ranges from all"):
        evaluate(wrapped, task, tmp_path / "out", encode_kwargs={"precision": "int8"})


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
def test_our_own_encoders_apply_what_mteb_files_apart(tmp_path):
    encoder = load_base("hybridir/pocket-base")
    wanted = encoder.model.encode_query(TEXTS, precision="int8")
    found, _ = embedded(encoder, precision="int8")
    assert np.abs(found - wanted).max() <= 1
    plain = embedded(encoder)[0]
    assert plain == pytest.approx(encoder.model.encode_query(TEXTS), abs=1e-5)
    with pytest.raises(TypeError, match="embed_dim"):
        mteb.get_model("hybridir/pocket-base", embed_dim=384)


def test_a_model_that_searches_gets_the_arguments(toy, tmp_path):
    seen: list[Any] = []

    class Notes(WordSearch):
        def search(self, queries: Any, **kwargs: Any) -> dict[str, dict[str, float]]:
            seen.append(kwargs["encode_kwargs"])
            return super().search(queries, **kwargs)

    task = tasks_of(toy)(Setting.MONOLINGUAL)
    evaluate(Notes(), task, tmp_path, encode_kwargs={"precision": "int8"})
    assert all(one["precision"] == "int8" for one in seen)
