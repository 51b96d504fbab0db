"""Ways to share a run among devices, and the first of them that fits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hybridir_mteb.planning import cost, memory
from hybridir_mteb.planning.cost import Cost
from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import NODE, Machine
from hybridir_mteb.planning.memory import Memory, Sharding

ROOM = 0.9  # of a device's memory: the rest is the driver's, and lost between blocks
MOST = 4096  # devices that are tried


@dataclass(frozen=True)
class Way:
    """One way to run a job.

    Attributes:
        job: The run; weights in 4 bits may have been put in.
        sharding: How devices share it.
        devices: How many.
        memory: Of one device.
        cost: Of the run.
        fits: Whether the memory is there.
    """

    job: Job
    sharding: Sharding
    devices: int
    memory: Memory
    cost: Cost
    fits: bool

    @property
    def title(self) -> str:
        """How it is called in tables."""
        how = "one device" if self.devices == 1 else str(self.sharding)
        return f"{how}, frozen weights in 4 bits" if self.job.four_bit else how


def way(job: Job, machine: Machine, sharding: Sharding, devices: int) -> Way:
    """A way with its memory and cost."""
    needed = memory.of_training(job, machine, sharding, devices)
    spent = cost.of_training(job, machine, sharding, devices)
    return Way(job, sharding, devices, needed, spent, needed.total <= ROOM * machine.memory)


def ways(job: Job, machine: Machine, devices: int) -> list[Way]:
    """All ways, the plainest first; weights in 4 bits are frozen, and each device has them all."""
    packed = replace(job, four_bit=True)
    found = [] if job.four_bit else [way(job, machine, Sharding.COPIES, devices)]
    if devices > 1 and not job.four_bit:
        found.append(way(job, machine, Sharding.SHARDS, devices))
    if job.rank:
        found.append(way(packed, machine, Sharding.COPIES, devices))
    return found


def chosen(found: list[Way]) -> Way | None:
    """The first way that fits."""
    return next((one for one in found if one.fits), None)


def fewest(job: Job, machine: Machine) -> int | None:
    """The fewest devices on which the job fits as it is: one, two, four, eight, whole nodes."""
    devices = 1
    while devices <= MOST:
        found = ways(job, machine, devices)
        if any(one.fits and one.job == job for one in found):
            return devices
        devices = devices * 2 if devices < NODE else devices + NODE
    return None
