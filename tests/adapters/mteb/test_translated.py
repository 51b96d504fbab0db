"""Translated BEIR folders as MTEB tasks: scores that follow from how the encoder reads them."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
import torch
from descriptive_stats import chosen
from mteb.cli import main as mteb_main
from mteb.models.model_implementations import MODEL_REGISTRY
from toys.beir import write
from toys.cli import run as command
from toys.encoders import HashEncoder, WordSearch, meta
from toys.mteb import evaluate, measures, scores_of
from toys.translated import Reader, beir_rows, is_translated, qrels_of, read, write_pair

from hybridir_mteb.adapters.mteb.export import export_subsets
from hybridir_mteb.adapters.mteb.register import licences, owner_of, register
from hybridir_mteb.adapters.mteb.statistics import statistics
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.own import FolderOptions, read_record
from hybridir_mteb.collections.own_parallel import AddedParallel, add_parallel, parallel_spec
from hybridir_mteb.paths import collections_dir
from hybridir_mteb.results.tables import parallel_rows, summarise_ndcg
from hybridir_mteb.tasks.beir_translated import SETS
from hybridir_mteb.training.leak import evaluation_texts

SETTINGS = ("Monolingual", "CrossLingual", "Multilingual")
PASSAGES = 300  # of SciFact
SUBSETS = "hf_subset_descriptive_stats"
BIAS = 9.0  # more than two cosines differ by
Scores = dict[str, dict[str, Any]]


def tasks_of(folders: dict[str, Path]) -> list[Any]:
    """The three tasks of folders that are added."""
    add_parallel("Two", folders, FolderOptions(), taken=owner_of, licences=licences())
    record = read_record(collections_dir() / "Two.json")
    assert isinstance(record, AddedParallel)
    return make_tasks(parallel_spec(record), measures())


# --- By hand: four words are four directions, so a score counts the shared words. ---

WORDS = ("ant", "bee", "cat", "dog")
CORPUS = [
    {"_id": "d1", "title": "Ant", "text": "ant bee"},
    {"_id": "d2", "text": "ant cat"},
    {"_id": "d3", "text": "dog"},
]
QUERIES = [{"_id": "q1", "text": "ant"}, {"_id": "q2", "text": "dog"}]
QRELS = [("q1", "d1", 1), ("q1", "d2", 2), ("q2", "d3", 1), ("q2", "d1", 0)]


class Counts(HashEncoder):
    """One direction a word; English passages come before equal Polish ones."""

    def __init__(self) -> None:
        super().__init__(None, self.count)

    @staticmethod
    def count(text: str) -> np.ndarray:
        words = read(text).lower().split()
        return np.array([*map(words.count, WORDS), is_translated(text)], np.float32)

    def similarity(self, a: Any, b: Any) -> torch.Tensor:
        """Shared words, less a little if the passage is in Polish."""
        a, b = torch.as_tensor(a), torch.as_tensor(b)
        return a[:, :-1] @ b[:, :-1].T - 0.01 * b[:, -1]


@pytest.fixture
def small(tmp_path: Path) -> list[Any]:
    return tasks_of(write_pair(tmp_path / "small", CORPUS, QUERIES, QRELS))


def test_ranks_of_a_small_folder_give_the_scores_that_are_worked_out_by_hand(small, tmp_path):
    result = evaluate(Counts(), [task() for task in small], tmp_path)
    mono, cross, multi = (scores_of(result, at) for at in range(3))
    # q1: d1 has "ant" twice (its title counts), so it comes before d2, whose grade is higher.
    ideal, discount = 2 + 1 / np.log2(3), 1 / np.log2(1 + np.arange(1, 9))
    first = (1 + 2 / np.log2(3)) / ideal
    assert set(mono) == {"en", "pl"}
    assert set(cross) == {"en-pl", "pl-en"}
    for score in (*mono.values(), *cross.values()):
        assert score["ndcg_at_10"] == pytest.approx((first + 1) / 2, abs=1e-6)
        assert score["main_score"] == score["ndcg_at_10"]
        assert (score["mrr_at_10"], score["map"]) == (1, 1)
        assert (score["n_queries"], score["n_passages"]) == (2, 3)
    # All six: d1 en, d1 pl, d2 en, d2 pl; and for q2 d3 en, d3 pl.
    gained = np.array([1, 1, 2, 2]) @ discount[:4]
    best = np.array([2, 2, 1, 1]) @ discount[:4]
    assert set(multi) == {"en", "pl"}
    for score in multi.values():
        assert score["n_passages"] == 6
        assert score["ndcg_at_10"] == pytest.approx((gained / best + 1) / 2, abs=1e-6)
        assert score["rank_distance"] == (3 + 1) / 2
    assert (multi["en"]["lpr"], multi["pl"]["lpr"]) == (1, 0)


def test_a_search_model_sees_titles_also_if_one_language_has_none(tmp_path):
    folders = write_pair(tmp_path / "small", CORPUS, QUERIES, QRELS)
    rows = [{"_id": row["_id"], "text": row["text"]} for row in beir_rows(folders["pl"], "corpus")]
    write(folders["pl"] / "corpus.jsonl", rows)
    task = tasks_of(folders)[2]()
    task.load_data()
    assert task.dataset["en"]["test"]["corpus"]["title"] == ["Ant", "", "", "", "", ""]
    found = scores_of(evaluate(WordSearch(6), [task], tmp_path))["en"]
    assert (found["lpr"], found["main_measure"]) == (1, "ndcg_at_10")


# --- SciFact, and its translation by a word code. ---


@pytest.fixture(scope="module")
def scifact(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A slice of SciFact in two languages: judged passages, and others up to 300."""
    place = data_dir / "scifact-beir"
    qrels = [one for one in qrels_of(place) if int(one[0]) < 500]
    judged = {passage for _, passage, _ in qrels}
    rows = beir_rows(place, "corpus")
    rows.sort(key=lambda row: row["_id"] not in judged)
    asked = {query for query, _, _ in qrels}
    queries = [row for row in beir_rows(place, "queries") if row["_id"] in asked]
    return write_pair(tmp_path_factory.mktemp("scifact"), rows[:PASSAGES], queries, qrels)


