"""What ``{{ kind:arguments }}`` in a page stands for; one module for each source of numbers."""

from markers import (  # noqa: F401 -- importing them registers markers
    backbones,
    bench,
    cluster,
    code,
    compare,
    debiasing,
    english,
    faults,
    fsdp,
    gpu,
    growth,
    methods,
    planning,
    report,
    results,
    rooms,
    scale,
    scaling,
    training,
    ways,
)
from markers.registry import MarkerError, render

__all__ = ["MarkerError", "render"]
