"""Memory of one device, part by part.

Weights, gradients and optimiser are counted as Rajbhandari et al. 2020 (ZeRO, arXiv 1910.02054) do;
weights in 4 bits as Dettmers et al. 2023 (QLoRA, 2305.14314, section 3); activations tensor by
tensor, in the manner of Korthikanti et al. 2022 (2205.05198), for the layers and the adapters that
are trained here; mini-batches as in GradCache (Gao et al. 2021, 2101.06983).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import Machine
from hybridir_mteb.planning.networks import Block, Network

FOUR_BIT = (4 + 8 / 64 + 32 / (64 * 256)) / 8  # bytes of a weight, its two scales included
HALF, WHOLE = 2, 4  # bytes of a number
MOMENTS = 2  # of AdamW, each as large as what is trained
ROWS = 8  # texts that a processor embeds at a time: training/by_length.py
GATHERED = 2  # layers that FSDP2 holds whole: the one at work and the next


class Sharding(StrEnum):
    """How devices share a run."""

    COPIES = "a copy on each device (DDP)"
    SHARDS = "sharded (FSDP2)"


@dataclass(frozen=True)
class Held:
    """Bytes of the numbers of a run, by what they are.

    Attributes:
        matrix: A weight of a linear layer.
        rest: A weight of tables and norms.
        trained: A number that training changes, its gradient and each of its two moments.
        stream: An element of the residual stream.
        product: An element that a product of matrices reads or gives.
        attention: An element of queries, keys and values.
    """

    matrix: float
    rest: float
    trained: int
    stream: int
    product: int
    attention: int


@dataclass(frozen=True)
class Memory:
    """Bytes of one device.

    Attributes:
        weights: Parameters of the network.
        adapters: Parameters of LoRA.
        gradients: Of what is trained.
        optimiser: Moments of what is trained.
        activations: What backward needs of the texts that are in memory at once.
        embeddings: Of all texts of the batch, and their similarities.
        working: What a layer needs while it is computed; layers that FSDP2 has gathered.
        logits: Scores over the vocabulary, which no encoder computes.
    """

    weights: float
    adapters: float
    gradients: float
    optimiser: float
    activations: float
    embeddings: float
    working: float
    logits: float = 0.0

    @property
    def total(self) -> float:
        """All parts."""
        return float(sum(self.parts().values()))

    def parts(self) -> dict[str, float]:
        """Bytes by the name of the part."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def held(job: Job, machine: Machine) -> Held:
    """In which numbers a run holds what.

    Decoders are loaded in bf16 on a GPU, all else in float32; frozen matrices of other networks are
    in bf16 if arithmetic is. Adapters and their moments are in float32.
    """
    decoder, adapted = job.network.decoder, job.rank is not None
    loaded = HALF if decoder and machine.gpu else WHOLE
    matrix: float = HALF if adapted and job.half and not decoder else loaded
    product = HALF if job.half else loaded
    return Held(
        FOUR_BIT if job.four_bit else matrix,
        loaded,
        WHOLE if adapted else loaded,
        loaded,
        product,
        product if machine.gpu else WHOLE,  # a processor computes attention in float32
    )


def of_training(job: Job, machine: Machine, sharding: Sharding, devices: int) -> Memory:
    """Memory of one of so many devices in training."""
    numbers, network = held(job, machine), job.network
    shards = devices if sharding is Sharding.SHARDS else 1
    trained = network.trained(job.rank) * numbers.trained
    weights = weight_bytes(network, numbers)
    buckets = 2 if sharding is Sharding.COPIES and devices > 1 else 1  # DDP copies gradients
    gathered = 0.0
    if sharding is Sharding.SHARDS:
        layer = network.matrices / network.layers * numbers.matrix
        gathered = min(network.layers, GATHERED) * layer + network.tables * numbers.rest
    working = rows_of(job, machine) * job.tokens * kept(network.block, job, numbers, machine)
    return Memory(
        weights / shards,
        (trained / shards) if job.rank else 0.0,
        buckets * trained / shards,
        MOMENTS * trained / shards,
        activations(job, numbers, machine),
        _embeddings(job, devices),
        working + gathered + (network.block.largest * HALF if job.four_bit else 0),
    )


def weight_bytes(network: Network, numbers: Held) -> float:
    """Bytes of all parameters as they are loaded."""
    others = network.parameters - network.matrices - network.tables
    tables = network.tables * (network.table_bytes or numbers.rest)
    return network.matrices * numbers.matrix + others * numbers.rest + tables


def activations(job: Job, numbers: Held, machine: Machine) -> float:
    """Bytes that backward needs of the texts in memory at once.

    With checkpointing, a layer keeps its input alone. Frozen weights in float32 are copied to bf16
    in every call of the network, if arithmetic is.
    """
    tokens, layers = job.at_once * job.tokens, job.network.layers
    if job.checkpointing:
        return tokens * layers * job.network.hidden * numbers.stream
    copied = job.half and job.rank is not None and numbers.matrix == WHOLE
    calls = -(-job.at_once // rows_of(job, machine)) if copied else 0
    copies = calls * job.network.matrices * HALF
    return tokens * layers * kept(job.network.block, job, numbers, machine) + copies


def rows_of(job: Job, machine: Machine) -> int:
    """Texts of one call of the network."""
    return min(job.mini_batch or (job.batch if machine.gpu else ROWS), job.at_once)


def kept(block: Block, job: Job, numbers: Held, machine: Machine) -> float:
    """Bytes that backward needs of one token in one layer.

    Inputs of norms in float32; the inputs of the matrices that are trained or have adapters, once
    for each adapter if they are converted or go through dropout; queries, keys and values;
    scores of attention where it is computed plainly, on a processor in bf16; and what the
    activation function reads and gives.
    """
    inputs = 0.0
    for read in block.reads:
        copies = 1
        size: float = numbers.product
        if job.rank and job.dropout:
            copies = len(read.outputs)
            mask = numbers.stream if read.wide else numbers.product
            size += 1 if machine.gpu else mask
        elif read.wide and numbers.stream != numbers.product:
            copies = len(read.outputs)
        inputs += copies * read.width * size
    adapters = (job.rank or 0) * sum(len(read.outputs) for read in block.reads) * numbers.product
    norms = block.normed * WHOLE * (2 if block.rms and not job.rank else 1)
    scores = 0 if machine.gpu or not job.half else block.heads * job.tokens * WHOLE
    attention = 3 * block.context * numbers.attention + scores
    return inputs + adapters + norms + attention + block.kept * numbers.product


def _embeddings(job: Job, devices: int) -> float:
    """Embeddings of a batch, with gradients; scores of queries and candidates, thrice."""
    others = devices - 1 if job.gathers else 0
    foreign = others * job.batch * job.candidates
    scores = 3 * job.batch * (job.batch * job.candidates + foreign)
    return WHOLE * (job.network.dimension * (2 * job.texts + foreign) + scores)