def run(
    scifact: dict[str, Path], monkeypatch: pytest.MonkeyPatch, folder: Path, model: HashEncoder
) -> tuple[Scores, Scores, Scores]:
    """What ``mteb run`` writes, its three tasks in their order."""
    from mteb.get_tasks import _TASKS_REGISTRY

    register()
    for task in tasks_of(scifact):
        monkeypatch.setitem(_TASKS_REGISTRY, task.metadata.name, task)
    known = meta("test/reader").model_copy(update={"loader": lambda *_, **__: model})
    monkeypatch.setitem(MODEL_REGISTRY, "test/reader", known)
    names = [f"Two{setting}Retrieval" for setting in SETTINGS]
    words = ["mteb", "run", "-m", "test/reader", "-t", *names, "--output-folder", str(folder)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(logging.getLogger("mteb"), "setLevel", lambda _: None)  # for other tests
    mteb_main()
    mono, cross, multi = (
        {
            score["hf_subset"]: score
            for score in json.loads(next(folder.rglob(f"{name}.json")).read_text())["scores"][
                "test"
            ]
        }
        for name in names
    )
    return mono, cross, multi


def ranks_of(scifact: dict[str, Path]) -> dict[str, list[int]]:
    """Query -> ranks of its relevant passages among those of one language, ascending."""
    encoder, place = Reader(), scifact["en"]
    texts = {r["_id"]: f"{r['title']} {r['text']}".strip() for r in beir_rows(place, "corpus")}
    vectors = np.stack([encoder.embed(text) for text in texts.values()]).astype(np.float64)
    at = {passage: number for number, passage in enumerate(texts)}
    ranks: dict[str, list[int]] = {}
    for row in beir_rows(place, "queries"):
        scores = vectors @ encoder.embed(row["text"]).astype(np.float64)
        assert len(set(scores)) == len(scores)
        relevant = [at[p] for q, p, grade in qrels_of(place) if q == row["_id"] and grade]
        ranks[row["_id"]] = sorted(int((scores > scores[one]).sum()) + 1 for one in relevant)
    return ranks


def test_who_reads_both_languages_scores_alike_in_all_of_them(scifact, monkeypatch, tmp_path):
    """The stock command; the encoder is blind to languages, so each pair of passages is tied."""
    mono, cross, multi = run(scifact, monkeypatch, tmp_path, Reader())
    ranks = list(ranks_of(scifact).values())
    ndcg = float(np.mean([_ndcg(q) for q in ranks]))
    mrr = float(np.mean([1 / q[0] if q[0] <= 10 else 0 for q in ranks]))
    for score in (*mono.values(), *cross.values()):
        assert score["main_score"] == score["ndcg_at_10"] == pytest.approx(ndcg, abs=1e-5)
        assert score["mrr_at_10"] == pytest.approx(mrr, abs=1e-5)
        effective = {name for name in score if name.startswith(("map", "mrr", "ndcg", "recall"))}
        assert {n: score[n] for n in effective} == {n: mono["en"][n] for n in effective}
    # A passage of rank r and its translation have the ranks 2r - 1 and 2r.
    distance = float(np.mean([2 * (q[-1] - q[0]) + 1 for q in ranks]))
    pairs = [[rank for k in q for rank in (2 * k - 1, 2 * k)] for q in ranks]
    average = float(np.mean([_precision(q) for q in pairs]))
    for score in multi.values():
        assert score["rank_distance"] == pytest.approx(distance, abs=1e-5)
        assert score["map"] == pytest.approx(average, abs=1e-5)
        assert score["lpr_expected"] == 0.5
        assert score["lpr"] == pytest.approx(0.5, abs=0.1)
        assert score["same_language_share_at_100"] == pytest.approx(1, abs=0.03)
    assert multi["en"]["lpr"] + multi["pl"]["lpr"] == pytest.approx(1)  # the same ranking
    assert multi["en"]["mrc"] == pytest.approx(1)
    (row,) = parallel_rows(tmp_path)
    assert row.cells()[0] == "Two"
    assert [row.collection for row in summarise_ndcg(tmp_path)] == [
        "TwoCrossLingualRetrieval",
        "TwoMonolingualRetrieval",
        "TwoMultilingualRetrieval",
    ]


def test_who_tells_languages_apart_is_biased_by_what_arithmetic_says(
    scifact, monkeypatch, tmp_path
):
    """All passages in the query's language come first, the others behind them in the same order."""
    mono, cross, multi = run(scifact, monkeypatch, tmp_path, Reader(BIAS))
    ranks = list(ranks_of(scifact).values())
    for score in cross.values():
        assert score["ndcg_at_10"] == pytest.approx(mono["en"]["ndcg_at_10"], abs=1e-5)
    distance = float(np.mean([PASSAGES + q[-1] - q[0] for q in ranks]))
    for code, score in multi.items():
        assert score["rank_distance"] == pytest.approx(distance, abs=1e-5)
        assert score["mrr_at_10"] == mono[code]["mrr_at_10"]
        assert score["lpr"] == score["language_probe_accuracy"] == 1
        assert score["same_language_share_at_100"] == 2
        assert score["top1_nonrelevant_other"] == score["top1_relevant_other"] == 0


def _ndcg(ranks: list[int]) -> float:
    gained, best = (
        sum(1 / np.log2(1 + rank) for rank in places if rank <= 10)
        for places in (ranks, range(1, len(ranks) + 1))
    )
    return float(gained / best)


def _precision(ranks: list[int]) -> float:
    return float(np.mean([place / rank for place, rank in enumerate(ranks, 1)]))


# --- The named ones. ---


def test_data_sets_and_commits_are_those_that_mteb_pins():
    assert len(SETS) == 6
    for beir in SETS:
        sizes = set()
        for code, one in beir.languages.items():
            metadata = mteb.get_task(one.task).metadata
            pinned = metadata.dataset["path"], metadata.dataset["revision"]
            assert (one.dataset.repository, one.dataset.revision) == pinned
            assert (one.dataset.language, one.dataset.split) == (code, metadata.eval_splits[0])
            assert (metadata.main_score, len(metadata.languages)) == ("ndcg_at_10", 1)
            statistics = metadata.descriptive_stats[one.dataset.split]
            sizes.add((statistics["num_samples"], *_judged(statistics)))
        assert len(sizes) == 1, "as many texts and judgements in each language"
        english = mteb.get_task(beir.languages["en"].task).metadata
        assert (beir.license, list(beir.domains)) == (english.license, english.domains)


def _judged(statistics: dict[str, Any]) -> tuple[int, ...]:
    found = statistics["relevant_docs_statistics"]
    return found["num_relevant_docs"], found["unique_relevant_docs"]


def test_named_tasks_read_folders_of_a_mirror(tmp_path, monkeypatch, failure):
    places = write_pair(tmp_path, CORPUS, QUERIES, QRELS)
    for code, one in SETS[0].languages.items():
        if code in places:
            target = tmp_path / "mirror" / one.dataset.path
            target.parent.mkdir(parents=True, exist_ok=True)
            places[code].rename(target)
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "mirror"))
    assert command("data", "verify", "SciFactEnPl").splitlines() == [
        f"SciFactEnPl {code}: 2 queries, 3 passages, 4 judgements (3 relevant)"
        for code in ("en", "pl")
    ]
    said = failure("data", "verify", "SciFactEnNl")
    assert "beir/clips/beir-nl-scifact missing or with a wrong checksum; run: hybridir data" in said
    known = evaluation_texts()
    assert "SciFactEnPl" in known.checked
    assert not [name for name in known.not_at_hand if "En" in name]
    found = export_subsets("SciFactEnPlMultilingualRetrieval")
    assert [(one.name, list(one.queries)) for one in found] == [
        ("en", ["q:en:q1", "q:en:q2"]),
        ("pl", ["q:pl:q1", "q:pl:q2"]),
    ]
    assert found[1].qrels["q:pl:q1"] == {"p:en:d1": 1, "p:en:d2": 2, "p:pl:d1": 1, "p:pl:d2": 2}
    counts = statistics(chosen(hub=True)["SciFactEnPlMultilingualRetrieval"]())["test"]
    assert [(c["num_queries"], c["num_documents"]) for c in counts.pop(SUBSETS).values()] == [
        (2, 6),
        (2, 6),
    ]
    assert (counts["num_queries"], counts["num_documents"]) == (4, 12)  # the pool twice
