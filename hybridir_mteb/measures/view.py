"""The languages of queries and passages, as measures of language bias see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hybridir_mteb.ranking.arrays import IntArray, Relevance

TOP_DEPTH = 100  # the deepest share of the top that a measure looks at


@dataclass(frozen=True)
class LanguageView:
    """Languages as positions in ``codes``.

    Attributes:
        codes: Language codes, sorted.
        queries: (n_queries,) language of each query.
        entries: (n_entries,) language of each relevant passage, in the order of the ranks.
        pool: (n_languages,) number of candidates in each language.
        top: (n_queries, depth) language of the best-ranked passages, best first; -1 where a
            ranking ends earlier.
        correlation: (n_queries,) mean rank correlation with the query's translations; None where
            there are no translations, or no rankings of theirs.
        probe: (n_languages,) accuracy of a language probe on texts of each language; None where
            there are no embeddings.
    """

    codes: tuple[str, ...]
    queries: IntArray
    entries: IntArray
    pool: IntArray
    top: IntArray
    correlation: npt.NDArray[np.float64] | None = None
    probe: npt.NDArray[np.float64] | None = None

    @classmethod
    def build(
        cls,
        query_languages: Sequence[str],
        passage_languages: Sequence[str],
        relevance: Relevance,
        top: IntArray,
        probe: Mapping[str, float] | None = None,
    ) -> LanguageView:
        """From codes; entries are in the order of ``relevance.passages``.

        Args:
            query_languages: (n_queries,) codes.
            passage_languages: (n_passages,) codes.
            relevance: Columns of the pool.
            top: (n_queries, depth) columns of the best-ranked passages.
            probe: Language -> accuracy of a language probe.
        """
        codes = tuple(sorted({*query_languages, *passage_languages}))
        number = {code: at for at, code in enumerate(codes)}
        pool = np.array([number[code] for code in passage_languages], np.int64)
        accuracy = None if probe is None else np.array([probe.get(c, np.nan) for c in codes])
        return cls(
            codes,
            queries=np.array([number[code] for code in query_languages], np.int64),
            entries=pool[relevance.passages],
            pool=np.bincount(pool, minlength=len(codes)),
            top=pool[top],
            probe=accuracy,
        )

    def reordered(self, order: IntArray) -> LanguageView:
        """The same with its entries in another order."""
        return replace(self, entries=self.entries[order])

    def cut(self, lengths: IntArray) -> LanguageView:
        """The same where rankings end after (n_queries,) ``lengths`` passages."""
        ended = np.arange(self.top.shape[1]) >= lengths[:, None]
        return replace(self, top=np.where(ended, -1, self.top))
