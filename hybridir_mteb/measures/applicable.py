"""Which measures of language bias say something about a collection, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import chi2

from hybridir_mteb.measures.language_recall import COMPLETE_DEPTHS
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.ranking.arrays import IntArray
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED

NEARLY_ALL = 0.95  # share of queries
NO_CHOICE = "no query has relevant passages both in its own language and in another"


@dataclass(frozen=True)
class Circumstances:
    """What decides which measures apply.

    Attributes:
        table: Ranks, with languages.
        items: (n_queries,) what each query asks; None if unknown.
        parallel: Whether the relevant passages of a query are translations of one another; None
            finds out from the judgements.
        embeddings: Whether there are embeddings.
        no_probe: Why a language probe cannot be trained on them; empty if it can.
        no_correlation: Why rankings of translations cannot be compared, where more is known than
            the items tell.
    """

    table: RankTable
    items: Sequence[str] | None = None
    parallel: bool | None = None
    embeddings: bool = False
    no_probe: str = ""
    no_correlation: str = ""

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

        Unless told: if nearly every judged query has relevant passages in at least two languages,
        and equally many in each of them; and if queries of several languages, where it is known
        what they ask, have translations.
        """
        if self.parallel is not None:
            return self.parallel
        several_languages = len(np.unique(self.view.queries)) > 1
        if self.items is not None and several_languages and not self.translated:
            return False
        judged = self.judged
        most = judged.max(axis=1, initial=0)
        equal = ((judged == 0) | (judged == most[:, None])).all(axis=1)
        even = equal & ((judged > 0).sum(axis=1) >= 2)
        return len(even) > 0 and float(even.mean()) >= NEARLY_ALL

    @cached_property
    def retrieved(self) -> IntArray:
        """(n_queries,) relevant passages that the system ranked."""
        ranked = (self.table.ranks < NOT_RETRIEVED).astype(np.float64)
        return self.table.sum_by_query(ranked).astype(np.int64)

    @cached_property
    def several(self) -> IntArray:
        """Rows of the queries with at least two relevant passages."""
        return np.flatnonzero(self.table.counts >= 2)

    @cached_property
    def n_incomplete(self) -> int:
        """How many of those lack a relevant passage in the run."""
        return int((~self.table.complete[self.several]).sum())

    @cached_property
    def n_lacking(self) -> int:
        """How many queries lack a relevant passage in the run."""
        return int((~self.table.complete).sum())

    @cached_property
    def relevant_own(self) -> IntArray:
        """(n_queries,) relevant passages in the query's language."""
        return np.asarray(self.counts[np.arange(len(self.counts)), self.view.queries])

    @cached_property
    def preferring(self) -> IntArray:
        """Rows of the queries with relevant passages in their own language and in another."""
        own = self.relevant_own
        return np.flatnonzero((own > 0) & (own < self.table.counts))

    @cached_property
    def own(self) -> IntArray:
        """(n_queries,) candidates in the query's language."""
        return self.view.pool[self.view.queries]

    def languages(self, numbers: Iterable[int]) -> str:
        """Codes of language numbers, for messages."""
        return ", ".join(self.view.codes[at] for at in sorted(set(numbers)))


def _distance(c: Circumstances) -> str:
    if not c.is_parallel:
        what = "are not translations of one another"
        if c.parallel is None:
            overruled = "(--parallel or parallel=True overrules that)"
            what = f"seem not to be translations of one another {overruled}"
        so = "so nothing says that their ranks should be alike"
        return f"the relevant passages of a query {what}, {so}"
    n = len(c.several)
    if not n:
        return "no query has two relevant passages"
    if n - c.n_incomplete < NEARLY_ALL * n:
        return (
            f"{c.n_incomplete} of {n} queries with two or more relevant passages lack one in the "
            "run: it needs a full ranking or a deeper run"
        )
    return ""


def _distance_norm(c: Circumstances) -> str:
    others = c.table.pool_size > c.table.counts[c.several]
    if not len(others) or others.any():
        return ""  # or what rank_distance says
    return "the pool holds nothing but what is relevant to the query"


def _preference(c: Circumstances) -> str:
    if not len(c.preferring):
        return NO_CHOICE
    return "" if c.retrieved[c.preferring].any() else "no query has a relevant passage in the run"


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


