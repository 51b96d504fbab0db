"""The stock ``mteb`` command in subprocesses, as a user types it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import mteb
import pytest
from end_to_end.pin_compare import NETWORK, same_processor, unlike_pins
from end_to_end.pin_runs import Runs
from toys import REPOSITORY
from toys.cli import HYBRIDIR, MTEB, Workplace, copied, succeed

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.cache import store_files
from hybridir_mteb.results.by_query import SUFFIX, read_by_query
from hybridir_mteb.results.tables import summarise

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pocket_weights")]

SETTINGS = ("Monolingual", "CrossLingual", "Multilingual")
POCKET_TASKS = [f"PocketQAR{setting}Retrieval" for setting in SETTINGS]
RESULTS = REPOSITORY / "docs" / "results"
LARGEST_FILE = 10 * 2**20


def scores(
    folder: Path, task: str, model: str = "hybridir/pocket-base"
) -> dict[str, dict[str, Any]]:
    (file,) = (folder / "results" / model.replace("/", "__")).rglob(f"{task}.json")
    (split,) = json.loads(file.read_text())["scores"].values()
    return {score["hf_subset"]: score for score in split}


@pytest.fixture(scope="module")
def pocket_run(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """The README's main job: pocket-base on PocketQA-R, all three settings."""
    place = Workplace(tmp_path_factory.mktemp("pocket"))
    place.run(MTEB, "run", "-m", "hybridir/pocket-base", "-t", *POCKET_TASKS)
    return place


def test_the_main_job_gives_the_committed_scores(pocket_run):
    committed = json.loads((RESULTS / "pocketqa-r.json").read_text())["settings"]
    for setting, task in zip(("mono", "cross", "multi"), POCKET_TASKS, strict=True):
        found = scores(pocket_run.output, task)
        assert len(found) == committed[setting]["subsets"]
        mean = fmean(score["map"] for score in found.values())
        assert mean == pytest.approx(committed[setting]["map"], abs=2e-4)


def test_two_encoders_give_what_is_pinned(pocket_run, tmp_path_factory):
    """As ``test_pins.py`` does with all else; the embeddings of the base are at hand here."""
    runs = Runs(tmp_path_factory.mktemp("pins"))
    shutil.copytree(pocket_run.store, runs.folder / "cache" / "embeddings")
    allowed = None if same_processor(runs.probe()) else NETWORK
    assert unlike_pins("pocket", runs.pocket(), allowed) == []


def test_a_shipped_encoder_gives_the_committed_scores(tmp_path):
    """In two languages; CI's demo runs it on all."""
    method = "adversarial"
    committed = json.loads((RESULTS / f"pocketqa-r-{method}.json").read_text())["scores"]["mono"]
    place = Workplace(tmp_path)
    command = (MTEB, "run", "-m", f"hybridir/pocket-{method}", "-t", POCKET_TASKS[0])
    place.copied(*command, "-l", "hin", "tha")
    found = scores(place.output, POCKET_TASKS[0], f"hybridir/pocket-{method}")
    assert set(found) == {"hi", "th"}
    for subset, score in found.items():
        assert score["map"] == pytest.approx(committed[subset]["map"], abs=2e-3)
        assert score["map"] != pytest.approx(base_scores()[subset]["map"], abs=2e-3)


def base_scores() -> dict[str, Any]:
    """Committed monolingual scores of the backbone."""
    return json.loads((RESULTS / "pocketqa-r.json").read_text())["scores"]["mono"]


def test_a_repeated_run_encodes_nothing_and_gives_the_same_scores(pocket_run):
    second = pocket_run.folder / "second"
    tasks = (POCKET_TASKS[0], POCKET_TASKS[2])
    log = pocket_run.copied(MTEB, "run", "-m", "hybridir/pocket-base", "-t", *tasks, output=second)
    assert "char/s" not in log
    for task in tasks:
        assert scores(second, task) == scores(pocket_run.output, task)


def test_the_store_holds_each_distinct_text_once(pocket_run):
    (file,) = store_files(pocket_run.store)
    statistics = scores(pocket_run.output, "PocketQARMultilingualRetrieval")
    queries = sum(score["n_queries"] for score in statistics.values())
    assert file.label == "hybridir/pocket-base"
    assert file.entries == queries + statistics["de"]["n_passages"]


def test_python_m_does_the_same_where_startup_files_are_ignored(pocket_run):
    third = pocket_run.folder / "third"
    log = pocket_run.run(
        *(sys.executable, "-m", "hybridir_mteb", "mteb", "run", "-m", "hybridir/pocket-base"),
        *("-t", POCKET_TASKS[0]),
        output=third,
        HYBRIDIR_AUTOLOAD="0",
    )
    assert scores(third, POCKET_TASKS[0]) == scores(pocket_run.output, POCKET_TASKS[0])
    last = log.rstrip().rpartition("\n")[2]
    assert last.startswith(f"hybridir/pocket-base: {POCKET_TASKS[0]} map 0.")
    assert last.endswith(f"{POCKET_TASKS[0]}.json; all measures: hybridir report {third}")


