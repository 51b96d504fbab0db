"""Commands in forked processes of one warm interpreter, which may be killed or run out of disk.

A fork has everything imported, so a case takes milliseconds instead of seconds. What a command sees
of the machine is one folder, whose content is put back before each case.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import select
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent
LONGEST_S = 120.0
PIPE_BYTES = 1 << 20
# What changes files; each is announced before it happens.
EVENTS = {
    *("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"),
    *("os.chmod", "os.utime", "os.symlink", "sqlite3.connect", "shutil.rmtree", "shutil.move"),
}
VARIABLES = {
    "HYBRIDIR_CACHE_DIR": "cache",
    "HYBRIDIR_MODEL_STORE": "store",
    "HYBRIDIR_COLLECTIONS": "collections",
    "HYBRIDIR_DATA_DIR": "mirror",
    "MTEB_CACHE": "mteb",
    "HF_HOME": "hub",
}
Command = Sequence[str] | Callable[[], Any]


@dataclass(frozen=True)
class Breaks:
    """What happens to a process.

    Attributes:
        at_event: Killed before this change of a file, counted from 1.
        at_text: Killed when so many texts were given to the encoder.
        after_s: Killed after so many seconds.
        largest_file: No file may become larger: a write fails, or kills where ``kill`` is set.
        kill: Whether a write beyond the largest file kills.
    """

    at_event: int | None = None
    at_text: int | None = None
    after_s: float | None = None
    largest_file: int | None = None
    kill: bool = False


@dataclass(frozen=True)
class Ran:
    """What a process did.

    Attributes:
        code: Exit status; negative: the signal that ended it.
        out: Its output.
        err: Its errors.
        events: How often it was about to change a file.
        texts: How many texts it encoded.
        seconds: How long it took.
        failed: Type and message of the exception that ended it, if one did.
    """

    code: int
    out: str
    err: str
    events: int
    texts: int
    seconds: float
    failed: str

    @property
    def hung(self) -> bool:
        """Whether it had to be stopped."""
        return self.seconds >= LONGEST_S and self.code < 0

    @property
    def said(self) -> list[str]:
        """Lines of error, without bars of progress."""
        lines = (line.rpartition("\r")[2].rstrip() for line in self.err.split("\n"))
        return [line for line in lines if line]

    @property
    def one_line(self) -> bool:
        """Whether it ended with one line of error, or with a usage message for its arguments."""
        if self.code == 2 and "Usage:" in self.err:
            return "Traceback" not in self.err
        errors = [line for line in self.said if line.startswith("error: ")]
        last = self.said[-1:] == errors
        return self.code == 1 and len(errors) == 1 and last and "Traceback" not in self.err


class Sandbox:
    """A folder in which commands run.

    Args:
        root: An empty folder; the commands work in ``home`` below it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.home = self.root / "home"
        self.home.mkdir()
        self._shared = mmap.mmap(-1, 16)
        self._stacks = 0

    def variables(self) -> dict[str, str]:
        """The environment of the commands."""
        own = {name: str(self.home / place) for name, place in VARIABLES.items()}
        return {
            **own,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "MPLCONFIGDIR": str(self.root / "site"),
        }

    def keep(self) -> Path:
        """A copy of all that is in the folder, to be put back."""
        self._stacks += 1
        copy = self.root / f"kept-{self._stacks}"
        shutil.copytree(self.home, copy, symlinks=True)
        return copy

    def put_back(self, kept: Path | None = None) -> None:
        """Empty the folder, and fill it with what was kept."""
        for path in self.home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        if kept is not None:
            shutil.copytree(kept, self.home, symlinks=True, dirs_exist_ok=True)

    def start(self, command: Command, breaks: Breaks = Breaks()) -> Process:
        """Start a command in a process of its own."""
        return Process(self, command, breaks)

    def run(self, command: Command, breaks: Breaks = Breaks()) -> Ran:
        """Run a command to its end."""
        return self.start(command, breaks).wait()


