"""Writes models and tasks to mteb's registries: internal names, checked by a contract test."""

from __future__ import annotations

import sys
from typing import Any

from hybridir_mteb.errors import PluginCollisionError, PluginError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.registry import Plugins
from hybridir_mteb.plugins.specs import CollectionSpec

_registered: list[Plugins] = []


def register(plugins: Plugins | None = None) -> Plugins:
    """Give mteb our models and tasks, once for the process; later calls return the same.

    Args:
        plugins: What to give; by default what is installed.
    """
    import mteb  # noqa: F401 -- its import may run the autoload hook, which registers

    if not _registered:
        plugins = plugins or installed_plugins()
    if plugins and not _registered:  # else it was the hook's turn at the end of loading
        _registered.append(plugins)
        _register_encoders(plugins)
        _register_models(plugins)
        _register_tasks(plugins)
        if "mteb.benchmarks.benchmarks" in sys.modules:
            from hybridir_mteb.adapters.mteb.benchmark import add_benchmarks

            add_benchmarks()
    return _registered[0]


def _register_encoders(plugins: Plugins) -> None:
    """Trained encoders, and the names of those that could be trained."""
    from hybridir_mteb.adapters.mteb.metas import encoder_metas

    try:
        metas = encoder_metas(
            [backbone for _, backbone in plugins.backbones.items()],
            [method for _, method in plugins.methods.items()],
            dict(plugins.models.items()),
            plugins.debiasers,
            plugins.report,
        )
    except Exception as error:
        plugins.report(f"trained encoders: {type(error).__name__}: {error}")
        return
    for meta in metas:
        if str(meta.name) not in plugins.models:
            plugins.models.add(str(meta.name), meta, "hybridir-mteb:encoders")


def _register_models(plugins: Plugins) -> None:
    from mteb.models.model_implementations import MODEL_REGISTRY
    from mteb.models.model_meta import ModelMeta

    for name, meta in plugins.models.items():
        owner = plugins.models.owner(name)
        if not isinstance(meta, ModelMeta):
            plugins.report(f"{owner}: model {name!r} is not an mteb ModelMeta but {meta!r}")
        elif name in MODEL_REGISTRY:
            _collision(plugins, "model", name, owner)
        else:
            MODEL_REGISTRY[name] = meta


def _collision(plugins: Plugins, kind: str, name: str, owner: str) -> None:
    error = PluginCollisionError(f"{kind} {name!r} is registered by both 'mteb' and {owner!r}")
    plugins.report(f"{error}; the one of mteb stays")


def _register_tasks(plugins: Plugins) -> None:
    for name, spec in plugins.collections.items():
        owner = plugins.collections.owner(name)
        for task in _tasks_of(spec, plugins, owner):
            try:
                plugins.tasks.add(task.metadata.name, task, owner)
            except PluginCollisionError as error:
                plugins.report(str(error))
    # The package attribute mteb.get_tasks is the function; the module is only in sys.modules.
    registry: Any = sys.modules["mteb.get_tasks"]
    added = []
    for name, task in plugins.tasks.items():
        owner = plugins.tasks.owner(name)
        try:
            check_task(task)
        except PluginError as error:
            plugins.report(f"{owner}: task {name!r}: {error}")
            continue
        if name in registry._TASKS_REGISTRY:
            _collision(plugins, "task", name, owner)
            continue
        registry._TASKS_REGISTRY[name] = task
        added.append(task)
    registry.TASK_LIST = (*registry.TASK_LIST, *added)
    for parent, similar in registry._create_similar_tasks(added).items():
        registry._SIMILAR_TASKS.setdefault(parent, []).extend(similar)


def _tasks_of(spec: CollectionSpec, plugins: Plugins, owner: str) -> list[Any]:
    from hybridir_mteb.adapters.mteb.task import make_tasks

    measures = [measure for _, measure in plugins.measures.items()]
    try:
        return list(make_tasks(spec, measures))
    except Exception as error:
        plugins.report(f"{owner}: collection {spec.name!r}: {type(error).__name__}: {error}")
        return []


def check_task(task: Any) -> None:
    """Refuse a task class that would break mteb for everybody.

    Raises:
        PluginError: Not a task class, a language code that mteb cannot read, or a class that
            cannot be instantiated.
    """
    from mteb.abstasks.abstask import AbsTask

    if not (isinstance(task, type) and issubclass(task, AbsTask)):
        raise PluginError(f"expected a subclass of mteb.AbsTask, got {task!r}")
    codes = task.metadata.bcp47_codes
    if not all("-" in code for code in codes):
        raise PluginError(f"language codes must look like deu-Latn, got {codes}")
    try:
        task.metadata._validate_metadata()
        task()
    except Exception as error:
        raise PluginError(f"{type(error).__name__}: {error}") from error


def owner_of(name: str) -> str | None:
    """Who has a collection or a task of this name: a plugin, ``mteb``, or None."""
    plugins = register()
    for names in (plugins.collections, plugins.tasks):
        if name in names:
            return names.owner(name)
    registry: Any = sys.modules["mteb.get_tasks"]
    return "mteb" if name in registry._TASKS_REGISTRY else None


def licences() -> tuple[str, ...]:
    """The licence identifiers that MTEB accepts, besides URLs."""
    from typing import get_args

    from mteb.types import Licenses

    return get_args(Licenses)


def task_metadata_of(name: str) -> Any:
    """The metadata of a task that MTEB knows, ours among them.

    Raises:
        KeyError: There is no such task.
    """
    import mteb

    register()
    return mteb.get_task(name).metadata
