"""Scores by query beside the results of our tasks: MTEB's cache is asked where those are.

A task is not told where its result goes. MTEB saves after each subset, so what was measured last
waits for that call, which is wrapped; nothing of it can make a run fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from mteb.cache import ResultCache

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.around import go_around
from hybridir_mteb.collections.collection import query_id
from hybridir_mteb.errors import plain_logger
from hybridir_mteb.measures.builtin import BUILT_IN
from hybridir_mteb.measures.measure import RankTable, measure_values
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.results.by_query import QueryScores, add_beside

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.evaluation import Asked
    from hybridir_mteb.adapters.mteb.subset import SubsetView
    from hybridir_mteb.adapters.mteb.task import CollectionTask

logger = plain_logger(__name__)

# Beside these, a collection's main measure, and the measures of plugins.
KEPT = (
    *("map", "mrr", "mrr_at_10", "ndcg_at_10", "recall_at_10", "recall_at_100"),
    *("rank_distance", "max_rank", "lpr", "tlr_at_20", "complete_at_100", "lang_ndcg_at_10"),
    *("same_language_recall_at_10", "cross_language_recall_at_10"),
)
_waiting = threading.local()
_told: set[str] = set()


def units_of(task: CollectionTask, code: str, queries: Iterable[str]) -> list[str]:
    """What each query asks; translations of a question share it, in all tasks of a collection.

    Args:
        task: The task, its data loaded.
        code: What their language is called in the collection.
        queries: Their ids in the files.
    """
    return [query if task.spec.parallel else query_id(code, query) for query in queries]


def keep(
    task: CollectionTask,
    asked: Asked,
    subset: SubsetView,
    found: tuple[Judgements, RankTable],
    scores: Mapping[str, Any],
) -> None:
    """Have the scores by query of a subset written when MTEB saves its result.

    Args:
        task: The task, its data loaded.
        asked: What was asked of the evaluation.
        subset: The queries.
        found: Judgements and ranks of the subset, whose values the scores are means of.
        scores: Its measures.
    """
    _waiting.scores = None
    with _never_failing(task.metadata.name):
        if paths.by_query_enabled():
            go_around(ResultCache, "save_to_cache", _save_to_cache)
            code = task.subset(asked.subset).query_language
            _waiting.scores = QueryScores(
                task.metadata.name,
                str(task.metadata.revision),
                asked.split,
                asked.subset,
                task.query_language(code),
                task.spec.main_score,
                queries=list(found[0].query_ids or ()),
                units=units_of(task, code, subset.judged),
                scores=_values(task, found[1], scores),
            )


def _values(
    task: CollectionTask, table: RankTable, scores: Mapping[str, Any]
) -> dict[str, list[float | None]]:
    """Measure -> value of each query, of those measures that the result has."""
    kept = {*KEPT, task.spec.main_score}
    return {
        one.name: [None if value != value else value for value in column]  # noqa: PLR0124 -- NaN
        for one in task.measures
        if one.by_query and (one.name in kept or one.name not in BUILT_IN)
        if isinstance(scores.get(one.name), float)
        for column in [measure_values(one, table).tolist()]
    }


def _save_to_cache(
    theirs: Callable[..., Any], cache: Any, result: Any, *arguments: Any, **options: Any
) -> Any:
    saved = theirs(cache, result, *arguments, **options)
    _write(cache, result, arguments, options)
    return saved


def _write(cache: Any, result: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Write what waits, if it is of the result that was saved."""
    waiting: QueryScores | None = getattr(_waiting, "scores", None)
    if waiting is None or waiting.task != result.task_name:
        return
    _waiting.scores = None
    with _never_failing(waiting.task):
        named = {
            name: options[name] for name in ("model_name", "model_revision") if name in options
        }
        path = cache.get_task_result_path(waiting.task, *arguments, **named)
        kept = {(split, s["hf_subset"]) for split, of in result.scores.items() for s in of}
        if waiting.key in kept:
            add_beside(path, waiting, kept)


def _never_failing(task: str) -> AbstractContextManager[None]:
    """What fails in the block costs a warning, once for a task, and no result."""

    def warn(line: str) -> None:
        if task not in _told:
            _told.add(task)
            logger.warning("%s; all else is as it was", line)

    return alone(f"{task}: scores by query are not kept for hybridir compare", warn)
