"""Scores by query beside MTEB's results: what is kept, merged, replaced, and never in the way."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from toys.cli import run
from toys.collections import toy_collection
from toys.encoders import HashEncoder
from toys.mteb import evaluate, scores_of, tasks_of
from toys.streamed import MONO, MULTI, task_of

from hybridir_mteb.adapters.mteb import by_query
from hybridir_mteb.cli import compare
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Measure
from hybridir_mteb.results.by_query import SUFFIX, read_by_query

TASK = "ToyMultilingualRetrieval"


@pytest.fixture
def make():
    return tasks_of(toy_collection())


def only_german(make: Any) -> Any:
    task = make()
    task.hf_subsets = ["de"]
    return task


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob(f"*{SUFFIX}"))


def kept(folder: Path) -> dict:
    """Subset -> its scores by query, of the only task."""
    (file,) = files(folder)
    return {one.subset: one for one in read_by_query(file)}


def check_means(folder: Path, result: object, at: int = 0) -> None:
    found = kept(folder)
    for subset, scores in scores_of(result, at).items():
        assert found[subset].scores["map"]
        for name, values in found[subset].scores.items():
            mean = np.mean([value for value in values if value is not None])
            assert mean == pytest.approx(scores[name], abs=2e-6), (subset, name)


def test_the_means_of_what_is_kept_are_the_result(make, tmp_path):
    for setting in Setting:
        place = tmp_path / setting.short
        result = evaluate(HashEncoder(None), [make(setting)], place)
        check_means(place, result)
    multi = kept(tmp_path / "multi")["de"]
    assert multi.queries == ["q:de:f0", "q:de:f1", "q:de:f2"]
    assert multi.units == ["f0", "f1", "f2"] == kept(tmp_path / "cross")["de-en"].units
    assert (multi.task, multi.language, multi.main_score) == (TASK, "de", "map")
    assert {"rank_distance", "ndcg_at_10", "recall_at_10"} <= set(multi.scores)
    assert "rank_distance" not in kept(tmp_path / "mono")["de"].scores


def test_measures_of_plugins_are_kept_and_compared_where_they_are_those_of_the_result(
    tmp_path, monkeypatch
):
    calls = iter(range(1000))
    others = {
        "worst": lambda table: np.log(table.ranks[table.indptr[1:] - 1]),
        "correlated": lambda table: table.languages.correlation,
        "moody": lambda table: np.full(table.n_queries, float(next(calls))),
        "one": lambda table: np.full(table.n_queries, 0.5),
    }
    more = [Measure(name, compute, "") for name, compute in others.items()]
    more[0], more[3] = replace(more[0], lower_is_better=True), replace(more[3], by_query=False)
    make = tasks_of(toy_collection(), *more)
    for name, shift in (("one", 0.0), ("two", 1.0)):
        encoder = HashEncoder(None, shift=shift)
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(
            update={"name": f"test/{name}"}
        )
        scores = scores_of(evaluate(encoder, [make()], tmp_path))["de"]
        assert {*others} - {"correlated"} <= scores.keys()
    for file in files(tmp_path):
        found = next(one for one in read_by_query(file) if one.subset == "de").scores
        assert found.keys() & {*others} == ({*others} & scores.keys()) - {"one"}
        assert found["worst"] == pytest.approx(np.log(found["max_rank"]), abs=1e-6)
    monkeypatch.setattr(compare, "measure_of_plugin", {"worst": more[0]}.get)
    said = run("compare", str(tmp_path), "test/one", "test/two", "--measure", "worst")
    assert "worst (lower is better), over 3 questions" in said


def test_queries_of_streamed_collections_have_no_translations(tmp_path):
    units = {}
    for name in (MONO, MULTI):
        result = evaluate(HashEncoder(None), [task_of(name)], tmp_path / name)
        check_means(tmp_path / name, result)
        found = kept(tmp_path / name)
        units[name] = {code: list(one.units) for code, one in found.items()}
    assert units[MONO] == units[MULTI]  # of one question in both tasks
    assert not set(units[MONO]["sw"]) & set(units[MONO]["yo"])
    assert set(kept(tmp_path / MONO)["sw"].queries) & set(kept(tmp_path / MONO)["yo"].queries)


def test_subsets_merge_and_replace_as_those_of_the_result_do(make, tmp_path):
    evaluate(HashEncoder(None), [only_german(make)], tmp_path)
    before = kept(tmp_path)
    assert set(before) == {"de"}
    evaluate(HashEncoder(None, shift=1.0), [make()], tmp_path)  # only what is missing
    after = kept(tmp_path)
    assert set(after) == {"de", "en", "fr"}
    assert after["de"] == before["de"]
    evaluate(
        HashEncoder(None, lambda text: np.ones(4, np.float32) * len(text)),
        [only_german(make)],
        tmp_path,
        overwrite_strategy="always",
    )
    assert set(kept(tmp_path)) == {"de"}  # mteb drops the others, too
    assert kept(tmp_path)["de"] != before["de"]


def test_mteb_takes_no_such_file_for_a_result(make, tmp_path):
    evaluate(HashEncoder(None), [make()], tmp_path)
    assert len(files(tmp_path)) == 1
    found = mteb.ResultCache(tmp_path).load_results()
    assert [one.task_name for of in found.model_results for one in of.task_results] == [TASK]


def test_other_models_and_caches_have_files_of_their_own(make, tmp_path):
    mteb.evaluate(HashEncoder(None), make(), cache=None, co2_tracker=False)
    assert files(tmp_path) == []
    evaluate(HashEncoder(None), [make(Setting.MONOLINGUAL), make()], tmp_path)
    assert [file.name for file in files(tmp_path)] == [
        f"ToyMonolingualRetrieval{SUFFIX}",
        f"{TASK}{SUFFIX}",
    ]


def test_a_variable_switches_it_off(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_SCORES_BY_QUERY", "off")
    evaluate(HashEncoder(None), [make()], tmp_path)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "value"), [("LIMIT", 10), ("replacing", None), ("QueryScores.line", None)]
)
def test_what_cannot_be_kept_costs_one_warning(make, tmp_path, monkeypatch, caplog, name, value):
    monkeypatch.setattr(f"hybridir_mteb.results.by_query.{name}", value)
    monkeypatch.setattr(by_query, "_told", set())
    with caplog.at_level(logging.WARNING):
        result = evaluate(HashEncoder(None), [make()], tmp_path)
    assert set(scores_of(result)) == {"de", "en", "fr"}
    assert files(tmp_path) == []
    said = [line for line in caplog.messages if "scores by query" in line]
    assert len(said) == 1
    assert said[0].startswith(f"{TASK}: scores by query are not kept")


def test_a_damaged_file_is_begun_anew(make, tmp_path, caplog):
    evaluate(HashEncoder(None), [only_german(make)], tmp_path)
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes()[:-9])
    evaluate(HashEncoder(None), [make()], tmp_path)
    assert set(kept(tmp_path)) == {"en", "fr"}
    assert any("ends early" in line for line in caplog.messages)


def test_the_result_is_as_it_was(make, tmp_path, monkeypatch):
    def result(folder: Path) -> dict:
        evaluate(HashEncoder(None), [make()], folder)
        (file,) = folder.rglob(f"{TASK}.json")
        return json.loads(file.read_text())["scores"]

    with_scores = result(tmp_path / "on")
    monkeypatch.setenv("HYBRIDIR_SCORES_BY_QUERY", "0")
    assert result(tmp_path / "off") == with_scores
