"""Evaluation of one subset of a task: scores, exact ranks, measures. Loaded at first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.types import PromptType

from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.adapters.mteb.bias import PoolBias, bias_details, language_view, pool_bias
from hybridir_mteb.collections.collection import language_of
from hybridir_mteb.measures.measure import RankTable, evaluate_measures
from hybridir_mteb.measures.view import TOP_DEPTH
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance
from hybridir_mteb.ranking.exact import (
    Scorer,
    Ties,
    cut_ranks,
    ranks_and_top,
    tie_order,
    top_passages,
)
from hybridir_mteb.ranking.scorers import RunScorer

PREDICTION_BLOCK = 256
SEARCH_DEPTH = 1000  # models that only search give no full ranking


def column_of(dataset: Any, name: str) -> list[str]:
    """One column as a list; iterating over a column of a Dataset is far slower."""
    values: list[str] = dataset[:][name]
    return values


def own_search(
    model: SearchProtocol, data: Any, call: mteb_embed.EncodeCall, num_proc: int | None
) -> Mapping[str, Mapping[str, float]]:
    """The run of a model that brings its own index, to a depth of ``SEARCH_DEPTH``.

    Args:
        model: It.
        data: MTEB's queries and corpus.
        call: MTEB's arguments.
        num_proc: MTEB's.
    """
    arguments: dict[str, Any] = {
        "task_metadata": call.metadata,
        "hf_split": call.split,
        "hf_subset": call.subset,
        "encode_kwargs": cast("Any", call.encode_kwargs),
        "num_proc": num_proc,
    }
    corpus = data["corpus"]
    model.index(corpus, **arguments)
    depth = min(SEARCH_DEPTH, len(corpus))
    found: Mapping[str, Mapping[str, float]] = model.search(
        data["queries"], top_k=depth, **arguments
    )
    return found


class SubsetEvaluation:
    """The queries and the pool of one subset, as MTEB laid them out.

    Args:
        task: A :class:`~hybridir_mteb.adapters.mteb.task.CollectionTask`.
        data_split: MTEB's queries, corpus and relevance.
        split: Name of the split.
        subset: Name of the subset.
    """

    def __init__(self, task: Any, data_split: Any, split: str, subset: str) -> None:
        self._task, self._data = task, data_split
        self._split, self._subset = split, subset
        self._query_ids: list[str] = column_of(data_split["queries"], "id")
        self._passage_ids: list[str] = column_of(data_split["corpus"], "id")
        self._order = tie_order(self._passage_ids, Ties.HASH)

    def scorer(self, model: Any, encode_kwargs: Mapping[str, Any], num_proc: int | None) -> Scorer:
        """Where the scores come from: embeddings, or a model's own search.

        Raises:
            TypeError: The model is neither an encoder nor a search model.
        """
        call = mteb_embed.EncodeCall(self._task.metadata, self._split, self._subset, encode_kwargs)
        if isinstance(model, SearchProtocol):
            run = own_search(model, self._data, call, num_proc)
            return RunScorer(run, self._query_ids, self._passage_ids)
        if not isinstance(model, EncoderProtocol):
            raise TypeError(
                f"{self._task.metadata.name} needs an encoder or a search model, got "
                f"{type(model).__name__}"
            )
        passages = self._embed(model, "corpus", PromptType.document, call)
        queries = self._embed(model, "queries", PromptType.query, call)
        return mteb_embed.scorer(model, queries, passages)

    def _embed(
        self, model: Any, part: str, role: PromptType, call: mteb_embed.EncodeCall
    ) -> tuple[FloatMatrix, IntArray]:
        ids = self._passage_ids if part == "corpus" else self._query_ids
        texts = column_of(self._data[part], "text")
        languages = [language_of(identifier) for identifier in ids]
        return mteb_embed.embed(model, texts, role, call, languages=languages)

    def pool_bias(self, model: Any, encode_kwargs: Mapping[str, Any]) -> PoolBias | None:
        """What concerns all subsets of the task; None outside the multilingual setting.

        Also None for a model that brings its own search, which gives no ranking of the whole pool
        and no embeddings.
        """
        if self._task.setting is not Setting.MULTILINGUAL or isinstance(model, SearchProtocol):
            return None
        call = mteb_embed.EncodeCall(self._task.metadata, self._split, self._subset, encode_kwargs)
        pool = (self._passage_ids, column_of(self._data["corpus"], "text"))
        found: PoolBias = self._task.memory.get(
            model,
            mteb_embed.encode_once_of(model, call),
            lambda: pool_bias(self._task.collection, model, pool, call),
        )
        return found

    def scores(self, scorer: Scorer, known: PoolBias | None = None) -> dict[str, Any]:
        """All measures of the task's setting, from exact ranks over the whole pool.

        Args:
            scorer: From :meth:`scorer`.
            known: From :meth:`pool_bias`.
        """
        multilingual = self._task.setting is Setting.MULTILINGUAL
        relevance, gains = self._relevance()
        depth = TOP_DEPTH if multilingual else 0
        lengths = scorer.lengths if isinstance(scorer, RunScorer) else None
        ranks, top = ranks_and_top(scorer, relevance, self._order, depth)
        ranks = cut_ranks(ranks, relevance, lengths)
        view = None
        if multilingual:
            view = language_view(self._query_ids, self._passage_ids, relevance, top, known)
            view = view if lengths is None else view.cut(lengths)
        table = RankTable.build(relevance, ranks, len(self._passage_ids), gains, view)
        return {
            **evaluate_measures(self._task.measures, table, self._task.setting),
            **(bias_details(table, self._task.measures) if multilingual else {}),
            "n_queries": len(self._query_ids),
            "n_passages": len(self._passage_ids),
        }

    def _relevance(self) -> tuple[Relevance, npt.NDArray[np.float64]]:
        """Columns and grades of the relevant passages of each query."""
        column = {identifier: at for at, identifier in enumerate(self._passage_ids)}
        judged: Mapping[str, Mapping[str, int]] = self._data["relevant_docs"]
        rows = [
            [(column[passage], grade) for passage, grade in judged[query].items() if grade > 0]
            for query in self._query_ids
        ]
        gains = np.array([grade for row in rows for _, grade in row], np.float64)
        return Relevance.from_lists([[at for at, _ in row] for row in rows]), gains

    def predictions(self, scorer: Scorer, depth: int) -> dict[str, dict[str, float]]:
        """The top of each ranking, best first."""
        run: dict[str, dict[str, float]] = {}
        for start in range(0, len(self._query_ids), PREDICTION_BLOCK):
            ids = self._query_ids[start : start + PREDICTION_BLOCK]
            block = scorer.block(start, start + len(ids))
            columns, values = top_passages(block, self._order, depth)
            for at, (row, found) in enumerate(zip(columns, values, strict=True), start):
                end = scorer.lengths[at] if isinstance(scorer, RunScorer) else len(row)
                names = [self._passage_ids[column] for column in row[:end]]
                run[self._query_ids[at]] = dict(zip(names, found[:end].tolist(), strict=True))
        return run
