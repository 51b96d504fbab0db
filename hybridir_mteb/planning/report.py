"""Plans as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from hybridir_mteb.planning import memory
from hybridir_mteb.planning.choice import ROOM, Way, chosen, fewest, ways
from hybridir_mteb.planning.corpus import CHARACTERS, ROWS, Encoding, Sharing, Texts
from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import NODE, Machine
from hybridir_mteb.planning.networks import Network

MINI_BATCH = 16  # texts at once, where a plan shows GradCache and its recipe has none
FORMULAS = {
    "weights": "2 bytes in bf16, 4 in float32; in 4 bits 0.516 with their scales, norms and tables "
    "as loaded (QLoRA, arXiv 2305.14314)",
    "gradients, optimiser": "4 and 8 bytes for each trained number (AdamW); FSDP2 divides weights, "
    "gradients and moments by the devices and gathers two layers (ZeRO, arXiv 1910.02054)",
    "activations": "for each token and layer: inputs of norms, of products, of attention and of "
    "the activation function (after arXiv 2205.05198); checkpointing keeps a layer's input alone; "
    "GradCache keeps those of one mini-batch (arXiv 2101.06983)",
    "logits": "never: an encoder has no output head",
    "operations": "2 a weight and token forward (arXiv 2001.08361), 4 a token, attended token and "
    "query element; backward once more for inputs, and for weights that are trained",
    "time": "operations / (peak x efficiency) + bytes of activations / bandwidth, or the time that "
    "other devices' weights take where it is longer",
}


@dataclass(frozen=True)
class Section:
    """A table.

    Attributes:
        title: Line above it.
        columns: Heads; none for a list of facts.
        rows: Texts, one for each column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TrainingPlan:
    """What a run needs on a machine.

    Attributes:
        name: Of the encoder that comes out.
        job: The run.
        machine: What it runs on.
        devices: How many.
    """

    name: str
    job: Job
    machine: Machine
    devices: int

    @property
    def ways(self) -> list[Way]:
        """All ways to share the run."""
        return ways(self.job, self.machine, self.devices)

    @property
    def way(self) -> Way:
        """The first way that fits, else the plainest."""
        found = self.ways
        return chosen(found) or found[0]

    def variants(self) -> dict[str, memory.Memory]:
        """Memory of one device with and without checkpointing and GradCache."""
        way = self.way
        mini = None if self.job.mini_batch else MINI_BATCH
        cached = "without GradCache" if mini is None else f"GradCache, {mini} texts at once"
        checks = not self.job.checkpointing
        checked = "checkpointing" if checks else "without checkpointing"
        changes: dict[str, dict[str, Any]] = {
            "as planned": {},
            checked: {"checkpointing": checks},
            cached: {"mini_batch": mini},
            "both changes": {"checkpointing": checks, "mini_batch": mini},
        }
        given = self.machine, way.sharding, way.devices
        return {
            name: memory.of_training(replace(way.job, **change), *given)
            for name, change in changes.items()
        }

    def sections(self) -> list[Section]:
        """The plan as tables."""
        return [
            Section(f"{self.name} on {devices_of(self.machine, self.devices)}", (), self._facts()),
            self._parts(),
            self._shared(),
        ]

    def line(self) -> str:
        """The plan in a line."""
        way = self.way
        what = "fits" if way.fits else f"does not fit, {self._remedy()}"
        return (
            f"about {gb(way.memory.total)} GB on one device of "
            f"{devices_of(self.machine, self.devices)}, {way.title}: {what}"
        )

    def _remedy(self) -> str:
        needed = fewest(self.job, self.machine)
        if needed is None or needed <= self.devices:
            return "on no number of devices: take smaller mini-batches or checkpointing"
        return f"{needed} devices would"

    def _facts(self) -> tuple[tuple[str, str], ...]:
        job, way = self.job, self.way
        at_once = f", {job.at_once} in memory at once" if job.mini_batch else ""
        lora = f"LoRA, rank {job.rank}" if job.rank else "all that can be"
        return (
            ("network", parameters(job.network)),
            ("trained", f"{job.network.trained(job.rank) / 1e6:.1f} M parameters: {lora}"),
            (
                "a step",
                f"{job.batch} pairs x {job.accumulation} on each device: "
                f"{job.texts * job.accumulation} texts of {job.tokens} tokens{at_once}",
            ),
            ("arithmetic", "bf16" if job.half else "fp32"),
            ("operations", f"{way.cost.flops / 1e12:.4g} TFLOP a step and device"),
            ("memory", self.line()),
            ("steps", str(job.steps)),
            ("time", f"{way.cost.seconds:.3g} s a step, {duration(way.cost.hours)} in all"),
            ("money", "give --price" if way.cost.money is None else _money(way.cost.money)),
        )

    def _parts(self) -> Section:
        variants = self.variants()
        rows = [
            (part, *(gb(of.parts()[part]) for of in variants.values()))
            for part in next(iter(variants.values())).parts()
        ]
        rows.append(("total", *(gb(of.total) for of in variants.values())))
        title = f"GB of one device, {self.way.title}"
        return Section(title, ("part", *variants), tuple(rows))

    def _shared(self) -> Section:
        columns = ("way", "GB a device", "fits", "s a step", "hours", "money")
        rows = [
            (
                way.title,
                gb(way.memory.total),
                "yes" if way.fits else "no",
                f"{way.cost.seconds:.3g}",
                f"{way.cost.hours:.1f}",
                _money(way.cost.money),
            )
            for way in self.ways
        ]
        said = f"Ways; {gb(self.machine.memory)} GB a device, {ROOM:.0%} of them for use"
        return Section(said, columns, tuple(rows))

    def as_json(self) -> dict[str, Any]:
        """Everything, in bytes and seconds."""
        return {
            "encoder": self.name,
            "machine": asdict(self.machine),
            "devices": self.devices,
            "job": asdict(self.job),
            "parameters": self.job.network.parameters,
            "trained": self.job.network.trained(self.job.rank),
            "chosen": self.way.title if self.way.fits else None,
            "memory": {name: _bytes(one) for name, one in self.variants().items()},
            "ways": [
                {
                    "way": way.title,
                    "fits": way.fits,
                    "memory": _bytes(way.memory),
                    **asdict(way.cost),
                    "hours": way.cost.hours,
                    "money": way.cost.money,
                }
                for way in self.ways
            ],
        }


