"""``hybridir search``: runs that trec_eval scores as we do."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from toys.cli import left_by_a_killed_process, run
from toys.encoders import HashEncoder
from toys.mteb import measures
from toys.streamed import MONO, MULTI, toy_spec

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb import run as mteb_search
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.run import check_folder, search
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.readers.trec import read_qrels, read_run
from hybridir_mteb.errors import DataFormatError, SettingError, UnknownNameError
from hybridir_mteb.ranking.shards import dense
from hybridir_mteb.ranking.shards.listing import clear_shards, shard_files
from hybridir_mteb.ranking.trec import trec_scores, write_run

PAIRS = {
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_100": "recall_100",
    "recall_at_10": "recall_10",
    "mrr": "recip_rank",
    "map": "map",
}


@pytest.fixture(autouse=True)
def _toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy tasks are registered, and every encoder is the hash encoder."""
    registry = register().tasks
    for task in make_tasks(toy_spec(), measures()):
        monkeypatch.setitem(registry._items, task.metadata.name, task)
    monkeypatch.setattr(mteb_search, "load_base", lambda name, **options: HashEncoder())


def by_trec_eval(folder: Path, subset: str) -> dict[str, float]:
    """Means of trec_eval's measures over the written files."""
    qrels, run = read_qrels(folder / f"{subset}.qrels"), read_run(folder / f"{subset}.trec")
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, set(PAIRS.values()))
    found = evaluator.evaluate(run)
    return {
        ours: float(np.mean([found[query][theirs] for query in qrels]))
        for ours, theirs in PAIRS.items()
    }


@pytest.mark.parametrize(
    ("task", "subsets"),
    [(MONO, ["sw", "yo"]), (MULTI, ["sw", "yo"]), ("PocketQARCrossLingualRetrieval", ["de-en"])],
)
def test_trec_eval_scores_each_written_run_as_we_do(task, subsets, tmp_path):
    found = dict(search("test/hash", task, tmp_path / "out", subsets=subsets))
    assert list(found) == subsets
    record = json.loads((tmp_path / "out" / "measures.json").read_text())
    assert (record["encoder"], record["task"], record["depth"]) == ("test/hash", task, 1000)
    for subset in subsets:
        found_here = record["subsets"][subset]
        expected = by_trec_eval(tmp_path / "out", subset)
        assert {name: found_here[name] for name in PAIRS} == pytest.approx(expected, abs=1e-6)
        run = read_run(tmp_path / "out" / f"{subset}.trec")
        assert {query: list(ranking) for query, ranking in run.items()} == {
            query: list(ranking) for query, ranking in found[subset].run.items()
        }


def test_the_toy_runs_hold_equal_scores(tmp_path):
    """Else the parity above would say nothing of ties."""
    found = dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))
    assert any(len(set(r.values())) < len(r) for r in found["sw"].run.values())


def test_what_a_shallow_run_lacks_counts_in_our_measures_only(tmp_path):
    dict(search("test/hash", MONO, tmp_path, subsets=["sw"], depth=5))
    held = json.loads((tmp_path / "measures.json").read_text())["subsets"]["sw"]
    lines = (tmp_path / "sw.trec").read_text().splitlines()
    assert len(lines) == 5 * held["n_queries"]
    assert [line.split()[3] for line in lines[:5]] == list("12345")
    assert by_trec_eval(tmp_path, "sw")["map"] < held["map"]
    assert not list(tmp_path.glob(".*"))


@given(st.lists(st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, 1.0, 0.5]), max_size=30))
def test_scores_for_trec_eval_fall_strictly_and_stay_near(values):
    ordered = sorted(values, reverse=True)
    written = [f"{score:.9g}" for score in trec_scores(ordered).tolist()]
    read = np.array([np.float32(float(score)) for score in written])
    assert (np.diff(read) < 0).all()
    step = max([abs(float(np.spacing(np.float32(v)))) for v in ordered], default=0.0)
    assert np.allclose(read, ordered, atol=2 * step * max(len(values), 1), rtol=0)


def test_scores_that_differ_are_written_as_they_are():
    assert trec_scores([0.5, 0.25, -1.0]).tolist() == [0.5, 0.25, -1.0]
    tied = trec_scores([1.0, 1.0, 0.5])
    assert tied.tolist() == [1.0, float(np.nextafter(np.float32(1), np.float32(0))), 0.5]


