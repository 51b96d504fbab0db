"""Language bias: does it matter for its rank which language a relevant passage is in?"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from hybridir_mteb.measures.language_recall import (
    COMPLETE_DEPTHS,
    RECALL_DEPTHS,
    TLR_DEPTHS,
    all_found,
    in_own_language,
    language_ndcg,
    language_recall,
    max_rank,
)
from hybridir_mteb.measures.measure import Measure, PerQuery, RankTable
from hybridir_mteb.measures.peer import peer
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import Values
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED


def rank_distance(table: RankTable) -> Values:
    """Largest minus smallest rank of a query's relevant passages (Elmahdy et al. 2024).

    Undefined (NaN) for queries with fewer than two, and where one was not retrieved; the ideal is
    their number minus 1.

    Example:
        Relevant passages at ranks 1, 3 and 10: 10 - 1 = 9.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> rank_distance(table).tolist()
        [9.0]
    """
    distance = np.full(table.n_queries, np.nan)
    several = (table.counts >= 2) & table.complete
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
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> rank_distance_norm(table).round(6).tolist()
        [0.411765]
    """
    spare = (table.pool_size - table.counts).astype(np.float64)
    excess = rank_distance(table) - (table.counts - 1)
    norm = np.full(table.n_queries, np.nan)
    np.divide(excess, spare, out=norm, where=spare > 0)
    return norm


def language_preference(table: RankTable) -> Values:
    """1 if the best-ranked relevant passage is in the query's language, else 0.

    Their mean is the language preference rate (after MLAIRE, Jang et al. 2026, arXiv 2605.07249).
    Defined where a relevant passage exists in the query's language and one in another, and any of
    them was retrieved.
    """
    values = np.full(table.n_queries, np.nan)
    if table.languages is not None:
        defined = _preference_defined(table)
        values[defined] = in_own_language(table)[table.indptr[:-1][defined]]
    return values


def language_preference_expected(table: RankTable) -> Values:
    """What an unbiased retriever's preference rate would be: the query's language's share of R.

    1 / R where one relevant passage is in the query's language. Defined where the preference is.
    """
    values = np.full(table.n_queries, np.nan)
    if table.languages is not None:
        defined = _preference_defined(table)
        values[defined] = _in_own_language(table)[defined] / table.counts[defined]
    return values


def _in_own_language(table: RankTable) -> Values:
    """(n_queries,) relevant passages in the query's language."""
    return table.sum_by_query(in_own_language(table).astype(np.float64))


def _preference_defined(table: RankTable) -> npt.NDArray[np.bool_]:
    own = _in_own_language(table)
    found = table.sum_by_query((table.ranks < NOT_RETRIEVED).astype(np.float64)) > 0
    return (own > 0) & (own < table.counts) & found


def top1(table: RankTable, *, relevant: bool, same: bool) -> Values:
    """1 if the first passage is relevant or not, and in the query's language or not, else 0.

    The four cases are the top-1 decomposition (after MLAIRE); their means sum to 1. Undefined where
    languages are unknown or the ranking is empty.
    """
    values = np.full(table.n_queries, np.nan)
    if table.languages is None or not table.languages.top.shape[1]:
        return values
    first = table.languages.top[:, 0]
    is_relevant = table.sum_by_query((table.ranks == 1).astype(np.float64)) > 0
    is_same = first == table.languages.queries
    ranked = first >= 0
    values[ranked] = ((is_relevant == relevant) & (is_same == same))[ranked]
    return values


def same_language_share(table: RankTable, depth: int) -> Values:
    """Share of the top in the query's language over that language's share of the pool.

    1 is unbiased, 0 none at all; undefined where the pool has no passage in the query's language.
    Our own definition.
    """
    values = np.full(table.n_queries, np.nan)
    view = table.languages
    if view is None:
        return values
    top = view.top[:, :depth]
    ranked = (top >= 0).sum(axis=1)
    same = (top == view.queries[:, None]).sum(axis=1)
    expected = view.pool[view.queries] / table.pool_size
    defined = (ranked > 0) & (expected > 0)
    values[defined] = same[defined] / ranked[defined] / expected[defined]
    return values


def rank_correlation(table: RankTable) -> Values:
    """Mean Spearman correlation of the query's ranking with those of its translations.

    ``mrc``, mean rank correlation (Yang et al. 2024/2025, arXiv 2509.06195); computed by
    :func:`~hybridir_mteb.ranking.correlation.mean_rank_correlation`.
    """
    known = None if table.languages is None else table.languages.correlation
    return np.full(table.n_queries, np.nan) if known is None else known


def probe_accuracy(table: RankTable) -> Values:
    """How well a linear probe reads the query's language from embeddings of passages.

    The same for all queries of a language; computed by
    :func:`~hybridir_mteb.measures.probe.probe_by_language`.
    """
    view = table.languages
    if view is None or view.probe is None:
        return np.full(table.n_queries, np.nan)
    return np.asarray(view.probe[view.queries])


