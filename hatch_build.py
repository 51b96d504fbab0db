"""Puts the commit that a wheel or an sdist is built from into it, for ``hybridir --version``."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "hybridir_mteb/_commit.txt"


class CommitHook(BuildHookInterface):
    """Writes the commit; an sdist has the file already, and an editable install asks git."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file where a checkout of this repository is built."""
        if version == "editable" or (Path(self.root) / PLACE).exists():
            return
        if not (Path(self.root) / ".git").exists():
            return
        command = ["git", "-C", self.root, "describe", "--always", "--dirty", "--abbrev=12"]
        # Within a hook of git these name the repository of the hook.
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            self.folder = tempfile.TemporaryDirectory()
            file = Path(self.folder.name) / "commit.txt"
            file.write_text(done.stdout, encoding="utf-8")
            build_data["force_include"][str(file)] = PLACE
