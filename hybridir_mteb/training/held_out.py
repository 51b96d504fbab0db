"""Evaluation on held-out documents of the training data: what models are selected by."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.measures.effectiveness import average_precision
from hybridir_mteb.measures.language_bias import rank_distance
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.probe import FOLDS, language_probe_accuracy
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance, Values
from hybridir_mteb.ranking.exact import exact_ranks
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer
from hybridir_mteb.training.pairs import Source, TrainingItem

FEWEST = 2  # questions that can be told apart
# Multiples of it, modulo 2 ** 64, are evenly spread however many are taken (Knuth, section 6.4).
GOLDEN = 0x9E3779B97F4A7C15
# (texts, "query" or "document") -> (n, dimension) embeddings.
Embed = Callable[[Sequence[str], Role], FloatMatrix]


@dataclass(frozen=True)
class HeldOutScores:
    """Retrieval among the passages of held-out documents.

    Attributes:
        mono_map: Mean average precision, monolingual, averaged over languages.
        cross_map: Cross-lingual, over ordered pairs of languages.
        multi_map: Multilingual, over query languages.
        rank_distance: Multilingual; 0-based ideal is the number of languages less one.
        language_probe: Accuracy of a linear language probe on the passages.
        probe_chance: What guessing would give.
        questions: How many there were; translations of one count once.
        standard_error: Of the criterion, over questions; NaN for a single one.
    """

    mono_map: float
    cross_map: float
    multi_map: float
    rank_distance: float
    language_probe: float
    probe_chance: float
    questions: int
    standard_error: float

    @property
    def criterion(self) -> float:
        """What runs, steps and interpolation weights are chosen by: the mean of the three mAPs."""
        return (self.mono_map + self.cross_map + self.multi_map) / 3

    def as_dict(self) -> dict[str, Any]:
        """All values, the criterion included, rounded for records; None where undefined."""
        values = {**asdict(self), "criterion": self.criterion}
        return {
            name: None if math.isnan(value) else round(value, 5) for name, value in values.items()
        }


def split_documents(sources: Sequence[Source], every: int) -> tuple[list[Source], list[Source]]:
    """Training part and held-out part of each source; a document is whole in one of them.

    Args:
        sources: The data. Documents count in the order of their own source, whatever other
            sources there are; one of several sources is where the first of these has it.
        every: Each n-th document is held out; 0 holds nothing out.
    """
    if not every:
        return list(sources), []
    held: set[str] = set()
    seen: set[str] = set()
    for source in sources:
        order = source.order()
        held.update(document for document in order[every - 1 :: every] if document not in seen)
        seen.update(order)

    def part(source: Source, wanted: bool) -> Source:
        kept = tuple(i for i in source.items if ((i.document or i.id) in held) is wanted)
        return replace(source, items=kept)

    return [part(s, False) for s in sources], [
        s for s in (part(s, True) for s in sources) if s.items
    ]


def held_out_items(sources: Sequence[Source], limit: int) -> list[TrainingItem]:
    """Items for the evaluation, evenly spread: those whose queries were written, if there are any.

    A query that was cut out of a document repeats its words, so it tells encoders apart less well.

    Args:
        sources: Held-out parts.
        limit: Largest number of items; each source gives its share.

    Returns:
        The items in order; none if there are too few of them to choose by.
    """
    written = [item for source in sources if source.written for item in source.items]
    items = written
    if len(written) < FEWEST:
        items = [item for source in sources for item in source.items]
    if len(items) < FEWEST:
        return []
    count = min(limit, len(items))
    return [items[at * len(items) // count] for at in range(count)]


def held_out_passages(
    sources: Sequence[Source], asked: Sequence[TrainingItem], limit: int | None
) -> dict[str, dict[str, str]]:
    """The passages that are searched, with their documents, for each language of the questions.

    Args:
        sources: Held-out parts.
        asked: The items that ask: their passages are always there.
        limit: Passages of a language; the others are evenly spread over what is left. Languages
            that have the same passages keep the same ones. None keeps all.
    """
    answers = {_passages_of(item) for item in asked}
    distinct = {_passages_of(item): item for source in sources for item in source.items}
    first = [item for key, item in distinct.items() if key in answers]
    rest = [item for key, item in distinct.items() if key not in answers]
    spread = sorted(range(len(rest)), key=lambda at: at * GOLDEN % 2**64)
    ranked = [*first, *(rest[at] for at in spread)]
    pools: dict[str, dict[str, str]] = {}
    for code in sorted({code for item in asked for code in item.examples}):
        having = [item for item in ranked if code in item.examples]
        if limit is not None:
            having = having[: max(limit, sum(code in item.examples for item in first))]
        pools[code] = {item.examples[code].passage: item.document or item.id for item in having}
    return pools


def _passages_of(item: TrainingItem) -> frozenset[tuple[str, str]]:
    return frozenset((code, example.passage) for code, example in item.examples.items())


class HeldOut:
    """Held-out queries and the pool of passages, laid out once.

    Args:
        sources: Held-out parts.
        limit: Largest number of queries of each language.
        pool: Largest number of passages of each language, the answers at least; None takes all.
    """

    def __init__(self, sources: Sequence[Source], limit: int, pool: int | None = None) -> None:
        items = held_out_items(sources, limit)
        self._passages = held_out_passages(sources, items, pool)
        self.languages = list(self._passages)
        self._questions = len(items)
        # Of each language: number of the question, its text, the answer in every language.
        self._queries: dict[str, list[tuple[int, str, dict[str, str]]]]
        self._queries = {code: [] for code in self.languages}
        for number, item in enumerate(items):
            answers = {code: example.passage for code, example in item.examples.items()}
            for code, example in item.examples.items():
                self._queries[code].append((number, example.query, answers))

    def queries(self, language: str) -> list[str]:
        """The held-out queries of one language."""
        return [query for _, query, _ in self._queries[language]]

    def passages(self, language: str) -> list[str]:
        """The pool of one language."""
        return list(self._passages[language])

    def digest(self) -> str:
        """Hex digest of queries, answers and pools, which with the encoder decide the scores."""
        of = json.dumps([self._questions, self._queries, self._passages], sort_keys=True)
        return hashlib.sha256(of.encode()).hexdigest()

    def evaluate(self, embed: Embed) -> HeldOutScores:
        """Embed everything once and score the three settings."""
        return self.score(
            {code: embed(self.queries(code), "query") for code in self.languages},
            {code: embed(self.passages(code), "document") for code in self.languages},
        )

    def score(
        self, queries: Mapping[str, FloatMatrix], passages: Mapping[str, FloatMatrix]
    ) -> HeldOutScores:
        """Score the three settings.

        Args:
            queries: Language -> embeddings of :meth:`queries`.
            passages: Language -> embeddings of :meth:`passages`.
        """
        size = len(self.languages)
        # Average precision of each question by its own language and that of the pool, and in the
        # pool of all languages; NaN where there is no such question or answer.
        pairs = np.full((self._questions, size, size), np.nan)
        multi = np.full((self._questions, size), np.nan)
        distance: list[float] = []
        for at, code in enumerate(self.languages):
            for to, other in enumerate(self.languages):
                numbers, table = self._table(code, (other,), queries[code], passages)
                if table is not None:
                    pairs[numbers, at, to] = average_precision(table)
            numbers, table = self._table(code, tuple(self.languages), queries[code], passages)
            assert table is not None  # noqa: S101 -- a query has an answer in its own language
            multi[numbers, at] = average_precision(table)
            distance.append(float(np.nanmean(rank_distance(table))))
        mono, cross, whole = (np.nanmean(part, axis=0) for part in _parts(pairs, multi))
        return HeldOutScores(
            float(mono.mean()),
            float(cross.mean()) if len(cross) else 0.0,
            float(whole.mean()),
            float(np.mean(distance)),
            self._probe(passages),
            1 / size,
            self._questions,
            _standard_error(pairs, multi),
        )

    def _table(
        self,
        code: str,
        pool: tuple[str, ...],
        queries: FloatMatrix,
        passages: Mapping[str, FloatMatrix],
    ) -> tuple[list[int], RankTable | None]:
        """Questions that have an answer in a pool, and its ranks; None where there is no such."""
        texts = ((other, text) for other in pool for text in self._passages[other])
        place = {pair: at for at, pair in enumerate(texts)}
        judged = [
            [place[other, text] for other, text in answers.items() if other in pool]
            for _, _, answers in self._queries[code]
        ]
        answered = [at for at, row in enumerate(judged) if row]
        if not answered:
            return [], None
        relevance = Relevance.from_lists([judged[at] for at in answered])
        scorer = DenseScorer(queries[answered], np.concatenate([passages[o] for o in pool]))
        order = tie_order([f"{other}:{text}" for other, text in place])
        table = RankTable.build(relevance, exact_ranks(scorer, relevance, order), len(place))
        return [self._queries[code][at][0] for at in answered], table

    def _probe(self, passages: Mapping[str, FloatMatrix]) -> float:
        languages = [code for code in self.languages for _ in self._passages[code]]
        documents = [name for code in self.languages for name in self._passages[code].values()]
        if len(set(languages)) < 2 or len(set(documents)) < FOLDS:
            return float("nan")
        stacked = np.concatenate([passages[code] for code in self.languages])
        return language_probe_accuracy(stacked, languages, documents)


def _parts(pairs: Values, multi: Values) -> list[Values]:
    """Monolingual, cross-lingual, multilingual; a column for each subset that has a question."""
    same = np.eye(pairs.shape[1], dtype=bool)
    parts = (pairs[:, same], pairs[:, ~same], multi)
    return [part[:, np.isfinite(part).any(axis=0)] for part in parts]


def _standard_error(pairs: Values, multi: Values) -> float:
    """Of the criterion, over questions, whose translations are not independent.

    Of questions that all languages have, it is the deviation of the criteria of each question alone
    over the root of their number. One that lacks a language says nothing about its mean.
    """
    share = np.zeros(len(multi))  # of each question in the criterion's distance from the truth
    for values in _parts(pairs, multi):
        known = np.isfinite(values)
        away = np.where(known, values - np.nanmean(values, axis=0), 0.0) / known.sum(axis=0)
        share += away.sum(axis=1) / max(1, values.shape[1]) / 3
    count = len(share)
    return math.sqrt(count / (count - 1) * float(share @ share)) if count > 1 else math.nan
