"""Results of MTEB are there whole or not at all, also while they are written."""

import json
from importlib.metadata import version

import mteb
import pytest
from mteb.results import TaskResult

from hybridir_mteb.adapters.mteb.around import write_whole


def result(score):
    task = mteb.get_task("SciFact")
    return TaskResult(
        dataset_revision="r",
        task_name=task.metadata.name,
        mteb_version=version("mteb"),
        scores={"test": [{"main_score": score, "hf_subset": "default", "languages": ["eng-Latn"]}]},
        evaluation_time=1.0,
    )


@pytest.fixture
def in_place(monkeypatch):
    """MTEB's own method, whatever ran before."""
    theirs = TaskResult.to_disk
    monkeypatch.setattr(TaskResult, "to_disk", getattr(theirs, "__wrapped__", theirs))


@pytest.mark.usefixtures("in_place")
def test_what_is_there_stays_until_the_new_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "SciFact.json"
    write_whole()
    result(0.25).to_disk(path)
    before = path.read_text()
    seen = []

    def dump(content, stream, **options):
        stream.write("{")
        stream.flush()
        seen.append(path.read_text())
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(json, "dump", dump)
        with pytest.raises(OSError, match="No space left"):
            result(0.5).to_disk(path)
    assert seen == [before]
    assert [one.name for one in tmp_path.iterdir()] == ["SciFact.json"]
    assert TaskResult.from_disk(path).get_score() == 0.25
    result(0.5).to_disk(path)
    assert TaskResult.from_disk(path).get_score() == 0.5


@pytest.mark.usefixtures("in_place")
def test_it_is_put_around_once():
    """If this fails after an upgrade of mteb: see by what it writes results now."""
    assert version("mteb").startswith("2.26.")
    write_whole()
    ours = TaskResult.to_disk
    write_whole()
    assert TaskResult.to_disk is ours
