"""``hybridir submit``: the tree of the results repository, and drafts that hold what is known."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models.model_meta import ModelMeta
from toys.cli import pipe, run
from toys.collections import toy_collection
from toys.encoders import meta
from toys.mteb import tasks_of
from toys.results_repository import ResultsRepository
from typer.testing import CliRunner

from hybridir_mteb.adapters.mteb.statistics import statistics
from hybridir_mteb.adapters.mteb.submission import bundle, find_results
from hybridir_mteb.cli.app import app
from hybridir_mteb.results.submission import folder_of

MOCK = "MockRetrievalTask"
ENCODER, E5 = "hybridir/pocket-hybrid", "intfloat/multilingual-e5-small"
OURS, THEIRS = "XQuADRMultilingualRetrieval", "SciFact"


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, width=400)


def put(results: Path, name: str, revision: str = "", main: float = 0.5) -> Path:
    """Results of an encoder in a task of ours and in one of MTEB's, as MTEB lays them out."""
    revision = revision or str(mteb.get_model_meta(name).revision)
    folder = results / "results" / folder_of(name) / revision
    folder.mkdir(parents=True)
    files: dict[str, Any] = {"model_meta.json": {"name": name, "revision": revision}}
    for task, subset in ((OURS, "de"), (THEIRS, "default")):
        score = {"hf_subset": subset, "main_score": main, "mteb_version": "2.26.24"}
        score["languages"] = ["deu-Latn"]
        files[f"{task}.json"] = {"task_name": task, "scores": {"test": [score]}}
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content), encoding="utf-8")
    lines = [
        json.dumps({"task": task, "splits": ["test"], "subsets": ["de", "default"]})
        for task in (OURS, THEIRS)
    ]
    (folder / "run_settings.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def submit(*arguments: Any) -> str:
    return run("submit", *map(str, arguments))


def test_a_bundle_is_taken_by_the_repository_and_names_what_is_not(tmp_path):
    folder = put(tmp_path / "runs", ENCODER)
    put(tmp_path / "runs", ENCODER, revision="older")
    (folder / "experiments" / "alpha_0.3").mkdir(parents=True)
    out = tmp_path / "out"
    said = submit("bundle", ENCODER, tmp_path / "runs", "--output", out, "--no-mock-run")
    (copied,) = out.glob("results/*/*")
    assert copied.parts[-2:] == folder.parts[-2:]
    assert {p.name: p.read_bytes() for p in copied.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()
    }
    assert ResultsRepository(tmp_path / "upstream").refuses(out / "results") == set()
    for note in (
        f"MTEB itself does not know {ENCODER}",
        f"the leaderboard shows no task that MTEB lacks: {OURS}",
        "not compared with public results",
        "left out, of other revisions: older",
        "left out: results of experiments",
    ):
        assert f"note: {note}" in said
    request = (out / "results-request.md").read_text()
    assert f"- **{ENCODER}** (revision: `{folder.name}`): 2 results" in request
    assert f"| {OURS} | no |" in request  # its backbone saw SQuAD
    assert "compared with: PocketQAR, XQuADR, MLQAR" in request
    assert "- [x]" not in request


def test_the_drafted_module_makes_the_encoders_metadata(tmp_path):
    put(tmp_path / "runs", ENCODER)
    submit("bundle", ENCODER, tmp_path / "runs", "--output", tmp_path / "out", "--no-mock-run")
    names: dict[str, Any] = {}
    exec((tmp_path / "out/model/hybridir_models.py").read_text(), names)
    known, drafted = mteb.get_model_meta(ENCODER), names["pocket_hybrid"]
    assert isinstance(drafted, ModelMeta)
    changed = {"loader", "loader_kwargs"}
    assert drafted.model_dump(exclude=changed) == known.model_dump(exclude=changed)
    assert drafted.loader_kwargs["model_prompts"] == {"query": "query: ", "document": "passage: "}
    request = (tmp_path / "out/model/model-request.md").read_text()
    assert re.search(r"- \[ \] I have filled out .* \(empty: .*contacts", request)
    assert "representative set of tasks (run: mteb mock-run -m" in request


def test_results_that_differ_from_public_ones_are_refused_and_nothing_is_written(tmp_path):
    runs, out = tmp_path / "runs", tmp_path / "out"
    put(tmp_path / "theirs", E5, main=0.4)
    put(runs, E5)
    repository = ResultsRepository(tmp_path / "upstream")
    repository.publish(tmp_path / "theirs" / "results")
    command = ("submit", "bundle", E5, str(runs), "--output", str(out))
    done = CliRunner().invoke(app, [*command, "--public", str(repository.folder)])
    assert done.exit_code == 1
    assert done.output.count("refused: ") == 2
    assert f"refused: {runs}/results/intfloat__multilingual-e5-small/" in done.output
    assert "is 0.5000, and 0.4000 is public" in done.output
    assert done.output.endswith("nothing was written\n")
    assert not out.exists()
    repository.folder.rename(runs / "remote")  # where MTEB's own clone is
    assert CliRunner().invoke(app, command).exit_code == 1


def test_a_model_of_mteb_needs_no_request_of_its_own(tmp_path):
    put(tmp_path / "runs", E5)
    said = submit("bundle", E5, tmp_path / "runs", "--output", tmp_path / "out")
    assert "does not know" not in said
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"results", "results-request.md"}
    request = (tmp_path / "out/results-request.md").read_text()
    assert "- [x] My model has a reference implementation" in request
    assert "existing PR" not in request
    assert "- [ ] I *solemnly swear*" in request


