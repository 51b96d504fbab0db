"""The contract with plugins: hooks, what they register, and how they are loaded."""

from hybridir_mteb._moved import old_names

NAMES = (
    "Plugins Registry installed_plugins load_plugins ENTRY_POINT_GROUP DISTRIBUTION "
    "AnyCollection Item"
)
PLACES = "plugins.registry plugins.manager plugins.specs installed"
__getattr__ = old_names("plugins", PLACES, NAMES)
