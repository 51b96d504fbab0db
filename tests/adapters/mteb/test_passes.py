"""One pass over the shards of a pool for all subsets of a run; each finds what it finds alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mteb.models.model_meta import ScoringFunction
from toys.encoders import HashEncoder, Reversed, hash_embedding, meta
from toys.mteb import evaluate, measures, scores_of
from toys.streamed import MONO, MULTI, WORDS, loaded_task_of, task_of, toy_part, toy_spec

from hybridir_mteb.adapters.mteb import passes, pool
from hybridir_mteb.adapters.mteb import run as mteb_search
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.run import search
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.shards import dense

ASKED = 7  # queries of each language that have something relevant


@pytest.fixture
def made(monkeypatch) -> list[int]:
    """How many queries each pass over shards had."""
    found: list[int] = []
    theirs = dense.DenseSearch.run

    def run(one: Any) -> Any:
        found.append(len(one._request.queries))
        return theirs(one)

    monkeypatch.setattr(dense.DenseSearch, "run", run)
    return found


def only(name: str, code: str) -> Any:
    task = task_of(name)
    task.hf_subsets = [code]
    return task


def predictions(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{MULTI}_predictions.json").read_text())
    return found


def one_by_one(tmp_path: Path, model: Any = HashEncoder) -> dict[str, dict[str, Any]]:
    """The scores where each subset is a run of its own."""
    folder = tmp_path / "alone"
    return {
        code: scores_of(
            evaluate(model(), [only(MULTI, code)], folder / code, prediction_folder=folder)
        )[code]
        for code in WORDS
    }


def test_a_run_of_mteb_reads_a_pool_once_for_all_subsets(tmp_path, made):
    alone = one_by_one(tmp_path)
    assert made == [ASKED, ASKED]
    reads: list[Any] = []
    made.clear()
    with pytest.MonkeyPatch.context() as patch:
        theirs = dense.read_blocks
        patch.setattr(dense, "read_blocks", lambda *a: reads.append(a) or theirs(*a))
        together = evaluate(
            HashEncoder(), [task_of(MULTI)], tmp_path / "a", prediction_folder=tmp_path / "a"
        )
    assert (made, len(reads)) == ([2 * ASKED], 1)
    assert scores_of(together) == alone
    assert predictions(tmp_path / "a") == predictions(tmp_path / "alone")


def test_pools_of_their_own_are_searched_by_themselves(tmp_path, made):
    evaluate(HashEncoder(), [task_of(MONO)], tmp_path)
    assert made == [ASKED, ASKED]


def test_what_was_not_asked_for_is_not_searched(tmp_path, made):
    for name in WORDS:
        evaluate(HashEncoder(), [only(MULTI, name)], tmp_path / name)
    assert made == [ASKED, ASKED]
    made.clear()
    evaluate(HashEncoder(), [task_of(MULTI)], tmp_path / "sw")  # the rest of a broken run
    assert made == [ASKED]
    made.clear()
    task = loaded_task_of(MULTI)
    task.evaluate(HashEncoder(), "dev", ["sw"], encode_kwargs={})
    assert made == [ASKED]
    made.clear()
    task.evaluate(HashEncoder(), "dev", encode_kwargs={})
    assert made == [2 * ASKED]


def test_a_run_that_is_interrupted_in_the_pass_makes_it_again(tmp_path, made, monkeypatch):
    alone = one_by_one(tmp_path)
    made.clear()
    model, task = HashEncoder(), task_of(MULTI)

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dense.DenseSearch, "_see", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate(model, [task], tmp_path / "a")
    assert scores_of(evaluate(model, [task], tmp_path / "a")) == alone
    assert made == [2 * ASKED, 2 * ASKED]


def test_what_is_changed_meanwhile_is_searched_anew(made):
    task, model = loaded_task_of(MULTI), HashEncoder()
    task.turns.start(["sw", "yo"])
    task.search_subset(model, "sw", 10, {})
    data = task.dataset["yo"]["dev"]
    data["queries"] = data["queries"].select(range(3))
    found = task.search_subset(model, "yo", 10, {})
    assert made == [2 * ASKED, 3]
    assert (found.scores["n_queries"], len(found.run)) == (3, 3)


def poisoned(code: str, value: float) -> Any:
    """An encoder whose queries in one language are multiplied."""
    bad = set(toy_part(code).queries.values())

    def embed(text: str) -> np.ndarray:
        return hash_embedding(text) * np.float32(value if text in bad else 1)

    return lambda: HashEncoder("poisoned", embed)


@pytest.mark.parametrize("kind", ["NaN", "too long"])
def test_bad_queries_of_one_subset_cost_no_other(tmp_path, made, kind, caplog):
    dot = {"similarity_fn_name": ScoringFunction.DOT_PRODUCT}
    model = poisoned("yo", np.nan if kind == "NaN" else 3e37)()
    model.mteb_model_meta = meta(**dot)
    good = HashEncoder()
    good.mteb_model_meta = meta(**dot)
    with pytest.raises(EmbeddingError, match="NaN" if kind == "NaN" else "overflow float32"):
        evaluate(model, [task_of(MULTI)], tmp_path / "a")
    assert made == ([ASKED] if kind == "NaN" else [2 * ASKED, ASKED, ASKED])
    held = json.loads(next((tmp_path / "a").rglob(f"{MULTI}.json")).read_text())["scores"]["dev"]
    assert [one["hf_subset"] for one in held] == ["sw"]
    expected = scores_of(evaluate(good, [only(MULTI, "sw")], tmp_path / "b"))["sw"]
    assert held[0]["map"] == pytest.approx(expected["map"], abs=1e-6)
    assert ("each subset is searched by itself" in caplog.text) == (kind == "too long")


def test_memory_bounds_what_a_pass_takes_along(tmp_path, made, monkeypatch):
    alone = one_by_one(tmp_path)
    monkeypatch.setattr(passes, "PASS_MIB", 0)
    made.clear()
    assert scores_of(evaluate(HashEncoder(), [task_of(MULTI)], tmp_path / "a")) == alone
    assert made == [ASKED, ASKED]


def test_scores_of_a_function_are_those_of_one_subset_alone(tmp_path, made):
    alone = one_by_one(tmp_path, Reversed)
    assert scores_of(evaluate(Reversed(), [task_of(MULTI)], tmp_path / "a")) == alone
    assert made == []


def test_the_search_command_reads_a_pool_once_and_may_be_broken_off(tmp_path, made, monkeypatch):
    for task in make_tasks(toy_spec(), measures()):
        monkeypatch.setitem(register().tasks._items, task.metadata.name, task)
    monkeypatch.setattr(mteb_search, "load_base", lambda name, **options: HashEncoder())
    alone = {
        code: dict(search("test/hash", MULTI, tmp_path / "alone", subsets=[code]))[code]
        for code in WORDS
    }
    made.clear()
    assert next(search("test/hash", MULTI, tmp_path / "a"))[1] == alone["sw"]
    assert dict(search("test/hash", MULTI, tmp_path / "a")) == alone
    assert made == [2 * ASKED, 2 * ASKED]
    for file in (tmp_path / "alone").iterdir():
        assert (tmp_path / "a" / file.name).read_bytes() == file.read_bytes()


def test_a_search_elsewhere_is_shared_too():
    task, model, asked = loaded_task_of(MULTI), HashEncoder(), []

    def elsewhere(queries: Any, *rest: Any, **options: Any) -> Any:
        asked.append((len(queries), options["options"].label))
        return pool.search(queries, *rest, **options)

    task.search = elsewhere
    task.turns.start(["sw", "yo"])
    for code in WORDS:
        task.search_subset(model, code, 10, {})
    assert asked == [(2 * ASKED, f"{MULTI} sw and 1 more")]
