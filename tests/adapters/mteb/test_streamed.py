"""Streamed collections as MTEB tasks, against the same collection held in memory."""

import json
import logging
from dataclasses import replace

import mteb
import numpy as np
import pytest
import torch
from toys.encoders import HashEncoder, Reversed, WordSearch
from toys.mteb import evaluate, measures, scores_of
from toys.streamed import (
    DISTINCT,
    MONO,
    MULTI,
    WORDS,
    in_memory,
    loaded_task_of,
    plain,
    task_of,
    toy_part,
    toy_spec,
)

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.register import check_task
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.errors import DataFormatError, PluginError, SettingError, UnknownNameError
from hybridir_mteb.measures.measure import evaluate_measures
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import pool_of
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED, tie_order

MEASURES = measures()


@pytest.mark.parametrize("name", [MONO, MULTI])
def test_measures_and_rankings_equal_those_of_the_path_in_memory(name, tmp_path):
    parts = {code: toy_part(code) for code in WORDS}
    model, setting = HashEncoder(), Setting.MONOLINGUAL if name == MONO else Setting.MULTILINGUAL
    result = evaluate(
        model, [task_of(name, toy_spec(parts))], tmp_path, prediction_folder=tmp_path / "p"
    )
    found = scores_of(result)
    saved = json.loads((tmp_path / "p" / f"{name}_predictions.json").read_text())
    assert set(found) == set(parts)
    for code in parts:
        spoken = (code,) if setting is Setting.MONOLINGUAL else tuple(sorted(parts))
        table, run = in_memory(plain, parts, code, spoken)
        expected = evaluate_measures(MEASURES, table, setting)
        given = {key: value for key, value in found[code].items() if key in expected}
        assert {"map", "ndcg_at_10", "mrr_at_10", "recall_at_100"} <= set(given)
        if setting is Setting.MULTILINGUAL:
            assert {"top1_relevant_same", "same_language_share_at_10"} <= set(given)
            given.pop("language_probe_accuracy", None)
        assert given == pytest.approx({key: expected[key] for key in given}, abs=1e-6)
        predicted = saved[code]["dev"]
        assert {query: list(ranking) for query, ranking in predicted.items()} == run
        for ranking in predicted.values():
            assert list(ranking.values()) == sorted(ranking.values(), reverse=True)
        assert found[code]["main_score"] == found[code]["ndcg_at_10"]
        assert found[code]["n_queries"] == 7  # one has nothing relevant
        assert found[code]["n_passages"] == 30 * len(spoken)
        assert found[code]["n_missing_passages"] == 0
        assert found[code]["shard_dtype"] == "float32"


def test_a_pool_reports_the_bias_that_fits_and_says_why_the_rest_does_not(tmp_path):
    score = scores_of(evaluate(HashEncoder(), [task_of(MULTI)], tmp_path))["sw"]
    refused = score["not_applicable"]
    assert {"rank_distance", "lpr", "peer_at_20", "mrc"} <= set(refused)
    assert refused["rank_distance"].startswith("the relevant passages of a query are not transl")
    assert refused["mrc"] == "no query has a translation"
    assert not set(refused) & set(score)
    assert 0.5 <= score["language_probe_accuracy"] <= 1
    shares = [score["passage_languages"][code]["share_at_10"] for code in ("sw", "yo")]
    assert sum(shares) == pytest.approx(1)
    assert score["passage_languages"]["yo"]["mean_rank"] is None
    assert set(score["confidence_intervals"]) >= {"top1_relevant_same"}


def test_a_second_run_and_another_setting_encode_no_passage(tmp_path):
    first = HashEncoder()
    evaluate(first, [task_of(MONO)], tmp_path / "a")
    assert first.passages_seen() == DISTINCT
    again = HashEncoder()
    evaluate(again, [task_of(MONO), task_of(MULTI)], tmp_path / "b")
    assert again.passages_seen() == 0
    other = HashEncoder("hash-2")
    evaluate(other, [task_of(MONO)], tmp_path / "c")
    assert other.passages_seen() == DISTINCT


def test_one_language_alone_reads_only_its_own_passages(tmp_path):
    parts = {code: toy_part(code) for code in WORDS}
    task = task_of(MONO, toy_spec(parts)).filter_languages(["swa"])
    task.load_data()
    assert parts["sw"].passages.reads == 0  # type: ignore[attr-defined]
    assert set(scores_of(evaluate(HashEncoder(), [task], tmp_path))) == {"sw"}
    assert parts["sw"].passages.reads > 0  # type: ignore[attr-defined]
    assert parts["yo"].passages.reads == 0  # type: ignore[attr-defined]


