"""One bad item stops no other: what fails is one line with its name, and what hangs is named."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from hybridir_mteb.errors import MESSAGE_LIMIT, HybridIRError, described, one_line, printable

SLOW_SECONDS = 10.0  # after so long, what is at work is named
LONGEST_LINE = 1000


def say(line: str) -> None:
    """One line on stderr, if there is one, without control characters."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or none
        sys.stderr.write(f"hybridir-mteb: {printable(' '.join(line.split()), LONGEST_LINE)}\n")


@contextmanager
def watched(what: str, remedy: str) -> Iterator[None]:
    """Names what is at work on stderr, once, if the block takes longer than ``SLOW_SECONDS``."""
    line = f"{what} has taken {SLOW_SECONDS:g} s and is still at work; if it never ends, {remedy}"
    timer = threading.Timer(SLOW_SECONDS, say, [line])
    timer.daemon = True
    with suppress(RuntimeError):  # no more threads
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def alone(what: str, report: Callable[[str], None] | None, remedy: str = "") -> Iterator[None]:
    """Whatever fails in the block is reported in one line and stops nothing; an interrupt does.

    Other people's code raises everything: ``SystemExit`` for a missing licence, and
    ``GeneratorExit`` and ``CancelledError`` from what it closes.

    Args:
        what: What is at work, for the line.
        report: Told in one line; None lets errors out.
        remedy: What to do about it; may be empty.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if report is None:
            raise
        ours = isinstance(error, HybridIRError)  # says what it is itself
        said = one_line(error, MESSAGE_LIMIT) if ours else described(error)
        report(f"{what}: {said}{remedy and f'; {remedy}'}")
