"""Evaluation of one subset of a task: a ranking, then its measures. Loaded at first use."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.timing import TimingStack

from hybridir_mteb.adapters.mteb.by_query import keep
from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.facts import pool_facts
from hybridir_mteb.adapters.mteb.models import odd_arguments
from hybridir_mteb.adapters.mteb.passes import shared_search
from hybridir_mteb.adapters.mteb.pool import Pool, ShardPool
from hybridir_mteb.adapters.mteb.subset import SubsetView
from hybridir_mteb.encoders.encoder import Encoder, ways
from hybridir_mteb.encoders.kinds import refuse_other_kinds
from hybridir_mteb.errors import SettingError, plain_logger, quoted
from hybridir_mteb.measures.evaluate import Known, subset_scores
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import TOP_DEPTH
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking.arrays import Qrels, Run
from hybridir_mteb.ranking.judgements import NO_ROW, Judgements
from hybridir_mteb.ranking.ranking import Ranking, rank_run

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.task import CollectionTask

logger = plain_logger(__name__)

PLAIN = {"batch_size", "show_progress_bar"}
SEARCH_DEPTH = 1000  # models that only search give no full ranking
NO_RANKING = "it compares rankings of the whole pool, and a search model gives the best passages"


@dataclass(frozen=True)
class Asked:
    """What is asked of the evaluation of one subset.

    Attributes:
        split: Name of the split.
        subset: Name of the subset.
        encode_kwargs: Arguments for the model's ``encode``, such as ``batch_size``.
        depth: How many passages of each query to name; 0 for none.
        num_proc: Processes that a search model may use.
        timer: MTEB's record of what took how long.
    """

    split: str
    subset: str
    encode_kwargs: Mapping[str, Any]
    depth: int
    num_proc: int | None
    timer: TimingStack


@dataclass(frozen=True)
class SubsetRun:
    """What a system found for the queries of one subset.

    Attributes:
        scores: Measures, as in MTEB's result files.
        run: Query -> passage -> score, best first.
        qrels: Query -> passage -> grade.
    """

    scores: Mapping[str, Any]
    run: Run = field(repr=False)
    qrels: Qrels = field(repr=False)


def evaluate_subset(task: CollectionTask, model: Any, data: Any, asked: Asked) -> SubsetRun:
    """Measures of one subset of a task that is loaded, and the best passages of each query.

    Raises:
        TypeError: The model is neither an encoder nor a search model.
        EmbeddingError: Embeddings or scores that cannot be ranked.
        SettingError: The disk has no room for the passages' embeddings, a model that gives no
            dense vector for each text, or arguments that it cannot honour.
    """
    subset = SubsetView(task, task.subset(asked.subset), data)
    call = EncodeCall(task.metadata, asked.split, asked.subset, asked.encode_kwargs)
    if isinstance(model, SearchProtocol):
        found = _of_search_model(task, subset, (model, data, call), asked)
    elif isinstance(model, EncoderProtocol):
        _check_arguments(task, call)
        found = _of_encoder(task, subset, of_mteb(model, call), asked)
    else:
        refuse_other_kinds(model)
        raise TypeError(
            f"{task.metadata.name} needs an encoder or a search model, got {type(model).__name__}"
        )
    judged, ranking, pool, known = found
    with _timed(asked, "Scoring"):
        scores, table = _scores(task, judged, ranking, pool, known)
        keep(task, asked, subset, (judged, table), scores)
    named = _named(judged, ranking, pool, asked.depth) if asked.depth else {}
    return SubsetRun(scores, named, data["relevant_docs"])


def _check_arguments(task: CollectionTask, call: EncodeCall) -> None:
    """Refuse what passages that are encoded in parts cannot have, and say what MTEB mixes up."""
    if call.at_once and not task.spec.parallel:
        precision = call.encode_kwargs["precision"]
        raise SettingError(
            f"precision={quoted(precision)} in encode_kwargs takes its ranges from all passages "
            f"at once, and those of {task.spec.name} are encoded in parts; "
            "binary and ubinary need no ranges"
        )
    mixed = sorted({*odd_arguments(call.encode_kwargs)} - {"precision"})
    said = (
        "%s: MTEB files results with %s in encode_kwargs as the model's ordinary ones; use another "
        "folder of results for them"
    )
    if mixed:  # once for all subsets
        names = (task.metadata.name, ", ".join(mixed))
        task.memory.get(task, mixed, lambda: logger.warning(said, *names), "mixed")


# Judgements, ranking, pool, and what else is known of the system in the multilingual setting.
Found = tuple[Judgements, Ranking, Pool, Known | None]


def _timed(asked: Asked, what: str) -> AbstractContextManager[Any]:
    return asked.timer(what, split=asked.split, subset=asked.subset)


def _depth(task: CollectionTask, asked: Asked) -> int:
    return max(asked.depth, TOP_DEPTH if task.setting is Setting.MULTILINGUAL else 0)


def _of_encoder(task: CollectionTask, subset: SubsetView, encoder: Encoder, asked: Asked) -> Found:
    """What an encoder finds, in a pool that is embedded in memory or on disk."""
    with _timed(asked, "Encoding"):
        subset.check(encoder, plain=not set(asked.encode_kwargs) - PLAIN)
        queries = subset.embedded_queries(encoder)
        pool = subset.embedded(encoder, queries.vectors.shape[1])
    judged = subset.judgements(pool)
    with _timed(asked, "Scoring"):
        depth, known = _depth(task, asked), None
        ranking: Ranking | None = None
        if isinstance(pool, ShardPool):
            ranking = pool.rank(queries, judged, depth, shared_search(task, encoder, pool, asked))
        if task.setting is Setting.MULTILINGUAL:
            made = partial(pool_facts, task, encoder, pool)
            facts = task.memory.get(encoder.host, ways(encoder), made)
            known = facts.known(judged, task.spec.parallel)
            if ranking is None and facts.ranked is not None:
                ranking = facts.ranked.of(judged, depth)
        if ranking is None:
            ranking = pool.rank(queries, judged, depth)
    return judged, ranking, pool, known


def _of_search_model(
    task: CollectionTask,
    subset: SubsetView,
    searched: tuple[SearchProtocol, Any, EncodeCall],
    asked: Asked,
) -> Found:
    """What a model finds that brings its own index; it gives neither embeddings nor all ranks."""
    with _timed(asked, "Encoding"):
        run = own_search(*searched, asked.num_proc)
    pool = subset.unembedded()
    judged = subset.judgements(pool)
    ranking = rank_run(run, judged, pool.rows_of, _depth(task, asked), subset.tie_prefix)
    if task.setting is not Setting.MULTILINGUAL:
        return judged, ranking, pool, None
    reason = NO_RANKING if task.spec.parallel else ""  # else the items tell
    return judged, ranking, pool, Known(task.spec.parallel, no_correlation=reason)


def _scores(
    task: CollectionTask, judged: Judgements, ranking: Ranking, pool: Pool, known: Known | None
) -> tuple[dict[str, Any], RankTable]:
    """Measures and sizes, as JSON values, and the ranks that they are of."""
    scores, table = subset_scores(judged, ranking, task.measures, task.setting, known)
    scores |= {"n_queries": judged.relevance.n_queries, "n_passages": judged.pool_size}
    if task.spec.parallel:
        other = {} if task.spec.main_score == "map" else {"main_measure": task.spec.main_score}
        return scores | other, table
    if judged.missing:
        logger.warning(
            "%s: %d relevant passages are not in the corpus and count as not found; is the corpus "
            "complete?",
            *(pool.label, judged.missing),
        )
    scores["n_missing_passages"] = judged.missing
    scores |= pool.notes if isinstance(pool, ShardPool) else {}
    return scores, table


def _named(judged: Judgements, ranking: Ranking, pool: Pool, depth: int) -> Run:
    """The best passages of each query, by id; each id is read once."""
    top, queries = ranking.top[:, :depth], judged.query_ids or ()
    rows = np.unique(top[top != NO_ROW])
    name = dict(zip(rows.tolist(), pool.ids(rows), strict=True))
    return {
        query: {name[row]: score for row, score in zip(found, scores, strict=False) if row in name}
        for query, found, scores in zip(queries, top.tolist(), ranking.scores.tolist(), strict=True)
    }


def own_search(model: SearchProtocol, data: Any, call: EncodeCall, num_proc: int | None) -> Run:
    """The run of a model that brings its own index, to a depth of ``SEARCH_DEPTH``."""
    how: dict[str, Any] = {"encode_kwargs": call.encode_kwargs, "num_proc": num_proc}
    how |= {"task_metadata": call.metadata, "hf_split": call.split, "hf_subset": call.subset}
    model.index(data["corpus"], **how)
    depth = min(SEARCH_DEPTH, len(data["corpus"]))
    found: Run = model.search(data["queries"], top_k=depth, **how)
    return found
