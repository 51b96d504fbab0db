"""A file system of its own for a folder, as small as is wanted; where the user may mount one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOMY = "512m"
PAGE = 4096


class SmallDisk:
    """A file system in memory over a folder; None of it where we may not mount.

    Args:
        home: The folder.

    Attributes:
        mounted: Whether there is one.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.mounted = os.geteuid() == 0 and self._mount(f"size={ROOMY}")

    def _mount(self, options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.home)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def leave(self, free: int | None) -> None:
        """Leave so many bytes, or as many as anybody needs."""
        stat = os.statvfs(self.home)
        used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize
        size = ROOMY if free is None else str(used + max(PAGE, free))
        assert self._mount(f"remount,size={size}")

    def close(self) -> None:
        """Take it away."""
        if self.mounted:
            subprocess.run(["umount", str(self.home)], capture_output=True, check=True)
