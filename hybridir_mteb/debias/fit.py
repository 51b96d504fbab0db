"""Estimates the statistics of a debiaser from embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hybridir_mteb.debias.choice import AUTO, Embeddings, check_choice, choose, left_open
from hybridir_mteb.debias.fitted import REAL, UNKNOWN, FittedDebiaser
from hybridir_mteb.errors import HybridIRError, PluginError, SettingError, quoted, suggest
from hybridir_mteb.files.numbers import number, written_number, written_whole
from hybridir_mteb.plugins.debias_specs import ROLES, DebiasData, Debiaser, Tensors
from hybridir_mteb.plugins.settings import OptionValue
from hybridir_mteb.ranking.arrays import FloatArray, check_embeddings

UNIT_LENGTH_TOLERANCE = 1e-2  # arithmetic in bf16 included: the type is no longer visible
TRIED = 3  # embeddings of each language


def chosen_options(debiaser: Debiaser, given: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    """The debiaser's options with the given values; text becomes what the default is.

    ``auto`` stays where it is to be replaced by a chosen value.

    Raises:
        SettingError: An unknown option, a value of another type than the default, or a scale that
            is not from 0 to 1.
    """
    options = dict(debiaser.options)
    for name, value in given.items():
        if name not in options:
            raise SettingError(
                f"debiaser {debiaser.name} has no option {quoted(name)}{suggest(name, options)} "
                f"(it has {', '.join(sorted(options)) or 'none'})"
            )
        if value == AUTO and name in debiaser.choices:
            options[name] = AUTO
            continue
        what = f"option {name} of {debiaser.name}"
        options[name] = found = _like(options[name], value, what, auto=name in debiaser.choices)
        if name == debiaser.scale and not (isinstance(found, float) and 0 <= found <= 1):
            raise SettingError(f"{what} is {quoted(value, 80)}: expected a number from 0 to 1")
    return options


def _like(default: OptionValue, value: OptionValue, what: str, *, auto: bool) -> OptionValue:
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
        same = number(value) if kind is float else value  # 1 and 1.0 are one fingerprint
        if isinstance(same, kind) and isinstance(same, bool) == (kind is bool):  # True is an int
            return same
    raise SettingError(
        f"{what} is of type {kind.__name__}, such as {default!r}{f' or {AUTO}' if auto else ''}, "
        f"not {quoted(value, 80)}"
    )


def checked_options(
    debiaser: Debiaser, given: Mapping[str, OptionValue], *, parallel: bool, lines: int
) -> dict[str, OptionValue]:
    """The debiaser's options, given ones for defaults, with all checks that need no embeddings.

    ``lines`` are those of the language that has fewest.

    Raises:
        SettingError: An option that makes no sense, or text that the method cannot be fitted on.
    """
    options = chosen_options(debiaser, given)
    check_parallel(debiaser, parallel)
    check_choice(debiaser, options, parallel=parallel, lines=lines)
    return options


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
        SettingError: The method needs parallel text, an option makes no sense, or there are too few
            lines to choose one.
        EmbeddingError: NaN, infinity, or dimensions that differ, before or after debiasing.
        PluginError: The method fails, or gives no named arrays.
    """
    languages = tuple(sorted(embeddings[ROLES[0]]))
    lines = min(len(matrix) for matrix in embeddings[ROLES[0]].values())
    chosen = checked_options(debiaser, options or {}, parallel=parallel, lines=lines)
    dimension = next(iter(embeddings[ROLES[0]].values())).shape[1]
    for role in ROLES:
        for code in languages:
            check_embeddings(embeddings[role][code], f"{role} text in {quoted(code)}", dimension)
    exact = {
        role: {code: np.asarray(embeddings[role][code], np.float64) for code in languages}
        for role in ROLES
    }

    def fit_with(options: Mapping[str, OptionValue], some: Embeddings) -> FittedDebiaser:
        return _fit(debiaser, DebiasData(languages, some, parallel, options), dimension)

    option = left_open(debiaser, chosen)
    if option is None:
        return fit_with(chosen, exact)
    values = debiaser.choices[option]
    choice = choose(option, values, exact, lambda v, some: fit_with({**chosen, option: v}, some))
    return replace(fit_with({**chosen, option: choice.value}, exact), choice=choice)


def _fit(debiaser: Debiaser, data: DebiasData, dimension: int) -> FittedDebiaser:
    """The debiaser with its statistics, tried out."""
    tensors = {role: _statistics(debiaser, data, role) for role in sorted(debiaser.roles)}
    # Statistics of version 0.1 have no scale, and theirs is 1.
    kept = {n: v for n, v in data.options.items() if n != debiaser.scale or v != 1}
    matrices = [matrix for of_role in data.embeddings.values() for matrix in of_role.values()]
    off = (np.abs(np.linalg.norm(matrix, axis=1) - 1).max() for matrix in matrices)
    unit_length = bool(all(far <= UNIT_LENGTH_TOLERANCE for far in off))
    fitted = FittedDebiaser(debiaser, data.languages, tensors, kept, dimension, unit_length)
    _try(fitted, data.embeddings)
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
    # As they are stored, so that a fitted debiaser and a loaded one do the same to the bit.
    return {
        name: np.asarray(array, np.float32 if np.issubdtype(array.dtype, np.floating) else None)
        for name, array in found.items()
    }


def _try(fitted: FittedDebiaser, embeddings: Mapping[str, Mapping[str, FloatArray]]) -> None:
    """Apply it to a few embeddings of each language, and of unknown ones, before it is kept."""
    for role in sorted(fitted.debiaser.roles):
        few = [embeddings[role][code][:TRIED] for code in fitted.languages]
        numbers = np.repeat(np.arange(len(few)), [len(part) for part in few])
        stacked = np.concatenate(few)
        if fitted.needs_languages(role):
            fitted.apply(stacked, numbers, role)
        fitted.apply(stacked, np.full(len(numbers), UNKNOWN), role)


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
