"""The evaluator for sentence-transformers: values, prompts, files, a real training step."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses
from sentence_transformers.sentence_transformer.trainer import SentenceTransformerTrainer
from sentence_transformers.sentence_transformer.training_args import (
    SentenceTransformerTrainingArguments,
)
from toys.bias import Parallel
from toys.encoders import hash_embedding

from hybridir_mteb import language_bias
from hybridir_mteb.adapters.sentence_transformers import LanguageBiasEvaluator
from hybridir_mteb.errors import SettingError, UnknownNameError

TOY = Parallel.make()
DOCUMENTS, QUERIES, ITEMS = TOY.maps
DIMENSION = 8


class Hashed(torch.nn.Module):
    """A network with one matrix over hashed words; a function of the text alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Linear(DIMENSION, DIMENSION, bias=False)
        torch.nn.init.eye_(self.weights.weight)
        self.seen: list[str] = []

    def preprocess(self, inputs: list[str], prompt: str | None = None, **kwargs: Any) -> dict:
        texts = [f"{prompt or ''}{text}" for text in inputs]
        self.seen += texts
        vectors = np.stack([hash_embedding(text, DIMENSION) for text in texts])
        return {"input_ids": torch.from_numpy(vectors)}

    tokenize = preprocess

    def forward(self, features: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        features["sentence_embedding"] = self.weights(features["input_ids"])
        return features

    def save(self, output_path: str, **kwargs: Any) -> None:
        torch.save(self.state_dict(), Path(output_path) / "hashed.pt")


def text(identifier: str) -> str:
    _, code, item = identifier.split(":")
    return f"{code} item{item} number{item}"


def data() -> dict[str, Any]:
    return {
        "queries": {query: text(query) for query in TOY.query_ids},
        "corpus": {passage: text(passage) for passage in TOY.passage_ids},
        "relevant_docs": {query: set(grades) for query, grades in TOY.qrels.items()},
        "query_languages": QUERIES,
        "corpus_languages": DOCUMENTS,
        "query_items": ITEMS,
    }


@pytest.fixture
def model() -> SentenceTransformer:
    found = SentenceTransformer(modules=[Hashed()], device="cpu")
    found.prompts = {"query": "query: ", "document": "passage: "}
    return found


def expected(model: SentenceTransformer, names: list[str]) -> dict[str, float]:
    queries = np.stack([hash_embedding(f"query: {text(q)}", DIMENSION) for q in TOY.query_ids])
    passages = np.stack([hash_embedding(f"passage: {text(p)}", DIMENSION) for p in TOY.passage_ids])
    report = language_bias.of_embeddings(
        queries, passages, *TOY.arguments, **TOY.keywords, measures=names, resamples=0
    )
    return dict(report.means)


def test_it_gives_what_the_library_gives_for_the_same_embeddings(model):
    names = ["map", "rank_distance", "lpr", "peer_at_20", "mrc", "language_probe_accuracy"]
    evaluator = LanguageBiasEvaluator(**data(), measures=names, name="toy")
    found = evaluator(model)
    for name, value in expected(model, names).items():
        assert found[f"toy_{name}"] == pytest.approx(value, abs=1e-6), name
    assert evaluator.primary_metric == "toy_map"
    assert evaluator.report is not None
    assert evaluator.report.query_languages == ("de", "en", "fr")


def test_texts_get_their_prompts_and_are_encoded_once(model):
    corpus = {**data()["corpus"], "twin": "de item0 number0"}
    evaluator = LanguageBiasEvaluator(
        **{**data(), "corpus": corpus, "corpus_languages": {**DOCUMENTS, "twin": "de"}}
    )
    evaluator(model)
    seen = model[0].seen
    assert len(seen) == len(set(seen)) == sum(TOY.shape)
    assert sum(text.startswith("passage: ") for text in seen) == TOY.shape[1]


def test_by_default_the_slow_measures_are_left_out_and_nothing_is_undefined(model):
    found = LanguageBiasEvaluator(**data())(model)
    assert "map" in found
    assert "rank_distance_norm" in found
    assert not {"mrc", "language_probe_accuracy"} & set(found)
    assert all(math.isfinite(value) for value in found.values())


def test_a_measure_that_does_not_apply_is_left_out(model):
    german = {q: {p for p in found if ":de:" in p} for q, found in data()["relevant_docs"].items()}
    found = LanguageBiasEvaluator(**{**data(), "relevant_docs": german, "query_items": None})(model)
    assert "map" in found
    assert "rank_distance" not in found
    assert "lpr" not in found


def test_results_are_appended_to_a_file(model, tmp_path):
    evaluator = LanguageBiasEvaluator(**data(), measures=["lpr"], name="toy")
    folder = tmp_path / "eval"
    values = evaluator(model, str(folder), epoch=1, steps=10)
    evaluator(model, str(folder), epoch=2, steps=20)
    with (folder / "language_bias_evaluation_toy_results.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["epoch", "steps", "map", "lpr"]
    assert [row[:2] for row in rows[1:]] == [["1", "10"], ["2", "20"]]
    assert float(rows[1][2]) == values["toy_map"]
    silent = LanguageBiasEvaluator(**data(), write_csv=False)
    silent(model, str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_other_similarities_are_the_models_own(model):
    model.similarity_fn_name = "euclidean"
    evaluator = LanguageBiasEvaluator(**data(), measures=["map"])
    # Embeddings have length 1: the nearest and the most similar are the same.
    assert evaluator(model)["map"] == pytest.approx(expected(model, ["map"])["map"], abs=1e-6)


def test_what_tells_the_best_checkpoint_can_be_chosen():
    assert LanguageBiasEvaluator(**data()).greater_is_better
    chosen = LanguageBiasEvaluator(**data(), measures=[], select_by="rank_distance_norm", name="x")
    assert (chosen.primary_metric, chosen.greater_is_better) == ("x_rank_distance_norm", False)
    with pytest.raises(SettingError, match="neither higher nor lower is better"):
        LanguageBiasEvaluator(**data(), select_by="lpr")
    with pytest.raises(UnknownNameError, match="Did you mean lpr"):
        LanguageBiasEvaluator(**data(), measures=["lprr"])


def test_a_measure_that_cannot_be_computed_on_the_data_selects_nothing():
    def refused(message: str, **change: Any) -> None:
        with pytest.raises(SettingError, match=message):
            LanguageBiasEvaluator(**{**data(), **change})

    german = {q: {p for p in found if ":de:" in p} for q, found in data()["relevant_docs"].items()}
    for name in ("rank_distance", "rank_distance_norm"):
        refused(
            "cannot be computed on these data: .* translations of one another",
            select_by=name,
            relevant_docs=german,
        )
    refused("no query has relevant passages in two", select_by="peer_at_20", relevant_docs=german)
    refused("'mrc' cannot be computed .* give items", select_by="mrc", query_items=None)
    probe = "language_probe_accuracy"
    refused("at least two languages", select_by=probe, relevant_docs=german)
    for name in ("mrc", probe, "rank_distance", "rank_distance_norm", "peer_at_20", "map"):
        assert LanguageBiasEvaluator(**data(), select_by=name).primary_metric == name


def test_grades_count_from_one_and_are_kept(model):
    graded = {
        q: {**dict.fromkeys(found, 2), "p:de:8": 0, "p:de:7": -1}
        for q, found in data()["relevant_docs"].items()
    }
    names = ["map", "lpr", "ndcg_at_10"]
    plain = LanguageBiasEvaluator(**data(), measures=names)(model)
    assert LanguageBiasEvaluator(**{**data(), "relevant_docs": graded}, measures=names)(model) == (
        pytest.approx(plain)
    )
    graded["q:de:0"] = {"p:de:0": 0}
    evaluator = LanguageBiasEvaluator(**{**data(), "relevant_docs": graded})
    evaluator(model)
    assert evaluator.report.n_queries["de"] == 4


def test_a_string_is_no_set_of_documents():
    relevant = {**data()["relevant_docs"], "q:de:0": "p:de:0"}
    with pytest.raises(SettingError, match=r"relevant_docs\['q:de:0'\] is 'p:de:0'"):
        LanguageBiasEvaluator(**{**data(), "relevant_docs": relevant})
    relevant["q:de:0"] = {"stranger"}
    with pytest.raises(SettingError, match=r"'stranger'.* corpus and corpus_languages must list"):
        LanguageBiasEvaluator(**{**data(), "relevant_docs": relevant})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": ["x"]}, "queries: expected a mapping from ids"),
        ({"corpus": 3}, "corpus: expected a mapping from ids"),
        ({"relevant_docs": [("q", "d")]}, "relevant_docs: expected a mapping from ids"),
        ({"corpus_languages": "de"}, "corpus_languages: expected a mapping from ids"),
        ({"measures": 3}, "measures=3: give a list of names"),
        ({"select_by": 3}, "measures: 3 is no name"),
        ({"queries": {1: "x"}}, "query id 1 is of type int; ids are strings"),
        ({"corpus": {7: "x"}}, "document id 7 is of type int; ids are strings"),
        ({"queries": {"q": 3}}, "query 'q' is 3; give a string"),
        ({"corpus": {"d": None}}, "document 'd' is None; give a string"),
        ({"relevant_docs": {"q:de:0": {7}}}, "document id 7 is of type int; ids are strings"),
        ({"relevant_docs": {"q:de:0": 7}}, r"relevant_docs\['q:de:0'\] is 7; give a set"),
        ({"relevant_docs": {"q:de:0": {"p:de:0": True}}}, "the grade True of document 'p:de:0'"),
        ({"relevant_docs": {"q:de:0": {"p:de:0": "1"}}}, "the grade '1' of document 'p:de:0'"),
    ],
)
def test_ids_and_texts_are_strings_and_grades_whole_numbers(change, message):
    with pytest.raises(SettingError, match=message):
        LanguageBiasEvaluator(**{**data(), **change})


@pytest.mark.parametrize("name", ["query_languages", "corpus_languages", "query_items"])
def test_ids_without_language_or_item_are_refused(name):
    with pytest.raises(SettingError, match="has no"):
        LanguageBiasEvaluator(**{**data(), name: {}})


def test_a_trainer_calls_it_and_selects_by_it(model, tmp_path):
    evaluator = LanguageBiasEvaluator(**data(), measures=["lpr"], name="toy")
    pairs = Dataset.from_dict(
        {"anchor": ["de item1", "de item2"], "positive": ["en item1", "en item2"]}
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=2,
            eval_strategy="steps",
            eval_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            metric_for_best_model="eval_toy_map",
        ),
        train_dataset=pairs,
        loss=losses.MultipleNegativesRankingLoss(model),
        evaluator=evaluator,
    )
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "eval_toy_map" in entry]
    assert len(logged) == 1
    assert 0 <= logged[0]["eval_toy_lpr"] <= 1
    assert list(tmp_path.rglob("language_bias_evaluation_toy_results.csv"))
