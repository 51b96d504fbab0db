"""What the results repository refuses, this package refuses, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toys.results_repository import ResultsRepository

from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.results.submission import LARGEST_FILE, NO_REVISION, faults

REVISION, TASK = "0123abcd", "ToyMultilingualRetrieval"


def score(subset: str, main: float, **more: Any) -> dict[str, Any]:
    languages = ["deu-Latn", "eng-Latn"]
    known = {"hf_subset": subset, "main_score": main, "languages": languages}
    return {**known, "mteb_version": "2.26.24", **more}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def put(tree: Path, revision: str = REVISION, main: float = 0.5) -> Path:
    """Sound results of one model."""
    folder = tree / "org__model" / revision
    write(folder / "model_meta.json", {"name": "org/model", "revision": revision})
    scores = {"test": [score("de", main), score("en", 0.25)], "dev": [score("de", 0.75)]}
    write(folder / f"{TASK}.json", {"task_name": TASK, "scores": scores})
    settings = {"task": TASK, "splits": ["test", "dev"], "subsets": ["de", "en"]}
    write(folder / "run_settings.jsonl", settings)
    return folder


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    write(path, content)


@pytest.fixture
def repository(tmp_path: Path) -> ResultsRepository:
    return ResultsRepository(tmp_path / "upstream")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path / "mine"


def test_sound_results_are_taken_new_or_again(repository, tree):
    put(tree)
    assert repository.refuses(tree) == set()
    assert faults(tree, repository.results) == faults(tree) == []
    repository.publish(tree)
    put(tree, main=0.5009)
    assert repository.refuses(tree) == set()
    assert faults(tree, repository.results) == []


def rename_model(folder: Path) -> None:
    edit(folder / "model_meta.json", lambda meta: meta.update(name="org/other"))


def rename_task(folder: Path) -> None:
    edit(folder / f"{TASK}.json", lambda result: result.update(task_name="Other"))


def forget_revision(folder: Path) -> None:
    edit(folder / "model_meta.json", lambda meta: meta.update(revision=None))


def forget_metadata(folder: Path) -> None:
    (folder / "model_meta.json").unlink()


def blow_up(folder: Path) -> None:
    edit(folder / f"{TASK}.json", lambda result: result.update(padding="x" * LARGEST_FILE))


def forget_settings(folder: Path) -> None:
    (folder / "run_settings.jsonl").unlink()


def run_less(folder: Path) -> None:
    edit(folder / "run_settings.jsonl", lambda run: run.update(subsets=["de"]))


def grow_old(folder: Path) -> None:
    old = score("en", 0.25, mteb_version="2.13.9")
    edit(folder / f"{TASK}.json", lambda result: result["scores"]["test"].__setitem__(1, old))


def forget_split(folder: Path) -> None:
    edit(folder / f"{TASK}.json", lambda result: result["scores"].pop("dev"))


def forget_subset(folder: Path) -> None:
    edit(folder / f"{TASK}.json", lambda result: result["scores"]["test"].pop())


def forget_language(folder: Path) -> None:
    less = score("de", 0.5, languages=["deu-Latn"])
    edit(folder / f"{TASK}.json", lambda result: result["scores"]["test"].__setitem__(0, less))


def differ(folder: Path) -> None:
    other = score("de", 0.5011)
    edit(folder / f"{TASK}.json", lambda result: result["scores"]["test"].__setitem__(0, other))


@pytest.mark.parametrize(
    ("break_it", "public", "check", "said"),
    [
        (rename_model, False, "structure", "the name 'org/other' is not that of the folder"),
        (forget_metadata, False, "structure", "model_meta.json: missing"),
        (rename_task, False, "task_name", "the task 'Other' is not the file's name"),
        (forget_revision, False, "revision", "the revision None is none"),
        (blow_up, False, "size", "10.0 MB, and 10 are taken"),
        (forget_settings, False, "settings", "run_settings.jsonl: missing"),
        (run_less, False, "settings", "does not cover subset en of split test"),
        (grow_old, False, "settings", "en was scored by no MTEB of 2.14 or later"),
        (forget_split, True, "removed", "subset de of split dev is public and would be removed"),
        (forget_subset, True, "removed", "subset en of split test is public"),
        (forget_language, True, "removed", "subset de of split test would lose eng-Latn"),
        (differ, True, "difference", "subset de of split test is 0.5011, and 0.5000 is public"),
    ],
)
def test_what_the_repository_refuses_is_named_before(
    repository, tree, break_it, public, check, said
):
    folder = put(tree)
    if public:
        repository.publish(tree)
    break_it(folder)
    assert repository.refuses(tree) == {check}
    found = faults(tree, repository.results)
    assert any(said in line for line in found), found
    assert all("\n" not in line and str(tree) in line for line in found)


def test_a_task_over_two_revisions_is_refused_where_one_is_public(repository, tree, tmp_path):
    put(tmp_path / "older", revision="fedc")
    repository.publish(tmp_path / "older")
    put(tree)
    assert repository.refuses(tree) == {"duplicates"}
    (line,) = faults(tree, repository.results)
    assert line.startswith(f"org__model: {TASK} has results of 2 revisions (0123abcd, fedc)")
    put(tree, revision="fedc")
    assert faults(tree) == [line]


def test_other_files_and_folders_are_named(tree):
    folder = put(tree)
    (tree / "notes.txt").write_text("")
    (tree / "org__model" / "notes.txt").write_text("")
    (folder / "experiments").mkdir()
    (folder / "run_settings.jsonl").write_text('{"task": "T"}\n[]\n', encoding="utf-8")
    (folder / "Broken.json").write_text("{", encoding="utf-8")
    found = faults(tree)
    for said in ("notes.txt: only folders", "notes.txt: results belong", "holds files only"):
        assert sum(said in line for line in found) == 1
    assert any("run_settings.jsonl:2: no settings" in line for line in found)
    assert any("Broken.json: not valid JSON" in line for line in found)


def test_the_names_for_no_revision_hold_ours():
    assert NOT_HERE in NO_REVISION
