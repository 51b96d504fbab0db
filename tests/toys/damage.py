"""Damage to files, every kind at every place, and what is left of a result after it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hybridir_mteb.errors import HybridIRError

KINDS: dict[str, Callable[[bytes, int], bytes]] = {
    "flip": lambda whole, at: whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :],
    "digit": lambda whole, at: whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
    "delete": lambda whole, at: whole[:at] + whole[at + 1 :],
    "insert": lambda whole, at: whole[:at] + b"1" + whole[at:],
    "double": lambda whole, at: whole[: at + 1] + whole[at:],
    "zero": lambda whole, at: whole[:at] + bytes(min(8, len(whole) - at)) + whole[at + 8 :],
    "cut": lambda whole, at: whole[:at],
    "repeat": lambda whole, at: whole[:at] + whole,
}


def damages(whole: bytes, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """What may become of a file's bytes: each kind at every so many places; never the same bytes.

    Args:
        whole: The bytes.
        step: Distance of the places; the kinds start at places of their own.
    """
    for first, (kind, damage) in enumerate(KINDS.items()):
        for at in range(first % step, len(whole), step):
            damaged = damage(whole, at)
            if damaged != whole:
                yield f"{kind} at {at}", damaged


def unseen(
    file: Path, result: Callable[[], Any], right: Any, step: int = 1
) -> tuple[int, list[str]]:
    """Damage a file in every way, and see what is found.

    The file is as before afterwards; other files that a result writes must be put back by it.

    Args:
        file: The file.
        result: What is asked for; may raise one of the package's own errors, in one line.
        right: The right result.
        step: As of :func:`damages`.

    Returns:
        How many were tried, and those after which the result is another one.
    """
    whole, wrong, tried = file.read_bytes(), [], 0
    for what, damaged in damages(whole, step):
        tried += 1
        file.write_bytes(damaged)
        try:
            found = result()
        except HybridIRError as error:
            if "\n" in str(error):
                wrong.append(f"{file.name}: {what}: an error of several lines: {error}")
            continue
        if found != right:
            wrong.append(f"{file.name}: {what}: {str(found)[:200]}")
    file.write_bytes(whole)
    return tried, wrong


def unseal(record: Path, **renamed: str) -> None:
    """Make a record one of version 0.1: no checksum, no key, fields under their former names."""
    content = json.loads(record.read_text("utf-8"))
    del content["sha256"]
    content.pop("key", None)
    for name, former in renamed.items():
        content[former] = content.pop(name)
    record.write_text(json.dumps(content, indent=1))
