"""What is installed here: plugins, and the collections that the user added."""

from __future__ import annotations

from functools import lru_cache

from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.registry import Plugins


@lru_cache(maxsize=1)
def installed_plugins() -> Plugins:
    """What the installed plugins register, and what the user added, loaded at first use."""
    import mteb  # noqa: F401 -- first, so that no plugin is the one that triggers the autoload hook

    from hybridir_mteb.collections.own import register_added

    plugins = load_plugins()
    register_added(plugins)
    return plugins
