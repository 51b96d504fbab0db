"""The contract with plugins: hooks, what they register, and how they are loaded."""

from hybridir_mteb._moved import old_names

NAMES = "Plugins Registry installed_plugins load_plugins ENTRY_POINT_GROUP DISTRIBUTION"
__getattr__ = old_names("plugins", "plugins.registry plugins.manager installed", NAMES)
