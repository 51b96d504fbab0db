"""Progress: bars where somebody looks on, lines where not."""

import sys

import pytest

from hybridir_mteb.files import progress as module
from hybridir_mteb.files.progress import progress


def shown(capsys: pytest.CaptureFixture[str], seconds: float = 0.0) -> str:
    """What is written while five things are done, with a line after so many seconds."""
    every = {"delay": seconds, "mininterval": seconds, "miniters": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_EVERY", module._EVERY | every)
        assert list(progress(range(5), desc="reading \x1b[2J", unit="line", leave=False)) == [
            *range(5)
        ]
    return capsys.readouterr().err


def test_a_terminal_gets_a_bar_in_place(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    said = shown(capsys)
    assert "\r" in said
    assert "\n" not in said
    assert "reading \\x1b[2J:   0%|" in said


def test_a_log_gets_lines_and_nothing_of_what_is_done_in_a_minute(capsys):
    lines = shown(capsys).splitlines()
    assert [line.partition(",")[0] for line in lines if line] == [
        f"reading \\x1b[2J: {at} of 5 line" for at in range(6)
    ]
    assert shown(capsys, 60.0) == ""


def test_the_users_word_counts(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "0")
    assert "0%|" in shown(capsys)
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert shown(capsys) == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert shown(capsys) == ""


def test_without_stderr_nothing_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert not module.bars()
