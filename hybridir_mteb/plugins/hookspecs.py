"""The contract between the package and its plugins; the built-in parts use the same hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

PROJECT = "hybridir_mteb"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Register = Callable[[Any], None]


@hookspec
def register_models(register: Register) -> None:
    """Register encoders: call ``register(model_meta)`` with an ``mteb.models.ModelMeta``."""


@hookspec
def register_collections(register: Register) -> None:
    """Register collections: call ``register(spec)``, a ``CollectionSpec``."""


@hookspec
def register_tasks(register: Register) -> None:
    """Register MTEB tasks: call ``register(task_class)`` with an ``AbsTask`` subclass."""


@hookspec
def register_measures(register: Register) -> None:
    """Register measures: call ``register(measure)`` with a ``Measure``."""


@hookspec
def register_methods(register: Register) -> None:
    """Register training methods: call ``register(method)`` with a ``TrainingMethod``."""


@hookspec
def register_backbones(register: Register) -> None:
    """Register backbones to train from: call ``register(backbone)`` with a ``Backbone``."""


@hookspec
def register_debiasers(register: Register) -> None:
    """Register training-free debiasing: call ``register(debiaser)`` with a ``Debiaser``."""


@hookspec
def register_families(register: Register) -> None:
    """Register models that differ in size: call ``register(family)`` with a ``Family``."""
