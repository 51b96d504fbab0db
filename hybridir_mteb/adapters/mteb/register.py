"""Writes models and tasks to mteb's registries: internal names, checked by a contract test."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hybridir_mteb.collections.own import OWNER as OWN_COLLECTIONS
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.errors import PluginCollisionError, PluginError, described, quoted
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.guard import alone, watched
from hybridir_mteb.plugins.manager import DISTRIBUTION
from hybridir_mteb.plugins.names import check_item_name
from hybridir_mteb.plugins.registry import Plugins
from hybridir_mteb.plugins.specs import CollectionSpec

OWN_ENCODERS = f"{DISTRIBUTION}:encoders"
_registered: list[Plugins] = []


def register(plugins: Plugins | None = None) -> Plugins:
    """Give mteb our models and tasks, once for the process; later calls return the same."""
    import mteb  # noqa: F401 -- its import may run the autoload hook, which registers

    if not _registered:
        plugins = plugins or installed_plugins()
    if plugins and not _registered:  # else it was the hook's turn at the end of loading
        _registered.append(plugins)
        for step in (_register_encoders, _register_models, _register_tasks):
            with alone(f"{step.__name__[1:].replace('_', ' ')} failed", plugins.report):
                step(plugins)
        if "mteb.benchmarks.benchmarks" in sys.modules:
            from hybridir_mteb.adapters.mteb.benchmark import add_benchmarks

            add_benchmarks()
    return _registered[0]


def _register_encoders(plugins: Plugins) -> None:
    """Trained encoders, and the names of those that could be trained."""
    from hybridir_mteb.adapters.mteb.metas import encoder_metas

    metas: list[Any] = []
    with alone("trained encoders", plugins.report):
        metas = encoder_metas(
            [backbone for _, backbone in plugins.backbones.items()],
            [method for _, method in plugins.methods.items()],
            dict(plugins.models.items()),
            plugins.debiasers,
            plugins.report,
        )
    for meta in metas:
        name = str(meta.name)
        if name not in plugins.models:
            plugins.models.add(name, meta, OWN_ENCODERS)
        elif meta.revision != NOT_HERE:  # what is on this machine has the name, and no plugin
            _collision(plugins, "model", name, plugins.models.owner(name), DISTRIBUTION)
            plugins.models.discard(name)
            plugins.models.add(name, meta, OWN_ENCODERS)


def _register_models(plugins: Plugins) -> None:
    from mteb.models.model_implementations import MODEL_REGISTRY

    for name, meta in plugins.models.items():
        owner = plugins.models.owner(name)
        sound = False
        with alone(f"{owner}: model {quoted(name)}", plugins.report):
            if not owner.startswith(f"{DISTRIBUTION}:"):
                _check_model(meta)
            sound = True
        if not sound:
            plugins.models.discard(name)
        elif name in MODEL_REGISTRY:
            _collision(plugins, "model", name, owner, "mteb")
        else:
            MODEL_REGISTRY[name] = meta


def _check_model(meta: Any) -> None:
    """Refuse metadata that would break mteb's list of models for everybody."""
    from mteb.models.model_meta import ModelMeta

    if not isinstance(meta, ModelMeta):
        raise PluginError(f"not an mteb ModelMeta but {quoted(meta)}")
    for name in ModelMeta.model_fields:
        getattr(meta, name)
    meta.to_dict()


def _collision(plugins: Plugins, kind: str, name: str, owner: str, stays: str) -> None:
    error = PluginCollisionError(
        f"{kind} {quoted(name)} is registered by both {quoted(stays)} and {quoted(owner)}"
    )
    plugins.report(f"{error}; the one of {stays} stays")


def _register_tasks(plugins: Plugins) -> None:
    for name, spec in plugins.collections.items():
        owner = plugins.collections.owner(name)
        for task in _tasks_of(name, spec, plugins, owner):
            with alone(f"{owner}: collection {quoted(name)}", plugins.report):
                plugins.tasks.add(check_item_name("task", task.metadata.name), task, owner)
    # The package attribute mteb.get_tasks is the function; the module is only in sys.modules.
    registry: Any = sys.modules["mteb.get_tasks"]
    for name, task in plugins.tasks.items():
        owner = plugins.tasks.owner(name)
        similar = None
        with (
            alone(f"{owner}: task {quoted(name)}", plugins.report),
            _watched(owner, f"task {quoted(name)}"),
        ):
            check_task(task)
            similar = registry._create_similar_tasks([task])
        if similar is None:
            plugins.tasks.discard(name)
        elif name in registry._TASKS_REGISTRY:
            _collision(plugins, "task", name, owner, "mteb")
        else:
            registry._TASKS_REGISTRY[name] = task
            registry.TASK_LIST = (*registry.TASK_LIST, task)
            for parent, names in similar.items():
                registry._SIMILAR_TASKS.setdefault(parent, []).extend(names)


def _watched(owner: str, what: str) -> AbstractContextManager[None]:
    distribution = owner.partition(":")[0]
    own = owner == OWN_COLLECTIONS or distribution == DISTRIBUTION
    remedy = f"run: pip uninstall {distribution}"
    return nullcontext() if own else watched(f"plugin {owner}: {what}", remedy)


def _tasks_of(name: str, spec: CollectionSpec, plugins: Plugins, owner: str) -> list[Any]:
    from hybridir_mteb.adapters.mteb.task import make_tasks

    measures = [measure for _, measure in plugins.measures.items()]
    what = f"{owner}: collection {quoted(name)}"
    with alone(what, plugins.report), _watched(owner, f"collection {quoted(name)}"):
        return list(make_tasks(spec, measures))
    return []


def check_task(task: Any) -> None:
    """Refuse a task class that would break mteb for everybody.

    Raises:
        PluginError: Not a task class, a language code that mteb cannot read, or a class that
            cannot be instantiated.
    """
    from mteb.abstasks.abstask import AbsTask

    if not (isinstance(task, type) and issubclass(task, AbsTask)):
        raise PluginError(f"expected a subclass of mteb.AbsTask, got {quoted(task)}")
    try:
        codes = task.metadata.bcp47_codes
        if not all("-" in code for code in codes):
            raise PluginError(f"language codes must look like deu-Latn, got {codes}")
        task.metadata._validate_metadata()
        task()
    except (KeyboardInterrupt, PluginError):
        raise
    except BaseException as error:
        raise PluginError(described(error)) from error


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
