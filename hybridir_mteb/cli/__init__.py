"""The command line ``hybridir``: parse, call one function, print."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hybridir_mteb.cli.app import app
from hybridir_mteb.cli.console import fail
from hybridir_mteb.cli.ending import interrupted, message_of, stopping_orderly
from hybridir_mteb.errors import HybridIRError


def main() -> None:
    """Entry point; expected errors are one message, not a traceback."""
    _open_streams()
    try:
        with stopping_orderly(), _flushing():
            app()
    except KeyboardInterrupt as error:
        interrupted(error)
    except (HybridIRError, OSError) as error:
        if not isinstance(error, BrokenPipeError):  # whoever read has seen enough
            fail(message_of(error))
        sys.exit(1)


@contextmanager
def _flushing() -> Iterator[None]:
    """What is printed is written before the end, where a failure could only be ignored."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def _open_streams() -> None:
    """Output goes nowhere where it was closed; what a locale cannot show becomes an escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
