"""What ``hybridir --version`` says: the version, and the commit that the code is of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hybridir_mteb
from hybridir_mteb import paths

COMMIT = "_commit.txt"  # written when a wheel or an sdist is built, by hatch_build.py
_PATIENCE_S = 5


def version_line() -> str:
    """Version and commit, as far as the commit is known."""
    commit = commit_of(paths.DATA.parent)
    return f"hybridir-mteb {hybridir_mteb.__version__}" + (f" (commit {commit})" if commit else "")


def commit_of(package: Path) -> str:
    """The commit that a package is of; ``-dirty`` follows where files were changed since.

    Args:
        package: Its folder; in a checkout, git is asked.

    Returns:
        Empty where nobody knows.
    """
    built = package / COMMIT
    if built.is_file():
        return built.read_text(encoding="utf-8").strip()
    if not (package.parent / ".git").exists():
        return ""
    command = ["git", "-C", str(package.parent), "describe", "--always", "--dirty", "--abbrev=12"]
    # Within a hook of git these name the repository of the hook.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 -- a fixed command
            command, env=env, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or a slow disk
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
