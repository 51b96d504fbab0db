"""The languages of queries and passages, as measures of language bias see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hybridir_mteb.ranking.arrays import IntArray, Values
from hybridir_mteb.ranking.judgements import Judgements

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
    correlation: Values | None = None
    probe: Values | None = None

    @classmethod
    def of(
        cls,
        judged: Judgements,
        top: IntArray,
        correlation: Values | None = None,
        probe: Mapping[str, float] | None = None,
    ) -> LanguageView:
        """The languages of an evaluation; ``top`` are (n_queries, depth) rows of the best."""
        accuracy = None if probe is None else [probe.get(code, np.nan) for code in judged.codes]
        return cls(
            judged.codes,
            queries=judged.queries,
            entries=judged.entries,
            pool=judged.pool,
            top=judged.languages_of(top),
            correlation=correlation,
            probe=None if accuracy is None else np.array(accuracy),
        )

    def reordered(self, order: IntArray) -> LanguageView:
        """The same with its entries in another order."""
        return replace(self, entries=self.entries[order])
