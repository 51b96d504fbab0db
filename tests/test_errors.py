"""Messages show other people's text in one line, as it is, and not too much of it."""

from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.errors import MESSAGE_LIMIT, one_line, printable, quoted


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
