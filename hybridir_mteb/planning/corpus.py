"""Encoding texts for evaluation: hours, money, and room for the embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hybridir_mteb.planning.choice import ROOM
from hybridir_mteb.planning.cost import FORWARD_PASSES, forward
from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import Machine
from hybridir_mteb.planning.memory import WHOLE, held, kept, weight_bytes
from hybridir_mteb.planning.networks import Network

BUDGET = {True: 32_768, False: 1024}  # tokens of a batch, on a GPU or not: encoders/token_budget.py
CHARACTERS = 3.5  # of a token, over many languages; a tokenizer may need fewer or more
SPECIAL = 2  # tokens that a tokenizer adds to a text
DEVICES = (1, 8, 64)
ROWS = 8192  # passages of a shard: adapters/mteb/shards.py
COPIES = 3  # of the vectors of a shard while it is made: ranking/shards/fill.py
OF_TEXT = 2 * 2  # bytes of a character, in a text and again with its title: most scripts have 2
OF_ID = 26  # bytes on disk: the id, its end and its hash
OF_SHARD = 6000  # bytes that a driver keeps of a finished shard: checksums and dates of its files
OF_IDS = 6 << 20  # bytes of ids of which it looks at once which occur twice: files/repeats.py
HASH = 8  # bytes of an id on its disk meanwhile


@dataclass(frozen=True)
class Texts:
    """What is to be encoded.

    Attributes:
        name: Of the task or collection.
        passages: How many different ones.
        queries: How many different ones.
        characters: Of a passage, on average.
        asked: Characters of a query, on average.
    """

    name: str
    passages: int
    queries: int
    characters: float
    asked: float


MIRACL_TEXTS = Texts("MIRACL", 106_332_152, 13_490, 350.6, 36.5)  # as MTEB counts them


@dataclass(frozen=True)
class Encoding:
    """What encoding takes.

    Attributes:
        devices: How many.
        together: How many of them hold one network between them.
        fits: Whether the devices hold one at all.
        seconds: Of all texts.
        money: Of all devices; None without a price.
        memory: Bytes of one device.
        disk: Bytes of the embeddings in float32.
    """

    devices: int
    together: int
    fits: bool
    seconds: float
    money: float | None
    memory: float
    disk: float


@dataclass(frozen=True)
class Sharing:
    """What it takes to share out the passages on a cluster, beside the network in each worker.

    Attributes:
        shards: How many there will be.
        shard: Bytes of one on disk, in float32.
        worker: Bytes of texts and vectors in a worker.
        driver: Bytes in the driver, beside what it has loaded.
        ids: Bytes on the driver's disk while it looks for ids that occur twice.
    """

    shards: int
    shard: float
    worker: float
    driver: float
    ids: float


def sharing(network: Network, texts: Texts) -> Sharing:
    """What it takes to share out some texts; none of it depends on how many workers there are."""
    shards, vectors = math.ceil(texts.passages / ROWS), ROWS * network.dimension * float(WHOLE)
    return Sharing(
        shards,
        vectors + ROWS * OF_ID,
        COPIES * vectors + ROWS * OF_TEXT * texts.characters,
        OF_IDS + shards * OF_SHARD,
        HASH * texts.passages,
    )


def tokens_of(characters: float) -> int:
    """Tokens of a text of so many characters."""
    return max(1, round(characters / CHARACTERS)) + SPECIAL


def encoding(
    network: Network, texts: Texts, machine: Machine, devices: int, tokens: int | None = None
) -> Encoding:
    """What encoding some texts takes, queries included, each device taking its share.

    ``tokens`` is of a passage, on average; None takes the number that its characters make.
    """
    long, short = tokens or tokens_of(texts.characters), tokens_of(texts.asked)
    seconds = sum(
        count * _seconds(network, length, machine) / devices
        for count, length in ((texts.passages, long), (texts.queries, short))
    )
    job = Job(network, 2, long, half=machine.gpu)
    numbers = held(job, machine)
    weights = weight_bytes(network, numbers)
    working = BUDGET[machine.gpu] * kept(network.block, job, numbers, machine)
    room = ROOM * machine.memory - working
    together = max(1, math.ceil(weights / room)) if room > 0 else devices + 1
    return Encoding(
        devices,
        together,
        together <= devices,
        seconds,
        None if machine.price is None else seconds / 3600 * devices * machine.price,
        weights / together + working,
        texts.passages * network.dimension * float(WHOLE),
    )


def _seconds(network: Network, tokens: int, machine: Machine) -> float:
    """Of one text on one device."""
    job = Job(network, 2, tokens, half=machine.gpu)
    moved = FORWARD_PASSES * kept(network.block, job, held(job, machine), machine)
    computing = forward(network, tokens) / machine.reached(half=job.half)
    return computing + tokens * network.layers * moved / machine.bandwidth


def texts_a_second(network: Network, tokens: int, machine: Machine) -> float:
    """How many texts of so many tokens one device encodes in a second."""
    return 1 / _seconds(network, tokens, machine)
