"""What the names of a comparison stand for, which queries count, and what is said of faults."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from toys.cli import pipe, run
from toys.encoders import HashEncoder
from toys.mteb import evaluate

from hybridir_mteb.comparison.runs import Judged, Judges, RunSource, scores_of
from hybridir_mteb.comparison.systems import compare_all, sources_of
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.plugins.specs import Measure
from hybridir_mteb.results.by_query import QueryScores, add_beside, beside

TASK = "ToyMonolingualRetrieval"
VALUES = np.random.default_rng(0).uniform(size=(2, 30))
POCKET = "PocketQARMonolingualRetrieval"


def write(folder: Path, model: str, shift: float, subsets: Any = ("de", "en"), **more: Any) -> Path:
    """A result with scores by query, of translations of the same questions."""
    task, revision = more.get("task", TASK), more.get("revision", "r1")
    result = folder / "results" / model.replace("/", "__") / revision / f"{task}.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    means, found = [], []
    for at, subset in enumerate(subsets):
        values = (VALUES[at] + shift).tolist()
        ids = [str(n) for n in range(len(values))]
        scores = {"map": values, "ndcg_at_10": values}
        place = (task, "1", "test", subset, subset, "map")
        found.append(QueryScores(*place, [f"q:{subset}:{n}" for n in ids], ids, scores))
        mean = round(float(np.mean(values)), 6)
        means.append({"hf_subset": subset, "map": mean, "ndcg_at_10": mean, "n_passages": 1})
    result.write_text(json.dumps({"scores": {"test": means}}))
    for one in found:
        add_beside(result, one, {of.key for of in found})
    return result


def no_run(path: Path) -> Any:
    raise AssertionError(path)


def compared(folder: Path, *systems: str, **options: Any) -> Any:
    return compare_all(sources_of(folder, systems, no_run), **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "me/one", 0.0)
    write(tmp_path, "me/two", 0.1)
    return tmp_path


def test_translations_of_a_question_are_one_unit(folder):
    (found,) = compared(folder, "me/one", "me/two")
    assert (found.task, found.measure) == (TASK, "map")
    assert (found.questions, found.queries) == (30, 60)
    assert found.means["me/two"] == pytest.approx(VALUES.mean() + 0.1, abs=1e-6)
    assert found.pairs[0].found.mean == pytest.approx(0.1, abs=1e-6)


def test_the_queries_in_common_count_and_the_others_are_told(folder):
    write(folder, "me/less", 0.2, subsets=("de",))
    (found,) = compared(folder, "me/one", "me/less")
    assert (found.questions, found.queries) == (30, 30)
    assert found.left_out == {"me/one": 30}
    assert found.means["me/one"] == pytest.approx(VALUES[0].mean(), abs=1e-6)


def test_several_seeds_are_one_system(folder):
    for seed, shift in enumerate((0.2, 0.25, 0.3)):
        write(folder, f"me/seed{seed}", shift)
    (found,) = compared(folder, "me/one", "method=me/seed0,me/seed1,me/seed2")
    assert found.seeds == {"method": 3, "me/one": 1}
    (pair,) = found.pairs
    assert (pair.one, pair.other, pair.seeds) == ("method", "me/one", 3)
    assert pair.found.mean == pytest.approx(0.25, abs=1e-6)
    assert pair.found.error == pytest.approx(0.05 / 3**0.5, rel=1e-3)  # the seeds alone differ
    assert pair.found.freedom == pytest.approx(2, rel=1e-3)


def test_revisions_of_one_encoder_are_told_apart(folder):
    write(folder, "me/one", 0.3, revision="r2")
    (found,) = compared(folder, "me/one @r1", "me/one @r2")
    assert list(found.means) == ["me/one @r2", "me/one @r1"]
    with pytest.raises(UnknownNameError, match=r"several revisions: me/one @r1, me/one @r2"):
        compared(folder, "me/one", "me/two")


def test_all_tasks_that_all_have_are_compared(folder):
    for model in ("me/one", "me/two"):
        write(folder, model, 0.0, task="BMonolingualRetrieval")
    write(folder, "me/one", 0.0, task="AMonolingualRetrieval")
    assert [one.task for one in compared(folder, "me/one", "me/two")] == [
        "BMonolingualRetrieval",
        TASK,
    ]
    found = compared(folder, "me/one", "me/two", tasks=[TASK], measures=["ndcg_at_10", "map"])
    assert [one.measure for one in found] == ["ndcg_at_10", "map"]


@pytest.mark.parametrize(
    ("systems", "options", "error", "said"),
    [
        (["me/one", "me/twoo"], {}, UnknownNameError, r"'me/twoo', only of .*Did you mean me/two"),
        (["me/one"], {}, SettingError, "at least two"),
        (["me/one", "me/one"], {}, SettingError, "'me/one' is there twice"),
        (["a=me/one,me/one", "me/two"], {}, SettingError, "names a seed twice"),
        (
            ["me/one", "me/two"],
            {"tasks": ["ToyMonolingual"]},
            UnknownNameError,
            f"'ToyMonolingual', only of {TASK}. Did you mean {TASK}",
        ),
        (
            ["me/one", "me/two"],
            {"measures": ["ndcg_at_1"]},
            UnknownNameError,
            r"no 'ndcg_at_1' by query .*only map, ndcg_at_10\. Did you mean ndcg_at_10",
        ),
    ],
)
def test_what_is_not_there_is_named_in_one_line(folder, systems, options, error, said):
    with pytest.raises(error, match=said) as raised:
        compared(folder, *systems, **options)
    assert "\n" not in str(raised.value)


def test_results_without_scores_by_query_name_the_remedy(folder):
    beside(folder / f"results/me__two/r1/{TASK}.json").unlink()
    for options in ({}, {"tasks": [TASK]}):
        with pytest.raises(DataUnavailableError, match=r"mteb run -m me/two -t Toy.* always"):
            compared(folder, "me/one", "me/two", **options)


def test_scores_of_another_run_than_the_result_are_refused(folder):
    result = folder / f"results/me__two/r1/{TASK}.json"
    content = json.loads(result.read_text())
    content["scores"]["test"][1]["map"] += 1e-5
    result.write_text(json.dumps(content))
    with pytest.raises(DataFormatError, match=r"map of 'en' is not what the result beside it has"):
        compared(folder, "me/one", "me/two")


def test_nothing_in_common_is_told(folder):
    write(folder, "me/less", 0.2, subsets=("fr",))
    with pytest.raises(DataUnavailableError, match="0 questions"):
        compared(folder, "me/one", "me/less")


def test_a_run_in_trec_format_counts_what_it_lacks(tmp_path):
    (tmp_path / "a.trec").write_text("1 Q0 x 1 0.9 t\n1 Q0 y 2 0.8 t\n2 Q0 y 1 0.5 t\n")
    qrels = {"1": {"y": 1}, "2": {"x": 1, "y": 0}, "3": {"z": 1}, "4": {"x": 0}}
    judges = Judges(lambda *_: pytest.fail("asked"), Judged(qrels, {"1": "u", "2": "u"}), "qrels")
    source = RunSource(tmp_path / "a.trec", judges)
    assert source.tasks() == {"qrels"}
    found = source.read("qrels")
    expected = {("", "1"): 0.5, ("", "2"): 0.0, ("", "3"): 0.0}
    assert found.values["mrr"] == pytest.approx(expected)
    assert [found.units["", query] for query in "123"] == ["u", "u", "\t3"]
    with pytest.raises(SettingError, match="--qrels"):
        RunSource(tmp_path / "a.trec", Judges(lambda *_: pytest.fail("asked"))).read("")
    counted = Measure("relevant", lambda table: table.counts.astype(float), "")
    spoken = Measure("spoken", lambda table: table.languages.correlation, "")
    found = RunSource(tmp_path / "a.trec", replace(judges, more=[counted, spoken])).read("qrels")
    assert found.values["relevant"] == dict.fromkeys(expected, 1.0)
    assert not found.values["spoken"]


def test_scores_of_a_run_are_those_of_pytrec_eval():
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(1)
    run_of = {f"q{q}": {f"d{d}": float(rng.uniform()) for d in range(40)} for q in range(8)}
    qrels = {q: {f"d{d}": int(rng.integers(0, 3)) for d in range(50)} for q in run_of}
    found = scores_of({"": run_of}, {"": Judged(qrels)}).values
    names = {"map": "map", "recip_rank": "mrr", "ndcg_cut_10": "ndcg_at_10"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, set(names)).evaluate(run_of)
    for theirs, ours in names.items():
        for query in run_of:
            assert found[ours]["", query] == pytest.approx(expected[query][theirs], abs=1e-6)


@pytest.fixture(scope="module")
def pocket(tmp_path_factory) -> Path:
    """Two encoders on two languages, with results and predictions."""
    folder = tmp_path_factory.mktemp("compared")
    for name, shift in (("one", 0.0), ("two", 0.5)):
        encoder = HashEncoder(None, shift=shift)
        encoder.mteb_model_meta = encoder.mteb_model_meta.model_copy(
            update={"name": f"test/{name}"}
        )
        task = mteb.get_task(POCKET)
        task.hf_subsets = ["de", "en"]
        evaluate(encoder, [task], folder, prediction_folder=folder / f"{name}-predictions")
    return folder


def test_the_command_compares_results_and_predictions_alike(pocket, tmp_path, monkeypatch):
    pipe(monkeypatch)
    outputs = [str(tmp_path / f"found{suffix}") for suffix in (".json", ".tex", ".png")]
    options = [
        "--measure",
        "ndcg_at_10",
        "--json",
        outputs[0],
        "--latex",
        outputs[1],
        "--picture",
        outputs[2],
    ]
    text = run("compare", str(pocket), "test/one", "test/two", "one-predictions", *options)
    assert f"{POCKET}: ndcg_at_10, in percent, over 48 questions" in text
    assert "correction for 3 tests" in text
    (found,) = json.loads(Path(outputs[0]).read_text())["comparisons"]
    assert (found["questions"], found["queries"]) == (48, 96)
    letters = {system["name"]: system["group"] for system in found["systems"]}
    assert letters["test/one"] == letters["one-predictions"]  # of the same model
    assert all(Path(path).stat().st_size for path in outputs)
    same = {"test/one", "one-predictions"}
    (pair,) = [pair for pair in found["pairs"] if set(pair["systems"]) == same]
    assert pair["interval"] == pytest.approx([0, 0], abs=1e-6)


def test_the_command_says_what_is_wrong_before_it_compares(pocket, tmp_path):
    for options, said in (
        (["--picture", str(tmp_path / "x.gif")], "must end in .png, .svg, .pdf"),
        (["--qrels", str(tmp_path / "none")], "no such file"),
    ):
        with pytest.raises((SettingError, DataUnavailableError), match=said):
            run("compare", str(pocket), "test/one", "test/two", *options)