def test_an_id_with_white_space_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(DataFormatError, match="id 'two words' cannot be in a TREC file"):
        write_run(tmp_path / "a.trec", {"q": {"good": 1.0, "two words": 0.5}}, "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"depth": 0}, SettingError, r"depth=0 \(--depth\): give 1 or more"),
        (
            {"device": "~nobody/x"},
            SettingError,
            r"device '~nobody/x' \(--device\): .*or cuda:0",
        ),
        ({"device": "hpu:77"}, SettingError, r"device 'hpu:77' \(--device\): "),
        ({"dtype": "int8"}, SettingError, "dtype 'int8' .*: expected one of float32, float16"),
        ({"subsets": ["sv"]}, UnknownNameError, "has no subset 'sv'.*sw"),
        ({"task": "MIRACLRetrieval"}, SettingError, "is a task of mteb: hybridir search writes"),
        ({"task": "StreamedMonoRetrieval"}, UnknownNameError, "did you mean|unknown task"),
        (
            {"task": "PocketQARMonolingualRetrieval", "dtype": "float16"},
            SettingError,
            "is small and is searched in memory: leave out dtype",
        ),
        (
            {"task": "PocketQARMonolingualRetrieval", "approximate": "hnsw"},
            SettingError,
            "is small and is searched in memory: leave out approximate",
        ),
        (
            {"approximate": "flat"},
            SettingError,
            r"approximate='flat' \(--approximate\): give hnsw or",
        ),
        ({"recall_queries": -1}, SettingError, r"recall_queries=-1 \(--recall-queries\): give 0"),
    ],
)
def test_mistakes_are_one_clear_message(options, error, message, tmp_path):
    values = {"task": MONO, **options}
    with pytest.raises(error, match=message):
        dict(search("test/hash", values.pop("task"), tmp_path / "out", **values))
    assert not (tmp_path / "out").exists()


def test_two_searches_are_not_mixed_in_one_folder(tmp_path):
    dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))
    dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))  # again is fine
    with pytest.raises(SettingError, match="holds the search of test/hash on Streamed"):
        dict(search("test/other", MONO, tmp_path))
    (tmp_path / "measures.json").write_text("{}")
    with pytest.raises(SettingError, match="is no file of this command"):
        check_folder(tmp_path, {"encoder": "a", "task": "b"})
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"is a file; give another folder"):
        check_folder(tmp_path / "file", {})


def test_subsets_of_an_earlier_search_stay_in_the_measures(tmp_path):
    def held() -> dict[str, Any]:
        content = json.loads((tmp_path / "measures.json").read_text())
        return dict(content["subsets"])

    first = dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))
    dict(search("test/hash", MONO, tmp_path, subsets=["yo"]))
    assert list(held()) == ["sw", "yo"]
    assert held()["sw"] == first["sw"].scores
    dict(search("test/hash", MONO, tmp_path, subsets=["yo"], depth=3))
    assert list(held()) == ["yo"], "made in another way"


def test_subsets_of_another_precision_are_not_mixed_in(tmp_path, monkeypatch):
    def load(name: str, **options: Any) -> HashEncoder:
        encoder = HashEncoder()
        told = {"experiment_kwargs": {"precision": options["precision"]}}
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(update=told)
        return encoder

    dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))
    monkeypatch.setattr(mteb_search, "load_base", load)
    dict(search("test/hash", MONO, tmp_path, subsets=["yo"], precision="bf16"))
    content = json.loads((tmp_path / "measures.json").read_text())
    assert content["arguments"] == {"precision": "bf16"}
    assert list(content["subsets"]) == ["yo"]


def test_measures_that_were_changed_are_not_kept(tmp_path, caplog):
    first = dict(search("test/hash", MONO, tmp_path, subsets=["sw"]))["sw"].scores
    path = tmp_path / "measures.json"
    text = path.read_text()
    score = f'"ndcg_at_10": {first["ndcg_at_10"]}'
    assert score in text
    path.write_text(text.replace(score, '"ndcg_at_10": 0.99'))
    dict(search("test/hash", MONO, tmp_path, subsets=["yo"]))
    assert list(json.loads(path.read_text())["subsets"]) == ["yo"]
    assert "measures.json is damaged: it differs from its checksum: subsets that" in caplog.text


