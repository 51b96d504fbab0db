"""From scores, judgements and languages to the table that measures of language bias see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import SettingError
from hybridir_mteb.metrics.languages import TOP_DEPTH, LanguageView
from hybridir_mteb.metrics.measure import RankTable
from hybridir_mteb.rank import ScoreBlock, Scorer, ranks_and_top, tie_order
from hybridir_mteb.rank_correlation import mean_rank_correlation
from hybridir_mteb.relevance import IntArray, Relevance

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judgements:
    """Queries, pool and relevance of one evaluation, whatever the system.

    Attributes:
        relevance: Columns of the relevant passages of each query.
        query_languages: (n_queries,) any codes, the same as those of passages.
        passage_languages: (n_passages,).
        passage_ids: (n_passages,) unique; equal scores are ordered by a hash of them.
        items: (n_queries,) what each query asks, which translations share; None if unknown.
        gains: (n_entries,) relevance grades; None if all are 1.

    Raises:
        SettingError: Lengths that do not fit, an id or a relevant passage given twice, or two
            queries of one language with the same item.
    """

    relevance: Relevance
    query_languages: Sequence[str]
    passage_languages: Sequence[str]
    passage_ids: Sequence[str]
    items: Sequence[str] | None = None
    gains: Values | None = None

    def __post_init__(self) -> None:
        n_queries, n_passages = self.relevance.n_queries, len(self.passage_languages)
        if not n_queries or not n_passages:
            raise SettingError(
                f"language bias needs queries and passages, got {n_queries} and {n_passages}"
            )
        _check_length("query_languages", self.query_languages, n_queries, "queries")
        _check_length("passage_ids", self.passage_ids, n_passages, "passage_languages")
        _check_unique(self.passage_ids, "passage id {!r} is given twice; ids must be unique")
        entries = self.relevance.query_of_entry * n_passages + self.relevance.passages
        if len(np.unique(entries)) < len(entries):
            raise SettingError("a query has the same relevant passage twice; give each once")
        if self.items is not None:
            _check_length("items", self.items, n_queries, "queries")
            _check_unique(
                list(zip(self.items, self.query_languages, strict=True)),
                "item and language {!r} have two queries; translations share an item, other "
                "queries do not",
            )

    @property
    def item_numbers(self) -> IntArray:
        """(n_queries,) numbers of the items in order of appearance; each query its own if None."""
        if self.items is None:
            return np.arange(self.relevance.n_queries)
        numbers = {item: at for at, item in enumerate(dict.fromkeys(self.items))}
        return np.array([numbers[item] for item in self.items], np.int64)

    @property
    def rows_by_item(self) -> IntArray:
        """(n_queries,) the order of queries that puts translations next to each other."""
        return np.argsort(self.item_numbers, kind="stable")

    def take(self, rows: IntArray) -> Judgements:
        """The same with its queries in another order."""
        indptr = self.relevance.indptr
        entries = np.concatenate([np.arange(indptr[at], indptr[at + 1]) for at in rows])
        lengths = self.relevance.counts[rows]
        moved = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return replace(
            self,
            relevance=Relevance(moved, self.relevance.passages[entries]),
            query_languages=[self.query_languages[at] for at in rows],
            items=None if self.items is None else [self.items[at] for at in rows],
            gains=None if self.gains is None else self.gains[entries],
        )


def _check_length(name: str, values: Sequence[str], expected: int, of_what: str) -> None:
    if len(values) != expected:
        raise SettingError(
            f"{name} has {len(values)} entries for {expected} {of_what}; give one for each"
        )


def _check_unique(values: Sequence[object], message: str) -> None:
    if len(set(values)) == len(values):
        return
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise SettingError(message.format(value))
        seen.add(value)


class MatrixScorer:
    """Scores that are there already: (n_queries, n_passages), higher is better."""

    def __init__(self, scores: npt.NDArray[np.generic]) -> None:
        if scores.ndim != 2:
            raise SettingError(
                f"scores have shape {scores.shape}; expected one row for each query, one column "
                "for each passage"
            )
        self._scores = scores

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return int(self._scores.shape[0])

    @property
    def n_passages(self) -> int:
        """Size of the pool."""
        return int(self._scores.shape[1])

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        return np.asarray(self._scores[start:stop], np.float64)


class ReorderedScorer:
    """Another scorer with its queries in another order; neighbours are asked for together."""

    def __init__(self, scorer: Scorer, rows: IntArray) -> None:
        self._scorer, self._rows = scorer, rows

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self._rows)

    @property
    def n_passages(self) -> int:
        """Size of the pool."""
        return self._scorer.n_passages

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        rows = self._rows[start:stop]
        parts = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        blocks = [self._scorer.block(int(part[0]), int(part[-1]) + 1) for part in parts]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


@dataclass(frozen=True)
class Extras:
    """What else than ranks a table is to hold.

    Attributes:
        top_depth: How many of the best-ranked passages have their language looked at.
        correlate: Whether to compute rank correlations between translations.
        correlation_depth: Cut rankings there before they are correlated; None is the whole pool.
        lengths: (n_queries,) where each ranking ends, if the system did not rank the whole pool.
        probe: Accuracy of a language probe for each language.
    """

    top_depth: int = TOP_DEPTH
    correlate: bool = False
    correlation_depth: int | None = None
    lengths: IntArray | None = None
    probe: Mapping[str, float] | None = None


def rank_table(scorer: Scorer, judged: Judgements, extras: Extras | None = None) -> RankTable:
    """Exact ranks with languages, from one pass over the scores, and one more to correlate.

    Args:
        scorer: Scores of all queries against the whole pool.
        judged: Queries in the scorer's order, passages in the order of its columns.
        extras: What else the table is to hold.

    Raises:
        EmbeddingError: A score is NaN or infinite, or sizes do not fit.
    """
    extras = extras or Extras()
    codes = tuple(sorted({*judged.query_languages, *judged.passage_languages}))
    number = {code: at for at, code in enumerate(codes)}
    pool = np.array([number[code] for code in judged.passage_languages], np.int64)
    order = tie_order(judged.passage_ids)
    ranks, columns = ranks_and_top(scorer, judged.relevance, order, extras.top_depth)
    top = pool[columns]
    if extras.lengths is not None:
        top[np.arange(top.shape[1]) >= extras.lengths[:, None]] = -1
    view = LanguageView(
        codes=codes,
        queries=np.array([number[code] for code in judged.query_languages], np.int64),
        entries=pool[judged.relevance.passages],
        pool=np.bincount(pool, minlength=len(codes)),
        top=top,
        correlation=_correlation(scorer, judged, order, extras) if extras.correlate else None,
        probe=None
        if extras.probe is None
        else np.array([extras.probe.get(code, np.nan) for code in codes]),
    )
    return RankTable.build(judged.relevance, ranks, scorer.n_passages, judged.gains, view)


def _correlation(
    scorer: Scorer, judged: Judgements, order: IntArray, extras: Extras
) -> Values | None:
    """(n_queries,) mean rank correlations; None if no query has a translation."""
    numbers = judged.item_numbers
    if extras.lengths is not None:  # an empty ranking is no ranking to compare with
        empty = np.flatnonzero(extras.lengths == 0)
        numbers[empty] = len(numbers) + np.arange(len(empty))
    rows = np.argsort(numbers, kind="stable")
    if len(np.unique(numbers)) == len(numbers):
        return None
    sorted_already = np.array_equal(rows, np.arange(len(rows)))
    by_item = scorer if sorted_already else ReorderedScorer(scorer, rows)
    values = np.empty(len(rows))
    values[rows] = mean_rank_correlation(
        by_item, numbers[rows], order, depth=extras.correlation_depth
    )
    return values
