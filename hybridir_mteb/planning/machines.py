"""Machines that runs are planned for: a table, users' own files, and the processor at hand.

Figures are the makers' data sheets, without sparsity; memory is what torch reports.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hybridir_mteb.errors import (
    DataUnavailableError,
    SettingError,
    UnknownNameError,
    printable,
    quoted,
    suggest,
)
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.paths import with_home
from hybridir_mteb.training.plain_yaml import read_settings
from hybridir_mteb.training.recipe import Number, Whole

THIS = "this-cpu"
GIB = 2**30
NODE = 8  # devices of one node
# Share of the peak that long products of matrices reach on a GPU, with their launches.
OF_PEAK = 0.5
# The same on a processor, of the peaks that are measured: layers do more than products of matrices,
# which weighs more where these are fast. Set beside what training took (``make plan-check``).
OF_MEASURED_PEAK = 0.6
OF_MEASURED_PEAK_OF_ONEDNN = 0.4  # in float32, where it is the faster library
OF_MEASURED_PEAK_IN_BF16 = 0.5
_SIDE, _ELEMENTS = 768, 1 << 24  # of what is timed on the processor at hand


@dataclass(frozen=True)
class Machine:
    """Devices of one kind.

    Attributes:
        name: As on the command line.
        memory: Bytes of one device.
        bf16: Floating point operations a second in bf16, at the peak.
        fp32: The same in float32.
        bandwidth: Bytes a second between a device and its memory.
        link: Bytes a second that a device takes from others of its node.
        network: Bytes a second that a device takes from other nodes.
        devices: How many devices a plan has unless it is told.
        efficiency: Share of the peak that products of matrices reach.
        efficiency_in_bf16: The same in bf16; None is the same.
        gpu: Whether it is one; on a processor attention in bf16 keeps its scores.
        price: Of a device and hour, in any currency; None is not known.
        half: Whether ``precision: auto`` is bf16 on it.
    """

    name: str
    memory: float
    bf16: float
    fp32: float
    bandwidth: float
    link: float = 1e10
    network: float = 1e10
    devices: int = 1
    efficiency: float = OF_PEAK
    gpu: bool = True
    price: float | None = None
    half: bool = True
    efficiency_in_bf16: float | None = None

    def reached(self, *, half: bool) -> float:
        """Operations a second that are reached, in bf16 or float32."""
        if not half:
            return self.fp32 * self.efficiency
        return self.bf16 * (self.efficiency_in_bf16 or self.efficiency)

    def between(self, devices: int) -> float:
        """Bytes a second that one of so many devices takes from the others.

        What comes from other nodes comes once for all devices of a node, by the ways of all.
        """
        return self.link if devices <= NODE else min(self.link, NODE * self.network)


_H100 = Machine("h100", 79.1 * GIB, 989e12, 67e12, 3.35e12, 450e9, 50e9)
_A100 = Machine("a100-80", 79.2 * GIB, 312e12, 19.5e12, 2.04e12, 300e9, 25e9)
_ONE = (
    _H100,
    replace(_H100, name="h200", memory=139.8 * GIB, bandwidth=4.8e12),
    _A100,
    replace(_A100, name="a100-40", memory=39.4 * GIB, bandwidth=1.56e12),
    Machine("l4", 22.0 * GIB, 121e12, 30.3e12, 0.3e12, 32e9, 12.5e9),
)
MACHINES = {
    machine.name: machine
    for one in _ONE
    for machine in (one, replace(one, name=f"{one.name}-{NODE}", devices=NODE))
}


class _Fields(BaseModel):
    """A machine in a user's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory_gb: Number = Field(gt=0)
    bf16_tflops: Number = Field(gt=0)
    fp32_tflops: Number = Field(gt=0)
    bandwidth_gb_s: Number = Field(gt=0)
    link_gb_s: Number = Field(default=10.0, gt=0)
    network_gb_s: Number = Field(default=10.0, gt=0)
    devices: Whole = Field(default=1, ge=1)
    efficiency: Number = Field(default=OF_PEAK, gt=0, le=1)
    gpu: bool = True
    price: Number | None = Field(default=None, ge=0)
    half: bool = True

    def machine(self, name: str) -> Machine:
        """The machine, in units without prefixes."""
        return Machine(
            name,
            self.memory_gb * 1e9,
            *(self.bf16_tflops * 1e12, self.fp32_tflops * 1e12),
            *(self.bandwidth_gb_s * 1e9, self.link_gb_s * 1e9, self.network_gb_s * 1e9),
            self.devices,
            self.efficiency,
            self.gpu,
            self.price,
            self.half,
        )


def machine_of(name: str, file: Path | None = None) -> Machine:
    """The machine of a name: a user's own, the table's, or the processor at hand.

    Raises:
        UnknownNameError: There is none of that name.
        SettingError: The file is malformed.
        DataUnavailableError: There is no such file.
    """
    own = read_machines(file) if file else {}
    if name == THIS and name not in own:
        return measured()
    known = {**MACHINES, **own}
    if name not in known:
        names = ", ".join([*known, THIS])
        raise UnknownNameError(
            f"unknown machine {quoted(name)}{suggest(name, [*known, THIS])} (known: {names}; your "
            "own: --machines FILE)"
        )
    return known[name]


def read_machines(file: Path) -> dict[str, Machine]:
    """Machines of a user's file, by name: a table in YAML, TOML or JSON.

    Raises:
        SettingError: It is malformed; the message names machine and field.
        DataUnavailableError: There is no such file.
    """
    file = with_home(file, "--machines")
    found = {}
    for name, fields in _table(file).items():
        try:
            found[str(name)] = _Fields.model_validate(fields).machine(str(name))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, (name, *fault["loc"])))
            said = fault["msg"].removeprefix("Value error, ")
            raise SettingError(f"{file}: {printable(where, 80)}: {printable(said, 200)}") from error
    return found


def _table(file: Path) -> dict[Any, Any]:
    if not file.is_file():
        raise DataUnavailableError(f"{file}: no such file of machines")
    if file.suffix == ".json":
        return read_json_object(file)
    found = read_settings(file)
    if not isinstance(found, dict):
        raise SettingError(f"{file}: expected a table of machines by name, such as mine: {{…}}")
    return found


@cache
def measured() -> Machine:
    """The processor at hand: products of matrices and an elementwise function are timed briefly."""
    import torch

    from hybridir_mteb.encoders.processor import WORTH_BF16, least_seconds, peak
    from hybridir_mteb.encoders.products import Library, library
    from hybridir_mteb.encoders.token_budget import Precision

    square = torch.nn.Linear(_SIDE, _SIDE, bias=False)
    half, whole = (peak(square, _SIDE, one) for one in (Precision.BF16, Precision.FP32))
    values, result = torch.ones(_ELEMENTS), torch.ones(_ELEMENTS)  # not new memory each time
    passed = least_seconds(lambda: torch.sigmoid(values, out=result))
    bandwidth = 2 * 4 * _ELEMENTS / passed
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    by_onednn = library() is Library.ONEDNN
    return Machine(
        *(THIS, memory, half, whole, bandwidth),
        efficiency=OF_MEASURED_PEAK_OF_ONEDNN if by_onednn else OF_MEASURED_PEAK,
        gpu=False,
        half=half >= WORTH_BF16 * whole,
        efficiency_in_bf16=OF_MEASURED_PEAK_IN_BF16,
    )
