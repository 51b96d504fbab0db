"""The command line ``hybridir``: parse, call one function, print."""

from __future__ import annotations

import sys

from hybridir_mteb.cli.app import app
from hybridir_mteb.cli.console import fail
from hybridir_mteb.errors import HybridIRError


def main() -> None:
    """Entry point; expected errors are one message, not a traceback."""
    try:
        app()
    except HybridIRError as error:
        fail(str(error))
        sys.exit(1)
    except OSError as error:
        if not error.filename:  # not a matter of files
            raise
        fail(f"{error.filename}: {error.strerror}; choose another place, or free or unlock it")
        sys.exit(1)
