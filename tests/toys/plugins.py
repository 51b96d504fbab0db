"""Plugins made inside the tests."""

from types import SimpleNamespace
from typing import Any

from hybridir_mteb.plugins.hookspecs import hookimpl
from hybridir_mteb.plugins.specs import Measure


def point(plugin: Any, distribution: str = "other", name: str = "plugin") -> Any:
    """An entry point as importlib.metadata gives it."""

    def load() -> Any:
        if isinstance(plugin, BaseException):
            raise plugin
        return plugin

    return SimpleNamespace(name=name, dist=SimpleNamespace(name=distribution), load=load)


def measure(name: str) -> Measure:
    """A measure of a name; all its values are 0."""
    return Measure(name, lambda table: table.ranks * 0.0, "")


class OneMeasure:
    """A plugin that registers a measure of a given name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def register_measures(self, register: Any) -> None:
        register(measure(self.name))
