"""The command line ``hybridir``: parse, call one function, print."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markup import escape

from hybridir_mteb.cli.app import app
from hybridir_mteb.errors import HybridIRError


def main() -> None:
    """Entry point; expected errors are one message, not a traceback."""
    try:
        app()
    except HybridIRError as error:
        Console(stderr=True, soft_wrap=True).print(
            "[bold red]error:[/]", escape(str(error)), highlight=False
        )
        sys.exit(1)
