"""Result folders as mteb writes them, summed up."""

import json
from pathlib import Path
from typing import Any

import pytest

from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.results.tables import (
    BIAS_COLUMNS,
    FOUND,
    FOUND_COLUMNS,
    ResultRow,
    summarise,
)

MODEL = "org__model/0123abc"


def score(subset: str, **measures: float) -> dict[str, Any]:
    """One subset's entry, with the texts that mteb puts beside the numbers."""
    return {
        **measures,
        "main_score": measures["map"],
        "n_queries": 10,
        "n_passages": 30,
        "hf_subset": subset,
        "languages": ["deu-Latn"],
    }


def put(folder: Path, task: str, *scores: dict[str, Any], model: str = MODEL) -> Path:
    path = folder / model / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"task_name": task, "mteb_version": "2.26.24", "scores": {"validation": list(scores)}}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_means_are_taken_over_the_subsets_of_each_setting(tmp_path):
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.75), score("en", map=0.25))
    put(tmp_path, "XQuADRCrossLingualRetrieval", score("de-en", map=0.5))
    put(
        tmp_path,
        "XQuADRMultilingualRetrieval",
        score("de", map=0.25, rank_distance=10.0, rank_distance_norm=0.5),
        score("en", map=0.125, rank_distance=30.5, rank_distance_norm=0.25),
    )
    (row,) = summarise(tmp_path)
    assert (row.collection, row.encoder) == ("XQuADR", "org/model")
    assert row.subsets == {"mono": 2, "cross": 1, "multi": 2}
    assert row.means["mono"]["map"] == 0.5
    assert row.means["cross"]["map"] == 0.5
    assert row.means["multi"]["map"] == 0.1875
    assert row.means["multi"]["rank_distance"] == 20.25
    assert row.means["multi"]["rank_distance_norm"] == 0.375


def test_only_numbers_are_averaged(tmp_path):
    put(tmp_path, "XQuADRMonolingualRetrieval", {**score("de", map=0.75), "flag": True})
    (row,) = summarise(tmp_path)
    assert set(row.means["mono"]) == {"map", "main_score", "n_queries", "n_passages"}


def test_cells_are_rounded_percentages_and_a_dash_where_nothing_was_run():
    row = ResultRow(
        "XQuADR",
        "org/model",
        {
            "mono": {"map": 0.87654},
            "multi": {"map": 0.5, "rank_distance": 123.456, "rank_distance_norm": 0.12345},
        },
        {"mono": [{}] * 11, "multi": [{}] * 2},
    )
    shown = ["XQuADR", "org/model", "87.7", "-", "50.0", "123.5", "0.123", "11/0/2"]
    assert row.cells() == shown
    assert ResultRow("XQuADR", "org/model").cells() == ["XQuADR", "org/model", *["-"] * 5, "0/0/0"]


def test_the_measures_of_bias_have_a_table_of_their_own(tmp_path):
    known = {"map": 0.5, "rank_distance": 10.0, "lpr": 0.25, "mrc": 0.5}
    put(tmp_path, "XQuADRMultilingualRetrieval", score("de", **known), score("en", **known))
    (row,) = summarise(tmp_path)
    cells = dict(zip(BIAS_COLUMNS, row.bias_cells(), strict=True))
    assert cells["distance"] == "10.0"
    assert cells["lpr"] == "0.250"
    assert cells["mrc"] == "0.500"
    assert cells["probe"] == "-"  # an older file, or a model that brings its own search
    found = {"tlr_at_20": 0.5, "max_rank": 12.25}
    put(tmp_path, "MLQARMultilingualRetrieval", score("de", **known, **found))
    (newer,) = summarise(tmp_path, "MLQAR")
    cells = dict(zip(FOUND_COLUMNS, newer.bias_cells(FOUND), strict=True))
    assert (cells["tlr@20"], cells["max rank"], cells["same R@10"]) == ("0.500", "12.2", "-")


def test_sentences_in_context_have_a_row_of_their_own(tmp_path):
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.25))
    put(tmp_path, "XQuADRMonolingualInContextRetrieval", score("de", map=0.75))
    found = {row.collection: row.means["mono"]["map"] for row in summarise(tmp_path)}
    assert found == {"XQuADR": 0.25, "XQuADRInContext": 0.75}