def _own_recall(c: Circumstances) -> str:
    if (reason := _candidates(c)) or c.relevant_own.any():
        return reason
    return "no query has a relevant passage in its language"


def _other_recall(c: Circumstances) -> str:
    others = (c.relevant_own < c.table.counts).any()
    return "" if others else "no query has a relevant passage in another language"


def _max_rank(c: Circumstances) -> str:
    reason, n = _equal_ranks(c), len(c.judged)
    if reason or n - c.n_lacking >= NEARLY_ALL * n:
        return reason
    return (
        f"{c.n_lacking} of {n} queries lack a relevant passage in the run: it needs a full ranking "
        "or a deeper run"
    )


def _graded(c: Circumstances) -> str:
    return "" if len(c.preferring) else f"{NO_CHOICE}, so it would be ndcg_at_10"


def _correlation(c: Circumstances) -> str:
    found = c.view.correlation
    if c.no_correlation or (found is not None and not np.isnan(found).all()):
        return c.no_correlation
    if c.items is None:
        return "it is not known which queries are translations of one another: give items"
    if not c.translated:
        return "no query has a translation"
    none = "no two translations of a query have rankings that could be compared"
    return "" if found is None else none


def _probe(c: Circumstances) -> str:
    return c.no_probe if c.embeddings else "it needs embeddings, and only scores are given"


_REASONS: dict[str, Callable[[Circumstances], str]] = {
    "rank_distance": _distance,
    "rank_distance_norm": _distance_norm,
    "lpr": _preference,
    "top1_": _candidates,
    "same_language_share_": _candidates,
    "peer_": _equal_ranks,
    "mrc": _correlation,
    "tlr_at_": _other_recall,
    "cross_language_recall_at_": _other_recall,
    "same_language_recall_at_": _own_recall,
    "max_rank": _max_rank,
    "complete_at_": _equal_ranks,
    "lang_ndcg_at_": _graded,
    "language_probe_accuracy": _probe,
}
_COMPLETE = {f"complete_at_{depth}": depth for depth in COMPLETE_DEPTHS}


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
    """What to bear in mind with measures that do apply, by name."""
    found = {}
    constant = _constant_peer(circumstances)
    without = np.unique(circumstances.view.queries[circumstances.own == 0])
    for name in names:
        if name.startswith("rank_distance") and circumstances.n_incomplete:
            found[name] = _incomplete(len(circumstances.several), circumstances.n_incomplete)
        if name == "max_rank" and circumstances.n_lacking:
            found[name] = _incomplete(len(circumstances.judged), circumstances.n_lacking)
        if name in _COMPLETE and (words := _too_many(circumstances, _COMPLETE[name])):
            found[name] = words
        if name.startswith("lpr") and (words := _nothing_found(circumstances)):
            found[name] = words
        if name.startswith("peer_") and constant:
            found[name] = constant
        if name.startswith(("top1_", "same_language_share_")) and len(without):
            found[name] = (
                f"queries in {circumstances.languages(without)} have no candidate in their language"
            )
    if lost := circumstances.n_lacking:
        found["mean_rank"] = (
            f"{lost} of {circumstances.table.n_queries} queries lack a relevant passage in the "
            "run; a pair of languages where one is lacking has no mean rank"
        )
    return found


_OF, _NOT_COUNTED = "of the ", "do not count"


def leaves_out(remark: str) -> bool:
    """Whether a remark says that a measure is not of all queries: it belongs in captions."""
    return remark.startswith(_OF) or remark.endswith(_NOT_COUNTED)


def _incomplete(n: int, lacking: int) -> str:
    complete = n - lacking
    return (
        f"{_OF}{complete} of {n} queries ({complete / n:.1%}) that have all their relevant "
        "passages in the run"
    )


def _too_many(c: Circumstances, depth: int) -> str:
    n = int((c.table.counts > depth).sum())
    more = f"{n} of {len(c.judged)} queries have more than {depth} relevant passages"
    return f"{more}, which is 0 whatever the ranks are" if n else ""


def _nothing_found(c: Circumstances) -> str:
    n = int((c.retrieved[c.preferring] == 0).sum())
    lost = f"{n} of {len(c.preferring)} queries have no relevant passage in the run"
    return f"{lost}, and {_NOT_COUNTED}" if n else ""


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
