"""Result folders of ``mteb run`` as two tables.

One has a row for each encoder and parallel collection: its settings, and language bias. The other
has a row for each encoder and task that is scored by nDCG@10, and the means of benchmarks. Tasks of
translated BEIR folders are in both.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    UnknownNameError,
    quoted,
    suggest,
)
from hybridir_mteb.files.json_text import read_json_object
from hybridir_mteb.files.numbers import number
from hybridir_mteb.files.reading import naming
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.results.benchmarks import AGGREGATES, BENCHMARKS, HYBRIDIR, BenchmarkTasks
from hybridir_mteb.results.naming import (
    collection_and_setting,
    encoder_of,
    result_files,
    revision_of,
)

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
FOUND = {
    "tlr_at_20": ("tlr@20", 3),
    "same_language_recall_at_10": ("same R@10", 3),
    "cross_language_recall_at_10": ("cross R@10", 3),
    "max_rank": ("max rank", 1),
    "complete_at_10": ("complete@10", 3),
    "complete_at_100": ("complete@100", 3),
    "lang_ndcg_at_10": ("lang nDCG@10", 3),
}
BIAS_COLUMNS = ("collection", "encoder", *(heading for heading, _ in BIAS.values()))
FOUND_COLUMNS = ("collection", "encoder", *(heading for heading, _ in FOUND.values()))
# Heading -> names of the measure, the first that a file has counts: MTEB keeps MAP to rank 1000.
NDCG = "ndcg_at_10"
MEASURES = {
    "nDCG@10": (NDCG,),
    "MRR@10": ("mrr_at_10",),
    "Recall@100": ("recall_at_100",),
    "mAP": ("map", "map_at_1000"),
}
NDCG_COLUMNS = ("task", "encoder", *MEASURES, "subsets")
_FORUMS = {part: whole for whole, parts in AGGREGATES.items() for part in parts}
_BENCHMARK_OF = {task: one for one in BENCHMARKS.values() for task in one.tasks}

Scores = list[dict[str, Any]]  # of each subset, as MTEB stores them


@dataclass
class ResultRow:
    """Means over the subsets of each setting; a setting that was not run is missing.

    Attributes:
        collection: Name of the collection, with ``InContext`` if passages had their paragraph.
        encoder: Model name, with the experiment if there is one.
        means: Setting -> measure -> mean over its subsets.
        scores: Setting -> the scores of its subsets.
        place: Folder of the result files, if they are files.
    """

    collection: str
    encoder: str
    means: dict[str, dict[str, float]] = field(default_factory=dict)
    scores: dict[str, Scores] = field(default_factory=dict)
    place: Path | None = None

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
            *(_percent(self.means.get(setting.short, {}).get("map")) for setting in Setting),
            _rounded(multi.get("rank_distance"), 1),
            _rounded(multi.get("rank_distance_norm"), 3),
            "/".join(str(self.subsets.get(setting.short, 0)) for setting in Setting),
        ]

    def bias_cells(self, shown: Mapping[str, tuple[str, int]] = BIAS) -> list[str]:
        """The measures of language bias as text; ``-`` for what a result file does not have.

        Args:
            shown: ``BIAS`` or ``FOUND``.
        """
        multi = self.means.get("multi", {})
        cells = (_rounded(multi.get(measure), digits) for measure, (_, digits) in shown.items())
        return [self.collection, self.encoder, *cells]


@dataclass
class NdcgRow:
    """One task, or the mean of a benchmark, and one encoder.

    Attributes:
        collection: Name of the task or the benchmark.
        encoder: Model name, with the experiment if there is one.
        means: Measure -> mean over the subsets; unrounded.
        subsets: How many there are; of a benchmark ``k of n`` tasks.
        place: Folder of the result files, if they are files.
    """

    collection: str
    encoder: str
    means: dict[str, float] = field(default_factory=dict)
    subsets: str = ""
    place: Path | None = None

    def value(self, heading: str) -> float | None:
        """The measure of a column; None if the result file does not have it."""
        found = (self.means[name] for name in MEASURES[heading] if name in self.means)
        return next(found, None)

    def cells(self) -> list[str]:
        """The row as text; the only place that rounds."""
        values = [_percent(self.value(heading)) for heading in MEASURES]
        return [self.collection, self.encoder, *values, self.subsets]


Row = TypeVar("Row", ResultRow, NdcgRow)


def summarise(folder: Path, collection: str | None = None) -> list[ResultRow]:
    """Read every result file of our parallel collections' tasks below a folder.

    Args:
        folder: The ``--output-folder`` of ``mteb run``.
        collection: Keep only this collection.

    Raises:
        DataUnavailableError: There is no result of our tasks below the folder.
        DataFormatError: A result file cannot be read.
    """
    if rows := parallel_rows(folder, collection):
        return rows
    raise nothing_found(folder)


def nothing_found(folder: Path, benchmark: str = HYBRIDIR) -> DataUnavailableError:
    """The error of a folder without results, with how to make some."""
    folder = folder.absolute()
    return DataUnavailableError(
        f"{folder} holds no results of this package's tasks. Make some: mteb run "
        f"-m hybridir/pocket-base -b {benchmark} --output-folder {folder}"
    )


def parallel_rows(folder: Path, collection: str | None = None) -> list[ResultRow]:
    """As :func:`summarise`, but empty where there is no result."""
    rows: dict[tuple[str, Path], ResultRow] = {}
    for path in result_files(folder):
        named = collection_and_setting(path.stem)
        if named is None or (collection is not None and named[0] != collection):
            continue
        name, setting = named
        scores = [score for split in read_splits(path).values() for score in split]
        if _judged_in_files(scores) or not any("n_passages" in score for score in scores):
            continue  # in the other table, or mteb's own, as VDRMultilingualRetrieval
        row = rows.setdefault((name, path.parent), ResultRow(name, encoder_of(path.parent)))
        row.scores[setting] = scores
        row.means[setting] = _means_of(scores)
    return _told_apart(rows)


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
            f"no benchmark {quoted(benchmark)} in this table; there are {', '.join(BENCHMARKS)}"
            f"{suggest(benchmark, BENCHMARKS)}"
        )
    found: dict[Path, dict[str, Scores]] = defaultdict(dict)
    for path in result_files(folder):
        if scores := _ndcg_scores(path):
            found[path.parent][path.stem] = scores
    chosen = list(BENCHMARKS.values()) if benchmark is None else [BENCHMARKS[benchmark]]
    rows: dict[tuple[str, Path], NdcgRow] = {}
    for place, tasks in found.items():
        by_task = _rows_of(tasks, encoder_of(place))
        of_benchmarks = [row for one in chosen for row in _taken(one, by_task, encoder_of(place))]
        others = by_task.values() if benchmark is None else ()
        for row in (*others, *of_benchmarks):
            named = collection_and_setting(row.collection) or (row.collection, "")
            if collection in {None, row.collection, named[0]}:
                rows[row.collection, place] = row
    return _told_apart(rows)


def _ndcg_scores(path: Path) -> Scores:
    """The subsets of a file that belongs in this table; of the benchmark's split, if it has one."""
    task = path.stem
    known = _BENCHMARK_OF.get(task) or _BENCHMARK_OF.get(_FORUMS.get(task, ""))
    try:
        splits = read_splits(path)
    except DataFormatError:
        if known is None and collection_and_setting(task) is None:
            return []  # some other file
        raise
    if known is not None:
        return splits.get(known.split(task), [])
    scores = [score for split in splits.values() for score in split]
    ours = _judged_in_files(scores) or any(one.get("main_measure") == NDCG for one in scores)
    return scores if ours else []


