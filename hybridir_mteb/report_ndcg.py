"""The second table of the report: tasks scored by nDCG@10, and the means of benchmarks.

Those are MTEB's own tasks of BEIR and BEIR-PL, and our tasks of collections that are not parallel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hybridir_mteb.benchmarks import AGGREGATES, BENCHMARKS, BenchmarkTasks
from hybridir_mteb.errors import DataFormatError, UnknownNameError
from hybridir_mteb.names import suggest
from hybridir_mteb.report import (
    encoder_of,
    is_streamed,
    means_of,
    parse_task_name,
    percent,
    read_splits,
    result_files,
    tell_revisions_apart,
)

# Heading -> names of the measure, the first that a file has counts: MTEB keeps MAP to rank 1000.
MEASURES = {
    "nDCG@10": ("ndcg_at_10",),
    "MRR@10": ("mrr_at_10",),
    "Recall@100": ("recall_at_100",),
    "mAP": ("map", "map_at_1000"),
}
NDCG_COLUMNS = ("task", "encoder", *MEASURES, "subsets")
_FORUMS = {part: whole for whole, parts in AGGREGATES.items() for part in parts}
_BENCHMARK_OF = {task: one for one in BENCHMARKS.values() for task in one.tasks}


@dataclass
class NdcgRow:
    """One task, or the mean of a benchmark, and one encoder.

    Attributes:
        collection: Name of the task or the benchmark.
        encoder: Model name, with the experiment if there is one.
        means: Measure -> mean over the subsets; unrounded.
        subsets: How many there are; of a benchmark ``k of n`` tasks.
    """

    collection: str
    encoder: str
    means: dict[str, float] = field(default_factory=dict)
    subsets: str = ""

    def value(self, heading: str) -> float | None:
        """The measure of a column; None if the result file does not have it."""
        found = (self.means[name] for name in MEASURES[heading] if name in self.means)
        return next(found, None)

    def cells(self) -> list[str]:
        """The row as text; the only place that rounds."""
        values = [percent(self.value(heading)) for heading in MEASURES]
        return [self.collection, self.encoder, *values, self.subsets]


def summarise_ndcg(
    folder: Path, collection: str | None = None, benchmark: str | None = None
) -> list[NdcgRow]:
    """Read the result files of tasks scored by nDCG@10.

    Args:
        folder: The ``--output-folder`` of ``mteb run``.
        collection: Keep only this collection, or task.
        benchmark: Keep only the tasks of this benchmark.

    Returns:
        Rows by encoder, each followed by the means of its benchmarks; empty if there are none.

    Raises:
        UnknownNameError: There is no such benchmark.
        DataFormatError: A result file cannot be read.
    """
    if benchmark is not None and benchmark not in BENCHMARKS:
        raise UnknownNameError(
            f"no benchmark {benchmark!r} in this table; there are {', '.join(BENCHMARKS)}"
            f"{suggest(benchmark, BENCHMARKS)}"
        )
    found: dict[Path, dict[str, list[dict[str, Any]]]] = {}
    for path in result_files(folder, "*.json"):
        scores = [] if _is_no_result(path) else _scores(path)
        if scores:
            found.setdefault(path.parent, {})[path.stem] = scores
    rows: dict[tuple[str, Path], NdcgRow] = {}
    for place, tasks in found.items():
        encoder = encoder_of(place / "any.json")
        for row in _rows_of(tasks, encoder, benchmark):
            if collection is None or _is_of(row.collection, collection):
                rows[row.collection, place] = row
    tell_revisions_apart(rows)
    return list(rows.values())


def _is_no_result(path: Path) -> bool:
    return path.name == "model_meta.json" or path.stem.endswith("_predictions")


def _scores(path: Path) -> list[dict[str, Any]]:
    """The subsets of a file that belongs in this table; of the benchmark's split, if it has one."""
    task = path.stem
    known = _BENCHMARK_OF.get(task) or _BENCHMARK_OF.get(_FORUMS.get(task, ""))
    try:
        splits = read_splits(path)
    except DataFormatError:
        if known is None and parse_task_name(task) is None:
            return []  # some other file
        raise
    if known is not None:
        return splits.get(known.split(task), [])
    scores = [score for split in splits.values() for score in split]
    return scores if any(map(is_streamed, scores)) else []


def _rows_of(
    tasks: Mapping[str, list[dict[str, Any]]], encoder: str, benchmark: str | None
) -> list[NdcgRow]:
    """The rows of one encoder."""
    rows = {
        task: NdcgRow(task, encoder, means_of(scores), str(len(scores)))
        for task, scores in tasks.items()
        if task not in _FORUMS
    }
    for whole, parts in AGGREGATES.items():
        if all(part in tasks for part in parts):
            forums = [means_of(tasks[part]) for part in parts]
            row = rows.setdefault(whole, NdcgRow(whole, encoder))
            row.means = {**_mean(forums), **row.means}  # what MTEB aggregated itself comes first
            row.subsets = str(len(parts))
    chosen = list(BENCHMARKS.values()) if benchmark is None else [BENCHMARKS[benchmark]]
    grouped = []
    for one in chosen:
        here = [rows.pop(task) for task in one.tasks if task in rows]
        grouped += here
        if here and len(one.tasks) > 1:
            grouped.append(_mean_row(one, here, encoder))
    return grouped if benchmark is not None else [*rows.values(), *grouped]


def _mean_row(benchmark: BenchmarkTasks, rows: list[NdcgRow], encoder: str) -> NdcgRow:
    """The mean over all tasks; with some missing there is none, since it would be another mean."""
    row = NdcgRow(benchmark.name, encoder, subsets=f"{len(rows)} of {len(benchmark.tasks)}")
    if len(rows) == len(benchmark.tasks):
        named = [
            {
                names[0]: value
                for heading, names in MEASURES.items()
                if (value := one.value(heading)) is not None
            }
            for one in rows
        ]
        row.means = _mean(named)
    return row


def _mean(several: list[dict[str, float]]) -> dict[str, float]:
    """Means of the measures that all have."""
    common = set.intersection(*map(set, several))
    return {name: fmean(one[name] for one in several) for name in sorted(common)}


def _is_of(task: str, collection: str) -> bool:
    named = parse_task_name(task)
    return collection in {task, named[0] if named else task}
