"""Operations, seconds and money.

A token costs two operations a weight in a forward pass (Kaplan et al. 2020, arXiv 2001.08361), and
four for each token it attends to and each element of its queries. The backward pass takes as many
for the gradients of inputs, and once more for those of weights, which frozen weights have not.
GradCache embeds every text twice (Gao et al. 2021, 2101.06983), checkpointing computes every layer
twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import Machine
from hybridir_mteb.planning.memory import FOUR_BIT, HALF, Sharding, held, kept, weight_bytes
from hybridir_mteb.planning.networks import Network

# Through what backward needs: forward writes, reads and copies it between formats; backward reads
# it, and writes, reads and adds gradients.
FORWARD_PASSES, BACKWARD_PASSES = 3, 4
GATHERS = 2  # of sharded weights for a batch: forward and backward


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    Attributes:
        flops: Floating point operations of one device in one step.
        seconds: Of one step.
        waiting: Of them, for other devices' weights and gradients.
        steps: Of the optimiser.
        devices: How many.
        price: Of a device and hour; None is not known.
    """

    flops: float
    seconds: float
    waiting: float
    steps: int
    devices: int
    price: float | None

    @property
    def hours(self) -> float:
        """Of the whole run."""
        return self.seconds * self.steps / 3600

    @property
    def money(self) -> float | None:
        """Of all devices."""
        return None if self.price is None else self.hours * self.devices * self.price


def forward(network: Network, tokens: int) -> float:
    """Operations of one text of so many tokens."""
    of_token = 2 * network.block.weights + 4 * tokens * network.block.context
    return tokens * network.layers * of_token + 2 * network.per_text


def step_flops(job: Job) -> float:
    """Operations of one device in one step of the optimiser."""
    network, tokens = job.network, job.tokens
    once = forward(network, tokens)
    attention = 4 * tokens**2 * network.layers * network.block.context
    adapters = 2 * tokens * network.trained(job.rank) if job.rank else 0
    again = (job.mini_batch is not None) + job.checkpointing
    weights = 0 if job.rank else once - attention
    backward = once + attention + weights + 2 * adapters
    trained = job.texts * ((1 + again) * (once + adapters) + backward)
    return job.accumulation * (trained + job.taught * job.batch * once)


def step_bytes(job: Job, machine: Machine) -> float:
    """Bytes that a step moves between a device and its memory, besides products of matrices.

    Weights in 4 bits are read and written in bf16 whenever a layer is computed.
    """
    again = (job.mini_batch is not None) + job.checkpointing
    layers = (2 + again) * job.network.matrices * (FOUR_BIT + HALF) if job.four_bit else 0.0
    tokens = job.tokens * job.network.layers
    of_text = tokens * kept(job.network.block, job, held(job, machine), machine)
    passes = job.texts * (FORWARD_PASSES * (1 + again) + BACKWARD_PASSES)
    moved = (passes + FORWARD_PASSES * job.taught * job.batch) * of_text
    return job.accumulation * (moved + _calls(job) * layers)


def _calls(job: Job) -> int:
    """How often the network is called for the texts of a batch."""
    return job.columns * -(-job.batch // (job.mini_batch or job.batch))


def of_training(job: Job, machine: Machine, sharding: Sharding, devices: int) -> Cost:
    """Cost of a run; other devices' weights come while a device computes."""
    flops = step_flops(job)
    moving = step_bytes(job, machine) / machine.bandwidth
    computing = flops / machine.reached(half=job.half) + moving
    waiting = _moved(job, machine, sharding, devices) / machine.between(devices)
    seconds = max(computing, waiting)
    return Cost(flops, seconds, seconds - computing, job.steps, devices, machine.price)


def _moved(job: Job, machine: Machine, sharding: Sharding, devices: int) -> float:
    """Bytes that one device takes from the others in a step."""
    numbers, others = held(job, machine), (devices - 1) / devices
    gradients = 2 * others * job.network.trained(job.rank) * numbers.trained
    if sharding is Sharding.COPIES:
        return gradients
    times = GATHERS + (job.mini_batch is not None)
    passes = job.accumulation * (_calls(job) * times + job.taught)
    return gradients + passes * others * weight_bytes(job.network, numbers)
