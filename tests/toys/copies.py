"""Commands in copies of a process that has imported the slow packages of others.

Half of the time of a short command goes into them. What they read when they are imported must be
the same for all copies; a command that wants another environment there gets a process of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from toys.copy_server import WIDTH

SERVER = Path(__file__).with_name("copy_server.py")
# Variables that Python or slow packages read at their start; what begins like this is alike, too.
AT_START = (
    *("PYTHON", "LC_", "LANG", "HF_", "TRANSFORMERS_", "TORCH", "OMP_", "MKL_", "CUDA_", "LD_"),
)


class Copies:
    """The process of this test run, started when it is first asked for."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._at_start: tuple[object, ...] = ()
        self._folder = Path()

    def fits(self, command: list[str], environment: dict[str, str]) -> bool:
        """Whether a copy can be what a new process would be."""
        program = Path(command[0])
        if program.parent != Path(sys.executable).parent:
            return False
        known = _at_start(dict(os.environ)) if self._process is None else self._at_start
        return _at_start(environment) == known

    def run(
        self, command: list[str], folder: Path, environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Raises:
            TimeoutError: It takes too long.
        """
        self._start()
        output = self._folder / "output"
        request = {
            "command": command,
            "folder": str(folder.absolute()),
            "environment": environment,
            "output": str(output),
        }
        os.write(self._requests, json.dumps(request).encode() + b"\n")
        copy = self._number()
        if late := not select.select([self._answers], [], [], timeout)[0]:
            os.kill(copy, signal.SIGKILL)
        status = self._number()
        if late:
            raise TimeoutError(f"{command} took more than {timeout} s")
        texts = [output.with_suffix(kind).read_text(errors="replace") for kind in (".out", ".err")]
        return subprocess.CompletedProcess(command, status, *texts)

    def _number(self) -> int:
        said = os.read(self._answers, WIDTH + 1)
        assert said, "the process that is copied has ended"
        return int(said)

    def close(self) -> None:
        """End the process and its copies."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            os.close(self._requests)
            os.close(self._answers)
            shutil.rmtree(self._folder)
            self._process = None

    def _start(self) -> None:
        if self._process is None:
            self._folder = Path(tempfile.mkdtemp(prefix="hybridir-copies-"))
            self._at_start = _at_start(dict(os.environ))
            theirs, self._requests = os.pipe()
            self._answers, mine = os.pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(SERVER), str(theirs), str(mine)],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "HYBRIDIR_AUTOLOAD": "0"},
                pass_fds=(theirs, mine),
                start_new_session=True,
            )
            os.close(theirs)
            os.close(mine)
            atexit.register(self.close)


def _at_start(environment: dict[str, str]) -> tuple[object, ...]:
    """What of an environment decides how packages are imported."""
    named = {k: v for k, v in environment.items() if k.startswith(AT_START) and k != "PYTHONPATH"}
    places = environment.get("PYTHONPATH", "").split(os.pathsep)
    return named, [p for p in places if Path(p, "sitecustomize.py").exists()][:1]


copies = Copies()