def test_a_model_without_fingerprint_leaves_no_shards(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_SHARD_DIR", str(tmp_path / "shards"))
    model = HashEncoder(None)
    evaluate(model, [task_of(MONO), task_of(MULTI)], tmp_path / "a")
    assert model.passages_seen() == DISTINCT  # both settings of a run share them
    assert list((tmp_path / "shards").iterdir())
    del model
    assert not list((tmp_path / "shards").iterdir())


class Instructed(HashEncoder):
    """Has another instruction for each task."""

    def get_instruction(self, task_metadata, prompt_type):
        return task_metadata.name


def test_another_instruction_is_another_embedding_also_without_a_fingerprint(tmp_path):
    model = Instructed(None)
    evaluate(model, [task_of(MONO), task_of(MULTI)], tmp_path)
    assert model.passages_seen() == 2 * DISTINCT


class Trainable(HashEncoder):
    """Its weights can be seen, and nothing is known of what it does with them."""

    def __init__(self):
        super().__init__(None)
        self.model = torch.nn.Linear(2, 2)


def test_shards_of_weights_that_have_changed_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_SHARD_DIR", str(tmp_path / "shards"))
    model, folders = Trainable(), []
    for run in ("a", "b"):
        evaluate(model, [task_of(MONO)], tmp_path / run)
        folders += [{path.name for path in (tmp_path / "shards").iterdir() if path.is_dir()}]
        torch.nn.init.constant_(model.model.weight, 0.5)
    assert model.passages_seen() == 2 * DISTINCT
    assert [len(found) for found in folders] == [1, 1]
    assert folders[0] != folders[1]


@pytest.mark.parametrize("model", [HashEncoder(), WordSearch()], ids=["encoder", "search"])
def test_queries_that_are_taken_out_of_the_dataset_are_not_asked(model, tmp_path):
    task = loaded_task_of(MULTI)
    data = task.dataset["sw"]["dev"]
    data["queries"] = data["queries"].select(range(3))
    score = scores_of(evaluate(model, [task], tmp_path))
    assert (score["sw"]["n_queries"], score["yo"]["n_queries"]) == (3, 7)


def test_judged_passages_that_the_corpus_lacks_are_never_retrieved(tmp_path, caplog):
    part = toy_part("sw")
    lost = {**part.qrels, "q2": {"elsewhere#1": 1}, "q3": {**part.qrels["q3"], "gone#2": 2}}
    parts = {"sw": replace(part, qrels=lost), "yo": toy_part("yo")}
    with caplog.at_level(logging.WARNING):
        score = scores_of(evaluate(HashEncoder(), [task_of(MONO, toy_spec(parts))], tmp_path))["sw"]
    said = [r.getMessage() for r in caplog.records if "not in the corpus" in r.getMessage()]
    assert said == [
        f"{MONO} sw: 2 relevant passages are not in the corpus and count as not found; is the "
        "corpus complete?"
    ]
    assert score["n_missing_passages"] == 2
    known = {
        q: {p: g for p, g in r.items() if "#" in p and p[0].isdigit()} for q, r in lost.items()
    }
    held = {"sw": replace(part, qrels={q: r or {"0#0": 1} for q, r in known.items()})}
    table, _ = in_memory(plain, held, "sw", ("sw",))
    at = [q for q in lost if any(g > 0 for g in lost[q].values())]
    lists = np.split(table.ranks, table.indptr[1:-1])
    ranks = {q: found.tolist() for q, found in zip(at, lists, strict=True)}
    ranks["q2"] = [NOT_RETRIEVED]
    ranks["q3"] = [*ranks["q3"], NOT_RETRIEVED]
    by_hand = [np.mean([(i + 1) / rank for i, rank in enumerate(sorted(ranks[q]))]) for q in at]
    assert score["map"] == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert score["recall_at_100"] < 1


def test_stock_mteb_gives_the_same_scores_on_the_same_data(tmp_path):
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    parts = {}
    for code in WORDS:  # no equal texts: mteb breaks ties in its own way
        part = toy_part(code)
        rows = tuple(
            replace(p, text=f"{p.text} {at}") for at, p in enumerate(part.passages.passages())
        )
        parts[code] = replace(part, passages=replace(part.passages, rows=rows))  # type: ignore[type-var]
    for name in (MONO, MULTI):
        ours = scores_of(evaluate(HashEncoder(), [task_of(name, toy_spec(parts))], tmp_path / name))
        task = loaded_task_of(name, toy_spec(parts))
        for code in parts:
            stock = AbsTaskRetrieval._evaluate_subset(
                task,
                HashEncoder(),
                task.dataset[code]["dev"],
                encode_kwargs={"batch_size": 32},
                hf_split="dev",
                hf_subset=code,
                timer=mteb.timing.TimingStack(),
            )
            for measure in ("ndcg_at_10", "recall_at_100", "mrr_at_10"):
                assert ours[code][measure] == pytest.approx(stock[measure], abs=1e-5), measure


@pytest.mark.parametrize("name", [MONO, MULTI])
def test_a_search_model_is_scored_on_a_corpus_from_disk(name, tmp_path):
    parts = {code: toy_part(code) for code in WORDS}
    parts["sw"].qrels["q2"]["elsewhere#1"] = 1  # type: ignore[index]
    task = task_of(name, toy_spec(parts))
    result = evaluate(WordSearch(10), [task], tmp_path, prediction_folder=tmp_path / "p")
    score = scores_of(result)["sw"]
    saved = json.loads((tmp_path / "p" / f"{name}_predictions.json").read_text())["sw"]["dev"]
    prefix = ("q:sw:", "p:sw:") if name == MULTI else ("", "")
    reciprocal = []
    for query, ranking in saved.items():
        assert len(ranking) == 10
        order = tie_order([i if name == MULTI else f"p:sw:{i}" for i in ranking])
        keys = [(-s, place) for s, place in zip(ranking.values(), order, strict=True)]
        assert keys == sorted(keys)
        grades = parts["sw"].qrels[query.removeprefix(prefix[0])]
        good = [
            at for at, i in enumerate(ranking, 1) if grades.get(i.removeprefix(prefix[1]), 0) > 0
        ]
        reciprocal.append(1 / good[0] if good else 0.0)
    assert score["mrr_at_10"] == pytest.approx(np.mean(reciprocal), abs=1e-6)
    assert (score["n_passages"], score["n_missing_passages"]) == (60 if name == MULTI else 30, 1)
    assert "shard_dtype" not in score
    if name == MULTI:
        assert "embeddings" in score["not_applicable"]["language_probe_accuracy"]


def test_the_corpus_is_built_once_and_read_from_disk():
    parts = {code: toy_part(code) for code in WORDS}
    first = loaded_task_of(MULTI, toy_spec(parts))
    split = first.dataset["sw"]["dev"]
    assert "corpus" not in split
    corpus = split["corpus"]
    assert split["corpus"] is corpus
    assert corpus.cache_files  # memory-mapped
    assert len(corpus) == 60
    assert {i.split(":")[1] for i in corpus["id"]} == {"sw", "yo"}
    reads = parts["sw"].passages.reads  # type: ignore[attr-defined]
    again = loaded_task_of(MULTI, toy_spec(parts))
    assert again.dataset["yo"]["dev"]["corpus"][:] == corpus[:]
    assert parts["sw"].passages.reads == reads  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        split["nothing"]


def test_half_precision_shards_are_others_and_say_so(tmp_path, monkeypatch):
    whole = scores_of(evaluate(HashEncoder(), [task_of(MONO)], tmp_path / "a"))["sw"]
    monkeypatch.setenv("HYBRIDIR_SHARD_DTYPE", "float16")
    model = HashEncoder()
    half = scores_of(evaluate(model, [task_of(MONO)], tmp_path / "b"))["sw"]
    assert model.passages_seen() == DISTINCT
    assert half["shard_dtype"] == "float16"
    assert half["ndcg_at_10"] == pytest.approx(whole["ndcg_at_10"], abs=0.05)
    monkeypatch.setenv("HYBRIDIR_SHARD_DTYPE", "int8")
    with pytest.raises(SettingError, match="HYBRIDIR_SHARD_DTYPE='int8': expected one of float32"):
        evaluate(HashEncoder(), [task_of(MONO)], tmp_path / "c")


def test_what_the_disk_cannot_hold_is_refused_before_encoding(tmp_path, monkeypatch):
    part = toy_part("sw")
    part.passages.expected = 10**15  # type: ignore[attr-defined]
    model = HashEncoder()
    with pytest.raises(SettingError, match=r"passages of Toy sw in 16 dimensions need .* GB more"):
        evaluate(model, [task_of(MONO, toy_spec({"sw": part}))], tmp_path)
    assert model.passages_seen() == 0
    part.passages.n_bytes = 10_000  # type: ignore[attr-defined]  # a small file of a large corpus
    evaluate(model, [task_of(MONO, toy_spec({"sw": part}))], tmp_path)
    assert model.passages_seen() > 0


def test_a_models_own_similarity_decides(tmp_path):
    normal = evaluate(HashEncoder(), [task_of(MONO)], tmp_path, prediction_folder=tmp_path / "a")
    reverse = evaluate(
        Reversed(), [task_of(MONO)], tmp_path / "r", prediction_folder=tmp_path / "b"
    )
    assert scores_of(normal) != scores_of(reverse)
    first, second = (
        json.loads((tmp_path / f / f"{MONO}_predictions.json").read_text())["sw"]["dev"]["q0"]
        for f in ("a", "b")
    )
    distinct = [i for i in first if list(first.values()).count(first[i]) == 1]
    assert [i for i in second if i in distinct] == distinct[::-1]


def test_metadata_names_and_subsets():
    mono, multi = make_tasks(toy_spec(), MEASURES)
    assert (mono.metadata.name, multi.metadata.name) == (MONO, MULTI)
    assert mono.metadata.eval_langs == {"sw": ["swa-Latn"], "yo": ["yor-Latn"]}
    assert multi.metadata.eval_langs["sw"] == ["swa-Latn", "yor-Latn"]
    assert (mono.metadata.main_score, mono.metadata.eval_splits) == ("ndcg_at_10", ["dev"])
    (pooled,) = make_tasks(pool_of(toy_spec(), ["yo", "sw"]), MEASURES)
    assert pooled.metadata.name == "StreamedSwYoMultilingualRetrieval"
    alone = toy_spec({"sw": toy_part("sw")}, task="MyData", settings=(Setting.MONOLINGUAL,))
    (named,) = make_tasks(replace(alone, query_languages=("en",)), MEASURES)
    assert named.metadata.name == "MyData"
    assert named.metadata.eval_langs == ["eng-Latn", "swa-Latn"]
    assert named.metadata.hf_subsets == ["default"]
    for task in (mono, multi, pooled, named):
        check_task(task)


def test_a_collection_that_names_its_task_has_one_subset(tmp_path):
    spec = toy_spec({"sw": toy_part("sw")}, task="MyData", settings=(Setting.MONOLINGUAL,))
    named = scores_of(evaluate(HashEncoder(), [task_of("MyData", spec)], tmp_path / "a"))
    alone = scores_of(evaluate(HashEncoder(), [task_of(MONO)], tmp_path / "b"))
    assert set(named) == {"default"}
    assert named["default"]["ndcg_at_10"] == alone["sw"]["ndcg_at_10"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": (Setting.CROSS_LINGUAL,)}, "has no cross-lingual setting; choose from mono"),
        ({"task": "One"}, "named as the only task of Streamed, which must then have one language"),
        ({"main_score": "bleu"}, "main_score 'bleu' is no measure; choose from map, mrr"),
    ],
)
def test_a_spec_that_makes_no_task_says_why(changes, message):
    with pytest.raises(PluginError, match=message):
        make_tasks(toy_spec(**changes), MEASURES)


