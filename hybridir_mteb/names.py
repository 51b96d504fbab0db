"""Help with mistyped names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

NOT_HERE = "not-on-this-machine"  # revision of an encoder's name that has no weights here


def suggest(name: str, known: Iterable[str]) -> str:
    """``". Did you mean …?"`` for the closest known names, or an empty string."""
    matches = get_close_matches(name, list(known), n=3)
    return f". Did you mean {' or '.join(matches)}?" if matches else ""
