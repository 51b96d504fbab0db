"""What is found of the relevant passages in the query's language, in the others, and in all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hybridir_mteb.measures.effectiveness import ndcg
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.ranking.arrays import Values

RECALL_DEPTHS = (10, 100)  # those of the shares of the top: a first page, and what a reranker gets
TLR_DEPTHS = (20, 100)
COMPLETE_DEPTHS = (10, 100)
OWN_LANGUAGE_GAIN = 2.0  # of a relevant passage in another language: 1


def in_own_language(table: RankTable) -> npt.NDArray[np.bool_]:
    """(n_entries,) whether a relevant passage is in the query's language."""
    assert table.languages is not None  # noqa: S101 -- callers have checked
    asked = table.languages.queries[table.query_of_entry]
    return np.asarray(table.languages.entries == asked)


def language_recall(table: RankTable, depth: int, *, same: bool) -> Values:
    """Share of the relevant passages in the query's language, or in others, in the top.

    Recall at ``depth`` as if nothing else were relevant; the ranks are those in the pool of all
    languages. Undefined (NaN) for queries that have no such relevant passage, and where languages
    are unknown; one that was not retrieved is in no top.

    With ``same=False`` it is the target-languages recall of SHIFT (Jang et al. 2026, arXiv
    2606.18801, section 4.3), ``tlr_at_20`` and ``tlr_at_100``, and ``cross_language_recall_at_k``:
    two names for one definition, so at 100 for one number. The names ``same_`` and
    ``cross_language_recall`` are for the pair, which shows what a correction takes from the one to
    give to the other; its depths, 10 and 100, are those of ``same_language_share_at_k``.

    Example:
        A German query, relevant passages at ranks 2 (de), 4 (en) and 30 (fr). Of the two in other
        languages one is in the top 10.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> from hybridir_mteb.measures.view import LanguageView
        >>> at = np.array
        >>> view = LanguageView(
        ...     ("de", "en", "fr"), at([0]), at([0, 1, 2]), at([20, 20, 20]), at([[]])
        ... )
        >>> table = RankTable(at([0, 3]), at([2, 4, 30]), 60, np.ones(3), view)
        >>> language_recall(table, 10, same=True), language_recall(table, 10, same=False)
        (array([1.]), array([0.5]))
    """
    values = np.full(table.n_queries, np.nan)
    if table.languages is None:
        return values
    wanted = in_own_language(table) == same
    number = table.sum_by_query(wanted.astype(np.float64))
    found = table.sum_by_query((wanted & (table.ranks <= depth)).astype(np.float64))
    np.divide(found, number, out=values, where=number > 0)
    return values


def max_rank(table: RankTable) -> Values:
    """Largest rank of a query's relevant passages: how far down all of them are found.

    After Max@R (Hong et al. 2026, arXiv 2604.05684); the rank itself, with no logarithm, so that it
    stands beside ``rank_distance``. Undefined (NaN) for queries without relevant passages, and
    where one was not retrieved.

    Example:
        Relevant passages at ranks 1, 3 and 10.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> max_rank(table)
        array([10.])
    """
    values = np.full(table.n_queries, np.nan)
    defined = (table.counts > 0) & table.complete
    values[defined] = _last_ranks(table, defined)
    return values


def all_found(table: RankTable, depth: int) -> Values:
    """1 if all of a query's relevant passages are in the top, else 0: ``complete_at_k``.

    After arXiv 2604.05684. 0 for a query with more than ``depth`` of them, for it cannot be
    complete, and where one was not retrieved. Undefined (NaN) only for queries without relevant
    passages.

    Example:
        Relevant passages at ranks 1, 3 and 10.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> table = RankTable(np.array([0, 3]), np.array([1, 3, 10]), 20, np.ones(3))
        >>> all_found(table, 10), all_found(table, 9)
        (array([1.]), array([0.]))
    """
    values = np.full(table.n_queries, np.nan)
    defined = table.counts > 0
    values[defined] = _last_ranks(table, defined) <= depth
    return values


def _last_ranks(table: RankTable, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Of the chosen queries, each with an entry; ranks ascend within a query."""
    return table.ranks[table.indptr[1:][rows] - 1]


def language_ndcg(table: RankTable, depth: int) -> Values:
    """``lang_ndcg_at_10``: nDCG with twice the gain for what is in the query's language.

    After MLAIRE (Jang et al. 2026, arXiv 2605.07249), which leaves the gains open; ours are 2 in
    the query's language, 1 in another, 0 if not relevant. Where judgements have grades they are
    multiplied: grade 3 in the query's language is 6. Gains are linear as in ``ndcg_at_10``, so it
    is trec_eval's ``ndcg_cut`` of such judgements. As there, 0 for a query without relevant
    passages; undefined (NaN) only where languages are unknown.

    Example:
        A German query, one relevant passage in English at rank 1, one in German at rank 2: (1 / 1 +
        2 / log2(3)) / (2 / 1 + 1 / log2(3)) = 0.859719.

        >>> import numpy as np
        >>> from hybridir_mteb.measures.measure import RankTable
        >>> from hybridir_mteb.measures.view import LanguageView
        >>> at = np.array
        >>> view = LanguageView(("de", "en"), at([0]), at([1, 0]), at([5, 5]), at([[]]))
        >>> table = RankTable(at([0, 2]), at([1, 2]), 10, np.ones(2), view)
        >>> language_ndcg(table, 10).round(6)
        array([0.859719])
    """
    if table.languages is None:
        return np.full(table.n_queries, np.nan)
    weights = np.where(in_own_language(table), OWN_LANGUAGE_GAIN, 1.0)
    return ndcg(replace(table, gains=table.gains * weights), depth)
