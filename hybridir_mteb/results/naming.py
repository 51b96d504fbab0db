"""What names of result files, folders and tasks tell, and where results lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hybridir_mteb.plugins.settings import IN_CONTEXT, Context, Setting, task_name

META = "model_meta.json"  # beside the results of a model


def result_files(folder: Path) -> Iterator[Path]:
    """Files below a folder that may be results, sorted; without mteb's clone of the public ones."""
    folder = folder.absolute()
    for path in sorted(folder.rglob("*.json")):
        other = path.name == META or path.stem.endswith("_predictions")
        other = other or path.is_dir()
        if not other and path.relative_to(folder).parts[0] != "remote":
            yield path


def collection_and_setting(task: str) -> tuple[str, str] | None:
    """What a task name of ours tells, the setting as tables have it; None for others' tasks."""
    for infix in (IN_CONTEXT, ""):
        for setting in Setting:
            suffix = f"{setting.in_task_name}{infix}Retrieval"
            if task.endswith(suffix) and task != suffix:
                return task.removesuffix(suffix) + infix, setting.short
    return None


def task_of(collection: str, setting: Setting) -> str:
    """The task of a collection as rows name it."""
    stem = collection.removesuffix(IN_CONTEXT)
    context = Context.SENTENCE if stem == collection else Context.SENTENCE_AND_PARAGRAPH
    return task_name(stem, setting, context)


def encoder_of(folder: Path) -> str:
    """Model name from a folder ``<org>__<name>/<revision>[/experiments/<experiment>]``."""
    parts = folder.parts
    experiment = f" ({parts[-1]})" if "experiments" in parts[-2:] else ""
    model = parts[-4] if experiment else parts[-2]
    return model.replace("__", "/", 1) + experiment


def revision_of(folder: Path) -> str:
    """The start of the revision in such a folder's path."""
    return (folder.parts[-3] if "experiments" in folder.parts[-2:] else folder.name)[:8]
