"""The stock command ``mteb``, in this process: what it says at its end."""

import importlib
import inspect
import logging
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mteb
import mteb.cli
import pytest
from toys.encoders import HashEncoder

from hybridir_mteb.errors import SettingError

TASKS = [f"PocketQAR{setting}Retrieval" for setting in ("Monolingual", "Multilingual")]
get_model = mteb.get_model
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Exit status, output and errors of a command line; every model is the hash encoder."""
    monkeypatch.setattr(mteb, "get_model", lambda *_, **__: HashEncoder())
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")  # which the command sets
    monkeypatch.setattr(logging.getLogger("mteb"), "level", logging.WARNING)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mteb", *arguments])
        status = 0
        try:
            mteb.cli.main()
        except SystemExit as ended:
            status = int(ended.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_a_run_of_our_tasks_ends_with_scores_file_and_the_way_to_the_rest(command, tmp_path):
    asked = ("run", "-v", "1", "-m", "any", "-l", "deu", "--output-folder", "my results")
    status, said, errors = command(*asked, "-t", TASKS[0])
    (file,) = (tmp_path / "my results").rglob("PocketQAR*.json")
    score = mteb.results.TaskResult.from_disk(file).get_score()
    place = file.relative_to(tmp_path)
    assert (status, errors) == (0, "")  # no bar, and nothing else, where nobody looks on
    assert said == (
        f"{HashEncoder().mteb_model_meta.name}: {TASKS[0]} map {score:.4f}; in {place}; "
        "all measures: hybridir report 'my results'\n"
    )
    said = command(*asked, "-t", *TASKS)[1]  # one of the two from its file
    assert f"{TASKS[0]} map {score:.4f}, {TASKS[1]} map " in said
    assert f"; in {place.parent}; " in said


def test_an_error_of_ours_is_one_line_and_a_status(command, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise SettingError("the roof leaks,\nso mend it " + 80 * "word ")

    monkeypatch.setattr(mteb, "get_model", fail)
    status, said, errors = command("run", "-m", "any", "-t", TASKS[0])
    assert (status, said) == (1, "")
    assert errors == f"error: the roof leaks, so mend it {' '.join(80 * ['word'])}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "50")
    errors = command("run", "-m", "any", "-t", TASKS[0])[2]
    assert max(map(len, errors.splitlines())) <= 50
    assert set(errors.split()[8:]) == {"word"}  # whole ones


def test_other_peoples_errors_are_theirs(command, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(mteb, "get_model", fail)
    with pytest.raises(ZeroDivisionError):
        command("run", "-m", "any", "-t", TASKS[0])
    assert not hasattr(mteb.evaluate, "__wrapped__")


def test_an_encoder_that_was_not_trained_says_how_to_train_it(command, monkeypatch):
    monkeypatch.setattr(mteb, "get_model", get_model)
    status, said, errors = command("run", "-m", "hybridir/xlmr-hybrid", "-t", TASKS[0])
    assert (status, said, errors.count("\n")) == (1, "", 1)
    assert "train it (hybridir train --backbone xlmr --method hybrid; with --dry-run" in errors
    status, said, errors = command("run", "-m", "hybridir/pocket-hybird", "-t", TASKS[0])
    assert (status, said, errors.count("\n")) == (1, "", 1)
    assert "Did you mean hybridir/pocket-hybrid" in errors


def test_the_command_is_what_was_wrapped():
    why = f"mteb {version('mteb')} differs from the tested 2.26"
    source = inspect.getsource(importlib.import_module("mteb.cli.build_cli").run)
    assert "mteb.get_model(args.model, args.model_revision, device=device)" in source, why
    assert "mteb.evaluate(\n        model,\n        tasks,\n        cache=" in source, why
    assert list(inspect.signature(inspect.unwrap(mteb.cli.main)).parameters) == [], why
    assert hasattr(mteb.cli.main, "__wrapped__"), why
