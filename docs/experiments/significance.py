"""Research code: paired tests between methods, per question, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95
ROUNDING = 1e-12  # of scores: what spreads less does not
# Method -> one mapping from question to value for each seed.
BySeed = dict[str, list[dict[str, float]]]


def pairwise_tests(values: BySeed) -> list[dict[str, Any]]:
    """Paired t-tests of every pair of methods.

    Args:
        values: Method -> one mapping from question to value for each seed.

    Returns:
        One entry a pair: difference of the means over questions and seeds, p-value of the paired
        t-test over questions (a question's value is its mean over seeds), and p after Holm's
        correction.
    """
    questions = sorted(set.intersection(*(set(m) for seeds in values.values() for m in seeds)))
    rows = {
        method: np.mean([[seed[q] for q in questions] for seed in seeds], axis=0)
        for method, seeds in values.items()
    }
    pairs = list(combinations(rows, 2))
    p_values = [float(stats.ttest_rel(rows[a], rows[b]).pvalue) for a, b in pairs]
    adjusted = [float(p) for p in multipletests(p_values, method="holm")[1]]
    return [
        {
            "methods": [a, b],
            "difference": round(float(rows[b].mean() - rows[a].mean()), 6),
            "questions": len(questions),
            "p": p,
            "p_holm": corrected,
        }
        for (a, b), p, corrected in zip(pairs, p_values, adjusted, strict=True)
    ]


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


def crossed(differences: np.ndarray) -> Crossed:
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


def against(values: BySeed, reference: str, others: Iterable[str]) -> list[dict[str, Any]]:
    """The reference less each other method, by :func:`crossed`, corrected by Holm's method.

    Seeds are paired by their place; a method of one seed, such as a backbone, stands against each
    seed of the other, and where one has fewer the first ones count.

    Returns:
        One entry a method: difference with its interval, effect size ``d`` with its interval (the
        difference over the standard deviation of one difference: Westfall, Kenny and Judd 2014),
        p, and p after Holm's correction.
    """
    names = list(others)
    tables = [_differences(values[reference], values[name]) for name in names]
    found = [crossed(table) for table in tables]
    adjusted = multipletests([one.p for one in found], method="holm")[1]
    return [
        {
            "methods": [reference, name],
            "difference": round(one.mean, 6),
            "interval": [round(end, 6) for end in one.interval],
            "d": one.in_spreads(one.mean),
            "d_interval": [one.in_spreads(end) for end in one.interval],
            "seeds": len(table),
            "questions": table.shape[1],
            "degrees_of_freedom": round(one.freedom, 1),
            "p": one.p,
            "p_holm": float(corrected),
        }
        for name, table, one, corrected in zip(names, tables, found, adjusted, strict=True)
    ]


def _differences(ones: list[dict[str, float]], others: list[dict[str, float]]) -> np.ndarray:
    """(seeds, questions) of two methods, on the questions that all seeds of both answer."""
    questions = sorted(set.intersection(*map(set, (*ones, *others))))
    one, other = (np.array([[of[q] for q in questions] for of in side]) for side in (ones, others))
    if 1 in (len(one), len(other)):
        return one - other
    seeds = min(len(one), len(other))
    return one[:seeds] - other[:seeds]
