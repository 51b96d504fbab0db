"""Language bias in the result files of multilingual tasks."""

import gc
import json
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from toys.encoders import HashEncoder, Reversed, WordSearch, hash_embedding
from toys.mteb import evaluate, scores_of, tasks_of

from hybridir_mteb.adapters.mteb import facts
from hybridir_mteb.adapters.mteb.pool import MemoryPool
from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query
from hybridir_mteb.encoders.encoder import TextEncoder
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.report import MATRICES
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.ranking.ranking import Ranking, tie_order

LANGUAGES = ("de", "en", "fr")
N = 8


@pytest.fixture
def collection() -> ParallelCollection:
    """Eight questions in three languages, the last one missing in French."""
    parts = {}
    for code in LANGUAGES:
        n = N - (code == "fr")
        queries = tuple(Query(f"q{at}", f"word{at} what {code}", (2 * at,)) for at in range(n))
        passages = tuple(
            Passage(str(at), f"word{at // 2} {code} part{at % 2}") for at in range(2 * n)
        )
        parts[code] = LanguagePart(code, queries, passages)
    return ParallelCollection("Small", parts)


@pytest.fixture
def make(collection: ParallelCollection) -> Any:
    return tasks_of(collection)


@pytest.fixture
def encoder() -> HashEncoder:
    return HashEncoder(None)


def test_every_measure_is_in_the_file_of_the_multilingual_task_alone(encoder, make, tmp_path):
    result = evaluate(encoder, [make(), make(Setting.MONOLINGUAL)], tmp_path)
    multi, mono = scores_of(result, 0), scores_of(result, 1)
    names = {measure.name for measure in LANGUAGE_BIAS}
    for score in multi.values():
        assert names <= set(score)
        assert set(score["confidence_intervals"]) == names
        assert score["confidence_intervals"]["language_probe_accuracy"] is None  # one number
        for name in names - {"language_probe_accuracy"}:
            low, high = score["confidence_intervals"][name]
            assert low - 1e-6 <= score[name] <= high + 1e-6, name
        assert set(score["passage_languages"]) == set(LANGUAGES)
        assert set(score["passage_languages"]["de"]) == set(MATRICES)
        shares = [found["share_at_10"] for found in score["passage_languages"].values()]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert not names & set(mono["de"])
    assert "confidence_intervals" not in mono["de"]
    (path,) = tmp_path.rglob("SmallMultilingualRetrieval.json")
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_rank_correlation_is_the_mean_spearman_with_the_other_languages(
    encoder, make, collection, tmp_path
):
    found = scores_of(evaluate(encoder, [make()], tmp_path))
    pool = [
        (collection.part(code).passage_id(at), passage.text)
        for code in LANGUAGES
        for at, passage in enumerate(collection.part(code).passages)
    ]
    order = tie_order([identifier for identifier, _ in pool])
    vectors = np.stack([hash_embedding(text) for _, text in pool]).astype(np.float64)
    ranks: dict[str, dict[str, np.ndarray]] = {}
    for code in LANGUAGES:
        for query in collection.part(code).queries:
            scores = vectors @ hash_embedding(query.text).astype(np.float64)
            ranks.setdefault(query.parallel_id, {})[code] = np.argsort(np.lexsort((order, -scores)))
    expected = np.mean(
        [
            np.mean([spearmanr(own["de"], own[m]).statistic for m in own if m != "de"])
            for own in ranks.values()
        ]
    )
    assert found["de"]["mrc"] == pytest.approx(expected, abs=1e-5)


def test_a_subset_scores_the_same_alone_as_with_the_others(encoder, make, tmp_path):
    everything = scores_of(evaluate(encoder, [make()], tmp_path / "all"))
    task = make().filter_languages(languages=None, hf_subsets=["fr"])
    alone = scores_of(evaluate(HashEncoder(None), [task], tmp_path / "one"))
    assert set(alone) == {"fr"}
    for name, value in alone["fr"].items():
        assert value == everything["fr"][name], name


def test_two_models_and_a_model_that_changed_do_not_share_a_memory(encoder, make, tmp_path):
    task = make()
    task.load_data()
    first = scores_of(evaluate(encoder, [task], tmp_path / "1"))
    constant = HashEncoder(None, lambda text: np.eye(16, dtype=np.float32)[len(text) % 3])
    second = scores_of(evaluate(constant, [task], tmp_path / "2"))
    again = scores_of(evaluate(encoder, [task], tmp_path / "3"))
    assert first["de"]["mrc"] == again["de"]["mrc"] != second["de"]["mrc"]
    # Of each model: the pool, what concerns all languages, and the queries of three of them.
    assert len(task.memory) == 2 * (1 + 1 + len(LANGUAGES))
    task.unload_data()
    assert task.collection.parts == {}
    assert len(task.memory) == 0


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """Grows with each ranking that a subset makes of its own."""
    found: list[int] = []
    rank = MemoryPool.rank

    def counted(pool: Any, *arguments: Any) -> Any:
        found.append(1)
        return rank(pool, *arguments)

    monkeypatch.setattr(MemoryPool, "rank", counted)
    return found


