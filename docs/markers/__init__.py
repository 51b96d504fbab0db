"""What ``{{ kind:arguments }}`` in a page stands for; one module for each source of numbers."""

from markers import (
    backbones,
    bench,
    code,
    compare,
    debiasing,
    faults,
    methods,
    results,
    rooms,
    scale,
    ways,
)
from markers.registry import MarkerError, render

MODULES = (
    backbones,
    bench,
    code,
    compare,
    debiasing,
    faults,
    methods,
    results,
    rooms,
    scale,
    ways,
)  # importing them registers markers

__all__ = ["MODULES", "MarkerError", "render"]
