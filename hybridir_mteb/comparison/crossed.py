"""The mean of paired differences over questions and seeds, both drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq

LEVEL = 0.95  # of intervals
POWER = 0.8  # how often a difference that can be seen is seen
ROUNDING = 1e-12  # of scores: what spreads less does not
Table = npt.NDArray[np.float64]


class Crossed(NamedTuple):
    """A mean difference over questions and seeds, both drawn at random.

    Attributes:
        mean: The difference.
        error: Its standard error.
        freedom: Degrees of freedom of the error.
        spread: Standard deviation of one difference, of one seed on one question.
    """

    mean: float
    error: float
    freedom: float
    spread: float

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference."""
        if self.error == 0:
            return float(self.mean == 0)
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def in_spreads(self, difference: float) -> float | None:
        """A difference as an effect size; None where all differences are one."""
        return round(difference / self.spread, 4) if self.spread > ROUNDING else None

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the difference."""
        reach = float(stats.t.ppf((1 + LEVEL) / 2, self.freedom)) * self.error
        return self.mean - reach, self.mean + reach

    def visible(self, tests: int = 1) -> float:
        """The smallest difference that a test would see in 80 % of repetitions.

        Args:
            tests: The level of 5 % is divided by so many, as in the first step of Holm's method.
        """
        threshold = float(stats.t.isf((1 - LEVEL) / 2 / tests, self.freedom))

        def missed(errors: float) -> float:
            return float(stats.nct.cdf(threshold, self.freedom, errors)) - (1 - POWER)

        return float(brentq(missed, 0, 2 * threshold + 10)) * self.error


def crossed(differences: Table) -> Crossed:
    """The mixed-effects model with crossed random questions and seeds, in closed form.

    ``d[seed, question] = mean + a[seed] + b[question] + e``. The table is balanced, so the mean
    squares of the analysis of variance give the REML estimate wherever no variance comes out
    negative; a negative one counts as none. Degrees of freedom are Satterthwaite's.

    Args:
        differences: (seeds, questions); one seed gives the paired t-test over questions.
    """
    seeds, questions = differences.shape
    mean = float(differences.mean())
    by_question = differences.mean(axis=0)
    of_questions = seeds * float(((by_question - mean) ** 2).sum()) / (questions - 1)
    if seeds == 1:
        error = float(np.sqrt(of_questions / questions))
        return Crossed(mean, error, questions - 1, float(np.sqrt(of_questions)))
    by_seed = differences.mean(axis=1)
    of_seeds = questions * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    left = differences - by_seed[:, None] - by_question + mean
    freedom = (seeds - 1) * (questions - 1)
    rest = float((left**2).sum()) / freedom
    # Mean squares of both factors less that of the rest, where the factor has a variance at all.
    parts = [(of_seeds, seeds - 1), (of_questions, questions - 1)]
    real = [(square, free) for square, free in parts if square > rest]
    total = sum(square for square, _ in real) - (len(real) - 1) * rest if real else rest
    terms = [*real, (rest, freedom)] if len(real) != 1 else real
    down = sum(square**2 / free for square, free in terms)
    variances = (
        max(0.0, (of_seeds - rest) / questions),
        max(0.0, (of_questions - rest) / seeds),
        rest,
    )
    return Crossed(
        mean,
        float(np.sqrt(total / (seeds * questions))),
        total**2 / down if down else float(freedom),
        float(np.sqrt(sum(variances))),
    )


def differences(one: Table, other: Table) -> Table:
    """(seeds, questions) of two systems, their seeds paired by place.

    A system of one seed stands against each seed of the other; where one has fewer of several, the
    first ones of the other count.

    Args:
        one: (seeds, questions).
        other: (seeds, questions), of the same questions.
    """
    if 1 in (len(one), len(other)):
        return one - other
    seeds = min(len(one), len(other))
    return one[:seeds] - other[:seeds]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values after Holm's correction for their number, in the same order."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    steps = np.arange(len(p), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p[order] * steps))
    found: list[float] = corrected.tolist()
    return found
