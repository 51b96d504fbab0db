"""Tasks of collections as what :mod:`hybridir_mteb.collections.export` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import mteb

from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.task import CollectionTask, check_subsets
from hybridir_mteb.collections.collection import StreamedPassage
from hybridir_mteb.collections.export.folder import Origin
from hybridir_mteb.collections.export.formats import ExportSubset
from hybridir_mteb.errors import UnknownNameError, suggest
from hybridir_mteb.plugins.settings import Subset


def task_class(name: str) -> type[CollectionTask]:
    """The class of a task of a collection.

    Raises:
        UnknownNameError: No such task, or one that is no collection's.
    """
    tasks = dict(register().tasks.items())
    ours = [known for known, task in tasks.items() if issubclass(task, CollectionTask)]
    if name not in ours:
        reason = "is not known"
        with suppress(KeyError):
            mteb.get_task(name)
            reason = "is a task of mteb or of a plugin, made of no collection"
        raise UnknownNameError(
            f"{name} {reason}; collections' tasks are listed by hybridir tasks{suggest(name, ours)}"
        )
    found: type[CollectionTask] = tasks[name]
    return found


def origin_of(name: str) -> Origin:
    """Where the data of a task come from."""
    task = task_class(name)
    card = task.spec.card
    return Origin(
        task=name,
        collection=task.spec.name,
        setting=str(task.setting),
        description=task.metadata.description,
        source=card.dataset,
        revision=card.revision,
        license=card.license,
        reference=card.reference,
        citation=card.citation,
    )


def export_subsets(name: str, chosen: Sequence[str] | None = None) -> list[ExportSubset]:
    """The subsets of a task, loaded; the passages of streamed ones are read as they are written.

    Raises:
        UnknownNameError: No such task or subset.
        DataUnavailableError: The collection's files are not here.
    """
    kind = task_class(name)
    check_subsets(kind.metadata, chosen or ())
    task: Any = mteb.get_task(name, hf_subsets=list(chosen) if chosen else None)
    task.load_data()
    return subsets_of(task)


def subsets_of(task: CollectionTask) -> list[ExportSubset]:
    """The subsets of a task whose data are loaded."""
    loaded = [one for one in task.spec.subsets(task.setting) if one.name in task.dataset]
    return [_subset(task, one) for one in loaded]


def _subset(task: CollectionTask, subset: Subset) -> ExportSubset:
    split = task.eval_splits[0]
    data: Any = task.dataset[subset.name][split]
    rows = data["queries"][:]
    queries: dict[str, str] = dict(zip(rows["id"], rows["text"], strict=True))
    asked = task.query_language(subset.query_language)
    own = task.collection.judged(subset)
    return ExportSubset(
        name=subset.name,
        split=split,
        queries=queries,
        qrels=data["relevant_docs"],
        passages=partial(_pool, task, subset.passage_languages),
        pool="+".join(subset.passage_languages),
        query_languages=dict.fromkeys(queries, asked),
        items=dict(zip(queries, own, strict=True)) if task.spec.parallel else None,
    )


def _pool(task: CollectionTask, languages: Sequence[str]) -> Iterator[tuple[str, StreamedPassage]]:
    """The passages with their languages, by the ids that MTEB has."""
    for code in languages:
        _, prefix = task.prefixes(code)
        for passage in task.collection.parts[code].passages.passages():
            yield code, StreamedPassage(prefix + passage.id, passage.text, passage.title)
