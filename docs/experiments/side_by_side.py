"""Research code: names on the command line, work on every core, results that outlive a stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hybridir_mteb.files import replacing, write_text

MANY_CORES = 8  # from here on, processes that each use all of them are in each other's way


def on_every_core(work: Callable[..., Any], *columns: Iterable[Any]) -> list[Any]:
    """``work`` of each row of arguments, a process of one thread for every core; in order."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    context, count, settled = get_context("spawn"), os.cpu_count() or 1, {}
    if count >= MANY_CORES:
        numbers = context.Queue()
        for number in range(count):
            numbers.put(number)
        settled = {"initializer": _settle, "initargs": (numbers,)}
    with ProcessPoolExecutor(count, context, **settled) as pool:
        return list(pool.map(work, *columns))


def _settle(numbers: Any) -> None:
    """Keep a worker, and what it starts, on two neighbouring cores."""
    if hasattr(os, "sched_setaffinity"):
        number, cores = numbers.get(), sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[(number + at) % len(cores)] for at in (0, 1)})


def alone(script: str, *arguments: str, **variables: str) -> Any:
    """What a script prints last, as JSON, in a process of its own.

    Args:
        script: Its file.
        arguments: What it is given.
        variables: Of its environment, besides those that are here.

    Raises:
        SystemExit: It failed; the message ends with what it wrote.
    """
    return json.loads(python(script, *arguments, **variables).stdout.splitlines()[-1])


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The same Python, in a process of its own that may write what it compiles.

    Args:
        arguments: What it is given.
        variables: Of its environment, besides those that are here.

    Raises:
        SystemExit: It failed; the message ends with what it wrote.
    """
    environment = {**os.environ, **variables}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr[-3000:]}")
    return done


def kept(cache: Path, compute: Callable[[], Any]) -> Any:
    """What a JSON file holds; computed and written where there is none.

    Args:
        cache: The file; its name says all that decides its content.
        compute: Makes the content.
    """
    if cache.is_file():
        return json.loads(cache.read_text())
    found = compute()
    with replacing(cache) as temporary:
        temporary.write_text(json.dumps(found))
    return found


def put_part(path: Path, name: str, part: Any) -> None:
    """Put one part of a JSON file in its place; the others stay.

    The file is read now: another process may have put in a part of its own meanwhile.

    Args:
        path: The file; there need be none yet.
        name: Of the part.
        part: What JSON can hold.
    """
    parts = json.loads(path.read_text()) if path.is_file() else {}
    parts[name] = part
    write_text(path, json.dumps(parts, indent=1) + "\n")


def named(asked: Sequence[str], known: Sequence[str]) -> list[str]:
    """What was asked for on the command line, by default all.

    Raises:
        SystemExit: There is nothing of a name; the message lists what there is.
    """
    if unknown := [name for name in asked if name not in known]:
        sys.exit(f"{', '.join(unknown)}: not known here; there are {', '.join(known)}")
    return list(asked or known)