def test_every_encoder_and_every_experiment_has_its_row(tmp_path):
    """mteb keeps runs with other arguments under experiments/<arguments>."""
    task = "XQuADRMonolingualRetrieval"
    put(tmp_path, task, score("de", map=0.5))
    put(tmp_path, task, score("de", map=0.25), model=f"{MODEL}/experiments/precision_bf16")
    put(tmp_path, task, score("de", map=0.75), model="org__other__model/main")
    found = {row.encoder: row.means["mono"]["map"] for row in summarise(tmp_path)}
    assert found == {"org/model": 0.5, "org/model (precision_bf16)": 0.25, "org/other__model": 0.75}


def test_two_revisions_of_an_encoder_are_not_mixed(tmp_path):
    """A retrained encoder keeps its name and changes its revision."""
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.25), model="org__model/old")
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.75), model="org__model/new")
    put(tmp_path, "XQuADRCrossLingualRetrieval", score("de-en", map=0.5), model="org__model/old")
    found = [
        {setting: means["map"] for setting, means in row.means.items()}
        for row in summarise(tmp_path)
    ]
    assert sorted(found, key=len) == [{"mono": 0.75}, {"mono": 0.25, "cross": 0.5}]


def test_the_folder_may_be_any_above_the_files(tmp_path):
    put(tmp_path / "a" / "results", "XQuADRMonolingualRetrieval", score("de", map=0.5))
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "results"):
        assert [row.encoder for row in summarise(folder)] == ["org/model"]


def test_the_folder_may_be_the_current_one(tmp_path, monkeypatch):
    path = put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.5))
    for folder in (tmp_path, path.parent):
        monkeypatch.chdir(folder)
        assert [row.encoder for row in summarise(Path())] == ["org/model"]


def test_one_collection_can_be_chosen(tmp_path):
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.5))
    put(tmp_path, "MLQARMonolingualRetrieval", score("de", map=0.25))
    assert [row.collection for row in summarise(tmp_path)] == ["MLQAR", "XQuADR"]
    assert [row.collection for row in summarise(tmp_path, "XQuADR")] == ["XQuADR"]
    with pytest.raises(DataUnavailableError):
        summarise(tmp_path, "PocketQAR")


@pytest.mark.parametrize(
    "task",
    ["XQuADRetrieval", "MIRACLRetrieval", "MonolingualRetrieval", "VDRMultilingualRetrieval"],
)
def test_tasks_of_mteb_are_ignored(tmp_path, task):
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.5))
    ours = summarise(tmp_path)
    put(tmp_path, task, {"ndcg_at_10": 0.9, "main_score": 0.9, "hf_subset": "default"})
    assert summarise(tmp_path) == ours


def test_other_files_are_ignored(tmp_path):
    path = put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.5))
    path.with_name("model_meta.json").write_text("{")
    path.with_name("XQuADRMonolingualRetrieval.json.bak").write_text("{")
    assert len(summarise(tmp_path)) == 1


@pytest.mark.parametrize("folder", ["", "absent"])
def test_a_folder_without_results_says_how_to_make_some(tmp_path, folder):
    with pytest.raises(DataUnavailableError) as caught:
        summarise(tmp_path / folder)
    assert str(tmp_path / folder) in str(caught.value)
    assert "mteb run" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"scores": {"valid',
        b"\xff",
        b"{}",
        b"[]",
        b"3",
        b'{"scores": []}',
        b'{"scores": {"validation": null}}',
        b'{"scores": {"validation": [null]}}',
        b'{"scores": {"validation": ["ab"]}}',
        b'{"scores": {"validation": [[["map", 0.5]]]}}',
        b'{"scores": {"validation": [{"map": 0.5}, {"map": "0.5"}]}}',
        b'{"scores": {"validation": [{"map": 0.5}, {"map": true}]}}',
        b'{"scores": {"validation": [{"map": 0.5}, {"map": 1' + b"0" * 400 + b"}]}}",
        b'{"scores": {"validation": [{"map": 0.5, "map": 0.6}]}}',
        b"[" * 100_000,
        b'{"scores": {"validation": [{"map": ' + b"9" * 5000 + b"}]}}",
    ],
)
def test_a_broken_file_is_named_with_the_remedy(tmp_path, content):
    path = put(tmp_path, "XQuADRMonolingualRetrieval")
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        summarise(tmp_path)
    assert str(caught.value).startswith(f"{path}: not an MTEB result file")
    assert "remove it and run the task again" in str(caught.value)


def test_a_folder_that_is_named_like_a_file_is_none(tmp_path):
    put(tmp_path, "XQuADRMonolingualRetrieval", score("de", map=0.75))
    (tmp_path / MODEL / "XQuADRMultilingualRetrieval.json").mkdir()
    (row,) = summarise(tmp_path)
    assert row.subsets == {"mono": 1}
