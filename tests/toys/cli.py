"""Commands, in this process and as a user types them."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from hybridir_mteb.cli.app import app
from toys.copies import copies

MTEB, HYBRIDIR = (str(Path(sys.executable).with_name(name)) for name in ("mteb", "hybridir"))
TIMEOUT_S = 900


def succeed(
    *command: Any, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process to its end; one that fails shows what it wrote."""
    return ended([str(part) for part in command], {**os.environ, **variables}, cwd)


def copied(
    *command: Any, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """As :func:`succeed`, in a copy of a process that has imported the packages of others."""
    return ended([str(part) for part in command], {**os.environ, **variables}, cwd, copied=True)


def ended(
    command: list[str], environment: dict[str, str], folder: Path | None, copied: bool = False
) -> subprocess.CompletedProcess[str]:
    """A command that came to a good end."""
    if copied and copies.fits(command, environment):
        done = copies.run(command, folder or Path.cwd(), environment, TIMEOUT_S)
    else:
        done = subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


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

    @property
    def variables(self) -> dict[str, str]:
        return {
            "HYBRIDIR_CACHE_DIR": str(self.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "TQDM_DISABLE": "0",  # bars, although nobody looks on: they count what is encoded
        }

    def run(self, *command: str, output: Path | None = None, **extra: str) -> str:
        """All that a command writes."""
        return self._run(succeed, command, output, extra)

    def copied(self, *command: str, output: Path | None = None, **extra: str) -> str:
        """As :meth:`run`, in a copy of a process."""
        return self._run(copied, command, output, extra)

    def _run(self, how: Any, command: Any, output: Path | None, extra: dict[str, str]) -> str:
        options = ("--output-folder", output or self.output)
        done = how(*command, *options, cwd=self.folder, **{**self.variables, **extra})
        return done.stderr + done.stdout


def run(*arguments: str) -> str:
    """What a command of ``hybridir`` prints, in this process; a failure is raised."""
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def left_by_a_killed_process(place: Path) -> Path:
    """A file beside a place, by the name that a process of this machine gave it that has ended."""
    code = "import sys, pathlib; from hybridir_mteb.files import beside\n"
    code += "print(beside(pathlib.Path(sys.argv[1])))"
    left = Path(succeed(sys.executable, "-c", code, place).stdout.strip())
    left.write_bytes(b"half of it")
    return left


def pipe(monkeypatch: pytest.MonkeyPatch, width: int = 120) -> None:
    """Output as into a pipe, also where pytest writes to a terminal or CI asks for colours."""
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("hybridir_mteb.cli.console.console", Console(width=width))


def rows(table: str) -> list[list[str]]:
    """The cells of a printed table, its head included where it has one."""
    return [
        [cell.strip() for cell in re.split("[│┃]", line)[1:-1]]
        for line in table.splitlines()
        if line.startswith(("│", "┃"))
    ]