_MULTILINGUAL = frozenset({Setting.MULTILINGUAL})


def _measure(name: str, compute: PerQuery, description: str, **more: bool) -> Measure:
    return Measure(name, compute, description, _MULTILINGUAL, **more)


_TOP1 = {
    "top1_relevant_same": (True, True, "relevant and in the query's language"),
    "top1_relevant_other": (True, False, "relevant and in another language"),
    "top1_nonrelevant_same": (False, True, "not relevant and in the query's language"),
    "top1_nonrelevant_other": (False, False, "not relevant and in another language"),
}
SHARE_DEPTHS = (10, 100)
PEER_DEPTHS = (20, 100)

_FOUND_BY_LANGUAGE = (
    *(
        _measure(
            f"tlr_at_{depth}",
            partial(language_recall, depth=depth, same=False),
            "Target-languages recall: share of the relevant passages in other languages than the "
            f"query's in the top {depth}; 0 to 1, higher is better (Jang et al. 2026)",
        )
        for depth in TLR_DEPTHS
    ),
    *(
        _measure(
            f"{name}_language_recall_at_{depth}",
            partial(language_recall, depth=depth, same=same),
            f"Share of the relevant passages in {words} in the top {depth}; 0 to 1, higher is "
            "better",
        )
        for name, same, words in (
            ("same", True, "the query's language"),
            ("cross", False, "other languages than the query's"),
        )
        for depth in RECALL_DEPTHS
    ),
    _measure(
        "max_rank",
        max_rank,
        "Largest rank of a query's relevant passages; lower is better, at best their number (after "
        "Hong et al. 2026)",
        lower_is_better=True,
    ),
    *(
        _measure(
            f"complete_at_{depth}",
            partial(all_found, depth=depth),
            f"Share of queries with all their relevant passages in the top {depth}; 0 to 1, higher "
            "is better (after Hong et al. 2026)",
        )
        for depth in COMPLETE_DEPTHS
    ),
    _measure(
        "lang_ndcg_at_10",
        partial(language_ndcg, depth=10),
        "nDCG of the top 10 with gain 2 for a relevant passage in the query's language, 1 in "
        "another; 0 to 1, higher is better (after Jang et al. 2026)",
    ),
)
# What has two names: shown side by side, one of them is enough.
SAME_AS = {
    f"tlr_at_{depth}": f"cross_language_recall_at_{depth}"
    for depth in TLR_DEPTHS
    if depth in RECALL_DEPTHS
}

LANGUAGE_BIAS: tuple[Measure, ...] = (
    _measure(
        "rank_distance",
        rank_distance,
        "Largest minus smallest rank of a query's relevant passages; lower is better, "
        "at best their number minus 1 (Elmahdy et al. 2024)",
        lower_is_better=True,
    ),
    _measure(
        "rank_distance_norm",
        rank_distance_norm,
        "Rank distance from 0 (ideal) to 1 (worst), comparable between collections",
        lower_is_better=True,
    ),
    _measure(
        "lpr",
        language_preference,
        "Language preference rate: share of queries whose best-ranked relevant passage is in the "
        "query's language; 0 to 1, unbiased at `lpr_expected` (after Jang et al. 2026)",
    ),
    _measure(
        "lpr_expected",
        language_preference_expected,
        "Language preference rate of an unbiased retriever",
    ),
    *(
        _measure(
            name,
            partial(top1, relevant=relevant, same=same),
            f"Share of queries whose first passage is {words}; the four sum to 1",
        )
        for name, (relevant, same, words) in _TOP1.items()
    ),
    *(
        _measure(
            f"same_language_share_at_{depth}",
            partial(same_language_share, depth=depth),
            f"Share of the top {depth} in the query's language, over that language's share of the "
            "pool; 1 is unbiased",
        )
        for depth in SHARE_DEPTHS
    ),
    *(
        _measure(
            f"peer_at_{depth}",
            partial(peer, depth=depth),
            f"Probability of equal expected rank of the languages in the top {depth}; 0 to 1, "
            "higher is less biased (Yang et al. 2024)",
        )
        for depth in PEER_DEPTHS
    ),
    _measure(
        "mrc",
        rank_correlation,
        "Mean rank correlation between the translations of a query; -1 to 1, higher is better "
        "(Yang et al. 2025)",
    ),
    *_FOUND_BY_LANGUAGE,
    _measure(
        "language_probe_accuracy",
        probe_accuracy,
        "Accuracy of a linear classifier that reads the language from the embedding; chance is 1 "
        "over the number of languages",
        by_query=False,
        lower_is_better=True,
    ),
)