def _rows_of(tasks: Mapping[str, Scores], encoder: str) -> dict[str, NdcgRow]:
    """Task -> its row, forums together."""
    rows = {
        task: NdcgRow(task, encoder, _means_of(scores), str(len(scores)))
        for task, scores in tasks.items()
        if task not in _FORUMS
    }
    for whole, parts in AGGREGATES.items():
        if all(part in tasks for part in parts):
            row = rows.setdefault(whole, NdcgRow(whole, encoder))
            forums = _common_means(_means_of(tasks[part]) for part in parts)
            row.means = {**forums, **row.means}  # what MTEB aggregated itself comes first
            row.subsets = str(len(parts))
    return rows


def _taken(benchmark: BenchmarkTasks, rows: dict[str, NdcgRow], encoder: str) -> list[NdcgRow]:
    """The rows of a benchmark's tasks, taken out of all, then their mean, by group if it has any.

    With some tasks missing there is no mean, since it would be another one.
    """
    if not benchmark.groups:
        return _with_mean(benchmark.name, benchmark.tasks, rows, encoder)
    return [
        row
        for label, tasks in benchmark.groups.items()
        for row in _with_mean(f"{benchmark.name}, {label}", tasks, rows, encoder)
    ]


def _with_mean(
    name: str, tasks: Sequence[str], rows: dict[str, NdcgRow], encoder: str
) -> list[NdcgRow]:
    here = [rows.pop(task) for task in tasks if task in rows]
    n_tasks = len(tasks)
    if not here or n_tasks == 1:
        return here
    mean = NdcgRow(name, encoder, subsets=f"{len(here)} of {n_tasks}")
    if len(here) == n_tasks:
        shown = [{names[0]: row.value(head) for head, names in MEASURES.items()} for row in here]
        mean.means = _common_means(
            {name: value for name, value in row.items() if value is not None} for row in shown
        )
    return [*here, mean]


