"""JSON is read by its grammar, and every fault is one line that names the place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.files.json_text import parse_json, read_json, read_json_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
)


@given(VALUES, st.booleans(), st.booleans())
def test_what_is_valid_is_read_as_python_reads_it(value, ascii_only, as_bytes):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_json(text.encode() if as_bytes else text, "f:1") == value
    assert parse_json("\ufeff" + text, "f:1") == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ("[1,]", "not valid JSON"),
        ("NaN", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("1e999", "'1e999' is too large"),
        ("9" * 5000, "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        (r'"\ud800"', "half of a surrogate pair"),
        (r'{"\uDC00": 1}', "half of a surrogate pair"),
        (b"\xff\xfe1\x00", "not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte 2"),
        ("1 2", "not valid JSON"),
        ("\x00", "not valid JSON"),
        ('{"a": 1, "b": 2, "a": 1}', "the name 'a' occurs twice in one object"),
        ('[{"x": {"a": 1, "a": 2}}]', "the name 'a' occurs twice in one object"),
    ],
)
def test_what_is_not_valid_is_one_line_with_the_place(text, says):
    with pytest.raises(DataFormatError) as caught:
        parse_json(text, "file.json:7")
    message = str(caught.value)
    assert message.startswith("file.json:7: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_whole_pair_of_surrogates_is_one_character():
    assert parse_json(r'"\ud83d\ude00"', "f") == "\U0001f600"


def test_results_of_others_may_hold_nan():
    value = parse_json('{"a": NaN, "b": -Infinity}', "f", nan=True)
    assert value["a"] != value["a"]
    assert value["b"] == float("-inf")


def test_pairs_keep_what_a_dictionary_would_lose():
    assert parse_json('{"a": 1, "a": 2}', "f", pairs=list) == [("a", 1), ("a", 2)]


def test_a_file_is_named_and_must_hold_an_object(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("[1]")
    assert read_json(path) == [1]
    with pytest.raises(DataFormatError, match=r"x\.json: expected a JSON object, got list"):
        read_json_object(path)
    path.write_text("{\n1}")
    with pytest.raises(DataFormatError, match=r"x\.json: .*line 2 column 1"):
        read_json_object(path)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")
