"""Confidence intervals of means by the bootstrap over queries (scipy)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import bootstrap

from hybridir_mteb.ranking.arrays import Values

RESAMPLES = 1000
CONFIDENCE = 0.95
BATCH = 50  # resamples in memory at a time


def mean_intervals(
    values: Values, groups: npt.NDArray[np.int64] | None = None, *, resamples: int = RESAMPLES
) -> Values:
    """Percentile intervals of the means of several columns, from the same resamples.

    Args:
        values: (n_items, n_columns); NaN where undefined. Rows are drawn with replacement, so
            translations of one query, which are not independent, belong into one row.
        groups: (n_columns,) numbers; the interval is then of each group's mean of column means.
        resamples: Number of resamples.

    Returns:
        (n_columns or n_groups, 2) lower and upper ends, with 95 percent confidence; NaN where
        fewer than two items are defined.
    """
    defined = ~np.isnan(values)
    numbers, known = np.where(defined, values, 0.0), defined.astype(np.float64)
    labels = np.arange(values.shape[1]) if groups is None else groups
    n_groups = int(labels.max()) + 1 if len(labels) else 0
    members = np.eye(n_groups)[labels].T  # (n_groups, n_columns)
    ends = np.full((n_groups, 2), np.nan)
    enough = members @ (defined.sum(axis=0) >= 2) > 0
    if not enough.any():
        return ends

    def means(rows: npt.NDArray[np.int64], axis: int = -1) -> Values:
        rows = np.atleast_2d(rows)
        drawn = [np.bincount(row, minlength=len(values)) for row in rows]
        counts = np.stack(drawn).astype(np.float64)  # of whole numbers BLAS has no products
        sums, drawn_of_column = counts @ numbers, counts @ known
        column = np.divide(
            sums, drawn_of_column, out=np.zeros_like(sums), where=drawn_of_column > 0
        )
        present = (drawn_of_column > 0).astype(np.float64)
        found: Values = (column @ members.T) / np.maximum(present @ members.T, 1)
        return found.T.reshape(n_groups, *rows.shape[:-1])

    result = bootstrap(
        (np.arange(len(values)),),
        means,
        n_resamples=resamples,
        batch=BATCH,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low = np.reshape(result.confidence_interval.low, n_groups)
    high = np.reshape(result.confidence_interval.high, n_groups)
    ends[enough] = np.stack([low, high], axis=1)[enough]
    return ends