def test_the_command_prints_a_table_and_the_cache_shows_the_shards(tmp_path):
    out = run(
        "search", "test/hash", MONO, "--output", str(tmp_path), "--subset", "yo", "--depth", "3"
    )
    assert "recall_at_100" in out
    assert " yo " in out
    assert (tmp_path / "yo.trec").is_file()
    info = run("cache", "info")
    assert "Toy yo" in info
    assert "float32" in info
    assert "yes" in info
    run("cache", "clear")
    assert "Toy yo" in run("cache", "info")
    assert "freed" in run("cache", "clear", "--shards")
    assert "Toy yo" not in run("cache", "info")


def test_clearing_leaves_what_is_no_shard_folder(tmp_path):
    dict(search("test/hash", MONO, tmp_path / "out", subsets=["sw"]))
    parent = paths.shard_dir()
    (made,) = shard_files(parent)
    other, moved = parent / "mine", parent / "renamed"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    shutil.copytree(made.path, moved)  # its name is not what its manifest says
    left = parent / "temporary-left"
    shutil.copytree(made.path, left / made.path.name)
    assert len(shard_files(parent)) == 2
    assert clear_shards(parent) == 2 * made.bytes
    assert sorted(path.name for path in parent.iterdir()) == ["mine", "renamed"]


def test_tables_of_passages_are_shown_and_cleared():
    folder = paths.corpora_dir()
    folder.mkdir(parents=True)
    killed = left_by_a_killed_process(folder / "b.arrow").name
    for name in ("a.arrow", "a.arrow.json", killed, "mine.txt"):
        (folder / name).write_bytes(bytes(1_000_000))
    assert "0.004 GB of passages as tables" in run("cache", "info")
    assert "freed 0.003 GB" in run("cache", "clear", "--shards")
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]


def test_dtype_and_device_reach_the_task(tmp_path):
    found = dict(search("test/hash", MONO, tmp_path, subsets=["sw"], dtype="float16", device="cpu"))
    assert found["sw"].scores["shard_dtype"] == "float16"


def test_an_option_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(TypeError, match="no option depht"):
        next(search("test/hash", MONO, tmp_path, depht=3))
    assert not list(tmp_path.iterdir())


def test_an_approximate_search_says_so_and_what_it_finds(tmp_path):
    exact, quick = (
        dict(search("test/hash", MULTI, tmp_path / name, depth=20, **options))
        for name, options in (("a", {}), ("b", {"approximate": "hnsw", "recall_queries": 3}))
    )
    for code, found in quick.items():  # all of so few passages are looked at
        said = {"approximate": "hnsw", "approximate_recall_at_100": 1.0}
        assert found.scores == {**exact[code].scores, **said}
        assert found.run == exact[code].run
    held = json.loads((tmp_path / "b" / "measures.json").read_text())
    assert held["approximate"] == "hnsw"
    out = run(
        "search", "test/hash", MULTI, "--output", str(tmp_path / "b"), "--approximate", "ivfpq"
    )
    assert "approximate_recall_at_100" in "".join(out.split())
    with pytest.raises(SettingError, match="--approximate searches on this machine"):
        run("search", "e", MULTI, "--output", "o", "--approximate", "hnsw", "--ray", "local")
    dict(search("test/hash", MULTI, tmp_path / "b", subsets=["yo"], depth=20))
    held = json.loads((tmp_path / "b" / "measures.json").read_text())
    assert list(held["subsets"]) == ["yo"], "an exact search is not mixed with others"
    assert "approximate" not in held


def test_the_sample_of_an_approximate_search_takes_one_pass(tmp_path, monkeypatch):
    searched: list[int] = []
    theirs = dense.DenseSearch.run

    def spy(one: Any) -> Any:
        searched.append(len(one._request.queries))
        return theirs(one)

    monkeypatch.setattr(dense.DenseSearch, "run", spy)
    dict(search("test/hash", MULTI, tmp_path, approximate="hnsw", recall_queries=3))
    assert searched == [2 * 3]
    dict(search("test/hash", MULTI, tmp_path, approximate="hnsw", recall_queries=0))
    assert searched == [2 * 3]
