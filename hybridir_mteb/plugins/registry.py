"""Names with owners: what plugins registered, and which plugin each thing came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from hybridir_mteb.errors import PluginCollisionError, UnknownNameError, printable, quoted, suggest
from hybridir_mteb.plugins import guard
from hybridir_mteb.plugins.debias_specs import Debiaser
from hybridir_mteb.plugins.specs import Backbone, CollectionSpec, Family, Measure, TrainingMethod

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Named things of one kind, each with the plugin that it came from.

    Args:
        kind: What the things are, for messages.
        *types: What a thing must be an instance of; anything if none is given.
    """

    def __init__(self, kind: str, *types: type[Any]) -> None:
        self.kind = kind
        self.types = types
        self._items: dict[str, Item] = {}
        self._owner: dict[str, str] = {}

    def add(self, name: str, item: Item, plugin: str) -> None:
        """Register one thing.

        Raises:
            PluginCollisionError: The name is taken; the message names both plugins.
        """
        if name in self._items:
            said, other = f"{self.kind} {quoted(name)} is registered", self._owner[name]
            if other == plugin:
                raise PluginCollisionError(f"{said} twice by {quoted(plugin)}; the first stays")
            raise PluginCollisionError(
                f"{said} by both {quoted(other)} and {quoted(plugin)}; uninstall one of them, or "
                "rename the item in one of them"
            )
        self._items[name] = item
        self._owner[name] = plugin

    def discard(self, name: str) -> None:
        """Forget one thing that turned out to be unusable."""
        self._items.pop(name, None)
        self._owner.pop(name, None)

    def __getitem__(self, name: str) -> Item:
        if name not in self._items:
            known = ", ".join(sorted(self._items)) or "none"
            raise UnknownNameError(
                f"unknown {self.kind} {quoted(name)}{suggest(name, self._items)} (known: {known})"
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
    collections: Registry[CollectionSpec] = field(
        default_factory=lambda: Registry("collection", CollectionSpec)
    )
    tasks: Registry[Any] = field(default_factory=lambda: Registry("task"))
    measures: Registry[Measure] = field(default_factory=lambda: Registry("measure", Measure))
    methods: Registry[TrainingMethod] = field(
        default_factory=lambda: Registry("training method", TrainingMethod)
    )
    backbones: Registry[Backbone] = field(default_factory=lambda: Registry("backbone", Backbone))
    debiasers: Registry[Debiaser] = field(default_factory=lambda: Registry("debiaser", Debiaser))
    families: Registry[Family] = field(default_factory=lambda: Registry("family", Family))
    loaded: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def registries(self) -> dict[str, Registry[Any]]:
        """Every registry by its name here, which is that of its hook less ``register_``."""
        return {name: one for name, one in vars(self).items() if isinstance(one, Registry)}

    def report(self, problem: str) -> None:
        """Note a problem and say it in one line on stderr, the same one but once."""
        line = printable(" ".join(problem.split()), guard.LONGEST_LINE)
        if line not in self.problems:
            self.problems.append(line)
            guard.say(line)