def read_splits(path: Path) -> dict[str, Scores]:
    """Split -> the scores of its subsets.

    Raises:
        DataFormatError: Not a result file.
    """
    try:
        with naming(path):
            splits = read_json_object(path, nan=True).get("scores")  # MTEB writes NaN
    except (DataFormatError, DataUnavailableError) as error:
        raise _no_result(path, str(error).removeprefix(f"{path}: ")) from error
    if not isinstance(splits, dict):
        raise _no_result(path, "it has no scores")
    for split in splits.values():
        if not isinstance(split, list) or not all(isinstance(score, dict) for score in split):
            raise _no_result(path, "its scores are no lists of objects")
        kinds: dict[str, bool] = {}  # of a measure that is a number somewhere, all are
        for name, value in ((n, v) for one in split for n, v in one.items() if v is not None):
            is_number = type(value) is float or number(value) is not None
            if kinds.setdefault(name, is_number) != is_number:
                raise _no_result(path, f"{quoted(name, 80)} is no number in one of its subsets")
    return splits


def _no_result(path: Path, why: str) -> DataFormatError:
    return DataFormatError(
        f"{path}: not an MTEB result file ({why}); remove it and run the task again"
    )


def _judged_in_files(scores: Scores) -> bool:
    """Whether judgements come from files, which may name passages that the pool lacks.

    Such tasks are scored by nDCG@10 and count those passages; parallel collections, whose
    judgements are the passages themselves, have no such number. MTEB does not store the name of the
    main score, and its value may be that of several measures.
    """
    return any("n_missing_passages" in score for score in scores)


def _told_apart(rows: Mapping[tuple[str, Path], Row]) -> list[Row]:
    """Rows whose encoders name the revision's start where there are results of several."""
    seen = Counter((row.collection, row.encoder) for row in rows.values())
    for (_, folder), row in rows.items():
        row.place = folder
        if seen[row.collection, row.encoder] > 1:
            row.encoder += f" @{revision_of(folder)}"
    return list(rows.values())


def _means_of(scores: Scores) -> dict[str, float]:
    """Measure -> mean over the subsets that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        for key, value in score.items():
            if type(value) is float or number(value) is not None:
                values[key].append(value)
    return {key: fmean(found) for key, found in values.items()}


def _common_means(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Means of the measures that all have."""
    held = list(several)
    common = set.intersection(*map(set, held))
    return {name: fmean(one[name] for one in held) for name in sorted(common)}


def _percent(value: float | None) -> str:
    return _rounded(None if value is None else 100 * value, 1)


def _rounded(value: float | None, digits: int) -> str:
    """A number as text; ``-`` if there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
