"""What was computed for a model object in its present state, forgotten with the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

Value = TypeVar("Value")


class PerModel(Generic[Value]):
    """One value for each model object."""

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[Any, tuple[object, Value]] = WeakKeyDictionary()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, model: Any, state: object, make: Callable[[], Value]) -> Value:
        """The value, made at the first call for a model in its present state.

        Args:
            model: Anything that can be weakly referenced.
            state: Of its weights: while this is equal, the value holds.
            make: Computes the value.
        """
        known = self._found.get(model)
        if known is None or known[0] != state:
            known = self._found[model] = (state, make())
        return known[1]
