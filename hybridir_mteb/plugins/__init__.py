"""The contract with plugins: hooks, what they register, and the manager that loads them."""

from hybridir_mteb._moved import old_names

NAMES = (
    "AnyCollection Plugins Registry installed_plugins load_plugins ENTRY_POINT_GROUP DISTRIBUTION"
)
__getattr__ = old_names("plugins", "plugins.manager installed", NAMES)
