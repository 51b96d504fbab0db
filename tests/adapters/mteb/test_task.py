"""Collections as MTEB tasks, evaluated by mteb itself with small encoders."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toys.encoders import HashEncoder, Reversed, WordSearch, hash_embedding
from toys.mteb import evaluate, scores_of, tasks_of

from hybridir_mteb.adapters.mteb.task import make_task
from hybridir_mteb.collections.collection import ParallelCollection, Query
from hybridir_mteb.errors import DataFormatError, EmbeddingError, UnknownNameError
from hybridir_mteb.plugins.settings import Context, Setting


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder(None)


@pytest.fixture
def make(toy: Any) -> Any:
    """Makes a task of the toy collection."""
    return tasks_of(toy)


def test_each_setting_has_its_subsets_and_all_its_measures(encoder, make, tmp_path):
    tasks = [make(setting) for setting in Setting]
    result = evaluate(encoder, tasks, tmp_path)
    mono, cross, multi = (scores_of(result, at) for at in range(3))
    assert set(mono) == {"de", "en", "fr"}
    assert set(cross) == {"de-en", "de-fr", "en-de", "en-fr", "fr-de", "fr-en"}
    assert set(multi) == {"de", "en", "fr"}
    effectiveness = {"map", "mrr", "mrr_at_10", "ndcg_at_10"} | {
        f"recall_at_{depth}" for depth in (1, 5, 10, 20, 100)
    }
    assert effectiveness <= set(mono["de"])
    assert "rank_distance" not in mono["de"]
    assert effectiveness | {"rank_distance", "rank_distance_norm"} <= set(multi["de"])
    assert mono["de"]["main_score"] == mono["de"]["map"]
    assert cross["de-fr"]["n_queries"] == 2  # the third fact is missing in French
    assert (multi["de"]["n_queries"], multi["de"]["n_passages"]) == (3, 16)


def test_scores_equal_a_slow_computation_from_the_definition(encoder, make, toy, tmp_path):
    found = scores_of(evaluate(encoder, [make(Setting.MULTILINGUAL)], tmp_path))
    pool = [(code, p) for code in ("de", "en", "fr") for p in toy.part(code).passages]
    vectors = np.stack([hash_embedding(p.text) for _, p in pool]).astype(np.float64)
    precisions, distances = [], []
    for query in toy.part("de").queries:
        similarity = vectors @ hash_embedding(query.text).astype(np.float64)
        ranking = np.argsort(-similarity, kind="stable").tolist()
        relevant = [
            at
            for at, (code, p) in enumerate(pool)
            if p.local_id == f"{query.parallel_id[1:]}.0" and code in toy.parts
        ]
        ranks = sorted(ranking.index(at) + 1 for at in relevant)
        precisions.append(np.mean([(i + 1) / rank for i, rank in enumerate(ranks)]))
        distances.append(ranks[-1] - ranks[0])
    assert found["de"]["map"] == pytest.approx(np.mean(precisions), abs=1e-6)
    assert found["de"]["rank_distance"] == pytest.approx(np.mean(distances), abs=1e-6)


def test_all_tasks_of_a_run_encode_each_distinct_text_once(encoder, make, toy, tmp_path):
    evaluate(encoder, [make(setting) for setting in Setting], tmp_path)
    expected = {("query", q.text) for part in toy.parts.values() for q in part.queries} | {
        ("document", p.text) for part in toy.parts.values() for p in part.passages
    }
    assert len(encoder.seen) == len(expected)
    assert set(encoder.seen) == expected


def test_another_model_object_is_encoded_anew(encoder, make, tmp_path):
    evaluate(encoder, [make(Setting.MONOLINGUAL)], tmp_path / "a")
    other = HashEncoder(None, lambda text: -hash_embedding(text[::-1]))
    evaluate(other, [make(Setting.MONOLINGUAL)], tmp_path / "b")
    assert len(other.seen) == len(encoder.seen)


def test_languages_filter_subsets_and_what_is_encoded(encoder, make, tmp_path):
    task = make(Setting.CROSS_LINGUAL).filter_languages(["fra"])
    assert set(scores_of(evaluate(encoder, [task], tmp_path))) == {
        "de-fr",
        "en-fr",
        "fr-de",
        "fr-en",
    }
    only = make(Setting.MONOLINGUAL).filter_languages(["deu"])
    other = HashEncoder(None)
    assert set(scores_of(evaluate(other, [only], tmp_path))) == {"de"}
    assert all("Katze" in t or "Hund" in t or "Vogel" in t for _, t in other.seen)


def test_only_missing_subsets_are_run_again_and_merged(encoder, make, tmp_path):
    evaluate(encoder, [make(Setting.MONOLINGUAL).filter_languages(["deu"])], tmp_path)
    file = next(tmp_path.rglob("ToyMonolingualRetrieval.json"))
    before = json.loads(file.read_text())["scores"]["test"]
    result = evaluate(encoder, [make(Setting.MONOLINGUAL)], tmp_path)
    after = {s["hf_subset"]: s for s in json.loads(file.read_text())["scores"]["test"]}
    assert set(after) == {"de", "en", "fr"} == set(scores_of(result))
    assert after["de"] == before[0]


def test_an_unknown_split_names_the_splits_there_are(encoder, make, tmp_path):
    known = make(Setting.MONOLINGUAL).filter_eval_splits(["test"])
    assert set(scores_of(evaluate(encoder, [known], tmp_path / "a"))) == {"de", "en", "fr"}
    with pytest.raises(UnknownNameError, match="no split dev, only test"):
        evaluate(encoder, [make(Setting.MONOLINGUAL).filter_eval_splits(["dev"])], tmp_path / "b")


def test_context_changes_text_and_name(encoder, make, tmp_path):
    task = make(Setting.MONOLINGUAL, context="sentence+paragraph")
    assert task.metadata.name == "ToyMonolingualInContextRetrieval"
    evaluate(encoder, [task], tmp_path)
    assert ("document", "the cat sleeps. the cat sleeps. the cat sleeps elsewhere.") in encoder.seen
    with pytest.raises(ValueError, match="'paragraph only': Toy offers 'sentence', 'sentence"):
        make(Setting.MONOLINGUAL, context="paragraph only")


def test_one_language_of_a_collection_that_is_answered_elsewhere_can_be_run(
    encoder, make, toy, tmp_path
):
    asked_only = replace(toy.part("de"), queries=(Query("x", "only in German?", ()),))
    english = replace(toy.part("en"), queries=(Query("x", "the cat?", (0,)),))
    whole = {"de": asked_only, "en": english}

    def load(languages: Any) -> ParallelCollection:
        return ParallelCollection("Toy", {code: whole[code] for code in languages})

    task = make(Setting.MONOLINGUAL).__class__
    spec = replace(task.spec, languages=("de", "en"), load=load)
    mono = make_task(spec, Setting.MONOLINGUAL, Context.SENTENCE, task.measures)
    cross = make_task(spec, Setting.CROSS_LINGUAL, Context.SENTENCE, task.measures)
    english_only = mono().filter_languages(["eng"])
    assert set(scores_of(evaluate(encoder, [english_only], tmp_path))) == {"en"}
    pair = cross().filter_languages(None, hf_subsets=["de-en"])
    with pytest.raises(DataFormatError, match="subset de: no query has a relevant passage"):
        evaluate(encoder, [mono()], tmp_path / "all")
    assert scores_of(evaluate(encoder, [pair], tmp_path))["de-en"]["n_queries"] == 1


def test_predictions_are_saved_best_first(encoder, make, tmp_path):
    evaluate(encoder, [make(Setting.MONOLINGUAL)], tmp_path / "r", prediction_folder=tmp_path / "p")
    saved = json.loads((tmp_path / "p" / "ToyMonolingualRetrieval_predictions.json").read_text())
    run = saved["en"]["test"]["q:en:f0"]
    assert len(run) == 6
    assert list(run.values()) == sorted(run.values(), reverse=True)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda v: np.full_like(v, np.nan), "holds NaN or infinity"),
        (lambda v: np.full_like(v, np.inf), "holds NaN or infinity"),
        (lambda v: v[:-1], "embeddings for"),
        (lambda v: v[:, :, None], "have shape"),
        (lambda v: v[:, :0], "expected \\(n, 1 or more\\)"),
        (lambda v: v + 1j, "returned ndarray; expected one vector"),
        (lambda v: torch.as_tensor(v + 1j), "expected one vector of one length"),
    ],
)
def test_broken_embeddings_are_one_clear_error(make, tmp_path, fault, message):
    class Broken(HashEncoder):
        def encode(self, *args: Any, **kwargs: Any) -> np.ndarray:
            return fault(super().encode(*args, **kwargs))

    with pytest.raises(EmbeddingError, match=message):
        evaluate(Broken(None), [make(Setting.MONOLINGUAL)], tmp_path)


def test_a_models_own_similarity_decides_the_ranks(encoder, make, tmp_path):
    normal = scores_of(evaluate(encoder, [make(Setting.MONOLINGUAL)], tmp_path / "a"))
    reverse = scores_of(evaluate(Reversed(None), [make(Setting.MONOLINGUAL)], tmp_path / "b"))
    assert reverse["en"]["mrr"] < normal["en"]["mrr"]


def test_torch_tensors_in_low_precision_are_welcome(make, tmp_path):
    class HalfPrecision(HashEncoder):
        def encode(self, *args: Any, **kwargs: Any) -> Any:
            return torch.from_numpy(super().encode(*args, **kwargs)).bfloat16()

    result = evaluate(HalfPrecision(None), [make(Setting.MONOLINGUAL)], tmp_path)
    assert scores_of(result)["de"]["map"] > 0.5


def test_a_search_model_is_scored_and_what_it_does_not_return_ranks_last(make, tmp_path):
    scores = scores_of(evaluate(WordSearch(), [make(Setting.MONOLINGUAL)], tmp_path))
    assert scores["en"]["recall_at_1"] == 1.0
    multi = scores_of(evaluate(WordSearch(), [make(Setting.MULTILINGUAL)], tmp_path))
    assert multi["en"]["recall_at_1"] == pytest.approx((1 / 3 + 1 / 3 + 1 / 2) / 3)
    assert 0 < multi["en"]["map"] < 1


def test_values_in_the_result_file_are_strict_json(encoder, make, tmp_path):
    evaluate(encoder, [make(Setting.MULTILINGUAL)], tmp_path)
    text = next(tmp_path.rglob("ToyMultilingualRetrieval.json")).read_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
