"""Which measures of language bias say something about a collection, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from hybridir_mteb.metrics.languages import LanguageView
from hybridir_mteb.metrics.measure import RankTable
from hybridir_mteb.probe import FOLDS
from hybridir_mteb.relevance import IntArray


@dataclass(frozen=True)
class Circumstances:
    """What decides which measures apply.

    Attributes:
        table: Ranks, with languages.
        items: (n_queries,) what each query asks; None if unknown.
        parallel: Whether the relevant passages of a query are translations of one another; None
            finds out from the judgements.
        embeddings: Whether there are embeddings.
    """

    table: RankTable
    items: Sequence[str] | None = None
    parallel: bool | None = None
    embeddings: bool = False

    @property
    def view(self) -> LanguageView:
        """The languages."""
        if self.table.languages is None:
            raise ValueError("language bias needs the languages of queries and passages")
        return self.table.languages

    @cached_property
    def counts(self) -> IntArray:
        """(n_queries, n_languages) relevant passages of each query in each language."""
        shape = (self.table.n_queries, len(self.view.codes))
        cells = self.table.query_of_entry * shape[1] + self.view.entries
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    @cached_property
    def judged(self) -> IntArray:
        """The counts of the queries that have a relevant passage."""
        return self.counts[self.table.counts > 0]

    @cached_property
    def translated(self) -> bool:
        """Whether a query exists in two languages."""
        return self.items is not None and len(set(self.items)) < len(self.items)

    @cached_property
    def is_parallel(self) -> bool:
        """Whether the relevant passages of a query are taken as translations of one another.

        Unless told: if queries have translations, or each judged query has relevant passages in at
        least two languages, and equally many in each of them.
        """
        if self.parallel is not None:
            return self.parallel
        judged = self.judged
        most = judged.max(axis=1, initial=0)
        equal = (judged == 0) | (judged == most[:, None])
        several = (judged > 0).sum(axis=1) >= 2
        return self.translated or (len(judged) > 0 and bool(equal.all() and several.all()))

    @cached_property
    def own(self) -> IntArray:
        """(n_queries,) candidates in the query's language."""
        return self.view.pool[self.view.queries]

    def languages(self, numbers: Iterable[int]) -> str:
        """Codes of language numbers, for messages."""
        return ", ".join(self.view.codes[at] for at in sorted(set(numbers)))


def _distance(c: Circumstances) -> str:
    if not c.is_parallel:
        return (
            "the relevant passages of a query are not translations of one another, so nothing says "
            "that their ranks should be alike"
        )
    return "" if (c.table.counts >= 2).any() else "no query has two relevant passages"


def _preference(c: Circumstances) -> str:
    own = c.counts[np.arange(len(c.counts)), c.view.queries]
    if ((own > 0) & (own < c.table.counts)).any():
        return ""
    return "no query has relevant passages both in its own language and in another"


def _candidates(c: Circumstances) -> str:
    pool = np.flatnonzero(c.view.pool)
    if not c.own.any():
        return (
            f"no candidate is in a query's language: queries are in {c.languages(c.view.queries)}, "
            f"passages in {c.languages(pool)}"
        )
    return "" if len(pool) > 1 else f"all candidates are in one language, {c.languages(pool)}"


def _equal_ranks(c: Circumstances) -> str:
    several = ((c.counts > 0).sum(axis=1) >= 2).any()
    return "" if several else "no query has relevant passages in two languages"


def _correlation(c: Circumstances) -> str:
    if c.items is None:
        return "it is not known which queries are translations of one another: give items"
    return "" if c.translated else "no query has a translation"


def _probe(c: Circumstances) -> str:
    if not c.embeddings:
        return "it needs embeddings, and only scores are given"
    if (c.counts.sum(axis=0) > 0).sum() < 2:
        return "the relevant passages are all in one language"
    if c.view.probe is None:
        return f"the relevant passages are about fewer than {FOLDS} items"
    return ""


_REASONS: dict[str, Callable[[Circumstances], str]] = {
    "rank_distance": _distance,
    "lpr": _preference,
    "top1_": _candidates,
    "same_language_share_": _candidates,
    "peer_": _equal_ranks,
    "mrc": _correlation,
    "language_probe_accuracy": _probe,
}


def not_applicable(circumstances: Circumstances, names: Iterable[str]) -> dict[str, str]:
    """Measures that say nothing about the collection, each with the reason in one sentence.

    Args:
        circumstances: Collection and judgements.
        names: Names of measures; one that is not of language bias always applies.
    """
    found = {}
    for name in names:
        for start, reason in _REASONS.items():
            if name.startswith(start) and (why := reason(circumstances)):
                found[name] = why
    return found


def remarks(circumstances: Circumstances, names: Iterable[str]) -> dict[str, str]:
    """What to bear in mind with measures that do apply.

    Args:
        circumstances: Collection and judgements.
        names: Names of measures that apply.
    """
    found = {}
    constant = _constant_peer(circumstances)
    without = np.unique(circumstances.view.queries[circumstances.own == 0])
    for name in names:
        if name.startswith("peer_") and constant:
            found[name] = constant
        if name.startswith(("top1_", "same_language_share_")) and len(without):
            found[name] = (
                f"queries in {circumstances.languages(without)} have no candidate in their language"
            )
    return found


def _constant_peer(c: Circumstances) -> str:
    """Kruskal-Wallis on groups of one: between and within coincide, whatever the ranks are."""
    used = (c.judged > 0).sum(axis=1)
    if not len(used) or c.judged.max() > 1 or used.max() < 2:
        return ""
    n = int(np.bincount(used).argmax())
    return (
        "a query has at most one relevant passage in each language, so this is the same number "
        f"whatever the ranks are ({chi2.sf(n - 1, n - 1):.2f} for {n} languages, 1 where none is "
        "found): it tells nothing"
    )