def _bytes(found: memory.Memory) -> dict[str, float]:
    return {**found.parts(), "total": found.total}


def encoding_section(found: Sequence[tuple[Texts, Encoding]], machine: Machine) -> Section:
    """A row for each corpus and number of devices."""
    columns = ("texts", "passages", "devices", "time", "money", "GB a device", "GB of vectors")
    rows = []
    for texts, one in found:
        room = gb(one.memory) if one.fits else f"needs {one.together} devices"
        if one.fits and one.together > 1:
            room += f", {one.together} together"
        rows.append(
            (
                texts.name,
                f"{texts.passages:,}",
                str(one.devices),
                duration(one.seconds / 3600) if one.fits else "–",
                _money(one.money) if one.fits else "–",
                room,
                gb(one.disk),
            )
        )
    title = f"Encoding on {_kind(machine)}, {CHARACTERS:g} characters a token unless told"
    return Section(title, columns, tuple(rows))


def sharing_section(found: Sequence[tuple[Texts, Sharing]]) -> Section:
    """A row for each corpus."""
    columns = (
        "texts",
        "shards",
        "MB a shard",
        "MB a worker",
        "MB of the driver",
        "GB of ids",
    )
    rows = [
        (
            texts.name,
            f"{one.shards:,}",
            *(f"{size / 1e6:,.1f}" for size in (one.shard, one.worker, one.driver)),
            gb(one.ids),
        )
        for texts, one in found
    ]
    title = f"On a cluster, shards of {ROWS} passages; memory beside the network and libraries"
    return Section(title, columns, tuple(rows))


def formulas() -> Section:
    """How all numbers are computed, with sources."""
    return Section("How it is computed", (), tuple(FORMULAS.items()))


def parameters(network: Network) -> str:
    """Parameters of a network in words."""
    head = f"; {network.published / 1e9:.3g} G with the output head, which is not"
    known = "" if network.exact else " (guessed from layers and width)"
    head = head if network.head else ""
    return f"{network.parameters / 1e9:.3g} G parameters are loaded{head}{known}"


def devices_of(machine: Machine, devices: int) -> str:
    """Devices in words."""
    return f"{devices} x {_kind(machine)}"


def _kind(machine: Machine) -> str:
    """Name of one device."""
    return machine.name.removesuffix(f"-{NODE}")


def gb(size: float) -> str:
    """Bytes as GB, with three digits or none behind the point."""
    return f"{size / 1e9:.3g}" if size < 1e12 else f"{size / 1e9:,.0f}"


def duration(hours: float) -> str:
    """Hours, or minutes, or seconds, in words."""
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.1f} s"


def _money(money: float | None) -> str:
    return "–" if money is None else f"{money:,.2f}"