class Process:
    """A forked process that runs a command."""

    def __init__(self, box: Sandbox, command: Command, breaks: Breaks) -> None:
        self._counts = mmap.mmap(-1, 16)  # events, texts
        # Pipes, as no file may grow where the disk is full; what is written fits into them.
        self._pipes = {name: _pipe() for name in ("out", "err", "failed")}
        self._breaks, self._began = breaks, time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(box, command)
        self._descriptor = os.pidfd_open(self.pid)

    def wait(self) -> Ran:
        """Wait for the end; kill it when its time has come."""
        limit = self._breaks.after_s or LONGEST_S
        waiting = select.poll()
        waiting.register(self._descriptor, select.POLLIN)
        left = limit - (time.monotonic() - self._began)
        if not waiting.poll(max(0, left * 1000)):
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        seconds = time.monotonic() - self._began
        texts = {name: _drained(*ends) for name, ends in self._pipes.items()}
        events, encoded = struct.unpack("qq", self._counts[:16])
        code = os.waitstatus_to_exitcode(status)
        return Ran(code, texts["out"], texts["err"], events, encoded, seconds, texts["failed"])

    def _become(self, box: Sandbox, command: Command) -> None:
        """In the fork: run the command, and end."""
        code = 70
        try:
            self._set_up(box)
            code = self._call(command)
        except BaseException:  # noqa: BLE001 -- a fork never returns to its parent's code
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _set_up(self, box: Sandbox) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.environ.update(box.variables())
        os.chdir(box.home)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(self._pipes[name][1], number)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", buffering=1, closefd=False)
        odd = "backslashreplace"  # as the interpreter opens it
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors=odd, buffering=1, closefd=False)
        from hybridir_mteb.cli import console

        console.console.file = sys.stdout
        _watch(str(box.home), self._counts, self._breaks)
        largest = self._breaks.largest_file
        if largest is not None:
            if self._breaks.kill:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))

    def _call(self, command: Command) -> int:
        """The exit status, as the interpreter would give it."""
        try:
            if callable(command):
                command()
            else:
                main(command)
        except SystemExit as end:
            if end.code is None or isinstance(end.code, int):
                return end.code or 0
            print(end.code, file=sys.stderr)
            return 1
        except BaseException as error:  # noqa: BLE001 -- printed, as the interpreter would
            kind = type(error)
            said = f"{kind.__module__}.{kind.__name__}: {error}"[:2000]
            os.write(self._pipes["failed"][1], said.encode(errors="backslashreplace"))
            traceback.print_exc()
            return 1
        return 0


def _pipe() -> tuple[int, int]:
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return ends


def _drained(reader: int, writer: int) -> str:
    """What was written to a pipe, which is closed."""
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        return stream.read(PIPE_BYTES).decode("utf-8", errors="replace")


def main(command: Sequence[str]) -> None:
    """What ``hybridir`` or ``mteb`` does with arguments."""
    sys.argv = list(command)
    if command[0] == "mteb":
        from mteb.cli import main as run
    else:
        from hybridir_mteb.cli import main as run
    run()


def _watch(home: str, counts: mmap.mmap, breaks: Breaks) -> None:
    """Count changes of files below a folder, and texts that are encoded; kill in time."""
    import pins_plugin

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not arguments:
            return
        place = arguments[0]
        if isinstance(place, bytes):
            place = os.fsdecode(place)
        if not isinstance(place, str) or home not in place:
            return
        if event == "open" and not _writes(arguments):
            return
        (events,) = struct.unpack_from("q", counts, 0)
        struct.pack_into("q", counts, 0, events + 1)
        if events + 1 == breaks.at_event:
            die()

    def note(role: str, texts: Sequence[str]) -> None:
        (seen,) = struct.unpack_from("q", counts, 8)
        struct.pack_into("q", counts, 8, seen + len(texts))
        if breaks.at_text is not None and seen + len(texts) >= breaks.at_text:
            die()

    sys.addaudithook(audit)
    pins_plugin.note = note


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    if isinstance(mode, str):
        return any(sign in mode for sign in "wax+")
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def install_plugin(root: Path) -> None:
    """Make the encoders and collections of the pinned runs a plugin of this interpreter."""
    info = root / "site" / "pins-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pins\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hybridir_mteb]\npins = pins_plugin\n")
    sys.path[:0] = [str(root / "site"), str(TESTS / "end_to_end")]


def warm(variables: Mapping[str, str]) -> None:
    """Import everything that commands import, and register what there is.

    Args:
        variables: The environment of the commands: what the user has plays no part.
    """
    foreign = ("HYBRIDIR", "MTEB", "COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "HF_")
    for name in [name for name in os.environ if name.startswith(foreign)]:
        del os.environ[name]
    os.environ.update(variables)
    os.environ["COLUMNS"] = "120"
    import threadpoolctl
    import torch
    from tqdm import tqdm

    torch.set_num_threads(1)
    import mteb
    import mteb.cli  # noqa: F401

    import hybridir_mteb.adapters.beir
    import hybridir_mteb.adapters.mteb.fit
    import hybridir_mteb.adapters.mteb.run
    import hybridir_mteb.bias.plot.draw
    import hybridir_mteb.cli.app
    import hybridir_mteb.debias.sentence_transformer
    import hybridir_mteb.export
    import hybridir_mteb.language_bias
    import hybridir_mteb.results.tables
    import hybridir_mteb.training.run  # noqa: F401
    from hybridir_mteb.adapters.mteb import encoder, shards
    from hybridir_mteb.adapters.mteb.register import register

    shards.ROWS, encoder.CHUNK_TEXTS = 8, 16  # passages of a shard, texts of a batch
    with threadpoolctl.threadpool_limits(1):  # finds libraries once
        tqdm.monitor_interval = 0  # no thread that a fork would lack
    assert "pins/hash" in register().models
