"""How the command ``mteb`` ends that meets this package: one line of scores, or one of what failed.

MTEB's command prints no score, and any error with its traceback. So ``main`` of ``mteb.cli`` is
replaced when that module is loaded, and what it calls of mteb for as long as it runs.
Other people's tasks and errors are left as they are.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import wraps
from typing import Any, NoReturn, TextIO

import mteb

from hybridir_mteb.adapters.mteb.encoder import no_table_bars
from hybridir_mteb.adapters.mteb.load import check_base
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.encoders.threads import use_free_cores
from hybridir_mteb.encoders.trained import OWNER
from hybridir_mteb.errors import HybridIRError, printable
from hybridir_mteb.files.progress import bars, on_terminal

MOST = 3  # tasks that the line names
_Evaluated = list[tuple[Any, Any]]  # results, and the cache that keeps them


def take_over() -> None:
    """Put our ``main`` around that of ``mteb.cli``, which is loaded."""
    module: Any = sys.modules["mteb.cli"]
    theirs: Callable[[], None] = module.main

    @wraps(theirs)
    def main() -> None:
        with _evaluations() as found:
            try:
                theirs()
            except HybridIRError as error:
                _fail(error)
        for result, cache in found:
            if line := summary(result, cache):
                _write(sys.stdout, line)

    module.main = main


@contextmanager
def _evaluations() -> Iterator[_Evaluated]:
    """What ``mteb.evaluate`` gives in the block; it draws no bar where nobody would see it move."""
    found: _Evaluated = []
    host: Any = mteb
    theirs, get_model = host.evaluate, host.get_model

    @wraps(get_model)
    def known_model(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith(f"{OWNER}/"):
            check_base(name)  # mteb would ask the hub for it
        return get_model(name, *arguments, **options)

    @wraps(theirs)
    def evaluate(model: Any, tasks: Any, **options: Any) -> Any:
        ours = _ours(tasks)
        if ours:
            use_free_cores()
            options.setdefault("show_progress_bar", bars())
        with no_table_bars() if ours else nullcontext():
            result = theirs(model, tasks, **options)
        found.append((result, options.get("cache")))
        return result

    host.evaluate, host.get_model = evaluate, known_model
    try:
        yield found
    finally:
        host.evaluate, host.get_model = theirs, get_model


def _ours(tasks: Any) -> bool:
    """Whether a task of this package or of a plugin is among those that are to be run."""
    known = register().tasks
    several = tasks if isinstance(tasks, list | tuple) else [tasks]
    return any(task.metadata.name in known for task in several if hasattr(task, "metadata"))


def summary(result: Any, cache: Any) -> str:
    """The main scores of our tasks, where they are, and how to see the rest; "" without any."""
    known = register().tasks
    ours = [one for one in result.task_results if one.task_name in known]
    if not ours:
        return ""
    scores = [
        f"{one.task_name} {known[one.task_name].metadata.main_score} {one.get_score():.4f}"
        for one in ours[:MOST]
    ]
    more = f" and {len(ours) - MOST} more" if len(ours) > MOST else ""
    line = f"{result.model_name}: {', '.join(scores)}{more}"
    if cache is None:
        return line
    files = {
        cache.get_task_result_path(one.task_name, result.model_name, result.model_revision)
        for one in ours
    }
    place = files.pop() if len(files) == 1 else files.pop().parent
    rest = f"hybridir report {shlex.quote(str(cache.cache_path))}"
    return f"{line}; in {place}; all measures: {rest}"


def _fail(error: HybridIRError) -> NoReturn:
    """Say what is wrong, and what to do, in one paragraph; a terminal would break words."""
    said = f"error: {' '.join(str(error).split())}"
    if on_terminal():
        width = shutil.get_terminal_size().columns
        lines = textwrap.wrap(said, width, break_long_words=False, break_on_hyphens=False)
        said = "\n".join(printable(line, None) for line in lines)
    else:
        said = printable(said, None)
    _write(sys.stderr, said)
    sys.exit(1)


def _write(stream: TextIO | None, line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or none
        stream.write(f"{line}\n")  # type: ignore[union-attr]
        stream.flush()  # type: ignore[union-attr]
