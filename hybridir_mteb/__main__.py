"""``python -m hybridir_mteb``: the command line, or ``mteb`` with the plugin loaded.

``python -m hybridir_mteb mteb run …`` does what ``mteb run …`` does, also where startup files are
ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable


def main() -> None:
    """Dispatch on the first argument."""
    if sys.argv[1:2] == ["mteb"]:
        _run_mteb(sys.argv[2:])
    else:
        from hybridir_mteb.cli import main as hybridir

        hybridir()


def _run_mteb(arguments: list[str]) -> None:
    from hybridir_mteb import install_autoload

    install: Callable[..., None] = install_autoload
    install(force=True)
    from mteb.cli import main as mteb_main

    sys.argv = ["mteb", *arguments]
    mteb_main()


if __name__ == "__main__":
    main()
