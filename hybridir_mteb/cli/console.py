"""The one console of all commands: lines, tables and errors.

Names, paths and messages of others are shown as the text that they are: no markup of rich, no
emoji, no control characters. Nothing else prints.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from hybridir_mteb.errors import MESSAGE_LIMIT, printable, text_of
from hybridir_mteb.plugins.guard import alone

UNBROKEN = {"name", "encoder", "collection", "task", "plugin"}
PIPED = 120
UNBOUNDED = 100_000
_LONG = re.compile(rf"\S{{{MESSAGE_LIMIT + 1},}}")  # no word of ours, and few paths

# Piped output gets the room that the tables need; a terminal decides for itself.
_terminal = sys.stdout is not None and sys.stdout.isatty()
console = Console(width=None if _terminal else PIPED)


def shown(text: object) -> str:
    """Any value as text for a terminal, in one line."""
    return printable(text_of(text), None)


def say(line: str, *, wrap: bool = False, label: str = "", style: str = "") -> None:
    """Print a line.

    Args:
        line: The text.
        wrap: Whether to break it where the console ends.
        label: Word before it, in the style.
        style: Style of the label, or of the whole line if there is none.
    """
    text = Text.assemble((f"{label} ", style), shown(line)) if label else Text(shown(line), style)
    console.print(text, soft_wrap=not wrap)


def say_text(text: str) -> None:
    """Print a text of several lines, such as a card."""
    for line in text.splitlines():
        say(line.expandtabs(4), wrap=True)


def fail(message: str) -> None:
    """Print an error in one piece and one line, to be copied."""
    errors = Console(stderr=True, soft_wrap=True)
    line = " ".join(part.strip() for part in message.splitlines())
    line = _LONG.sub(lambda word: f"{word[0][: MESSAGE_LIMIT - 1]}…", line)
    errors.print(Text.assemble(("error:", "bold red"), " ", shown(line)))


def print_table(
    title: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[object]],
    *,
    numbers: bool = False,
    piped: int | None = PIPED,
    grouped: bool = False,
) -> None:
    """Print rows under heads; names are not broken over lines. Without rows, that is said.

    Args:
        title: Line above the table.
        columns: Heads; none for a table without them. They may have several lines.
        rows: One text for each column.
        numbers: Whether all columns but the first hold numbers, which stand at the right.
        piped: Room across where the output is no terminal; None is what rich takes, and a title
            is then not padded.
        grouped: Whether a line is drawn where the first column changes.
    """
    heads, cells = list(columns), [[Text(shown(cell)) for cell in row] for row in rows]
    if not cells:
        say(f"{title}: nothing here")
        return
    titled = Text(shown(title), style="table.title") if title else None
    table = Table(title=titled, title_justify="left", show_header=bool(heads))
    for at, head in enumerate(heads):
        table.add_column(
            Text("\n".join(map(shown, head.split("\n")))),
            justify="right" if numbers and at else "left",
            overflow="fold",
            no_wrap=head in UNBROKEN,
        )
    grouped = grouped and len({row[0].plain for row in cells}) < len(cells)
    for row, after in zip(cells, [*cells[1:], None], strict=True):
        ends = grouped and after is not None and row[0] != after[0]
        table.add_row(*row, end_section=ends)
    fixed = piped == PIPED or console.is_terminal
    screen = console if fixed else Console(width=piped, file=console.file)
    screen.print(table, soft_wrap=piped is None)


Row = Iterable[object]


def rows_of(
    items: Iterable[tuple[str, Any]], make: Callable[[str, Any], Iterable[Row]]
) -> Iterator[Row]:
    """The rows of things that plugins registered; one that fails says so in a row of its own."""
    for name, item in items:
        found: list[Row] = []
        failed: list[str] = []
        with alone("cannot be shown", failed.append):
            found += list(make(name, item))
        yield from found
        yield from ((name, line) for line in failed)


class PlainGroup(TyperGroup):
    """Commands whose usage errors show what was typed without control characters."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the arguments."""
        with _plain_usage():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command, whose own arguments are parsed here."""
        with _plain_usage():
            return super().invoke(ctx)


@contextmanager
def _plain_usage() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # click's, which typer has its own copy of
            lines = text_of(getattr(error, "message", "")).expandtabs().split("\n")
            error.message = "\n".join(map(printable, lines))  # type: ignore[attr-defined]
        raise


def room() -> int:
    """Characters across: a terminal's, or as many as a table needs."""
    return console.width if console.is_terminal else UNBOUNDED
