"""Registers the built-in measures, through the same hook as anybody's."""

from __future__ import annotations

from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.plugins.hookspecs import Register, hookimpl

BUILT_IN = {measure.name: measure for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS)}


@hookimpl
def register_measures(register: Register) -> None:
    """Register the built-in measures."""
    for measure in BUILT_IN.values():
        register(measure)
