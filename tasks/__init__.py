"""The built-in collections: a plugin like any other. Imported as ``hybridir_mteb.tasks``."""

if __name__ == "tasks":  # the repository root is on sys.path in editable installs
    raise ImportError("import hybridir_mteb.tasks instead of tasks")

from hybridir_mteb.plugins.hookspecs import Register, hookimpl
from hybridir_mteb.tasks.beir_translated import BEIR_TRANSLATED
from hybridir_mteb.tasks.miracl import MIRACL
from hybridir_mteb.tasks.mlqa_r import MLQA_R
from hybridir_mteb.tasks.pocketqa_r import POCKETQA_R
from hybridir_mteb.tasks.xquad_r import XQUAD_R

COLLECTIONS = (POCKETQA_R, XQUAD_R, MLQA_R, MIRACL, *BEIR_TRANSLATED)
__all__ = [
    "BEIR_TRANSLATED",
    "COLLECTIONS",
    "MIRACL",
    "MLQA_R",
    "POCKETQA_R",
    "XQUAD_R",
    "register_collections",
]


@hookimpl
def register_collections(register: Register) -> None:
    """Register the built-in collections."""
    for spec in COLLECTIONS:
        register(spec)
