"""The one console of all commands: lines, tables and errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

UNBROKEN = {"name", "encoder", "collection", "task"}
PIPED = 120
UNBOUNDED = 100_000

# Piped output gets the room that the tables need; a terminal decides for itself.
_terminal = sys.stdout is not None and sys.stdout.isatty()
console = Console(width=None if _terminal else PIPED)


def say(line: str, *, wrap: bool = False, markup: bool = False) -> None:
    """Print a line.

    Args:
        line: The text.
        wrap: Whether to break it where the console ends.
        markup: Whether square brackets are rich's markup; else they are shown.
    """
    console.print(line, highlight=False, markup=markup, soft_wrap=not wrap)


def fail(message: str) -> None:
    """Print an error in one piece, to be copied."""
    errors = Console(stderr=True, soft_wrap=True)
    errors.print("[bold red]error:[/]", escape(message), highlight=False)


def print_table(
    title: str,
    columns: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    numbers: bool = False,
    piped: int | None = PIPED,
) -> None:
    """Print rows under heads; names are not broken over lines.

    Args:
        title: Line above the table.
        columns: Heads; none for a table without them.
        rows: One text for each column.
        numbers: Whether all columns but the first hold numbers, which stand at the right.
        piped: Room across where the output is no terminal; None is what rich takes, and a title
            is then not padded.
    """
    heads = list(columns)
    table = Table(title=escape(title), title_justify="left", show_header=bool(heads))
    for at, head in enumerate(heads):
        table.add_column(
            escape(head),
            justify="right" if numbers and at else "left",
            overflow="fold",
            no_wrap=head in UNBROKEN,
        )
    for row in rows:
        table.add_row(*map(escape, row))
    fixed = piped == PIPED or console.is_terminal
    screen = console if fixed else Console(width=piped, file=console.file)
    screen.print(table, soft_wrap=piped is None)


def room() -> int:
    """Characters across: a terminal's, or as many as a table needs."""
    return console.width if console.is_terminal else UNBOUNDED
