"""The plugin manager: loads every plugin on its own and keeps what they register.

Plugins declare an entry point in the group ``hybridir_mteb``; so do the built-in parts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

import pluggy

from hybridir_mteb.errors import PluginCollisionError, PluginError, UnknownNameError, suggest
from hybridir_mteb.measures.measure import Measure
from hybridir_mteb.plugins import hookspecs
from hybridir_mteb.plugins.specs import (
    Backbone,
    CollectionSpec,
    Debiaser,
    StreamedSpec,
    TrainingMethod,
)

ENTRY_POINT_GROUP = "hybridir_mteb"
DISTRIBUTION = "hybridir-mteb"

Item = TypeVar("Item")
AnyCollection = CollectionSpec | StreamedSpec


class Registry(Generic[Item]):
    """Named things of one kind, each with the plugin that it came from.

    Args:
        kind: What the things are, for messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}
        self._owner: dict[str, str] = {}

    def add(self, name: str, item: Item, plugin: str) -> None:
        """Register one thing.

        Raises:
            PluginCollisionError: The name is taken; the message names both plugins.
        """
        if name in self._items:
            raise PluginCollisionError(
                f"{self.kind} {name!r} is registered by both {self._owner[name]!r} and {plugin!r}; "
                "uninstall one of them, or rename the item in one of them"
            )
        self._items[name] = item
        self._owner[name] = plugin

    def __getitem__(self, name: str) -> Item:
        if name not in self._items:
            known = ", ".join(sorted(self._items)) or "none"
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}{suggest(name, self._items)} (known: {known})"
            )
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def owner(self, name: str) -> str:
        """The plugin that registered the name."""
        self[name]
        return self._owner[name]

    def items(self) -> list[tuple[str, Item]]:
        """Names and things in registration order: built-in ones first."""
        return list(self._items.items())


@dataclass
class Plugins:
    """Everything that plugins registered.

    Attributes:
        loaded: Distribution and entry point of each plugin that was loaded.
        problems: One line for each thing that was refused or failed.
    """

    models: Registry[Any] = field(default_factory=lambda: Registry("model"))
    collections: Registry[AnyCollection] = field(default_factory=lambda: Registry("collection"))
    tasks: Registry[Any] = field(default_factory=lambda: Registry("task"))
    measures: Registry[Measure] = field(default_factory=lambda: Registry("measure"))
    methods: Registry[TrainingMethod] = field(default_factory=lambda: Registry("training method"))
    backbones: Registry[Backbone] = field(default_factory=lambda: Registry("backbone"))
    debiasers: Registry[Debiaser] = field(default_factory=lambda: Registry("debiaser"))
    loaded: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def report(self, problem: str) -> None:
        """Note a problem and say it in one line on stderr."""
        line = " ".join(problem.split())
        self.problems.append(line)
        sys.stderr.write(f"hybridir-mteb: {line}\n")


def _name_of(item: object, kind: str) -> str:
    source = item.metadata if kind == "task" and hasattr(item, "metadata") else item
    name = getattr(source, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"a {kind} must have a name, got {item!r}")
    return name


_TYPES: dict[str, tuple[type, ...]] = {
    "collection": (CollectionSpec, StreamedSpec),
    "measure": (Measure,),
    "training method": (TrainingMethod,),
    "backbone": (Backbone,),
    "debiaser": (Debiaser,),
}


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
    registries: dict[str, Registry[Any]] = {
        "register_models": plugins.models,
        "register_collections": plugins.collections,
        "register_tasks": plugins.tasks,
        "register_measures": plugins.measures,
        "register_methods": plugins.methods,
        "register_backbones": plugins.backbones,
        "register_debiasers": plugins.debiasers,
    }
    for hook, registry in registries.items():
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
            expected = _TYPES.get(registry.kind)
            if expected is not None and not isinstance(item, expected):
                names = " or a ".join(one.__name__ for one in expected)
                raise PluginError(f"{owner}: a {registry.kind} must be a {names}, got {item!r}")
            registry.add(_name_of(item, registry.kind), item, owner)
        except PluginError as error:
            if strict:
                raise
            plugins.report(str(error))

    return register
