"""Drafts of the pull request that brings a task to MTEB: metadata, statistics, reference scores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import mteb

from hybridir_mteb.adapters.mteb.drafts import MADE, TICKS
from hybridir_mteb.adapters.mteb.register import owner_of, register, task_metadata_of
from hybridir_mteb.adapters.mteb.statistics import statistics
from hybridir_mteb.errors import SettingError, UnknownNameError, quoted, suggest
from hybridir_mteb.files import write_text
from hybridir_mteb.files.numbers import number
from hybridir_mteb.results.submission import folder_of
from hybridir_mteb.results.tables import read_splits

# What upstream asks for with a task, and beside these with a benchmark.
OF_A_TASK = ("mteb/baseline-random-encoder", "intfloat/multilingual-e5-small")
OF_A_BENCHMARK = (
    "sentence-transformers/static-similarity-mrl-multilingual-v1",
    "minishlab/potion-multilingual-128M",
    "mteb/baseline-bm25s",
)
_WORD = re.compile("(Monolingual|CrossLingual|Multilingual|InContext|Retrieval)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def draft_task(name: str, results: Path, output: Path, count: bool) -> list[str]:
    """Write the drafts of a task; returns the files, relative to the output.

    Args:
        name: A task of a plugin, of this package or of the user.
        results: The ``--output-folder`` of ``mteb run``, for scores of the reference models.
        output: Folder to write to.
        count: Whether to count the texts where nobody has; that reads the data.

    Raises:
        UnknownNameError: There is no such task.
        SettingError: MTEB has it already.
    """
    owner = owner_of(name)
    tasks = register().tasks
    if owner is None or (owner != "mteb" and name not in tasks):
        raise UnknownNameError(
            f"unknown task {quoted(name)}{suggest(name, tasks)} ('hybridir tasks' lists ours)"
        )
    if owner == "mteb":
        raise SettingError(f"{name} is MTEB's own: there is nothing to submit")
    metadata = task_metadata_of(name)
    counted = metadata.descriptive_stats
    if counted is None and count:
        counted = statistics(mteb.get_task(name))
    files = {f"{_module(name)}.py": _task_file(metadata), "task-request.md": ""}
    if counted is not None:
        files[f"{name}.json"] = json.dumps(counted, indent=2) + "\n"
    scores = {model: _score(results, model, name) for model in (*OF_A_TASK, *OF_A_BENCHMARK)}
    files["task-request.md"] = _request(metadata, counted, scores, results)
    for file, text in files.items():
        write_text(output / file, text)
    return sorted(files)


def _module(name: str) -> str:
    return _WORD.sub(r"_\1", name).lstrip("_").lower()


def _task_file(metadata: Any) -> str:
    """The task's class, with what has to be changed."""
    fields = type(metadata).model_fields
    values = "\n".join(f"        {field}={getattr(metadata, field)!r}," for field in fields)
    return f"""# Draft. Before it is sent, a person has to see to these:
# - the data are on the hub in MTEB's format, and `dataset` names that repository and its commit:
#   `push_dataset_to_hub` of the task uploads them.
# - `load_data` and the main score are MTEB's own: upstream has no {metadata.main_score} over full
#   rankings and no measure of language bias, so that a main score may have to be another.
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata


class {metadata.name}(AbsTaskRetrieval):
    metadata = TaskMetadata(
{values}
    )
"""


def _score(results: Path, model: str, task: str) -> float | None:
    """The mean main score of a model in a task; None if there is no result."""
    paths = sorted(results.glob(f"**/{folder_of(model)}/*/{task}.json"))
    if not paths:
        return None
    found = [
        number(one.get("main_score"))
        for all_of in read_splits(paths[-1]).values()
        for one in all_of
    ]
    known = [value for value in found if value is not None]
    return fmean(known) if known else None


def _request(metadata: Any, counted: Any, scores: Mapping[str, float | None], results: Path) -> str:
    """The text of the request."""
    revision = metadata.dataset["revision"]
    pinned, path = bool(_COMMIT.fullmatch(revision)), metadata.dataset["path"]
    complete = all(scores[model] is not None for model in OF_A_TASK)
    translated = "machine-translated" in str(metadata.sample_creation)
    rows = [
        f"| {model} | {'not run' if value is None else f'{100 * value:.1f}'} |"
        for model, value in scores.items()
    ]
    missing = [model for model, value in scores.items() if value is None]
    lines = [
        f"Adds `{metadata.name}`. {MADE} {TICKS}",
        "",
        f"- Reason for dataset addition: {metadata.description}",
        "",
        f"| model | {metadata.main_score} in percent |",
        "| --- | --: |",
        *rows,
        "",
        *(
            f"    mteb run -m {model} -t {metadata.name} --output-folder {results}"
            for model in missing
        ),
        "",
        f"- [{_tick(metadata.is_filled())}] I have filled out the metadata object",
        f"- [{_tick(pinned)}] The revision of `{path}` is pinned: `{revision}`",
        "- [ ] The data are on the hub in MTEB's format",
        f"- [{_tick(counted is not None)}] Descriptive statistics: "
        f"`mteb/descriptive_stats/{metadata.type}/{metadata.name}.json`",
        f"- [{_tick(complete)}] I have run the reference models: {', '.join(OF_A_TASK)}",
        "- [ ] I have checked that the performance is neither trivial (both models gain close to "
        "perfect scores) nor random (both models gain close to random scores)",
        f"- [ ] The licence allows it: {metadata.license}",
        *(["- [ ] The machine translations were validated"] if translated else []),
        f"- [ ] For a benchmark, these too: {', '.join(OF_A_BENCHMARK)}",
    ]
    return "\n".join(lines) + "\n"


def _tick(true: bool) -> str:
    return "x" if true else " "
