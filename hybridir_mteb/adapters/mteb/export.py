"""Tasks of collections as what :mod:`hybridir_mteb.export` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import mteb

from hybridir_mteb.adapters.mteb.evaluation import column_of
from hybridir_mteb.adapters.mteb.ranked_task import RankedTask, check_subsets
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.streamed import StreamedTask
from hybridir_mteb.adapters.mteb.task import CollectionTask
from hybridir_mteb.collections.collection import StreamedPassage, language_of
from hybridir_mteb.collections.export.folder import Origin
from hybridir_mteb.collections.export.formats import ExportSubset
from hybridir_mteb.errors import UnknownNameError, suggest
from hybridir_mteb.plugins.settings import Subset

ROWS = 1000  # passages read at a time


def task_class(name: str) -> type[RankedTask]:
    """The class of a task of a collection.

    Raises:
        UnknownNameError: No such task, or one that is no collection's.
    """
    tasks = dict(register().tasks.items())
    ours = [known for known, task in tasks.items() if issubclass(task, RankedTask)]
    if name not in ours:
        reason = "is a task of mteb or of a plugin, made of no collection" if _known(name) else ""
        raise UnknownNameError(
            f"{name} {reason or 'is not known'}; collections' tasks are listed by hybridir tasks"
            f"{suggest(name, ours)}"
        )
    found: type[RankedTask] = tasks[name]
    return found


def _known(name: str) -> bool:
    try:
        mteb.get_task(name)
    except KeyError:
        return False
    return True


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


def subsets_of(task: CollectionTask | StreamedTask) -> list[ExportSubset]:
    """The subsets of a task whose data are loaded."""
    loaded = [one for one in task.all_subsets() if one.name in task.dataset]
    if isinstance(task, StreamedTask):
        return [_streamed(task, one) for one in loaded]
    return [_parallel(task, one) for one in loaded]


def _parallel(task: CollectionTask, subset: Subset) -> ExportSubset:
    split = task.eval_splits[0]
    data: Any = task.dataset[subset.name][split]
    queries = _queries(data["queries"])

    def passages() -> Iterator[StreamedPassage]:
        for rows in data["corpus"].iter(ROWS):
            for identifier, text in zip(rows["id"], rows["text"], strict=True):
                yield StreamedPassage(identifier, text)

    return ExportSubset(
        name=subset.name,
        split=split,
        queries=queries,
        qrels=data["relevant_docs"],
        passages=passages,
        pool="+".join(subset.passage_languages),
        query_languages=dict.fromkeys(queries, subset.query_language),
        passage_language=language_of,
        items={identifier: identifier.split(":", 2)[2] for identifier in queries},
    )


def _queries(table: Any) -> dict[str, str]:
    return dict(zip(column_of(table, "id"), column_of(table, "text"), strict=True))


def _streamed(task: StreamedTask, subset: Subset) -> ExportSubset:
    split = task.eval_splits[0]
    data: Any = task.dataset[subset.name][split]
    queries = _queries(data["queries"])
    asked = task.query_language(subset.query_language)
    return ExportSubset(
        name=subset.name,
        split=split,
        queries=queries,
        qrels=data["relevant_docs"],
        passages=partial(_pool, task, subset.passage_languages),
        pool="+".join(subset.passage_languages),
        query_languages=dict.fromkeys(queries, asked),
        passage_language=_language_of(subset),
    )


def _pool(task: StreamedTask, languages: Sequence[str]) -> Iterator[StreamedPassage]:
    for code in languages:
        _, prefix = task.prefixes(code)
        for passage in task.parts[code].passages.passages():
            yield StreamedPassage(prefix + passage.id, passage.text, passage.title)


def _language_of(subset: Subset) -> Callable[[str], str]:
    """Ids carry the language only where a pool has several."""
    if len(subset.passage_languages) > 1:
        return language_of
    (code,) = subset.passage_languages
    return lambda _: code
