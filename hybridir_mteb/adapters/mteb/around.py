"""Methods of MTEB's that ours go around: put there once, and then for good.

MTEB has no hook for what its results need of our tasks and our tasks of its results. Whatever goes
around one of its methods goes through here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from mteb.results import TaskResult

from hybridir_mteb.files import replacing


def go_around(host: Any, name: str, ours: Callable[..., Any]) -> None:
    """Have a method of a class call a function of ours; another call of this changes nothing.

    Args:
        host: The class.
        name: Of the method.
        ours: Takes the method that was there, and then what that takes.
    """
    theirs: Callable[..., Any] = getattr(host, name)
    if getattr(theirs, "ours", None) is ours:
        return

    @wraps(theirs)
    def method(*arguments: Any, **options: Any) -> Any:
        return ours(theirs, *arguments, **options)

    method.ours = ours  # type: ignore[attr-defined]
    setattr(host, name, method)


def write_whole() -> None:
    """Have results take the place of older ones when they are complete.

    MTEB writes them in place, piece by piece, where another run may be reading them.
    """
    go_around(TaskResult, "to_disk", _to_disk)


def _to_disk(theirs: Callable[..., None], result: Any, path: Path) -> None:
    with replacing(path) as temporary:
        theirs(result, temporary)
