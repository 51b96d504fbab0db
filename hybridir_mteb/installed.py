"""What is installed here: plugins, and the collections that the user added."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from hybridir_mteb import paths
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.plugins.manager import built_in, load_plugins
from hybridir_mteb.plugins.registry import Plugins, Registry
from hybridir_mteb.plugins.specs import CollectionSpec

# What waits for the end of the loading that is going on; a plugin may start one inside another.
_waiting: list[list[Callable[[Plugins], object]]] = []


@lru_cache(maxsize=1)
def installed_plugins() -> Plugins:
    """What the installed plugins register, and what the user added, loaded at first use."""
    _waiting.append([])
    try:
        plugins = _with_added(load_plugins())
    finally:
        waiting = _waiting.pop()
    for callback in waiting:
        with alone("registering", plugins.report):
            callback(plugins)
    return plugins


def _with_added(plugins: Plugins) -> Plugins:
    with alone("the collections that were added are skipped", plugins.report):
        if _any_added():
            from hybridir_mteb.collections.own import register_added

            register_added(plugins)
    return plugins


def _any_added() -> bool:
    """Whether there may be records; importing what reads them takes a fifth of our start."""
    try:
        return any(path.suffix == ".json" for path in paths.collections_dir().iterdir())
    except FileNotFoundError:
        return False
    except OSError:  # what reads them says what is wrong
        return True


def installed_parts(*names: str) -> Plugins | None:
    """Some built-in parts and what the user added, where that is all there is, in no time.

    All parts together take seconds: they bring mteb and SciPy.

    Args:
        *names: Of the entry points of this package.

    Returns:
        None if other plugins are installed, or all is loaded already.
    """
    if installed_plugins.cache_info().currsize:
        return None
    points = built_in(names)
    return None if points is None else _with_added(load_plugins(points))


def installed_collections() -> Registry[CollectionSpec]:
    """All collections, the user's too; in no time where the built-in ones are all there is."""
    return (installed_parts("tasks") or installed_plugins()).collections


def when_loaded(callback: Callable[[Plugins], object]) -> None:
    """Call a function with what is installed: at once, or at the end of loading that is going on.

    The autoload hook asks for this: it may be a plugin whose import brings mteb, and the plugin has
    no hooks before that import ends.

    Args:
        callback: Called once, with all plugins; what it returns is not looked at.
    """
    if _waiting:
        _waiting[0].append(callback)
    else:
        callback(installed_plugins())
