"""Result folders of ``mteb run`` as one row for each encoder and parallel collection."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, UnknownNameError, suggest
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.results.benchmarks import AGGREGATES, BENCHMARKS, BenchmarkTasks

COLUMNS = (
    "collection",
    "encoder",
    *(setting.short for setting in Setting),
    "rank distance",
    "normalised",
    "subsets",
)

# Measure -> heading and digits.
BIAS = {
    "rank_distance": ("distance", 1),
    "lpr": ("lpr", 3),
    "lpr_expected": ("lpr exp.", 3),
    "top1_nonrelevant_same": ("wrong@1", 3),
    "same_language_share_at_10": ("share@10", 2),
    "same_language_share_at_100": ("share@100", 2),
    "peer_at_100": ("peer@100", 3),
    "mrc": ("mrc", 3),
    "language_probe_accuracy": ("probe", 3),
}
BIAS_COLUMNS = ("collection", "encoder", *(heading for heading, _ in BIAS.values()))


@dataclass
class ResultRow:
    """Means over the subsets of each setting; a setting that was not run is missing.

    Attributes:
        collection: Name of the collection, with ``InContext`` if passages had their paragraph.
        encoder: Model name, with the experiment if there is one.
        means: Setting -> measure -> mean over its subsets.
        scores: Setting -> the scores of its subsets, as MTEB stores them.
    """

    collection: str
    encoder: str
    means: dict[str, dict[str, float]] = field(default_factory=dict)
    scores: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def subsets(self) -> dict[str, int]:
        """Setting -> number of subsets that have scores."""
        return {setting: len(scores) for setting, scores in self.scores.items()}

    def cells(self) -> list[str]:
        """The row as text; the only place that rounds."""
        multi = self.means.get("multi", {})
        return [
            self.collection,
            self.encoder,
            *(percent(self.means.get(setting.short, {}).get("map")) for setting in Setting),
            f"{multi['rank_distance']:.1f}" if "rank_distance" in multi else "-",
            f"{multi['rank_distance_norm']:.3f}" if "rank_distance_norm" in multi else "-",
            "/".join(str(self.subsets.get(setting.short, 0)) for setting in Setting),
        ]

    def bias_cells(self) -> list[str]:
        """The measures of language bias as text; ``-`` for what a result file does not have."""
        multi = self.means.get("multi", {})
        values = [(multi.get(measure), digits) for measure, (_, digits) in BIAS.items()]
        cells = ("-" if value is None else f"{value:.{digits}f}" for value, digits in values)
        return [self.collection, self.encoder, *cells]


def percent(value: float | None) -> str:
    """A share in percent; ``-`` if there is none."""
    return "-" if value is None else f"{100 * value:.1f}"


def summarise(folder: Path, collection: str | None = None) -> list[ResultRow]:
    """Read every result file of our parallel collections' tasks below a folder.

    Args:
        folder: The ``--output-folder`` of ``mteb run``.
        collection: Keep only this collection.

    Raises:
        DataUnavailableError: There is no result of our tasks below the folder.
        DataFormatError: A result file cannot be read.
    """
    rows = parallel_rows(folder, collection)
    if not rows:
        raise nothing_found(folder)
    return rows


def nothing_found(folder: Path, benchmark: str = "HybridIR") -> DataUnavailableError:
    """The error of a folder without results, with how to make some."""
    folder = folder.absolute()
    return DataUnavailableError(
        f"{folder} holds no results of this package's tasks. Make some: mteb run "
        f"-m hybridir/pocket-base -b {benchmark} --output-folder {folder}"
    )


def parallel_rows(folder: Path, collection: str | None = None) -> list[ResultRow]:
    """As :func:`summarise`, but empty where there is no result."""
    rows: dict[tuple[str, Path], ResultRow] = {}
    for path in result_files(folder, "*Retrieval.json"):
        named = parse_task_name(path.stem)
        if named is None or (collection is not None and named[0] != collection):
            continue
        name, setting = named
        scores = [score for split in read_splits(path).values() for score in split]
        if not any("n_passages" in score for score in scores):
            continue  # another task of such a name, as mteb's own VDRMultilingualRetrieval
        if any(map(is_streamed, scores)):
            continue  # scored by nDCG@10: in the other table
        row = rows.setdefault((name, path.parent), ResultRow(name, encoder_of(path)))
        row.scores[setting] = scores
        row.means[setting] = means_of(scores)
    tell_revisions_apart(rows)
    return list(rows.values())


def result_files(folder: Path, pattern: str) -> Iterator[Path]:
    """Files below a folder, sorted; without mteb's clone of the public results."""
    folder = folder.absolute()
    for path in sorted(folder.rglob(pattern)):
        if path.relative_to(folder).parts[0] != "remote":
            yield path


def is_streamed(score: Mapping[str, Any]) -> bool:
    """Whether a subset's scores are of a collection whose passages are streamed."""
    return "n_missing_passages" in score


def tell_revisions_apart(rows: Mapping[tuple[str, Path], Any]) -> None:
    """Add the revision's start to encoders that have results of several revisions."""
    seen = Counter((row.collection, row.encoder) for row in rows.values())
    for (_, folder), row in rows.items():
        if seen[row.collection, row.encoder] > 1:
            revision = folder.parts[-3] if "experiments" in folder.parts[-2:] else folder.name
            row.encoder += f" @{revision[:8]}"


def parse_task_name(task: str) -> tuple[str, str] | None:
    """Collection and setting of a task name; None for other people's tasks."""
    for infix in ("InContext", ""):
        for setting in Setting:
            suffix = f"{setting.in_task_name}{infix}Retrieval"
            if task.endswith(suffix) and task != suffix:
                return task.removesuffix(suffix) + infix, setting.short
    return None


def encoder_of(path: Path) -> str:
    """Model name from the folder ``<org>__<name>/<revision>[/experiments/<experiment>]``."""
    parts = list(path.parent.parts)
    experiment = f" ({parts[-1]})" if "experiments" in parts[-2:] else ""
    model = parts[-4] if experiment else parts[-2]
    return model.replace("__", "/", 1) + experiment


def read_splits(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Split -> the scores of its subsets.

    Raises:
        DataFormatError: Not a result file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: [dict(score) for score in split] for name, split in content["scores"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataFormatError(
            f"{path}: not an MTEB result file ({error}); remove it and run the task again"
        ) from error


def means_of(scores: list[dict[str, Any]]) -> dict[str, float]:
    """Measure -> mean over subsets."""
    values: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        for key, value in score.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values[key].append(value)
    return {key: fmean(found) for key, found in values.items()}


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
