"""What plugins register to debias embeddings without training."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hybridir_mteb.errors import PluginError, quoted
from hybridir_mteb.plugins.settings import OptionValue

if TYPE_CHECKING:
    from hybridir_mteb.ranking.arrays import FloatArray, IntArray

Tensors = Mapping[str, np.ndarray[Any, np.dtype[Any]]]
ROLES = ("query", "document")
_DEBIASER_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class DebiasData:
    """What a debiaser's statistics are estimated on.

    Attributes:
        languages: ISO 639-1 codes, sorted; their positions are language numbers.
        embeddings: Role (``query``, ``document``) -> language -> (n_texts, dimension) float64
            embeddings of the same texts in this role.
        parallel: Whether row i is the same sentence in every language.
        options: Values of the debiaser's options: the user's, else the defaults.
    """

    languages: tuple[str, ...]
    embeddings: Mapping[str, Mapping[str, FloatArray]]
    parallel: bool
    options: Mapping[str, OptionValue]


@dataclass(frozen=True)
class Debiaser:
    """Training-free debiasing of embeddings; encoders are named ``hybridir/<base>+<name>``.

    Attributes:
        name: Lower case, such as ``centre``: letters, digits, ``_`` and ``-``, a letter first.
        summary: One sentence: what is done to an embedding.
        source: The paper that describes it.
        fit: Statistics of one role: called with the data and each of ``roles``; returns named
            arrays of real numbers, or none. Floating-point ones are kept in float32.
        apply: Given (n, dimension) float64 embeddings, (n,) language numbers (-1 where the
            language is unknown or has no statistics) and the role's arrays, returns the debiased
            embeddings.
        options: Options with their default values.
        roles: Sides that it is applied to; the embeddings of the other stay as they are.
        needs_parallel: Whether it can be fitted on line-parallel text only.
        uses_language: Whether ``apply`` looks at the language numbers; where it does not, no
            language is detected and all numbers are -1.
        scale: Option from 0 to 1 that scales what is done, which ``fit`` has to do. With 0
            embeddings stay as they are; 1, the default, is not kept with the statistics.
        choices: Option -> the values that ``auto`` chooses from on held-out lines of parallel
            text; of equally good ones the first.

    Raises:
        PluginError: A name of another form, roles that are none or unknown, no functions, or a
            scale or choices that are no option.
    """

    name: str
    summary: str
    source: str
    fit: Callable[[DebiasData, str], Tensors]
    apply: Callable[[FloatArray, IntArray, Tensors], FloatArray]
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    roles: frozenset[str] = frozenset(ROLES)
    needs_parallel: bool = False
    uses_language: bool = True
    scale: str = ""
    choices: Mapping[str, Sequence[OptionValue]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _DEBIASER_NAME.fullmatch(self.name):
            raise PluginError(
                f"debiaser {quoted(self.name)}: the name must be of lower-case letters, digits, _ "
                "and -, a letter first: it becomes part of encoders' names"
            )
        if not self.roles or not set(self.roles) <= set(ROLES):
            raise PluginError(
                f"debiaser {self.name}: roles {quoted(self.roles)}: expected one or both of "
                f"{', '.join(ROLES)} in a set"
            )
        object.__setattr__(self, "roles", frozenset(self.roles))
        for part in ("fit", "apply"):
            if not callable(getattr(self, part)):
                raise PluginError(f"debiaser {self.name}: {part} must be a function")
        unknown = {*self.choices, self.scale or None} - {*self.options, None}
        if unknown or self.options.get(self.scale, 1) != 1:
            raise PluginError(
                f"debiaser {self.name}: scale and choices must name options "
                f"({', '.join(self.options) or 'none'}), and a scale is 1 by default"
            )
