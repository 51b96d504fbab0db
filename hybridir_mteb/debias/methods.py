"""The four built-in methods, in NumPy on float64.

Each ``fit_…`` gives the arrays of one role, each ``apply_…`` uses them. Where an array has one row
for each language, it has one more at the end for unknown languages, which number -1 then finds.
"""

from __future__ import annotations

import numpy as np

from hybridir_mteb.errors import SettingError, from_extra, quoted
from hybridir_mteb.plugins.debias_specs import DebiasData, Debiaser, Tensors
from hybridir_mteb.plugins.hookspecs import Register, hookimpl
from hybridir_mteb.ranking.arrays import FloatArray, IntArray


def fit_centre(data: DebiasData, role: str) -> Tensors:
    """``mean``: (n_languages + 1, dimension) means of each language, and the mean of these."""
    means = np.stack([data.embeddings[role][code].mean(axis=0) for code in data.languages])
    return {"mean": np.vstack([means, means.mean(axis=0)])}


def apply_centre(vectors: FloatArray, languages: IntArray, tensors: Tensors) -> FloatArray:
    """Subtract each language's mean."""
    return np.asarray(vectors - tensors["mean"][languages])


def fit_lir(data: DebiasData, role: str) -> Tensors:
    """``components``: (n_languages + 1, k, dimension) top right singular vectors.

    Of the uncentred matrix of each language's embeddings, and at the end of all languages' pooled.

    Raises:
        SettingError: ``k`` is no whole number from 1 to the number of texts and dimensions.
    """
    found = [data.embeddings[role][code] for code in data.languages]
    k, most = data.options["k"], min(min(matrix.shape) for matrix in found)
    if not isinstance(k, int) or not 1 <= k <= most:
        raise SettingError(
            f"lir: k={quoted(k)}: expected a whole number from 1 to {most}, the smaller of texts "
            "and dimensions"
        )
    matrices = [*found, np.concatenate(found)]
    return {"components": np.stack([_right_singular(matrix, k) for matrix in matrices])}


def _right_singular(matrix: FloatArray, k: int) -> FloatArray:
    """(k, dimension) right singular vectors of the largest singular values, signs fixed."""
    vectors = np.linalg.svd(matrix, full_matrices=False)[2][:k]
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return np.asarray(vectors * np.sign(largest))  # the projection has no sign; files do


def apply_lir(vectors: FloatArray, languages: IntArray, tensors: Tensors) -> FloatArray:
    """Remove the part of each embedding that lies in its language's components."""
    out = np.array(vectors)
    for number in np.unique(languages):
        rows = languages == number
        components = tensors["components"][number].astype(np.float64)
        out[rows] -= (vectors[rows] @ components.T) @ components
    return out


def fit_shift(data: DebiasData, role: str) -> Tensors:
    """``shift``: (n_languages + 1, dimension) mean difference to the source language's embeddings.

    Times ``alpha``; zero for the source language and for unknown ones.

    Raises:
        SettingError: No text in the source language.
    """
    source, of_role = data.options["source"], data.embeddings[role]
    if source not in data.languages:
        raise SettingError(
            f"shift: source={quoted(source)} is not among the languages of the text "
            f"({', '.join(data.languages)}): add text in it, or choose another with --option "
            "source=CODE"
        )
    origin = of_role[str(source)].mean(axis=0)
    shifts = [of_role[code].mean(axis=0) - origin for code in data.languages]
    alpha = np.asarray(data.options["alpha"], np.float64)
    return {"shift": alpha * np.stack([*shifts, np.zeros_like(origin)])}


def apply_shift(vectors: FloatArray, languages: IntArray, tensors: Tensors) -> FloatArray:
    """Subtract each language's vector relative to the source language."""
    return np.asarray(vectors - tensors["shift"][languages])


def fit_leace(data: DebiasData, role: str) -> Tensors:
    """The affine eraser of the language's one-hot code, as ``concept-erasure`` gives it.

    ``left`` (dimension, n_languages), ``right`` (n_languages, dimension), ``bias`` (dimension,).
    """
    import torch

    with from_extra("debias", "fitting leace"):
        from concept_erasure import LeaceFitter

    of_role = [data.embeddings[role][code] for code in data.languages]
    labels = np.repeat(np.arange(len(of_role)), [len(matrix) for matrix in of_role])
    stacked = torch.from_numpy(np.concatenate(of_role).astype(np.float64))
    one_hot = torch.from_numpy(np.eye(len(of_role))[labels])
    eraser = LeaceFitter.fit(stacked, one_hot).eraser
    return {
        "left": eraser.proj_left.numpy(),
        "right": eraser.proj_right.numpy(),
        "bias": eraser.bias.numpy(),
    }


def apply_leace(vectors: FloatArray, languages: IntArray, tensors: Tensors) -> FloatArray:
    """Erase what a linear classifier could read the language from; needs no language."""
    left, right, bias = (tensors[n].astype(np.float64) for n in ("left", "right", "bias"))
    return np.asarray(vectors - ((vectors - bias) @ right.T) @ left.T)


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
        choices={"k": (1, 2, 3, 5, 8)},
    ),
    Debiaser(
        "shift",
        "Subtracts from passages the mean difference between their language and the source "
        "language, estimated from parallel text.",
        "Jang et al. 2026 (arXiv 2606.18801)",
        fit_shift,
        apply_shift,
        {"source": "en", "alpha": 1.0},
        roles=frozenset({"document"}),
        needs_parallel=True,
        scale="alpha",
        choices={"alpha": tuple(tenth / 10 for tenth in range(11))},
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
