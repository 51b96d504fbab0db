"""Which subsets a run still asks for, so that one pass over a pool can serve them all.

MTEB asks a task for one subset after the other and does not say which follow. Two of its calls
tell: before a run it asks the results that are there what they lack of the task, and then the task
whether its data are superseded. Without these calls each subset is a run of its own: slower, and no
less right.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from mteb.results import TaskResult

from hybridir_mteb.adapters.mteb.around import go_around


class Turns:
    """The subsets that the run at hand has still to ask for; none where no run is known."""

    def __init__(self) -> None:
        self._waiting: list[str] = []
        self._missing: Collection[str] | None = None

    def lack(self, names: Collection[str]) -> None:
        """Note what is missing in the results to which the next run adds; nothing: all of it."""
        self._missing = names or None

    def start(self, names: Sequence[str]) -> None:
        """A run begins.

        Args:
            names: Subsets that it asks for, unless they are known not to be missing.
        """
        missing, self._missing = self._missing, None
        self._waiting = [name for name in names if missing is None or name in missing]

    def take(self, name: str) -> list[str]:
        """Names of the subsets that will be asked for after this one, whose turn it is."""
        if name not in self._waiting:
            return []
        self._waiting.remove(name)
        return [*self._waiting]


def follow_results() -> None:
    """Have MTEB's results tell our tasks what they lack of them."""
    go_around(TaskResult, "get_missing_evaluations", _get_missing_evaluations)


def _get_missing_evaluations(theirs: Callable[..., Any], result: Any, task: Any) -> Any:
    missing = theirs(result, task)
    turns = getattr(task, "turns", None)
    if isinstance(turns, Turns):
        turns.lack({name for names in missing.values() for name in names})
    return missing
