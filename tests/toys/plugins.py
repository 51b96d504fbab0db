"""Plugins made inside the tests."""

from types import SimpleNamespace
from typing import Any


def point(plugin: Any, distribution: str = "other", name: str = "plugin") -> Any:
    """An entry point as importlib.metadata gives it."""

    def load() -> Any:
        if isinstance(plugin, BaseException):
            raise plugin
        return plugin

    return SimpleNamespace(name=name, dist=SimpleNamespace(name=distribution), load=load)
