"""Result folders of ``mteb run`` as one row for each encoder and parallel collection."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.settings import Setting

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
