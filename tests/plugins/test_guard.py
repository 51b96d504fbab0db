"""What hangs is named while it hangs, and whatever fails is one line."""

import asyncio
import time
from typing import Any

import pytest
from toys.hostile import EVERYTHING, Unspeakable

from hybridir_mteb.errors import type_of
from hybridir_mteb.plugins import guard


@pytest.mark.parametrize("error", EVERYTHING, ids=type_of)
def test_whatever_fails_is_one_line_and_the_next_item_is_done(error):
    said: list[str] = []
    done = []
    for item in ("bad", "good"):
        with guard.alone(item, said.append, "remove it"):
            if item == "bad":
                raise error
            done.append(item)
    assert done == ["good"]
    (line,) = said
    assert line.startswith(f"bad: {type_of(error)}")
    assert line.endswith("; remove it")
    assert line.isprintable()


def test_an_interrupt_stops_everything():
    with pytest.raises(KeyboardInterrupt), guard.alone("item", print):
        raise KeyboardInterrupt


def test_without_a_report_the_error_comes_out():
    with pytest.raises(asyncio.CancelledError), guard.alone("item", None):
        raise asyncio.CancelledError


def test_what_hangs_is_named_once_while_it_hangs(monkeypatch, capsys):
    monkeypatch.setattr(guard, "SLOW_SECONDS", 0.05)
    with guard.watched("plugin slow:one", "uninstall it"):
        end = time.monotonic() + 10
        said = ""
        while not said and time.monotonic() < end:
            time.sleep(0.01)
            said = capsys.readouterr().err
    assert said == (
        "hybridir-mteb: plugin slow:one has taken 0.05 s and is still at work; if it never ends, "
        "uninstall it\n"
    )
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_what_is_quick_is_not_named(monkeypatch, capsys):
    monkeypatch.setattr(guard, "SLOW_SECONDS", 0.2)
    for error in (None, ValueError("x")):
        with guard.alone("x", lambda line: None), guard.watched("plugin", "wait"):
            if error:
                raise error
    time.sleep(0.4)
    assert capsys.readouterr().err == ""


def test_a_line_is_one_line_without_control_characters(capsys):
    guard.say("a\n\x1b[2Jb\u202ec\x9b1m")
    assert capsys.readouterr().err == "hybridir-mteb: a \\x1b[2Jb\\u202ec\\x9b1m\n"


@pytest.mark.parametrize("stream", [None, Unspeakable("closed")])
def test_without_a_place_to_say_it_nothing_fails(monkeypatch: pytest.MonkeyPatch, stream: Any):
    monkeypatch.setattr("sys.stderr", stream)
    guard.say("a line")
