"""Tasks and evaluations by MTEB itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mteb

from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.task import make_task
from hybridir_mteb.collections.collection import ParallelCollection
from hybridir_mteb.plugins.settings import Context, Setting
from hybridir_mteb.plugins.specs import CollectionSpec, Measure
from toys.card import CARD


def measures() -> list[Measure]:
    """All that are registered."""
    return [measure for _, measure in register().measures.items()]


def tasks_of(collection: ParallelCollection, *more: Measure) -> Callable[..., Any]:
    """Makes a task of a collection, given its setting and MTEB's own arguments.

    Args:
        collection: What is read.
        *more: Measures beside those that are registered.
    """
    spec = CollectionSpec(collection.name, collection.languages, lambda _: collection, CARD)

    def make(setting: Setting = Setting.MULTILINGUAL, **options: Any) -> Any:
        return make_task(spec, setting, Context.SENTENCE, [*measures(), *more])(**options)

    return make


def evaluate(model: Any, tasks: Any, tmp_path: Path, **kwargs: Any) -> Any:
    """Evaluation by mteb itself."""
    cache = mteb.ResultCache(tmp_path)
    return mteb.evaluate(
        model, tasks, cache=cache, co2_tracker=False, show_progress_bar=False, **kwargs
    )


def scores_of(result: Any, at: int = 0) -> dict[str, dict[str, Any]]:
    """Subset -> scores, in the only split."""
    (split,) = result.task_results[at].scores.values()
    return {score["hf_subset"]: score for score in split}
