"""How commands end that cannot go on: one line on what happened, and a status that is not 0."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from hybridir_mteb.cli.console import PlainGroup, fail
from hybridir_mteb.cli.encode import with_address
from hybridir_mteb.errors import HybridIRError, one_line, printable
from hybridir_mteb.files.room import no_room

# Command -> what is left of it once it was stopped.
_KEPT = {
    "encode": "finished shards are kept; the same command goes on",
    "evaluate": "results of the subsets that are done are kept; the same command goes on",
    "search": "what was encoded and the subsets that are done are kept; the same command goes on",
    "train": "its checkpoints are kept; the same command goes on from the last one",
    "debias": "the embeddings are kept where a store has them; the same command goes on",
    "bias": "nothing was written",
    "compare": "nothing was written",
    "export": "nothing was written",
    "submit": "nothing was written",
    "models": "nothing was changed, or all of it; run the command again",
    "data": "what was downloaded is kept; run the command again",
}
_SIGNAL_STATUS = 128  # a shell adds the number of the signal


class Stopped(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


class Commands(PlainGroup):
    """The commands; click would say 'Aborted' of one that is interrupted."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See :class:`typer.core.TyperGroup`; ``--ray`` may have an address."""
        return super().parse_args(ctx, with_address(args))

    def invoke(self, ctx: Any) -> Any:
        """See :class:`typer.core.TyperGroup`."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            interrupted(error, ctx.invoked_subcommand or "")


def interrupted(error: KeyboardInterrupt, command: str = "") -> NoReturn:
    """Say what a command, known by its first word, has kept, and end as a shell expects it."""
    kept = _KEPT.get(command)
    fail(f"{command or 'hybridir'} was interrupted{f': {kept}' if kept else ''}")
    number = signal.SIGTERM if isinstance(error, Stopped) else signal.SIGINT
    sys.exit(_SIGNAL_STATUS + number)


@contextmanager
def stopping_orderly() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, so that it tidies up; launchers do that alone."""
    if threading.current_thread() is not threading.main_thread() or "RANK" in os.environ:
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _stop(number: int, frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever asks twice means it
    raise Stopped


def message_of(error: HybridIRError | OSError) -> str:
    """An error that is expected, or that the system reports, as a message."""
    if isinstance(error, HybridIRError):
        return str(error)
    reason = error.strerror or one_line(error, 300)
    if error.filename:
        place = printable(str(error.filename))
        return f"{place}: {reason}; choose another place, or free or unlock it"
    if no_room(error) is not None:
        return f"{reason}: free some space, or write the output somewhere else"
    return reason