def test_subsets_take_rankings_of_all_languages_or_make_their_own_with_the_same_result(
    encoder, make, tmp_path, monkeypatch, made
):
    folders = tmp_path / "taken", tmp_path / "own"
    taken = evaluate(encoder, [make()], tmp_path / "1", prediction_folder=folders[0])
    assert not made
    monkeypatch.setattr(facts.RankedQueries, "of", lambda *_: None)
    own = evaluate(encoder, [make()], tmp_path / "2", prediction_folder=folders[1])
    assert len(made) == len(LANGUAGES)
    assert scores_of(taken) == scores_of(own)
    first, second = (json.loads(next(at.rglob("*.json")).read_text()) for at in folders)
    for code in LANGUAGES:
        one, other = first[code]["test"], second[code]["test"]
        assert {q: list(hits) for q, hits in one.items()} == {
            q: list(hits) for q, hits in other.items()
        }


def test_a_similarity_of_the_models_own_sees_the_queries_of_one_subset(make, tmp_path, made):
    evaluate(Reversed(None), [make()], tmp_path)
    assert len(made) == len(LANGUAGES)


def test_rankings_are_not_taken_where_other_passages_are_relevant():
    judged = judgements([[0], [1, 2]])
    ranking = Ranking(np.array([1, 2, 3]), np.zeros((2, 3), np.int64), np.zeros((2, 3)))
    ranked = facts.RankedQueries(judged, ranking)
    assert ranked.of(judged, 3).ranks.tolist() == [1, 2, 3]
    assert ranked.of(judged.take(np.array([1, 0])), 3).ranks.tolist() == [2, 3, 1]
    assert ranked.of(judgements([[0, 1], [2]]), 3) is None
    assert ranked.of(judgements([[0], [1, 1]]), 3) is None
    assert ranked.of(replace(judged, query_ids=["a", "c"]), 3) is None


def judgements(rows: list[list[int]]) -> Judgements:
    """Of two queries in a pool of three passages."""
    return Judgements(
        Relevance.from_lists(rows),
        ("de",),
        queries=np.zeros(2, np.int64),
        entries=np.zeros(3, np.int64),
        pool=np.array([3]),
        query_ids=["a", "b"],
    )


def test_a_longer_ranking_than_is_known_is_made(encoder, make, monkeypatch):
    monkeypatch.setattr(facts, "TOP_DEPTH", 5)
    task = make()
    task.load_data()
    known = task.search_subset(encoder, "de", 5, {})
    longer = task.search_subset(encoder, "de", 7, {})
    assert {len(hits) for hits in known.run.values()} == {7 - 2}
    assert {len(hits) for hits in longer.run.values()} == {7}
    for query, hits in known.run.items():
        assert list(hits) == list(longer.run[query])[:5]


def test_what_subsets_share_does_not_keep_a_model_alive(make, tmp_path):
    tasks = [make(), make(Setting.CROSS_LINGUAL)]
    for task in tasks:
        task.load_data()
    model = HashEncoder(None)
    evaluate(model, tasks, tmp_path)
    freed = weakref.ref(model)
    del model
    gc.collect()
    assert freed() is None
    assert [len(task.memory) for task in tasks] == [0, 0]


@pytest.mark.parametrize("setting", [Setting.CROSS_LINGUAL, Setting.MULTILINGUAL])
def test_each_pool_is_made_once_for_all_subsets(setting, encoder, make, tmp_path, monkeypatch):
    asked: list[tuple[str, ...]] = []
    embed = TextEncoder.embed

    def counted(own: Any, texts: Any, role: Any, *more: Any) -> Any:
        if role == "document":
            asked.append(tuple(texts))
        return embed(own, texts, role, *more)

    monkeypatch.setattr(TextEncoder, "embed", counted)
    evaluate(encoder, [make(setting)], tmp_path)
    assert len(asked) == len(set(asked)) == (3 if setting is Setting.CROSS_LINGUAL else 1)


def test_a_search_model_has_no_rank_correlation_and_no_probe(make, tmp_path):
    score = scores_of(evaluate(WordSearch(), [make()], tmp_path))["de"]
    refused = {"mrc", "language_probe_accuracy"}
    assert refused <= score["not_applicable"].keys()
    assert not refused & score.keys()
    assert score["lpr"] is not None


class OneHit(WordSearch):
    """Returns exactly one passage, in the query's language."""

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> dict[str, dict[str, float]]:
        found = super().search(queries, top_k=top_k, **kwargs)
        ids = [identifier for hits in found.values() for identifier in hits]
        return {
            query: {next(i for i in ids if i.startswith(f"p:{query.split(':')[1]}:")): 1.0}
            for query in found
        }


def test_what_a_search_model_leaves_out_is_in_no_top_and_in_no_prediction(make, tmp_path):
    result = evaluate(OneHit(), [make()], tmp_path, prediction_folder=tmp_path / "predictions")
    score = scores_of(result)["de"]
    pool = 16 + 16 + 14
    assert score["same_language_share_at_10"] == pytest.approx(pool / 16, abs=1e-5)
    assert score["recall_at_100"] <= 1 / 2  # one of two or three answers at most
    assert "rank_distance" in score["not_applicable"]
    assert "rank_distance" not in score
    (path,) = (tmp_path / "predictions").rglob("*_predictions.json")
    hits = json.loads(path.read_text())["de"]["test"]
    assert {len(found) for found in hits.values()} == {1}


def test_unloading_keeps_the_context_of_a_task(make):
    task = make(context="sentence+paragraph")
    name = task.metadata.name
    task.load_data()
    task.unload_data()
    assert task.metadata.name == name == "SmallMultilingualInContextRetrieval"
