"""The one reader of JSON: by the grammar, and every fault is an error of ours that names the place.

Python's reader takes numbers of any size, ``NaN`` and half characters, and fails with four kinds of
exceptions. What is read here can be written again, in UTF-8, as it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridir_mteb.errors import DataFormatError, quoted

Pairs = Callable[[list[tuple[str, Any]]], Any]


def parse_json(
    text: str | bytes, where: str, *, nan: bool = False, pairs: Pairs | None = None
) -> Any:
    """The value of a JSON text (RFC 8259); a byte order mark before it is no part of it.

    Args:
        text: The text, or its bytes in UTF-8.
        where: File, or file and line, for the message.
        nan: Whether ``NaN`` and infinities are numbers, as Python's writer makes them.
        pairs: Makes the value of an object of its names and values in order; by default a
            dictionary, whose names must differ.

    Raises:
        DataFormatError: It is not JSON, not UTF-8, nested too deeply, or holds half a character, a
            number that is too large, or an object with a name twice.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        text = text.removeprefix("\ufeff")
        value = (_DECODERS[nan] if pairs is None else _decoder(pairs, nan=nan)).decode(text)
        if "\\" in text and ("\\ud" in text or "\\uD" in text):  # one character is found at once
            json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be encoded
    except UnicodeDecodeError as error:
        raise DataFormatError(
            f"{where}: not UTF-8 at byte {error.start + 1}. Save the file as UTF-8"
        ) from error
    except UnicodeEncodeError as error:
        raise DataFormatError(
            f"{where}: half of a surrogate pair: {error.reason}. Mend or remove it"
        ) from error
    except RecursionError as error:
        raise DataFormatError(f"{where}: JSON nested too deeply. Mend or remove it") from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}" if "\n" in text else f"column {error.pos}"
        raise DataFormatError(
            f"{where}: not valid JSON: {error.msg} at {at}. Mend or remove it"
        ) from error
    except ValueError as error:  # a number of more digits than Python reads, or not finite
        raise DataFormatError(f"{where}: not valid JSON: {error}. Mend or remove it") from error
    return value


def read_json(path: Path, *, nan: bool = False) -> Any:
    """The value in a JSON file.

    Raises:
        DataFormatError: As in :func:`parse_json`; the message names the file.
        OSError: The file is missing or cannot be read.
    """
    return parse_json(path.read_bytes(), str(path), nan=nan)


def read_json_object(path: Path, *, nan: bool = False) -> dict[str, Any]:
    """As :func:`read_json`, of a file that holds an object.

    Raises:
        DataFormatError: It is no JSON, or no object.
        OSError: The file is missing or cannot be read.
    """
    value = read_json(path, nan=nan)
    if not isinstance(value, dict):
        raise DataFormatError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two equal names nobody knows which one is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise ValueError(f"the name {quoted(twice, 100)} occurs twice in one object")
    return found


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {quoted(digits, 30)} is too large")
    return number


def _decoder(pairs: Pairs, *, nan: bool) -> json.JSONDecoder:
    if nan:
        return json.JSONDecoder(object_pairs_hook=pairs)
    return json.JSONDecoder(object_pairs_hook=pairs, parse_constant=_refuse, parse_float=_finite)


# Made once: for each line, json.loads would make one anew, which takes as long as reading it.
_DECODERS = {nan: _decoder(_distinct, nan=nan) for nan in (False, True)}
