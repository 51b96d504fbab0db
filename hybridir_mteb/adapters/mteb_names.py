"""Which names MTEB knows already."""

from __future__ import annotations

import sys
from typing import Any


def task_owner(name: str) -> str | None:
    """Who has a task of this name: a plugin, ``mteb``, or None."""
    from hybridir_mteb.adapters.mteb_registry import register

    tasks = register().tasks
    if name in tasks:
        return tasks.owner(name)
    registry: Any = sys.modules["mteb.get_tasks"]
    return "mteb" if name in registry._TASKS_REGISTRY else None


def licences() -> tuple[str, ...]:
    """The licence identifiers that MTEB accepts, besides URLs."""
    from typing import get_args

    from mteb.types import Licenses

    return get_args(Licenses)