class Counting(AbsEncoder):
    """Counts characters; without a dimension it fails."""

    dimension = 8

    def __init__(self, name: str, revision: str | None = None, **kwargs: Any) -> None:
        pass

    def encode(self, inputs: Any, **kwargs: Any) -> np.ndarray:
        texts = [text for batch in inputs for text in batch["text"]]
        return np.array(
            [np.bincount([ord(c) % self.dimension for c in t], minlength=8) for t in texts], float
        )


@pytest.mark.parametrize(("dimension", "tick"), [(8, "x"), (0, " ")])
def test_mtebs_mock_tasks_are_run_and_their_outcome_stands(tmp_path, monkeypatch, dimension, tick):
    name, out = "test/counting", tmp_path / "out"
    module = sys.modules["mteb.mocks.mock_run"]  # all 28 take half a minute
    tasks = [one for one in module.ALL_MOCK_TASK_TEST_GRID if one.metadata.name == MOCK]
    monkeypatch.setattr(module, "ALL_MOCK_TASK_TEST_GRID", tasks)
    monkeypatch.setattr(Counting, "dimension", dimension)
    monkeypatch.setitem(MODEL_REGISTRY, name, meta(name, loader=Counting))
    put(tmp_path / "runs", name)
    found = find_results(name, tmp_path / "runs")
    assert found.upstream
    bundle(replace(found, upstream=False), out, None, mock_run=True)
    table = (out / "model" / "mteb_mock_run_results.md").read_text(encoding="utf-8")
    assert f"| {MOCK} | text | {'✓' if dimension else '✗'} |" in table
    request = (out / "model" / "model-request.md").read_text()
    assert f"- [{tick}] I have tested the implementation" in request


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bundle", "hybridir/pocket-hybird", "{runs}"), "no results of 'hybridir/pocket-hybird'"),
        (("bundle", ENCODER, "{runs}", "--revision", "ffff"), "and of no revision 'ffff'"),
        (("bundle", ENCODER, "{runs}", "--public", "{runs}/results"), "no clone of the results"),
        (("task", THEIRS), f"{THEIRS} is MTEB's own: there is nothing to submit"),
        (("task", "XQuADRMultilingualRetrieva"), f"Did you mean {OURS}"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path, failure, arguments, said):
    runs = tmp_path / "runs"
    put(runs, ENCODER)
    filled = [one.format(runs=runs) for one in arguments]
    line = failure("submit", *filled, "--output", str(tmp_path / "out"))
    assert said in line
    assert not (tmp_path / "out").exists()


def test_a_full_output_is_left_alone(tmp_path, failure):
    put(tmp_path / "runs", ENCODER)
    line = failure("submit", "bundle", ENCODER, str(tmp_path / "runs"), "--output", str(tmp_path))
    assert line.startswith(f"error: {tmp_path}: not empty")


def test_a_task_is_drafted_with_its_statistics_and_reference_scores(tmp_path):
    put(tmp_path / "runs", E5, main=0.625)
    out = tmp_path / "out"
    said = submit("task", OURS, tmp_path / "runs", "--output", out)
    module = out / "xquadr_multilingual_retrieval.py"
    assert {str(path) for path in out.iterdir()} == set(said.split())
    names: dict[str, Any] = {}
    exec(module.read_text(encoding="utf-8"), names)
    known, drafted = mteb.get_task(OURS).metadata, names[OURS].metadata
    assert drafted.model_dump() == known.model_dump()
    assert json.loads((out / f"{OURS}.json").read_text()) == known.descriptive_stats
    request = (out / "task-request.md").read_text()
    assert f"| {E5} | 62.5 |" in request
    assert "| mteb/baseline-random-encoder | not run |" in request
    assert f"mteb run -m mteb/baseline-random-encoder -t {OURS}" in request
    assert f"mteb run -m {E5}" not in request
    ticked = re.findall(r"- \[x\] (\w+ \w+)", request)
    assert ticked == ["I have", "The revision", "Descriptive statistics"]
    assert "- [ ] I have run the reference models" in request


def test_texts_that_nobody_counted_are_counted_by_mteb():
    task = tasks_of(toy_collection())()
    counts = statistics(task)["test"]
    subsets = counts["hf_subset_descriptive_stats"]
    assert set(subsets) == set(task.metadata.hf_subsets)
    corpora = {name: len(task.dataset[name]["test"]["corpus"]) for name in subsets}
    assert {name: one["num_documents"] for name, one in subsets.items()} == corpora
    assert counts["num_documents"] == sum(corpora.values())
