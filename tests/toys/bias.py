"""Toy evaluations that several test modules of language bias share."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.report import BiasReport, bias_report
from hybridir_mteb.measures.view import LanguageView

LANGUAGES = ("de", "en", "fr")
XQUAD = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")


@dataclass(frozen=True)
class Parallel:
    """Questions in three languages, each with its answer in all of them, and other passages."""

    query_ids: list[str]
    passage_ids: list[str]
    query_languages: list[str]
    passage_languages: list[str]
    items: list[str]
    relevant: list[list[int]]

    @classmethod
    def make(cls, n_items: int = 5, n_others: int = 4) -> Self:
        query_ids = [f"q:{code}:{at}" for code in LANGUAGES for at in range(n_items)]
        passage_ids = [f"p:{code}:{at}" for code in LANGUAGES for at in range(n_items + n_others)]
        column = {identifier: at for at, identifier in enumerate(passage_ids)}
        items = [identifier.rsplit(":")[-1] for identifier in query_ids]
        return cls(
            query_ids,
            passage_ids,
            [identifier.split(":")[1] for identifier in query_ids],
            [identifier.split(":")[1] for identifier in passage_ids],
            items,
            [[column[f"p:{code}:{item}"] for code in LANGUAGES] for item in items],
        )

    def taken(self, rows: Sequence[int], columns: Sequence[int] | None = None) -> Self:
        """Some queries, and some passages where columns are given, in a new order."""
        columns = range(self.shape[1]) if columns is None else columns
        place = {column: at for at, column in enumerate(columns)}
        return type(self)(
            [self.query_ids[at] for at in rows],
            [self.passage_ids[at] for at in columns],
            [self.query_languages[at] for at in rows],
            [self.passage_languages[at] for at in columns],
            [self.items[at] for at in rows],
            [[place[column] for column in self.relevant[at] if column in place] for at in rows],
        )

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.query_ids), len(self.passage_ids)

    def random_scores(self, seed: int, n_values: int = 0) -> np.ndarray:
        """Untied scores, or few different values."""
        random = np.random.default_rng(seed)
        if n_values:
            return random.integers(0, n_values, self.shape).astype(float)
        return random.standard_normal(self.shape)

    @property
    def arguments(self) -> tuple[list[list[int]], list[str], list[str]]:
        """What of_scores wants after the scores."""
        return self.relevant, self.query_languages, self.passage_languages

    @property
    def keywords(self) -> dict[str, list[str]]:
        return {"passage_ids": self.passage_ids, "items": self.items}

    def run(self, scores: np.ndarray, depth: int | None = None) -> dict[str, dict[str, float]]:
        """The scores as a run; with a depth, the best of each query."""
        return self.cut_run(scores, [depth or scores.shape[1]] * len(scores))

    def cut_run(self, scores: np.ndarray, lengths: Sequence[int]) -> dict[str, dict[str, float]]:
        """The best of each query, a number for each; queries with none are not there."""
        found = {}
        for query, row, length in zip(self.query_ids, scores, lengths, strict=True):
            columns = np.argsort(-row)[:length]
            found[query] = {self.passage_ids[at]: float(row[at]) for at in columns}
        return {query: results for query, results in found.items() if results}

    @property
    def qrels(self) -> dict[str, dict[str, int]]:
        return {
            query: {self.passage_ids[at]: 1 for at in row}
            for query, row in zip(self.query_ids, self.relevant, strict=True)
        }

    @property
    def maps(self) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """Languages of documents and queries, items of queries."""
        return (
            dict(zip(self.passage_ids, self.passage_languages, strict=True)),
            dict(zip(self.query_ids, self.query_languages, strict=True)),
            dict(zip(self.query_ids, self.items, strict=True)),
        )


def a_report(
    asked: tuple[str, ...] = XQUAD,
    passages: tuple[str, ...] | None = None,
    *,
    n_items: int = 40,
    not_applicable: dict[str, str] | None = None,
) -> BiasReport:
    """Every query has one relevant passage a language; a system prefers the query's language."""
    rng = np.random.default_rng(7)
    codes = tuple(sorted({*asked, *(passages or asked)}))
    pool = np.array([100 * n_items * (code in (passages or asked)) for code in codes])
    there = np.flatnonzero(pool)
    queries = np.repeat([codes.index(code) for code in asked], n_items)
    shape = (len(queries), len(there))
    own = there[None] == queries[:, None]
    depths = np.exp(np.where(own, rng.uniform(0, 2, shape), rng.uniform(0.2, 8, shape)))
    order = depths.argsort(axis=1)
    ranks = np.sort(depths.astype(np.int64), axis=1) + np.arange(len(there))
    top = rng.choice(there, (len(queries), 100))
    ours = rng.random(top.shape) < np.linspace(0.8, 0.3, 100)
    top = np.where(ours & (pool[queries] > 0)[:, None], queries[:, None], top)
    rows, places = np.nonzero(ranks <= 100)
    top[rows, ranks[rows, places] - 1] = there[order[rows, places]]
    view = LanguageView(codes, queries, there[order].ravel(), pool, top)
    indptr = np.arange(len(queries) + 1) * len(there)
    table = RankTable(indptr, ranks.ravel(), int(pool.sum()), np.ones(ranks.size), view)
    items = [str(at % n_items) for at in range(len(queries))]
    return bias_report(
        table, LANGUAGE_BIAS, items=items, not_applicable=not_applicable, resamples=50
    )


def write_predictions(folder: Path, task: str, run: dict[str, dict[str, float]]) -> Path:
    """As AbsTask._save_task_predictions writes them."""
    content: dict[str, Any] = {"mteb_model_meta": {"model_name": "m/n", "revision": "1"}}
    for query, results in run.items():
        content.setdefault(query.split(":")[1], {"test": {}})["test"][query] = results
    path = folder / f"{task}_predictions.json"
    path.write_text(json.dumps(content))
    return path
