"""Numbers by their grammars: what formats mean, not what Python takes."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.errors import SettingError
from hybridir_mteb.files.numbers import (
    LARGEST_GRADE,
    check_grade,
    grade,
    number,
    whole,
    written_number,
    written_whole,
)

# What int() or float() of Python takes, and no format means.
HUGE = pytest.param(10**5000, None, id="5001 digits")
NO_NUMBERS = ["", "1_0", "٣", "３", "²", " 3", "3 ", "3\n", "\u00a03", "0x3", "true", "True", "1,5"]
NO_NUMBERS += ["nan", "NaN", "inf", "-Infinity", "1e", "e5", ".", "+", "--1", "1e1_0", "1.5e٣", "½"]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_only_python_takes_is_no_number(text):
    assert written_whole(text) is None
    assert written_number(text) is None
    assert grade(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("+3", 3), ("-2", -2), ("007", 7), ("3.0", 3), ("3.", 3), ("0", 0), ("-0", 0)],
)
def test_grades_as_trec_eval_and_beir_read_them(text, value):
    assert grade(text) == value


@pytest.mark.parametrize("text", ["1e300", "1e3", "2.5", "1e0", "9999999999", "-2147483648"])
def test_what_is_no_grade(text):
    assert grade(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (3.0, 3),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(3), 3),
        (LARGEST_GRADE, LARGEST_GRADE),
        (True, None),
        (np.True_, None),
        (None, None),
        (2.5, None),
        (math.nan, None),
        (math.inf, None),
        (1e300, None),
        HUGE,
        (LARGEST_GRADE + 1, None),
        (b"3", None),
        ([3], None),
        (Decimal(3), None),
    ],
)
def test_grades_of_any_type(value, expected):
    assert grade(value) == expected
    assert grade(value) is None or type(grade(value)) is int


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, 0.5),
        (-3, -3.0),
        (np.float32(0.5), 0.5),
        (np.int64(4), 4.0),
        (Fraction(1, 2), 0.5),
        (2**53, 2.0**53),
        (2**53 + 1, None),  # would tie with the one before
        (10**400, None),
        (True, None),
        (np.False_, None),
        ("0.5", None),
        (math.nan, None),
        (np.float32("inf"), None),
        (None, None),
        (1j, None),
    ],
)
def test_scores_of_any_type(value, expected):
    assert number(value) == expected
    assert number(value) is None or type(number(value)) is float


def test_whole_numbers_are_of_any_size():
    assert whole(10**5000) == 10**5000
    assert whole(2.0**70) == 2**70
    assert written_whole("-" + "9" * 100) == -int("9" * 100)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read(value):
    assert written_number(repr(value)) == value
    assert written_number(f"{value:.17e}") == value


@given(st.text("0123456789.eE+-_ x٣", max_size=6))
def test_the_grammar_takes_no_more_than_python(text):
    for read, python in ((written_whole, int), (written_number, float)):
        if (found := read(text)) is not None:
            assert found == python(text)


@pytest.mark.parametrize("value", [True, "1", 0.5, None, math.nan])
def test_a_grade_of_a_caller_that_is_none_is_named(value):
    with pytest.raises(SettingError, match="of document 'd' for query 'q' is not a whole number"):
        check_grade(value, "q", "d")
    assert check_grade(np.int32(2), "q", "d") == 2


def test_a_number_that_python_does_not_print_is_refused_as_well():
    with pytest.raises(SettingError, match="grade <int> of document"):
        check_grade(10**5000, "q", "d")
    assert grade("9" * 5000) is None
