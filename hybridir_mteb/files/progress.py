"""Progress of long work: a bar in place on a terminal, else a line a minute, for logs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from hybridir_mteb.errors import printable

VARIABLE = "TQDM_DISABLE"  # tqdm's own: 1 shows no progress at all, 0 shows bars anywhere
_NO = {"0", "false", "off", "no"}
SECONDS = 60.0  # between two lines of a log


def bars() -> bool:
    """Whether progress is shown as bars: on a terminal, or as ``TQDM_DISABLE`` says."""
    if chosen := os.environ.get(VARIABLE):
        return chosen.lower() in _NO
    return on_terminal()


def on_terminal() -> bool:
    """Whether somebody sees stderr as it is written."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def progress(items: Iterable[Any] | None = None, *, desc: str, **options: Any) -> Any:
    """A progress bar, as tqdm has them."""
    drawn, desc = bars(), printable(desc, 100)
    options["disable"] = options.get("disable") or bool(os.environ.get(VARIABLE) and not drawn)
    return tqdm(items, desc, **options) if drawn else _Lines(items, desc, **options | _EVERY)


_EVERY = {
    "delay": SECONDS,
    "mininterval": SECONDS,
    "maxinterval": SECONDS,
    "leave": False,
    "bar_format": "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed} gone, "
    "{remaining} left{postfix}",
}


class _Lines(tqdm):  # type: ignore[type-arg]
    """Writes a line where a bar would be drawn again."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """See :class:`tqdm.tqdm`."""
        if msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()