def test_an_unknown_split_and_an_unjudged_language_are_clear_errors(tmp_path):
    with pytest.raises(UnknownNameError, match=f"{MONO} has no split test, only dev"):
        evaluate(HashEncoder(), [task_of(MONO).filter_eval_splits(["test"])], tmp_path)
    bare = {"sw": replace(toy_part("sw"), qrels={"q0": {"0#0": 0}})}
    with pytest.raises(DataFormatError, match="subset sw: no query has a relevant passage"):
        evaluate(HashEncoder(), [task_of(MONO, toy_spec(bare))], tmp_path)


@pytest.mark.parametrize("damage", ["flip", "cut", "swap", "folder"])
def test_a_damaged_table_of_passages_is_made_anew(damage, tmp_path):
    """Arrow has no checksums: a flipped letter was another passage, a short file a traceback."""
    wanted = scores_of(evaluate(WordSearch(10), [task_of(MONO)], tmp_path / "a"))
    first, second = sorted(paths.corpora_dir().glob("*.arrow"))
    whole = first.read_bytes()
    if damage == "flip":
        at = whole.index(b"maji") if b"maji" in whole else whole.index(b"omi")
        first.write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    elif damage == "cut":
        first.write_bytes(whole[: len(whole) // 2])
    elif damage == "swap":
        first.write_bytes(second.read_bytes())
    else:
        first.unlink()
        first.mkdir()
    assert scores_of(evaluate(WordSearch(10), [task_of(MONO)], tmp_path / "b")) == wanted
    assert first.read_bytes() == whole
