"""Exceptions that users of the package may meet; each message says what to do next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

MESSAGE_LIMIT = 300  # characters of other people's text in a message
_JOINERS = "\u200c\u200d"  # parts of words in Persian and Hindi, harmless on a terminal


class HybridIRError(Exception):
    """Base class of every error that this package raises on purpose."""


class DataFormatError(HybridIRError, ValueError):
    """A file does not hold what its format promises; the message names file and place."""


class DataUnavailableError(HybridIRError, FileNotFoundError):
    """A data file is in no source: not in the mirror, not in the cache, not downloadable."""


class ChecksumError(HybridIRError, ValueError):
    """A file's sha256 differs from the pinned one; such a file is never used."""


class SettingError(HybridIRError, ValueError):
    """An environment variable or option has a value that makes no sense."""


class NoSpaceError(SettingError, OSError):
    """The disk is full, or would be; the message says where, and how much is needed."""


class BusyError(HybridIRError):
    """Another process works in the same place; the message says which."""


class EmbeddingError(HybridIRError, ValueError):
    """Embeddings that cannot be ranked: NaN, infinite, or of the wrong shape.

    Attributes:
        position: Of the first such text among those that were to be encoded, if it is known.
    """

    position: int | None = None


class UnknownNameError(HybridIRError, KeyError):
    """A name that no plugin registered; the message lists close matches."""

    def __str__(self) -> str:  # KeyError would print the repr, with escaped quotes
        return str(self.args[0]) if self.args else ""


class PluginError(HybridIRError):
    """A plugin could not be loaded, or offered something unusable."""


class PluginCollisionError(PluginError):
    """Two plugins register the same name; the message names both."""


class LeakError(HybridIRError, ValueError):
    """Training data that occur in an evaluation set."""


class TrainingError(HybridIRError):
    """A training run that cannot start or go on; the message says what to change."""


class ShardError(HybridIRError):
    """Shards that are damaged, not complete or cannot be written; the message says what to do."""


class ClusterError(HybridIRError):
    """A cluster that cannot be reached, or whose workers are lost again and again."""


class MissingExtraError(HybridIRError, ImportError):
    """An optional package is not installed; the message is the command that installs it."""


def missing(feature: str, package: str, extra: str) -> str:
    """The message about a package that is not installed.

    Args:
        feature: What needs it, in words.
        package: Its name.
        extra: The extra of this distribution that brings it.
    """
    return f'{feature} needs {package}: pip install "hybridir-mteb[{extra}]"'


@contextmanager
def from_extra(extra: str, feature: str) -> Iterator[None]:
    """Around imports of optional packages: one that is not installed is an error of ours.

    Args:
        extra: The extra of this distribution that brings them.
        feature: What needs them, in words.

    Raises:
        MissingExtraError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "more").partition(".")[0]
        raise MissingExtraError(missing(feature, package, extra)) from error


def one_line(error: BaseException, limit: int | None = None) -> str:
    """An error's message in one line, or its type where it has none.

    Args:
        error: The error.
        limit: Number of characters that are kept; by default all.
    """
    return printable(" ".join(text_of(error).split()), limit) or type_of(error)


def described(error: BaseException, limit: int | None = MESSAGE_LIMIT) -> str:
    """An error's type and message in one line, for errors of other people's code.

    Args:
        error: The error; its own code may fail to say what it is.
        limit: Number of characters that are kept; None keeps all.
    """
    return printable(" ".join(f"{type_of(error)}: {text_of(error)}".split()), limit)


def type_of(value: object) -> str:
    """The name of a value's type, also where its metaclass says something else."""
    return str(type.__dict__["__name__"].__get__(type(value)))


def text_of(value: object, write: Callable[[Any], str] = str) -> str:
    """A value as plain text; where its own code fails, what it is.

    Args:
        value: The value.
        write: ``str``, or ``repr``.
    """
    try:
        text = write(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return f"<{type_of(value)}>"
    return str.__getitem__(text, slice(None))  # of a subclass, too, the characters alone


def printable(text: str, limit: int | None = MESSAGE_LIMIT) -> str:
    """Text that a terminal shows in one line as it is: control characters become escapes.

    Args:
        text: Any text, such as a name that somebody else has chosen.
        limit: Number of characters that are kept, an ellipsis included; None keeps all.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _JOINERS else ascii(char)[1:-1] for char in text
    )


def quoted(value: object, limit: int = MESSAGE_LIMIT) -> str:
    """What a user gave, in quotes where it is text, for a message in one line.

    Args:
        value: The value.
        limit: Number of characters that are kept.
    """
    if type(value) is str and len(value) > limit:  # isinstance() asks the value itself
        value = value[:limit]  # the repr of a book is a book
    return printable(text_of(value, repr), limit)


def plain_logger(name: str) -> logging.Logger:
    """A module's logger whose messages hold no control characters, whatever names are in them."""
    logger = logging.getLogger(name)
    logger.addFilter(_as_one_line)  # once, however often
    return logger


def _as_one_line(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage(), None), ()
    return True


def suggest(name: str, known: Iterable[str]) -> str:
    """``". Did you mean …?"`` for the closest known names, or an empty string."""
    names = list(known)
    matches = get_close_matches(name[:MESSAGE_LIMIT], names, n=3)
    matches = matches or [one for one in names if one.lower() == name.lower()]
    return f". Did you mean {' or '.join(matches)}?" if matches else ""
