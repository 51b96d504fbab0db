"""``python -m hybridir_mteb``: the command line, or ``mteb`` with the plugin loaded.

``python -m hybridir_mteb mteb run …`` does what ``mteb run …`` does, also where startup files are
ignored.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Dispatch on the first argument."""
    if sys.argv[1:2] == ["mteb"]:
        from hybridir_mteb import _bootstrap

        # Before the first import of mteb.
        _bootstrap.install(force=True)  # type: ignore[no-untyped-call]
        from hybridir_mteb.adapters.mteb.run import mteb_main

        mteb_main(sys.argv[2:])
    else:
        from hybridir_mteb.cli import main as hybridir

        hybridir()


if __name__ == "__main__":
    main()
