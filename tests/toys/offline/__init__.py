"""Tests see nothing of the user's but a few variables, and no machine but this one."""

import atexit
import locale
import os
import shutil
import site
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

from toys.offline import sitecustomize as guard

HERE = Path(__file__).parent
# What of the environment may decide how tests run. All else goes: logins, caches, stores, proxies,
# locales, the shape of a terminal, settings of libraries, ranks of a distributed run.
KEPT = {"CI", "HYBRIDIR_DATA_DIR", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "PYTHONDONTWRITEBYTECODE"}
KEPT |= {"PYTHONHOME", "PY_COLORS", "USER", "VIRTUAL_ENV"}
KEPT_PREFIXES = ("COVERAGE_", "COV_", "DYLD_", "PYTEST_")
# Of these, none may be imported before the environment is set: they read it at their import.
_READERS = {"accelerate", "datasets", "huggingface_hub", "mteb", "numpy", "torch", "transformers"}
read_before: set[str] = set()  # those that were there all the same
SET = {
    "CUDA_VISIBLE_DEVICES": "",
    "GIT_CONFIG_NOSYSTEM": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "HYBRIDIR_PROBE": "0",  # what is quicker just now decides nothing
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",  # sums are the same to the bit, and processes do not share cores
    "PIP_NO_INDEX": "1",
    "PYTHONUTF8": "1",
    "TOKENIZERS_PARALLELISM": "false",  # it warns where a process forks
    "TZ": "UTC",
}


def cleaned(variables: dict[str, str], home: Path) -> dict[str, str]:
    """An environment for tests.

    Args:
        variables: The user's.
        home: A folder that nobody else uses.
    """
    kept = {k: v for k, v in variables.items() if k in KEPT or k.startswith(KEPT_PREFIXES)}
    if data := kept.get("HYBRIDIR_DATA_DIR"):  # processes start in other folders
        kept["HYBRIDIR_DATA_DIR"] = str(Path(data).absolute())
    path = [place for place in variables.get("PYTHONPATH", "").split(os.pathsep) if place]
    path = [str(Path(place).absolute()) for place in path]
    return {
        **kept,
        **SET,
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([str(HERE), *path])),
        "PYTHONUSERBASE": site.getuserbase(),  # where packages may be
        "TMPDIR": tempfile.gettempdir(),
        guard.LOG: str(home / "connections.log"),
    }


def isolate() -> None:
    """Put this process, and those that it starts, into an environment of their own."""
    read_before.update(_READERS & set(sys.modules))
    home = Path(tempfile.mkdtemp(prefix="hybridir-tests-"))
    atexit.register(_remove, home, os.getpid())
    # Else git takes a checkout of somebody else's for an attack.
    (home / ".gitconfig").write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
    environment = cleaned(dict(os.environ), home)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    with suppress(locale.Error):  # what open() takes for a file's encoding
        locale.setlocale(locale.LC_CTYPE, SET["LC_ALL"])
    guard.install()


def forget_warnings() -> None:
    """Python's own filters of warnings, whatever ``PYTHONWARNINGS`` said; pytest adds its own."""
    sys.warnoptions.clear()
    warnings.resetwarnings()
    for kind in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", kind)


def _remove(home: Path, owner: int) -> None:
    if os.getpid() == owner:  # not a process that was forked
        shutil.rmtree(home, ignore_errors=True)


def attempts() -> str:
    """The connections that were refused since this was asked last."""
    log = Path(os.environ[guard.LOG])
    if not log.exists():
        return ""
    said = log.read_text(encoding="utf-8")
    log.unlink()
    return said
