"""Estimates the statistics of a debiaser from embeddings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybridir_mteb.debias.fitted import REAL, UNKNOWN, FittedDebiaser
from hybridir_mteb.errors import HybridIRError, PluginError, SettingError, quoted, suggest
from hybridir_mteb.files.numbers import number, written_number, written_whole
from hybridir_mteb.plugins.specs import ROLES, DebiasData, Debiaser, OptionValue, Tensors
from hybridir_mteb.ranking.arrays import FloatArray, check_embeddings

UNIT_LENGTH_TOLERANCE = 1e-2  # arithmetic in bf16 included: the type is no longer visible
TRIED = 3  # embeddings of each language


def chosen_options(debiaser: Debiaser, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """The debiaser's options with the given values; text becomes what the default is.

    Raises:
        SettingError: An unknown option, or a value of another type than the default.
    """
    options = dict(debiaser.options)
    for name, value in given.items():
        if name not in options:
            raise SettingError(
                f"debiaser {debiaser.name} has no option {quoted(name)}{suggest(name, options)} "
                f"(it has {', '.join(sorted(options)) or 'none'})"
            )
        options[name] = _like(options[name], value, f"option {name} of {debiaser.name}")
    return options


def _like(default: OptionValue, value: OptionValue, what: str) -> OptionValue:
    kind = type(default)
    try:
        if isinstance(value, str) and kind in {int, float}:
            found = written_whole(value) if kind is int else written_number(value)
            value = value if found is None else found
        if isinstance(value, str) and kind is tuple:
            return tuple(part.strip() for part in value.split(","))
        if isinstance(value, str) and kind is bool:
            return {"true": True, "false": False}[value.lower()]
    except (ValueError, KeyError):
        pass
    else:
        fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
        fits = fits and not (isinstance(value, float) and number(value) is None)
        if fits and isinstance(value, bool) == (kind is bool):  # True is an int to Python
            return value
    raise SettingError(
        f"{what} is of type {kind.__name__}, such as {default!r}, not {quoted(value, 80)}"
    )


def fit(
    debiaser: Debiaser,
    embeddings: Mapping[str, Mapping[str, FloatArray]],
    *,
    parallel: bool,
    options: Mapping[str, OptionValue] | None = None,
) -> FittedDebiaser:
    """Statistics of a debiaser.

    Args:
        debiaser: The method.
        embeddings: Role -> language -> (n_texts, dimension), both roles with the same languages.
        parallel: Whether row i is the same sentence in every language.
        options: Values that replace the method's defaults.

    Raises:
        SettingError: The method needs parallel text, or an option makes no sense.
        EmbeddingError: NaN, infinity, or dimensions that differ, before or after debiasing.
        PluginError: The method fails, or gives no named arrays.
    """
    chosen = chosen_options(debiaser, options or {})
    languages = tuple(sorted(embeddings[ROLES[0]]))
    check_parallel(debiaser, parallel)
    dimension = next(iter(embeddings[ROLES[0]].values())).shape[1]
    for role in ROLES:
        for code in languages:
            check_embeddings(embeddings[role][code], f"{role} text in {quoted(code)}", dimension)
    exact = {
        role: {code: np.asarray(embeddings[role][code], np.float64) for code in languages}
        for role in ROLES
    }
    data = DebiasData(languages, exact, parallel, chosen)
    tensors = {role: _statistics(debiaser, data, role) for role in sorted(debiaser.roles)}
    unit_length = _unit_length(exact)
    fitted = FittedDebiaser(debiaser, languages, tensors, chosen, dimension, unit_length)
    _try(fitted, exact)
    return fitted


def _statistics(debiaser: Debiaser, data: DebiasData, role: str) -> Tensors:
    """The named arrays of one role, checked."""
    try:
        found = debiaser.fit(data, role)
    except HybridIRError:
        raise
    except Exception as error:
        raise PluginError(
            f"debiaser {debiaser.name}: fit fails for role {role}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, Mapping):
        raise PluginError(
            f"debiaser {debiaser.name}: fit returned {type(found).__name__}, expected a mapping of "
            "names to NumPy arrays"
        )
    for name, array in found.items():
        real = isinstance(array, np.ndarray) and array.dtype.kind in REAL
        if not isinstance(name, str) or not name or not real:
            raise PluginError(
                f"debiaser {debiaser.name}: fit returned {quoted(name)} of type "
                f"{getattr(array, 'dtype', type(array).__name__)}, expected names and NumPy arrays "
                "of real numbers"
            )
    return _in_float32(found)


def _try(fitted: FittedDebiaser, embeddings: Mapping[str, Mapping[str, FloatArray]]) -> None:
    """Apply it to a few embeddings of each language, and of unknown ones, before it is kept."""
    for role in sorted(fitted.debiaser.roles):
        few = [embeddings[role][code][:TRIED] for code in fitted.languages]
        numbers = np.repeat(np.arange(len(few)), [len(part) for part in few])
        unknown = np.full(len(numbers), UNKNOWN)
        stacked = np.concatenate(few)
        if fitted.needs_languages(role):
            fitted.apply(stacked, numbers, role)
        fitted.apply(stacked, unknown, role)


def check_parallel(debiaser: Debiaser, parallel: bool) -> None:
    """Refuse text that is not parallel for a method that needs it.

    Raises:
        SettingError: It is such a method.
    """
    if debiaser.needs_parallel and not parallel:
        raise SettingError(
            f"{debiaser.name} needs line-parallel text: line i of every file is the same sentence, "
            "so all have equally many lines. Give such files, or leave --text out (NTREX-128)"
        )


def _in_float32(tensors: Tensors) -> Tensors:
    """As they are stored, so that a fitted debiaser and a loaded one do the same to the bit."""
    return {
        name: np.asarray(array, np.float32 if np.issubdtype(array.dtype, np.floating) else None)
        for name, array in tensors.items()
    }


def _unit_length(embeddings: Mapping[str, Mapping[str, FloatArray]]) -> bool:
    return all(
        bool((np.abs(np.linalg.norm(matrix, axis=1) - 1) <= UNIT_LENGTH_TOLERANCE).all())
        for of_role in embeddings.values()
        for matrix in of_role.values()
    )
