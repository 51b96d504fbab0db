"""Registers the built-in measures, through the same hook as anybody's."""

from __future__ import annotations

from hybridir_mteb.hookspecs import Register, hookimpl
from hybridir_mteb.metrics.effectiveness import EFFECTIVENESS
from hybridir_mteb.metrics.language_bias import LANGUAGE_BIAS


@hookimpl
def register_measures(register: Register) -> None:
    """Register the built-in measures."""
    for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS):
        register(measure)
