"""The commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MTEB = str(Path(sys.executable).with_name("mteb"))


@dataclass
class Workplace:
    """A folder for results and a cache of its own."""

    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "out"

    @property
    def store(self) -> Path:
        return self.folder / "cache" / "embeddings"

    def environment(self, **extra: str) -> dict[str, str]:
        own = {"HYBRIDIR_CACHE_DIR": str(self.folder / "cache"), "HF_HUB_OFFLINE": "1"}
        return {**os.environ, **own, **extra}

    def run(self, *command: str, output: Path | None = None, **extra: str) -> str:
        """Run a command; its stderr, or a failure that shows it."""
        done = subprocess.run(
            [*command, "--output-folder", str(output or self.output)],
            env=self.environment(**extra),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr + done.stdout
