"""Loads every plugin on its own, so that a broken one stops no other.

Plugins declare an entry point in the group ``hybridir_mteb``; so do the built-in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from hybridir_mteb.errors import PluginError
from hybridir_mteb.plugins import hookspecs
from hybridir_mteb.plugins.registry import Plugins, Registry

ENTRY_POINT_GROUP = "hybridir_mteb"
DISTRIBUTION = "hybridir-mteb"


def _name_of(item: object, kind: str) -> str:
    source = item.metadata if kind == "task" and hasattr(item, "metadata") else item
    name = getattr(source, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} must have a name, got {item!r}")
    return name


def load_plugins(found: Iterable[EntryPoint] | None = None, *, strict: bool = False) -> Plugins:
    """Load plugins one by one; a broken one is reported, skipped, and stops no other.

    Args:
        found: Entry points; by default those of the group ``hybridir_mteb`` that are installed.
        strict: Raise the first problem instead of reporting it.

    Raises:
        PluginError: Only if ``strict``.
    """
    plugins = Plugins()
    points = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
    for point in sorted(points, key=_built_in_first):
        _load_one(plugins, point, strict)
    return plugins


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"


def _built_in_first(point: EntryPoint) -> tuple[bool, str, str]:
    return _distribution(point) != DISTRIBUTION, _distribution(point), point.name


def _load_one(plugins: Plugins, point: EntryPoint, strict: bool) -> None:
    owner = f"{_distribution(point)}:{point.name}"
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        plugin = point.load()
        if getattr(getattr(plugin, "__spec__", None), "_initializing", False):
            raise PluginError("it was imported before mteb, which it imports: import mteb first")
        manager.register(plugin, name=owner)
        manager.check_pending()
    except (Exception, SystemExit) as error:
        if strict:
            raise PluginError(f"plugin {owner}: {error}") from error
        plugins.report(f"plugin {owner} is skipped: {type(error).__name__}: {error}")
        return
    plugins.loaded.append(owner)
    for name, registry in plugins.registries().items():
        hook = f"register_{name}"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            try:
                implementation.function(register=_registrar(plugins, registry, owner, strict))
            except (Exception, SystemExit) as error:
                if strict:
                    raise
                plugins.report(f"plugin {owner}: {hook} failed: {type(error).__name__}: {error}")


def _registrar(
    plugins: Plugins, registry: Registry[Any], owner: str, strict: bool
) -> Callable[[Any], None]:
    """The callback that a hook receives: checks each item on its own."""

    def register(item: object) -> None:
        try:
            if registry.types and not isinstance(item, registry.types):
                names = " or a ".join(one.__name__ for one in registry.types)
                raise PluginError(f"{owner}: a {registry.kind} must be a {names}, got {item!r}")
            registry.add(_name_of(item, registry.kind), item, owner)
        except PluginError as error:
            if strict:
                raise
            plugins.report(str(error))

    return register
