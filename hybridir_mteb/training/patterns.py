"""What a batch is: the languages of its queries and passages, one class for each kind.

LAReQA (Roy et al. 2020) names X-X-mono, X-X and X-Y; hybrid batches are Elmahdy et al. 2024
(arXiv 2408.10536), whose figure 2 shows that every pair of an X-Y batch has languages of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import DataFormatError, SettingError, suggest
from hybridir_mteb.ranking.arrays import IntArray, Values

Flags = npt.NDArray[np.bool_]
# (random numbers, (n_languages,) which languages an item has) -> query and passage language.
DrawLanguages = Callable[[np.random.Generator, Flags], tuple[int, int]]


@dataclass(frozen=True)
class Shape:
    """One batch, before items are chosen.

    Attributes:
        kind: Name of the pattern that drew it.
        required: Languages that every item must have.
        draw: The languages of one item.
        languages: How many languages every item must have, whichever they are.
    """

    kind: str
    required: tuple[int, ...]
    draw: DrawLanguages
    languages: int = 1


@dataclass(frozen=True)
class LanguageCounts:
    """How many items of a source exist in which languages.

    Attributes:
        both: (n_languages, n_languages) items that exist in both; on the diagonal, in the one.
        smallest: Items with different passages that a batch needs, on all devices together.
        temperature: Where a batch or a pair has a choice of languages, they are drawn with
            probability proportional to size ** (1 / temperature): 1 is proportional, infinity
            uniform. The language of a ``mono`` batch is uniform in any case.
        distinct: Like ``both``, but items with one passage count once; by default ``both``.
    """

    both: IntArray
    smallest: int
    temperature: float = 1.0
    distinct: IntArray | None = None

    def enough(self) -> Flags:
        """(n_languages, n_languages) whether the items in both languages fill a batch."""
        return (self.both if self.distinct is None else self.distinct) >= self.smallest

    def weights(self) -> Values:
        """(n_languages, n_languages) unnormalised probabilities; 0 where no batch can be filled."""
        scaled: Values = np.maximum(self.both, 1).astype(float) ** (1 / self.temperature)
        return np.where(self.enough(), scaled, 0.0)


class Pattern(Protocol):
    """A kind of batch."""

    @property
    def name(self) -> str:
        """Name of the kind."""

    def shape(self, rng: np.random.Generator, counts: LanguageCounts) -> Shape:
        """Draw the languages of the next batch.

        Raises:
            DataFormatError: The data cannot fill such a batch.
        """


def _choose(rng: np.random.Generator, weights: Values, problem: str) -> int:
    total = weights.sum()
    if total <= 0:
        raise DataFormatError(problem)
    return int(rng.choice(len(weights), p=weights / total))


def _too_few(counts: LanguageCounts, what: str) -> str:
    return (
        f"{what} has {counts.smallest} items with different passages, which a batch on all devices "
        "needs: add data, or use smaller batches"
    )


@dataclass(frozen=True)
class Mono:
    """One language for all queries and passages of a batch, drawn uniformly (X-X-mono)."""

    language: int | None = None
    name: str = field(default="mono", init=False)

    def shape(self, rng: np.random.Generator, counts: LanguageCounts) -> Shape:
        """See :class:`Pattern`."""
        weights = counts.enough().diagonal().astype(float)
        if self.language is not None:
            weights = np.where(np.arange(len(weights)) == self.language, weights, 0.0)
        chosen = _choose(rng, weights, _too_few(counts, "no language"))
        return Shape(self.name, (chosen,), lambda _rng, _has: (chosen, chosen))


@dataclass(frozen=True)
class Bilingual:
    """One ordered pair of different languages: queries in the first, passages in the second.

    A narrower reading of X-Y; until version 0.1 it was called ``cross``.
    """

    name: str = field(default="bilingual", init=False)

    def shape(self, rng: np.random.Generator, counts: LanguageCounts) -> Shape:
        """See :class:`Pattern`."""
        weights = counts.weights()
        np.fill_diagonal(weights, 0.0)
        chosen = _choose(rng, weights.ravel(), _too_few(counts, "no pair of languages"))
        pair = divmod(chosen, len(weights))
        return Shape(self.name, pair, lambda _rng, _has: pair)


@dataclass(frozen=True)
class XX:
    """Every pair monolingual, languages mixed within the batch."""

    name: str = field(default="xx", init=False)
    languages: ClassVar[int] = 1  # that a pair draws
    different: ClassVar[bool] = False

    def shape(self, rng: np.random.Generator, counts: LanguageCounts) -> Shape:
        """See :class:`Pattern`."""
        del rng
        # Proportional sizes come by themselves from the items that have a language; only what the
        # temperature changes about them is left to do here.
        sizes = np.maximum(counts.both.diagonal(), 1).astype(float)
        weights: Values = sizes ** (1 / counts.temperature - 1)

        def draw(rng: np.random.Generator, has: Flags) -> tuple[int, int]:
            mine, drawn = weights * has, []
            for _ in range(self.languages):
                drawn.append(_choose(rng, mine, "an item has too few languages"))
                if self.different:
                    mine[drawn[-1]] = 0.0
            return drawn[0], drawn[-1]

        return Shape(self.name, (), draw, self.languages if self.different else 1)


@dataclass(frozen=True)
class Mixed(XX):
    """Every pair draws its query language and its passage language on its own."""

    name: str = field(default="mixed", init=False)
    languages: ClassVar[int] = 2


@dataclass(frozen=True)
class Cross(Mixed):
    """Every pair draws two different languages of its own (X-Y)."""

    name: str = field(default="cross", init=False)
    different: ClassVar[bool] = True


@dataclass(frozen=True)
class Hybrid:
    """With probability ``alpha`` a batch of the first pattern, else of the second.

    Args:
        alpha: Share of batches of the first pattern, 0 to 1.
        first: By default ``mono``, as in the paper.
        second: By default ``cross``.

    Raises:
        SettingError: ``alpha`` is outside 0 to 1.
    """

    alpha: float = 0.5
    first: Pattern = field(default_factory=Mono)
    second: Pattern = field(default_factory=Cross)
    name: str = field(default="hybrid", init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise SettingError(f"alpha is a probability, 0 to 1, not {self.alpha}")

    def shape(self, rng: np.random.Generator, counts: LanguageCounts) -> Shape:
        """See :class:`Pattern`."""
        pattern = self.first if rng.random() < self.alpha else self.second
        return pattern.shape(rng, counts)


SIMPLE: dict[str, Callable[[], Pattern]] = {
    "mono": Mono,
    "xx": XX,
    "cross": Cross,
    "bilingual": Bilingual,
    "mixed": Mixed,
}


def pattern(
    name: str, *, alpha: float = 0.5, mixes: tuple[str, str] = ("mono", "cross")
) -> Pattern:
    """The pattern of this name.

    Args:
        name: ``mono``, ``xx``, ``cross``, ``bilingual``, ``mixed`` or ``hybrid``.
        alpha: Share of the first of the two in ``hybrid``.
        mixes: The two patterns that ``hybrid`` mixes.

    Raises:
        SettingError: There is no such pattern.
    """
    unknown = {name, *mixes} - {*SIMPLE, "hybrid"} | ({"hybrid"} & set(mixes))
    if unknown:
        raise SettingError(
            f"unknown kind of batch {', '.join(sorted(unknown))}: expected one of "
            f"{', '.join([*SIMPLE, 'hybrid'])}; hybrid mixes two of the others"
            f"{suggest(sorted(unknown)[0], SIMPLE)}"
        )
    if name == "hybrid":
        return Hybrid(alpha, SIMPLE[mixes[0]](), SIMPLE[mixes[1]]())
    return SIMPLE[name]()
