"""Evaluation on held-out documents of the training data: what models are selected by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.measures.effectiveness import average_precision
from hybridir_mteb.measures.language_bias import rank_distance
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.probe import FOLDS, language_probe_accuracy
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance
from hybridir_mteb.ranking.exact import exact_ranks
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer
from hybridir_mteb.training.pairs import Source, TrainingItem

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
    """

    mono_map: float
    cross_map: float
    multi_map: float
    rank_distance: float
    language_probe: float
    probe_chance: float

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
        sources: The data; documents count in the order in which they first occur.
        every: Each n-th document is held out; 0 holds nothing out.
    """
    if not every:
        return list(sources), []
    order = dict.fromkeys(item.document or item.id for s in sources for item in s.items)
    held = {document for at, document in enumerate(order) if at % every == every - 1}

    def part(source: Source, wanted: bool) -> Source:
        kept = tuple(i for i in source.items if ((i.document or i.id) in held) is wanted)
        return Source(source.name, kept, source.origin)

    return [part(s, False) for s in sources], [
        s for s in (part(s, True) for s in sources) if s.items
    ]


def held_out_items(sources: Sequence[Source], limit: int) -> list[TrainingItem]:
    """Items for the evaluation, evenly spread: of the smallest source that has two or more.

    The smallest source is the one that was made by hand, where there is one; the whole pool is
    still that of all sources.
    """
    usable = [source for source in sources if len(source.items) > 1]
    if not usable:
        return []
    items = min(usable, key=lambda source: len(source.items)).items
    step = max(1.0, len(items) / limit)
    return [items[int(at * step)] for at in range(min(limit, len(items)))]


class HeldOut:
    """Held-out queries and the pool of passages, laid out once.

    Args:
        sources: Held-out parts.
        limit: Largest number of queries of each language.
    """

    def __init__(self, sources: Sequence[Source], limit: int) -> None:
        items = held_out_items(sources, limit)
        self.languages = sorted({code for item in items for code in item.examples})
        self._queries: dict[str, list[tuple[str, dict[str, str]]]] = {c: [] for c in self.languages}
        pool: dict[str, dict[str, str]] = {code: {} for code in self.languages}
        for item in items:
            answers = {code: example.passage for code, example in item.examples.items()}
            for code, example in item.examples.items():
                self._queries[code].append((example.query, answers))
        for source in sources:
            for item in source.items:
                for code, example in item.examples.items():
                    if code in pool:
                        pool[code].setdefault(example.passage, item.document or item.id)
        self._passages = pool

    def queries(self, language: str) -> list[str]:
        """The held-out queries of one language."""
        return [query for query, _ in self._queries[language]]

    def passages(self, language: str) -> list[str]:
        """The pool of one language."""
        return list(self._passages[language])

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
        mono: list[float] = []
        cross: list[float] = []
        multi: list[float] = []
        distance: list[float] = []
        for code in self.languages:
            for other in self.languages:
                table = self._table(code, (other,), queries[code], passages)
                if table is None:
                    continue
                value = float(average_precision(table).mean())
                (mono if other == code else cross).append(value)
            table = self._table(code, tuple(self.languages), queries[code], passages)
            assert table is not None  # noqa: S101 -- a query has an answer in its own language
            multi.append(float(average_precision(table).mean()))
            distance.append(float(np.nanmean(rank_distance(table))))
        return HeldOutScores(
            float(np.mean(mono)),
            float(np.mean(cross or [0.0])),
            float(np.mean(multi)),
            float(np.mean(distance)),
            self._probe(passages),
            1 / len(self.languages),
        )

    def _table(
        self,
        code: str,
        pool: tuple[str, ...],
        queries: FloatMatrix,
        passages: Mapping[str, FloatMatrix],
    ) -> RankTable | None:
        """Ranks of the answers in a pool; None where no query has an answer in it."""
        place = {
            (other, text): at
            for at, (other, text) in enumerate(
                (other, text) for other in pool for text in self._passages[other]
            )
        }
        judged = [
            [place[other, text] for other, text in answers.items() if other in pool]
            for _, answers in self._queries[code]
        ]
        answered = [at for at, row in enumerate(judged) if row]
        if not answered:
            return None
        relevance = Relevance.from_lists([judged[at] for at in answered])
        scorer = DenseScorer(queries[answered], np.concatenate([passages[o] for o in pool]))
        order = tie_order([f"{other}:{text}" for other, text in place])
        return RankTable.build(relevance, exact_ranks(scorer, relevance, order), len(place))

    def _probe(self, passages: Mapping[str, FloatMatrix]) -> float:
        languages = [code for code in self.languages for _ in self._passages[code]]
        documents = [name for code in self.languages for name in self._passages[code].values()]
        if len(set(languages)) < 2 or len(set(documents)) < FOLDS:
            return float("nan")
        stacked = np.concatenate([passages[code] for code in self.languages])
        return language_probe_accuracy(stacked, languages, documents)
