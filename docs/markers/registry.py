"""Which function makes the text of which marker."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from typing import TypeVar

MARKER = re.compile(r"\{\{ *([a-z-]+)(?::([^{}]*?))? *\}\}")
Maker = TypeVar("Maker", bound=Callable[..., str])
_MAKERS: dict[str, Callable[..., str]] = {}


class MarkerError(Exception):
    """A marker that cannot be resolved."""


def marker(kind: str) -> Callable[[Maker], Maker]:
    """Let a function make the text of ``{{ kind:first second }}`` from ``("first", "second")``."""

    def register(maker: Maker) -> Maker:
        _MAKERS[kind] = maker
        return maker

    return register


def render(markdown: str) -> str:
    """A text with every marker replaced.

    Raises:
        MarkerError: A marker is unknown, or what it refers to is missing.
    """
    return MARKER.sub(_replacement, markdown)


def _replacement(found: re.Match[str]) -> str:
    kind, arguments = found[1], (found[2] or "").split()
    if kind not in _MAKERS:
        raise MarkerError(f"unknown marker {found[0]}; known: {', '.join(sorted(_MAKERS))}")
    try:
        signature(_MAKERS[kind]).bind(*arguments)
    except TypeError as error:
        raise MarkerError(f"{found[0]}: {error}") from error
    return _MAKERS[kind](*arguments)
