"""Passages that are read one by one: collections of millions never lie in memory whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class StreamedPassage:
    """One passage of a source.

    Attributes:
        id: Unique in its source.
        text: Without the title.
        title: May be empty.
    """

    id: str
    text: str
    title: str = ""

    @property
    def content(self) -> str:
        """What the encoder sees: title and text, joined and stripped as MTEB and BEIR do it."""
        return f"{self.title} {self.text}".strip() if self.title else self.text.strip()


@runtime_checkable
class PassageSource(Protocol):
    """The passages of one language, in an order that never changes."""

    @property
    def name(self) -> str:
        """For messages and progress bars, such as ``MIRACL sw``."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of the content: other passages, or another order, have another one.

        Raises:
            DataUnavailableError: A file is missing.
        """
        ...

    def passages(self, start: int = 0, stop: int | None = None) -> Iterator[StreamedPassage]:
        """Passages ``start`` to ``stop``, in constant memory; each call reads anew.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A line is malformed; the message names file, line and remedy.
        """
        ...
