"""The built-in debiasers, as data; nothing is computed here."""

from __future__ import annotations

from hybridir_mteb.debias.methods import (
    apply_centre,
    apply_leace,
    apply_lir,
    apply_shift,
    fit_centre,
    fit_leace,
    fit_lir,
    fit_shift,
)
from hybridir_mteb.hookspecs import Register, hookimpl
from hybridir_mteb.specs import Debiaser

DEBIASERS = (
    Debiaser(
        "centre",
        "Subtracts the mean of the text's language.",
        "Libovický et al. 2020 (Findings of EMNLP)",
        fit_centre,
        apply_centre,
    ),
    Debiaser(
        "lir",
        "Removes the top k principal components of the text's language.",
        "Yang et al. 2021 (EMNLP)",
        fit_lir,
        apply_lir,
        {"k": 1},
    ),
    Debiaser(
        "shift",
        "Subtracts from passages the mean difference between their language and the source "
        "language, estimated from parallel text.",
        "Jang et al. 2026 (arXiv 2606.18801)",
        fit_shift,
        apply_shift,
        {"source": "en"},
        roles=frozenset({"document"}),
        needs_parallel=True,
    ),
    Debiaser(
        "leace",
        "Erases everything that a linear classifier can read the language from.",
        "LEACE, Belrose et al. 2023 (arXiv 2306.03819)",
        fit_leace,
        apply_leace,
        uses_language=False,
    ),
)


@hookimpl
def register_debiasers(register: Register) -> None:
    """Register the built-in debiasers."""
    for debiaser in DEBIASERS:
        register(debiaser)
