"""A stand-in for Ray in one process: workers that are lost when they are told to be."""

import copy
import pickle
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """What a task raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class FakeRay:
    """Runs a method of a worker when its result is asked for; last comes first.

    Args:
        monkeypatch: Puts it in Ray's place.
        lost: Says, for the name of a method and its arguments, whether the worker is lost with it.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, lost: Callable[[str, tuple[Any, ...]], bool]
    ) -> None:
        self._lost = lost
        self.actors: list[Actor] = []
        module = ModuleType("ray")
        for name in ("put", "wait", "get", "kill", "remote"):
            setattr(module, name, getattr(self, name))
        module.exceptions = SimpleNamespace(  # type: ignore[attr-defined]
            RayError=RayError, RayTaskError=RayTaskError
        )
        monkeypatch.setitem(__import__("sys").modules, "ray", module)

    @property
    def alive(self) -> list["Actor"]:
        """Workers that nobody has let go."""
        return [actor for actor in self.actors if actor.alive]

    def put(self, value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))

    def remote(self, cls: type) -> Any:
        def start(*arguments: Any) -> Any:
            self.actors.append(Actor(cls(*arguments)))
            return self.actors[-1]

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=start))

    def wait(self, references: list[Any], num_returns: int, timeout: float) -> Any:
        return references[-num_returns:], references[:-num_returns]

    def kill(self, actor: Any) -> None:
        actor.alive = False

    def get(self, call: "Call") -> Any:
        if not call.actor.alive or self._lost(call.name, call.arguments):
            call.actor.alive = False
            raise RayError("lost")
        try:
            return getattr(call.actor.it, call.name)(*copy.copy(call.arguments))
        except Exception as error:
            raise RayTaskError(error) from error


class Actor:
    """A worker."""

    def __init__(self, it: Any) -> None:
        self.it, self.alive = it, True

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *arguments: Call(self, name, arguments))


class Call:
    """A method that is to be called."""

    def __init__(self, actor: Actor, name: str, arguments: tuple[Any, ...]) -> None:
        self.actor, self.name, self.arguments = actor, name, arguments
