"""How many threads torch computes with: as many as there are cores that nobody else uses.

The threads of one sum wait for one another, so one that shares its core with another process holds
all of them up: training with a thread for each core of a busy machine takes many times as long as
with one thread alone. The number is no part of what anything is called, and embeddings differ by
rounding at most, as between two machines.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb.errors import printable
from hybridir_mteb.plugins.guard import say

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # who sets one has chosen
SAMPLE_S = 0.5
_STAT = Path("/proc/stat")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Threads:
    """How many threads there are to be.

    Attributes:
        number: The number; None leaves it to torch.
        why: Where it comes from, in words.
    """

    number: int | None
    why: str

    def __str__(self) -> str:
        return self.why if self.number is None else f"{self.number}, {self.why}"


def chosen_by_others() -> Threads | None:
    """What the user's environment says, or that there is a launcher of several processes."""
    for variable in VARIABLES:
        if value := os.environ.get(variable):
            return Threads(None, f"{variable}={printable(value, 80)}")
    if os.environ.get("WORLD_SIZE", "1") != "1":
        return Threads(None, "left to the launcher of the processes")
    return None


def choose() -> Threads:
    """As many as cores are free, of those that this process may use, unless others have chosen."""
    if others := chosen_by_others():
        return others
    cores, free = allowed_cores(), idle_cores()
    number = max(1, min(round(cores), round(free)))
    why = f"as {free:.1f} of {os.cpu_count()} cores are free and {cores:g} allowed"
    return Threads(number, f"{why}; OMP_NUM_THREADS sets another number")


def use_free_cores(threads: Threads | None = None) -> None:
    """Tell torch what was chosen, or choose now; say it if that is fewer than it would use."""
    import torch

    chosen = threads or choose()
    if chosen.number is not None and chosen.number < torch.get_num_threads():
        torch.set_num_threads(chosen.number)
        if threads is None:
            say(f"threads: {chosen}")


def allowed_cores() -> float:
    """How many cores this process may use: by its affinity and by the quota of its cgroup."""
    has = hasattr(os, "sched_getaffinity")
    cores = float(len(os.sched_getaffinity(0)) if has else os.cpu_count() or 1)
    quotas = [quota for place in _groups() if (quota := _quota(place))]
    return min([cores, *quotas])


def _groups() -> list[Path]:
    """The folders of this process's cgroup and of those that it is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "/")
    place = _CGROUP / own.lstrip("/")
    return [place, *(parent for parent in place.parents if parent.is_relative_to(_CGROUP))]


def _quota(group: Path) -> float | None:
    """How many cores' time a cgroup may take; None if it has no limit."""
    try:
        most, period = (group / "cpu.max").read_text(encoding="utf-8").split()
        return int(most) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return None


def idle_cores() -> float:
    """How many of the machine's cores did nothing for half a second, in which we sleep.

    Where the system does not tell, those that the load of the last minute leaves.
    """
    cores = os.cpu_count() or 1
    before = _ticks()
    if before is None:
        return max(0.0, cores - os.getloadavg()[0])
    time.sleep(SAMPLE_S)
    after = _ticks() or before
    total, idle = after[0] - before[0], after[1] - before[1]
    return cores * idle / total if total > 0 else float(cores)


def _ticks() -> tuple[int, int] | None:
    """Time of all cores since the start, and that in which they did nothing."""
    try:
        first = _STAT.read_text(encoding="ascii").splitlines()[0].split()
        spent = [int(field) for field in first[1:9]]  # guests' time is in that of users
        return sum(spent), spent[3] + spent[4]
    except (OSError, ValueError, IndexError):
        return None