def test_scores_by_query_lie_beside_each_result(pocket_run):
    for task in POCKET_TASKS:
        (file,) = pocket_run.output.rglob(f"{task}{SUFFIX}")
        kept = {one.subset: one for one in read_by_query(file)}
        found = scores(pocket_run.output, task)
        assert set(kept) == set(found)
        for subset, score in found.items():
            assert fmean(kept[subset].scores["map"]) == pytest.approx(score["map"], abs=2e-6)


def test_results_keep_the_rules_of_the_results_repository(pocket_run):
    (meta_file,) = (pocket_run.output / "results").rglob("model_meta.json")
    folder = meta_file.parent
    meta = json.loads(meta_file.read_text())
    assert folder.name == meta["revision"]
    assert folder.parent.name == meta["name"].replace("/", "__") == "hybridir__pocket-base"
    covered = set()
    for line in (folder / "run_settings.jsonl").read_text().splitlines():
        entry = json.loads(line)
        covered |= {
            (entry["task"], split, subset)
            for split in entry["splits"]
            for subset in entry["subsets"]
        }
    for task in POCKET_TASKS:
        file = folder / f"{task}.json"
        content = json.loads(file.read_text())
        assert content["task_name"] == file.stem
        assert file.stat().st_size < LARGEST_FILE
        for score in content["scores"]["test"]:
            major, minor = map(int, score["mteb_version"].split(".")[:2])
            assert (major, minor) >= (2, 14)
            assert (task, "test", score["hf_subset"]) in covered


def git(*arguments: str, cwd: Path) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    return succeed("git", *identity, *arguments, cwd=cwd).stdout


def test_a_report_counts_the_submitted_copy_no_second_time(pocket_run):
    copy = pocket_run.output / "remote" / "results"
    if not copy.exists():
        shutil.copytree(pocket_run.output / "results", copy)
    assert len(summarise(pocket_run.output)) == 1
    shutil.rmtree(pocket_run.output / "remote")


def test_submit_results_makes_its_branch_and_commit(pocket_run, tmp_path):
    upstream = tmp_path / "upstream"
    (upstream / "results").mkdir(parents=True)
    (upstream / "results" / "README.md").write_text("results\n")
    git("init", "-q", "-b", "main", cwd=upstream)
    git("add", "-A", cwd=upstream)
    git("commit", "-q", "-m", "start", cwd=upstream)
    environment = {
        "GIT_CONFIG_COUNT": "3",
        "GIT_CONFIG_KEY_0": f"url.file://{upstream}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/embeddings-benchmark/results",
        "GIT_CONFIG_KEY_1": "user.name",
        "GIT_CONFIG_VALUE_1": "t",
        "GIT_CONFIG_KEY_2": "user.email",
        "GIT_CONFIG_VALUE_2": "t@example.org",
    }
    pocket_run.copied(MTEB, "submit-results", "-m", "hybridir/pocket-base", **environment)
    clone = pocket_run.output / "remote"
    assert git("branch", "--show-current", cwd=clone).strip() != "main"
    changed = git("show", "--name-only", "--format=%s", "HEAD", cwd=clone)
    for task in POCKET_TASKS:
        assert f"results/hybridir__pocket-base/{_revision(pocket_run)}/{task}.json" in changed


def _revision(place: Workplace) -> str:
    (meta_file,) = (place.output / "results").rglob("model_meta.json")
    return str(meta_file.parent.name)


@dataclass
class Resumed:
    """A run that was killed, then started again.

    Attributes:
        place: Where both ran.
        kept: Texts in the store after the first.
        log: What the second wrote.
    """

    place: Workplace
    kept: int
    log: str


