"""Cheap checks come before the first text is encoded; what fails late costs no measure."""

import json
import logging
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toys.encoders import HashEncoder
from toys.mteb import evaluate, measures, scores_of
from toys.streamed import MONO, MULTI, ListSource, loaded_task_of, task_of, toy_part, toy_spec

from hybridir_mteb.adapters.mteb import facts
from hybridir_mteb.adapters.mteb import run as mteb_search
from hybridir_mteb.adapters.mteb import shards as mteb_shards
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.run import MEASURES_FILE, search
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.errors import (
    DataFormatError,
    NoSpaceError,
    PluginError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.files import room
from hybridir_mteb.plugins.specs import Measure


class Unused(HashEncoder):
    """No text may reach it."""

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        pytest.fail("a text is encoded")


def with_id(identifier: str) -> Any:
    """The toy collection with one more passage in Swahili."""
    part = toy_part("sw")
    rows = (*part.passages.rows, StreamedPassage(identifier, "text"))
    return toy_spec({"sw": replace(part, passages=ListSource("Toy sw", rows))})


def use(monkeypatch: pytest.MonkeyPatch, spec: Any, model: Any, more: Any = ()) -> None:
    """Make a collection's tasks those that are searched, with an encoder."""
    for made in make_tasks(spec, [*measures(), *more]):
        monkeypatch.setitem(register().tasks._items, made.metadata.name, made)
    monkeypatch.setattr(mteb_search, "load_base", lambda name, **options: model)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("1#1", r"Toy sw: the passage id '1#1' occurs twice"),
        ("", r"Toy sw: the passage id '' is no text"),
        ("\ud800", r"not valid Unicode"),
    ],
    ids=["twice", "empty", "surrogate"],
)
def test_passage_ids_are_checked_before_encoding_in_every_way_in(
    identifier, message, tmp_path, monkeypatch
):
    spec = with_id(identifier)
    task = loaded_task_of(MONO, spec)
    encoder = HashEncoder()
    with pytest.raises(DataFormatError, match=message):
        task.search_subset(encoder, "sw", 10, {})
    assert encoder.seen == []
    use(monkeypatch, spec, Unused())
    with pytest.raises(DataFormatError, match=message):
        next(search("test/hash", MONO, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_ids_that_trec_files_cannot_hold_are_said_before_a_search_and_no_matter_to_mteb(
    tmp_path, monkeypatch
):
    spec = with_id("a b")
    use(monkeypatch, spec, Unused())
    with pytest.raises(DataFormatError, match="'a b' cannot be in a TREC file"):
        next(search("test/hash", MONO, tmp_path / "out"))
    found = scores_of(evaluate(HashEncoder(), [task_of(MONO, spec)], tmp_path))
    assert found["sw"]["n_passages"] == 31


def test_query_ids_too(tmp_path, monkeypatch):
    part = toy_part("sw")
    named = {f"{q} x": text for q, text in part.queries.items()}
    qrels = {f"{q} x": grades for q, grades in part.qrels.items()}
    use(monkeypatch, toy_spec({"sw": replace(part, queries=named, qrels=qrels)}), Unused())
    with pytest.raises(DataFormatError, match="id 'q0 x' cannot be in a TREC file"):
        next(search("test/hash", MONO, tmp_path / "out"))


def test_ids_that_were_found_sound_are_not_read_again():
    source = toy_part("sw").passages
    for trec, reads in [(False, 1), (False, 1), (True, 2), (True, 2), (False, 2)]:
        check_passage_ids(source, trec=trec)
        assert source.reads == reads
    other = ListSource("Toy sw", (*source.rows, source.rows[4]))
    with pytest.raises(DataFormatError, match="occurs twice"):
        check_passage_ids(other)


@pytest.mark.parametrize("place", ["file", "file/below", "n" * 300])
def test_an_impossible_output_folder_is_said_before_the_encoder_is_loaded(
    place, tmp_path, monkeypatch
):
    use(monkeypatch, toy_spec(), None)
    monkeypatch.setattr(mteb_search, "load_base", lambda *_, **__: pytest.fail("it is loaded"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError):
        next(search("test/hash", MONO, tmp_path / place))


def test_too_little_room_for_runs_is_said_before_the_encoder_is_loaded(tmp_path, monkeypatch):
    use(monkeypatch, toy_spec(), None)
    monkeypatch.setattr(mteb_search, "load_base", lambda *_, **__: pytest.fail("it is loaded"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(NoSpaceError, match=r"the runs of the search in .* has 1 kB free"):
        next(search("test/hash", MONO, tmp_path / "out"))


def test_all_languages_of_a_pool_must_fit_before_the_first_is_encoded(monkeypatch):
    parts = {code: toy_part(code) for code in ("sw", "yo")}
    for part in parts.values():
        part.passages.expected = 1000  # type: ignore[attr-defined]
    task = loaded_task_of(MULTI, toy_spec(parts))
    model = HashEncoder()
    monkeypatch.setattr(mteb_shards, "disk_free", lambda _: 1500 * 16 * 4)  # one would fit
    with pytest.raises(SettingError, match="2000 passages of Toy sw, Toy yo in 16 dimensions"):
        task.search_subset(model, "sw", 10, {})
    assert model.passages_seen() == 0


def test_a_dimension_that_is_known_is_used_before_queries_are_encoded(monkeypatch):
    part = toy_part("sw")
    part.passages.expected = 10**15  # type: ignore[attr-defined]
    task = loaded_task_of(MONO, toy_spec({"sw": part}))
    monkeypatch.setattr("hybridir_mteb.adapters.mteb.subset.known_dimension", lambda _: 16)
    with pytest.raises(SettingError, match="in 16 dimensions need"):
        task.search_subset(Unused(), "sw", 10, {})


def test_subsets_and_splits_that_do_not_exist_name_what_is_near():
    task = task_of(MONO)
    task.hf_subsets = ["sw2"]
    with pytest.raises(UnknownNameError, match=r"no subset 'sw2', only sw, yo.*Did you mean sw"):
        task.load_data()
    task = task_of(MONO)
    task._eval_splits = ["devv"]
    with pytest.raises(UnknownNameError, match=r"no split devv, only dev\. Did you mean dev\?"):
        task.load_data()


def test_a_prediction_folder_that_cannot_be_is_said_before_encoding(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"\(--prediction-folder\) cannot be made"):
        evaluate(Unused(), [task_of(MONO)], tmp_path, prediction_folder=tmp_path / "file" / "p")


def test_predictions_that_cannot_be_written_cost_no_measure(tmp_path, monkeypatch, caplog):
    task = task_of(MONO)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(task), "_save_task_predictions", full)
    with caplog.at_level(logging.ERROR):
        found = scores_of(evaluate(HashEncoder(), [task], tmp_path, prediction_folder=tmp_path))
    assert set(found) == {"sw", "yo"}
    said = [line for line in caplog.messages if "predictions are not written" in line]
    assert len(said) == 2
    assert "the disk is full" in said[0]
    assert "\n" not in said[0]


def test_a_run_that_cannot_be_written_costs_no_measure(tmp_path, monkeypatch):
    use(monkeypatch, toy_spec(), HashEncoder())

    def full(*_: Any) -> None:
        raise NoSpaceError("the disk is full")

    monkeypatch.setattr(mteb_search, "write_run", full)
    told: dict[str, Any] = {}
    found = _noted(search("test/hash", MONO, tmp_path), told)
    with pytest.raises(NoSpaceError):
        list(found)
    assert list(told) == ["sw"]
    held = json.loads((tmp_path / MEASURES_FILE).read_text())
    assert held["subsets"]["sw"]["map"] > 0


def _noted(found: Any, told: dict[str, Any]) -> Any:
    for name, result in found:
        told[name] = dict(result.scores)
        yield name


def broken(table: Any) -> Any:
    raise RuntimeError("divided\nby zero")


@pytest.mark.parametrize("name", [MONO, MULTI])
def test_a_measure_that_fails_costs_no_other(name, tmp_path, monkeypatch, caplog):
    use(monkeypatch, toy_spec(), HashEncoder())
    before = dict(search("test/hash", name, tmp_path / "a", subsets=["sw"]))["sw"].scores
    use(monkeypatch, toy_spec(), HashEncoder(), [Measure("broken", broken, "Fails.")])
    told: dict[str, Any] = {}
    found = _noted(search("test/hash", name, tmp_path / "b", subsets=["sw"]), told)
    with pytest.raises(PluginError, match="sw: broken: it failed: RuntimeError: divided by zero"):
        list(found)
    reasons = told["sw"].pop("not_applicable")
    assert reasons.pop("broken").startswith("it failed: RuntimeError")
    kept = {key: value for key, value in before.items() if key != "not_applicable"}
    assert told["sw"] == kept
    assert reasons == before.get("not_applicable", {})
    assert (tmp_path / "b" / "sw.trec").exists()
    assert "measure broken is left out" in caplog.text


def test_the_part_on_bias_that_fails_costs_no_measure(monkeypatch):
    def fails(*_: Any) -> None:
        raise MemoryError("too much")

    monkeypatch.setattr(facts, "_facts", fails)
    task = loaded_task_of(MULTI)
    scores = task.search_subset(HashEncoder(), "sw", 10, {}).scores
    assert scores["map"] > 0
    assert scores["not_applicable"]["language_probe_accuracy"].startswith("it failed: MemoryError")
