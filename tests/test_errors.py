"""Messages show other people's text in one line, as it is, and not too much of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.hostile import EVERYTHING, Unreadable

from hybridir_mteb.errors import (
    MESSAGE_LIMIT,
    described,
    one_line,
    plain_logger,
    printable,
    quoted,
    text_of,
    type_of,
)


@given(st.text())
def test_no_control_character_reaches_a_terminal(text):
    shown = printable(text)
    assert all(char.isprintable() or char in "\u200c\u200d" for char in shown)
    assert quoted(text).isprintable()


def test_terminal_escapes_and_direction_marks_are_spelled_out():
    assert printable("\x1b[31mred\u202e\n\x9b") == r"\x1b[31mred\u202e\n\x9b"


def test_words_of_any_script_stay():
    assert printable("می‌خواهم größer 日本") == "می‌خواهم größer 日本"


def test_long_text_is_cut():
    assert printable("a" * 301) == "a" * 299 + "…"
    assert printable("a" * 300) == "a" * 300
    assert len(printable("a" * 10_000, None)) == 10_000
    assert len(quoted("a" * 10_000)) == len(quoted(list(range(10_000)))) == MESSAGE_LIMIT


def test_a_message_is_one_line_and_never_empty():
    assert one_line(ValueError("a\n  b\x1b[0m")) == r"a b\x1b[0m"
    assert one_line(ValueError("\n")) == "ValueError"


@pytest.mark.parametrize("error", EVERYTHING, ids=type_of)
def test_any_error_has_a_text_in_one_line(error):
    for text in (quoted(error), printable(text_of(error)), described(error), one_line(error, 300)):
        assert text.isprintable()
        assert len(text) < 5 * 300
    assert described(error).startswith(f"{type_of(error)}:")


def test_what_cannot_be_read_is_named_by_its_type():
    assert quoted(Unreadable()) == "<Unreadable>"


def test_an_interrupt_is_no_text():
    class Interrupting:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        text_of(Interrupting())


def test_a_text_that_is_no_plain_one_is_its_characters():
    class Sly(str):
        __slots__ = ()

        def isprintable(self) -> bool:
            return True

    assert printable(text_of(Sly("\x1b[31m"))) == "\\x1b[31m"


def test_what_is_logged_holds_no_control_characters(caplog):
    logger = plain_logger("hybridir_mteb.tested")
    assert plain_logger("hybridir_mteb.tested").filters == logger.filters
    logger.warning("%s is %d%% full", "a\n\x1b[31m", 7)
    assert [record.getMessage() for record in caplog.records] == ["a\\n\\x1b[31m is 7% full"]
