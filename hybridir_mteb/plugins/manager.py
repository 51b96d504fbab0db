"""Loads every plugin on its own, so that a broken one stops no other.

Plugins declare an entry point in the group ``hybridir_mteb``; so do the built-in parts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any

import pluggy

from hybridir_mteb.errors import PluginError, described, one_line, printable, quoted, text_of
from hybridir_mteb.plugins import hookspecs
from hybridir_mteb.plugins.guard import alone, watched
from hybridir_mteb.plugins.names import check_item_name
from hybridir_mteb.plugins.registry import Plugins, Registry

ENTRY_POINT_GROUP = "hybridir_mteb"
DISTRIBUTION = "hybridir-mteb"
LONGEST_OWNER = 100


def _name_of(item: object, kind: str) -> str:
    source = item.metadata if kind == "task" and hasattr(item, "metadata") else item
    name = getattr(source, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} must have a name, got {quoted(item)}")
    return check_item_name(kind, name)


def load_plugins(found: Iterable[EntryPoint] | None = None, *, strict: bool = False) -> Plugins:
    """Load plugins one by one; a broken one is reported, skipped, and stops no other.

    Args:
        found: Entry points; by default those of the group ``hybridir_mteb`` that are installed.
        strict: Raise the first problem instead of reporting it.

    Raises:
        PluginError: Only if ``strict``.
    """
    plugins = Plugins()
    if found is None:
        try:
            found = entry_points(group=ENTRY_POINT_GROUP)
        except Exception:  # of any distribution; one whose own files are damaged is left out
            found = list(_one_by_one(plugins))
    for point in sorted(found, key=_built_in_first):
        _load_one(plugins, point, strict)
    return plugins


def built_in(names: Collection[str]) -> list[EntryPoint] | None:
    """Entry points of built-in parts, by name; None if there are plugins besides them."""
    try:
        points = list(entry_points(group=ENTRY_POINT_GROUP))
    except Exception:  # loading them all names the distribution whose files are damaged
        return None
    others = any(_distribution(point) != DISTRIBUTION for point in points)
    return None if others else [point for point in points if point.name in names]


def _one_by_one(plugins: Plugins) -> Iterator[EntryPoint]:
    seen: set[str] = set()
    for distribution in distributions():
        name, points = "", []
        with alone(f"the distribution in {distribution.locate_file('')}", plugins.report):
            name = text_of(distribution.metadata["Name"])
            points = [one for one in distribution.entry_points if one.group == ENTRY_POINT_GROUP]
        if points and name.lower() not in seen:  # else shadowed by one that comes earlier
            seen.add(name.lower())
            yield from points


# Names of distributions by the id of what stands for one, which is kept with it: they are in files
# that are read and parsed each time that a name is asked for.
_NAMES: dict[int, tuple[object, str]] = {}


def _distribution(point: EntryPoint) -> str:
    found = point.dist
    if id(found) not in _NAMES:
        name = found.name if found is not None else None
        known = isinstance(name, str) and printable(name, LONGEST_OWNER)
        _NAMES[id(found)] = found, known or "unknown distribution"
    return _NAMES[id(found)][1]


def _built_in_first(point: EntryPoint) -> tuple[bool, str, str]:
    return _distribution(point) != DISTRIBUTION, _distribution(point), point.name


def _load_one(plugins: Plugins, point: EntryPoint, strict: bool) -> None:
    owner = f"{_distribution(point)}:{printable(point.name, LONGEST_OWNER)}"
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        _import(manager, point, owner)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if strict:
            raise PluginError(f"plugin {owner}: {one_line(error)}") from error
        plugins.report(f"plugin {owner} is skipped: {described(error)}")
        return
    plugins.loaded.append(owner)
    for name, registry in plugins.registries().items():
        hook = f"register_{name}"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            register = _registrar(plugins, registry, owner, strict)
            with alone(f"plugin {owner}: {hook} failed", None if strict else plugins.report):
                with _watched(point, f"plugin {owner}: {hook}"):
                    result = implementation.function(register=register)
                if inspect.iscoroutine(result) or inspect.isgenerator(result):
                    result.close()
                    raise PluginError("it is no plain function, so nothing was registered")


def _import(manager: pluggy.PluginManager, point: EntryPoint, owner: str) -> None:
    with _watched(point, f"plugin {owner}: its import"):
        plugin = point.load()
    if getattr(getattr(plugin, "__spec__", None), "_initializing", False):
        raise PluginError("it was imported before mteb, which it imports: import mteb first")
    manager.register(plugin, name=owner)
    manager.check_pending()


def _watched(point: EntryPoint, what: str) -> AbstractContextManager[None]:
    """Our own imports of mteb and torch may take their time on a slow disk."""
    distribution = _distribution(point)
    own = distribution == DISTRIBUTION
    return nullcontext() if own else watched(what, f"run: pip uninstall {distribution}")


def _registrar(
    plugins: Plugins, registry: Registry[Any], owner: str, strict: bool
) -> Callable[[Any], None]:
    """The callback that a hook receives: checks each item on its own."""

    def register(item: object) -> None:
        what = f"plugin {owner}: a {registry.kind} is refused"
        with alone(what, None if strict else plugins.report):
            if registry.types and not isinstance(item, registry.types):
                names = " or a ".join(one.__name__ for one in registry.types)
                raise PluginError(f"a {registry.kind} must be a {names}, got {quoted(item)}")
            registry.add(_name_of(item, registry.kind), item, owner)

    return register
