"""Effectiveness: mAP over the full ranking, MRR, nDCG@10, recall, from the ranks alone."""

from __future__ import annotations

from functools import partial

import numpy as np

from hybridir_mteb.measures.measure import Measure, RankTable
from hybridir_mteb.ranking.arrays import Values

RECALL_DEPTHS = (1, 5, 10, 20, 100)


def average_precision(table: RankTable) -> Values:
    """Mean over the relevant passages of the precision at their ranks, without a cut-off.

    trec_eval's ``map``; 0 for a query without relevant passages.

    Example:
        Relevant passages at ranks 1 and 4: (1/1 + 2/4) / 2 = 0.75.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 2]), np.array([1, 4]), 10, np.ones(2))
        >>> average_precision(table).tolist()
        [0.75]
    """
    return table.sum_by_query(table.place_in_query / table.ranks) / np.maximum(table.counts, 1)


def reciprocal_rank(table: RankTable, depth: int | None = None) -> Values:
    """1 / rank of the best-ranked relevant passage; 0 if that lies below ``depth``.

    trec_eval's ``recip_rank`` when there is no depth.
    """
    first = table.place_in_query == 1
    if depth is not None:
        first &= table.ranks <= depth
    return table.sum_by_query(np.where(first, 1 / table.ranks, 0.0))


def ndcg(table: RankTable, depth: int) -> Values:
    """Discounted cumulative gain of the first ``depth`` ranks over that of the ideal ranking.

    Linear gains and log2(1 + rank), as trec_eval's ``ndcg_cut`` (Järvelin and Kekäläinen 2002).

    Example:
        One relevant passage at rank 3: (1 / log2(4)) / 1 = 0.5.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 1]), np.array([3]), 10, np.ones(1))
        >>> ndcg(table, 10).tolist()
        [0.5]
    """
    within = np.where(table.ranks <= depth, table.gains / np.log2(1 + table.ranks), 0.0)
    by_gain = np.lexsort((-table.gains, table.query_of_entry))  # best grades first in each query
    places = table.place_in_query
    ideal = np.where(places <= depth, table.gains[by_gain] / np.log2(1 + places), 0.0)
    best = table.sum_by_query(ideal)
    achieved = table.sum_by_query(within)
    return np.divide(achieved, best, out=np.zeros_like(best), where=best > 0)


def recall(table: RankTable, depth: int) -> Values:
    """Share of the relevant passages within the first ``depth`` ranks; 0 if there is none."""
    found = table.sum_by_query((table.ranks <= depth).astype(np.float64))
    return found / np.maximum(table.counts, 1)


EFFECTIVENESS: tuple[Measure, ...] = (
    Measure(
        "map", average_precision, "Mean average precision, full depth; 0 to 1, higher is better"
    ),
    Measure("mrr", reciprocal_rank, "Mean reciprocal rank, full depth; 0 to 1, higher is better"),
    Measure(
        "mrr_at_10",
        partial(reciprocal_rank, depth=10),
        "Mean reciprocal rank within the top 10; 0 to 1, higher is better",
    ),
    Measure("ndcg_at_10", partial(ndcg, depth=10), "nDCG of the top 10; 0 to 1, higher is better"),
    *(
        Measure(
            f"recall_at_{depth}",
            partial(recall, depth=depth),
            f"Share of relevant passages in the top {depth}; 0 to 1, higher is better",
        )
        for depth in RECALL_DEPTHS
    ),
)
