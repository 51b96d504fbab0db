"""Research code: paired tests between methods, per question, corrected for their number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
from scipy import stats

from hybridir_mteb.comparison.crossed import crossed, differences, holm

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
    return [
        {
            "methods": [a, b],
            "difference": round(float(rows[b].mean() - rows[a].mean()), 6),
            "questions": len(questions),
            "p": p,
            "p_holm": corrected,
        }
        for (a, b), p, corrected in zip(pairs, p_values, holm(p_values), strict=True)
    ]


def against(values: BySeed, reference: str, others: Iterable[str]) -> list[dict[str, Any]]:
    """The reference less each other method, by ``crossed``, corrected by Holm's method.

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
    adjusted = holm([one.p for one in found])
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
            "p_holm": corrected,
        }
        for name, table, one, corrected in zip(names, tables, found, adjusted, strict=True)
    ]


def all_against(
    values: Mapping[str, list[dict[str, dict[str, float]]]], keys: Iterable[str], reference: str
) -> dict[str, list[dict[str, Any]]]:
    """Measure -> ``against`` of the reference and every other method.

    Args:
        values: Method -> measure -> question -> value, of each seed.
        keys: The measures that are tested.
        reference: Name of the method that stands against the others.
    """
    others = [name for name in values if name != reference]
    return {
        key: against(
            {name: [of[key] for of in seeds] for name, seeds in values.items()}, reference, others
        )
        for key in keys
    }


def _differences(ones: list[dict[str, float]], others: list[dict[str, float]]) -> np.ndarray:
    """(seeds, questions) of two methods, on the questions that all seeds of both answer."""
    questions = sorted(set.intersection(*map(set, (*ones, *others))))
    one, other = (np.array([[of[q] for q in questions] for of in side]) for side in (ones, others))
    return differences(one, other)
