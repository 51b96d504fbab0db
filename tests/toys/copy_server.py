"""Runs commands in copies of one process that has imported the slow packages of others.

    python -P copy_server.py REQUESTS ANSWERS

Both are numbers of open files: a line of JSON asks for a command; lines of the same length answer
with the number of its process and, at its end, its status.
A copy differs from a new process in what is imported already: nothing of ours, and not mteb.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import site
import sys
import time
from pathlib import Path
from typing import Any

SLOW = (
    *("sentence_transformers", "sentence_transformers.sentence_transformer.trainer"),
    *("accelerate", "datasets", "pandas", "peft", "sklearn.metrics", "sklearn.linear_model"),
)
WIDTH = 15  # of a number
STARTUP = "hybridir_mteb.pth"


def serve(requests: int, answers: int) -> dict[str, Any] | None:
    """Answer requests until there are no more; returns in a copy, with what it shall do."""
    with os.fdopen(requests) as asked, os.fdopen(answers, "w") as told:
        for line in asked:
            copy = os.fork()
            if copy == 0:
                request: dict[str, Any] = json.loads(line)
                return request
            print(f"{copy:{WIDTH}}", file=told, flush=True)
            _, status = os.waitpid(copy, 0)
            print(f"{os.waitstatus_to_exitcode(status):{WIDTH}}", file=told, flush=True)
    return None


def become(command: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    """Make this copy what a new process with this command would be.

    Args:
        command: The words.
        folder: Where it runs.
        environment: All of its variables.
        output: Start of the names of the files that take its output.
    """
    for stream, kind in ((1, "out"), (2, "err")):
        file = os.open(f"{output}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream)
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    places = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    rest = [place for place in sys.path if place not in before]
    sys.path[:] = ["", *places, *rest]
    importlib.invalidate_caches()
    for home in site.getsitepackages():
        startup = Path(home, STARTUP)
        if startup.exists():  # its last line is code; one before it is a place
            exec(startup.read_text().splitlines()[-1])
    sys.argv = command[1:] if command[0] == sys.executable else command


def run() -> None:
    """What ``sys.argv`` says, as the interpreter would begin it."""
    first = sys.argv[0]
    if first == "-c":
        code = sys.argv.pop(1)
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    elif first == "-m":
        del sys.argv[0]
        sys.path[0] = str(Path.cwd())
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(first).absolute().parent)
        runpy.run_path(first, run_name="__main__")


def main() -> None:
    """Import what is slow, then serve."""
    for name in SLOW:
        importlib.import_module(name)
    assert not {"mteb", "hybridir_mteb"} & sys.modules.keys()
    request = serve(*map(int, sys.argv[1:3]))
    if request is not None:
        become(**request)
        run()


if __name__ == "__main__":
    main()
