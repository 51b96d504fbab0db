"""Research code: paired tests between methods, per question, corrected for their number."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests


def pairwise_tests(values: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
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
    p_values = [float(ttest_rel(rows[a], rows[b]).pvalue) for a, b in pairs]
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
