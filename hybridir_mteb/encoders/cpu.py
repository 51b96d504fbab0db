"""What computes: the processor's name, what it can do, how many cores this process may use."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path

from hybridir_mteb.encoders.threads import allowed_cores


@cache
def processor_name() -> str:
    """The maker's name of the processor."""
    return _field("model name") or platform.processor() or platform.machine()


def processor() -> tuple[str, str, float]:
    """Name, instructions, and how many cores this process may use: what tells two apart."""
    return processor_name(), _field("flags") or _field("Features"), allowed_cores()


def device_name(kind: str) -> str:
    """The maker's name of what computes.

    Args:
        kind: Of torch's device: ``cuda`` is the GPU at hand, all else the processor.
    """
    import torch

    return torch.cuda.get_device_name() if kind == "cuda" else f"{kind} {processor_name()}"


@cache
def _field(name: str) -> str:
    """A field of the first processor that the system lists; empty if it lists none."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
