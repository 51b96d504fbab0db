"""How commands print tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

UNBROKEN = {"name", "encoder", "collection", "task"}

# Piped output gets the room that the tables need; a terminal decides for itself.
console = Console(width=None if sys.stdout.isatty() else 120)


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print rows under heads; names are not broken over lines."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in UNBROKEN)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
