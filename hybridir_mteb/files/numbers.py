"""The grammars of numbers that people write: grades, scores and settings.

Python's ``int`` and ``float`` take more than any format means by a number: ``1_0`` is ten there,
digits are those of any script, True is one, and "nan" and "infinity" are numbers.
"""

from __future__ import annotations

import math
import re
from numbers import Integral, Real

from hybridir_mteb.errors import SettingError, quoted

LARGEST_GRADE = 2**31 - 1  # trec_eval and MTEB hold grades in 32 bits on some machines
_WHOLE = re.compile(r"[+-]?[0-9]+")
_GRADE = re.compile(r"([+-]?[0-9]{1,19})(?:\.0*)?")  # 2.0 is written by those who hold floats
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MOST_DIGITS = 400  # more than any number that a computer holds


def written_whole(text: str) -> int | None:
    """The whole number that a text is, in ASCII digits; None if it is none."""
    return int(text) if len(text) < MOST_DIGITS and _WHOLE.fullmatch(text) else None


def written_number(text: str) -> float | None:
    """The finite number that a text is, such as ``-1.5e-3``; None if it is none."""
    found = float(text) if _DECIMAL.fullmatch(text) else math.nan
    return found if math.isfinite(found) else None


def whole(value: object) -> int | None:
    """A whole number of any numeric type, NumPy's included; None for all else, True included."""
    if isinstance(value, Integral):
        return None if isinstance(value, bool) else int(value)
    if isinstance(value, Real):
        found = float(value)
        return int(found) if found.is_integer() else None
    return None


def number(value: object) -> float | None:
    """A finite number of any numeric type that a double holds; None for all else, as True."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:  # of more than 308 digits
        return None
    if isinstance(value, Integral) and found != value:  # two of them might become equal
        return None
    return found if math.isfinite(found) else None


def grade(value: object) -> int | None:
    """A grade of relevance: a whole number of 32 bits, or a text that is one; else None."""
    if isinstance(value, str):
        match = _GRADE.fullmatch(value)
        found = int(match[1]) if match else None
    else:
        found = whole(value)
    return found if found is not None and abs(found) <= LARGEST_GRADE else None


def check_grade(value: object, query: object, document: object) -> int:
    """The grade of a judgement that a caller gave for query and document; text is none there.

    Raises:
        SettingError: It is no whole number of 32 bits.
    """
    found = None if isinstance(value, str) else grade(value)
    if found is None:
        raise SettingError(
            f"the grade {quoted(value, 80)} of document {quoted(document, 80)} for query "
            f"{quoted(query, 80)} is not a whole number; give 0, 1, 2, …"
        )
    return found
