"""Language bias from ranks: how far apart the translations of one answer are ranked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hybridir_mteb.metrics.measure import Measure, RankTable
from hybridir_mteb.settings import Setting

Values = npt.NDArray[np.float64]


def rank_distance(table: RankTable) -> Values:
    """Largest minus smallest rank of a query's relevant passages (Elmahdy et al. 2024).

    Undefined (NaN) for queries with fewer than two; the ideal is their number minus 1.

    Example:
        Relevant passages at ranks 1, 3 and 10: 10 - 1 = 9.

        >>> import numpy as np
        >>> from hybridir_mteb.metrics.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> rank_distance(table).tolist()
        [9.0]
    """
    distance = np.full(table.n_queries, np.nan)
    several = table.counts >= 2
    first, last = table.indptr[:-1][several], table.indptr[1:][several] - 1
    distance[several] = table.ranks[last] - table.ranks[first]  # ascending within a query
    return distance


def rank_distance_norm(table: RankTable) -> Values:
    """Rank distance from its ideal (0) to its worst (1), comparable between collections.

    ``(largest - smallest - (R - 1)) / (pool size - R)``; undefined where rank distance is, and
    where the pool holds nothing but the query's relevant passages.

    Example:
        Ranks 1, 3 and 10 in a pool of 20: (9 - 2) / (20 - 3) = 0.411765.

        >>> import numpy as np
        >>> from hybridir_mteb.metrics.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> rank_distance_norm(table).round(6).tolist()
        [0.411765]
    """
    spare = (table.pool_size - table.counts).astype(np.float64)
    excess = rank_distance(table) - (table.counts - 1)
    norm = np.full(table.n_queries, np.nan)
    np.divide(excess, spare, out=norm, where=spare > 0)
    return norm


_MULTILINGUAL = frozenset({Setting.MULTILINGUAL})

LANGUAGE_BIAS: tuple[Measure, ...] = (
    Measure(
        "rank_distance",
        rank_distance,
        "Largest minus smallest rank of a query's relevant passages; lower is better, "
        "at best their number minus 1 (Elmahdy et al. 2024)",
        _MULTILINGUAL,
    ),
    Measure(
        "rank_distance_norm",
        rank_distance_norm,
        "Rank distance from 0 (ideal) to 1 (worst), comparable between collections",
        _MULTILINGUAL,
    ),
)
