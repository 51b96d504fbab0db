"""Runs several commands of ``hybridir`` in one process, as ``python -m hybridir_mteb`` would.

    python many.py COMMANDS OUTPUTS

Both are JSON files: a list of argument lists, and a list of what each printed.
"""

from __future__ import annotations

import io
import json
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path


def main() -> None:
    """Run them in turn; a command that fails ends all."""
    commands, outputs = map(Path, sys.argv[1:3])
    printed = []
    for command in json.loads(commands.read_text()):
        sys.argv = ["hybridir", *command]
        with redirect_stdout(io.StringIO()) as out:
            try:
                runpy.run_module("hybridir_mteb", run_name="__main__", alter_sys=True)
            except SystemExit as end:
                if end.code not in {None, 0}:
                    raise RuntimeError(f"{command} ended with {end.code}") from end
        printed.append(out.getvalue())
    outputs.write_text(json.dumps(printed))


if __name__ == "__main__":
    main()