@pytest.fixture(scope="module")
def xquad_slice(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Resumed:
    """One language of XQuAD-R, monolingual, by the command line's language filter."""
    place = Workplace(tmp_path_factory.mktemp("xquad"))
    command = [MTEB, "run", "-m", "hybridir/pocket-base", "-t", "XQuADRMonolingualRetrieval"]
    command += ["-l", "tha"]
    environment = {"HYBRIDIR_DATA_DIR": str(data_dir)}
    process = subprocess.Popen(
        [*command, "--output-folder", str(place.output)],
        env={**os.environ, **place.variables, **environment},
        cwd=place.folder,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while sum(file.entries for file in store_files(place.store)) == 0:
        assert process.poll() is None, "the run ended before anything was stored"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = sum(file.entries for file in store_files(place.store))
    return Resumed(place, kept, place.copied(*command, **environment))


def encoded_in(log: str) -> dict[str, int]:
    """Texts that a run encoded, by role; a bar is written many times."""
    bars = re.findall(r"(document|query): .*?texts=\d+/(\d+)", log)
    return {role: int(texts) for (role, texts), _ in groupby(bars)}


def test_a_killed_run_goes_on_from_what_was_encoded(xquad_slice):
    total = sum(file.entries for file in store_files(xquad_slice.place.store))
    assert sum(encoded_in(xquad_slice.log).values()) == total - xquad_slice.kept
    assert 0 < xquad_slice.kept < total


def test_a_slice_of_xquad_r_gives_the_committed_scores(xquad_slice):
    committed = json.loads((RESULTS / "xquad-r.json").read_text())["scores"]["mono"]
    found = scores(xquad_slice.place.output, "XQuADRMonolingualRetrieval")
    assert set(found) == {"th"}
    for subset, score in found.items():
        assert score["map"] == pytest.approx(committed[subset]["map"], abs=2e-4)


def test_other_settings_of_the_slice_reuse_its_embeddings(xquad_slice, data_dir):
    """Cross-lingual scores: passages from the store, queries of another language encoded."""
    code = (
        "import mteb, sys\n"
        "task = mteb.get_task('XQuADRCrossLingualRetrieval', hf_subsets=['en-th'])\n"
        "mteb.evaluate(mteb.get_model('hybridir/pocket-base'), [task],\n"
        "              cache=mteb.ResultCache(sys.argv[-1]), co2_tracker=False)\n"
    )
    place = xquad_slice.place
    log = place.copied(sys.executable, "-c", code, HYBRIDIR_DATA_DIR=str(data_dir))
    committed = json.loads((RESULTS / "xquad-r.json").read_text())["scores"]["cross"]
    found = scores(place.output, "XQuADRCrossLingualRetrieval")
    assert set(found) == {"en-th"}
    assert set(encoded_in(log)) == {"query"}
    assert encoded_in(log)["query"] <= found["en-th"]["n_queries"]
    for subset, score in found.items():
        assert score["map"] == pytest.approx(committed[subset]["map"], abs=2e-4)


def test_every_kind_of_text_task_runs(tmp_path):
    """``mteb mock-run``: classification, clustering, STS and the rest, not retrieval alone."""
    command = (MTEB, "mock-run", "-m", "hybridir/pocket-base")
    copied(*command, cwd=tmp_path, **Workplace(tmp_path).variables)
    table = (tmp_path / "mteb_mock_run_results.md").read_text()
    rows = [line for line in table.splitlines() if "| text |" in line]
    assert len(rows) >= 20
    assert [row for row in rows if "✓" not in row] == []


DEBIASED = "hybridir/pocket-base+centre"
FIT = ("debias", "fit", "--model", "hybridir/pocket-base", "--method", "centre")
SMALL = ("--languages", "de,en,ar", "--lines", "30")


@pytest.fixture(scope="module")
def debiased_run(
    pocket_run: Workplace, data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Workplace:
    """Also a store with ``pocket-base+centre``, which is evaluated in German."""
    place = Workplace(tmp_path_factory.mktemp("debiased") / "place")
    shutil.copytree(pocket_run.folder, place.folder)
    variables = {
        **place.variables,
        "HYBRIDIR_DATA_DIR": str(data_dir),
        "HYBRIDIR_MODEL_STORE": str(place.folder / "encoders"),
    }
    for _ in range(2):  # the second run finds all embeddings in the store
        done = copied(HYBRIDIR, *FIT, *SMALL, cwd=place.folder, **variables)
        assert done.stdout.startswith(f"{DEBIASED} ")
    assert "char/s" not in done.stderr
    log = place.copied(MTEB, "run", "-m", DEBIASED, "-t", POCKET_TASKS[2], "-l", "deu", **variables)
    assert "char/s" not in log  # the embeddings are the base's
    return place


def test_a_debiased_encoder_is_filed_under_name_and_fingerprint(debiased_run, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(debiased_run.folder / "encoders"))
    encoder = trained.get(DEBIASED)
    assert encoder.place == "store"
    folder = debiased_run.output / "results" / DEBIASED.replace("/", "__") / encoder.fingerprint
    meta = json.loads((folder / "model_meta.json").read_text())
    assert (meta["name"], meta["revision"]) == (DEBIASED, encoder.fingerprint)
    assert meta["adapted_from"] == "hybridir/pocket-base"
    assert meta["loader"] == "load_debiased"
    assert "NTREXBitextMining" in meta["training_datasets"]
    result = mteb.results.TaskResult.from_disk(folder / f"{POCKET_TASKS[2]}.json")
    assert result.task_name == POCKET_TASKS[2]
    loaded = mteb.ResultCache(debiased_run.output).load_results(
        models=[DEBIASED], tasks=[POCKET_TASKS[2]]
    )
    (model_result,) = loaded.model_results
    named = (model_result.model_name, model_result.model_revision)
    assert named == (DEBIASED, encoder.fingerprint)


def test_the_base_and_the_debiased_encoder_share_their_embeddings(debiased_run):
    (file,) = store_files(debiased_run.store)
    assert file.label == "hybridir/pocket-base"


def test_centring_helps_among_passages_of_all_languages(debiased_run):
    before, after = (
        scores(debiased_run.output, POCKET_TASKS[2], name)["de"]
        for name in ("hybridir/pocket-base", DEBIASED)
    )
    assert after["map"] > before["map"]
    assert after["rank_distance"] < before["rank_distance"]
