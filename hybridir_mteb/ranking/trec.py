"""Rankings as files that trec_eval reads: runs, judgements and measures of a task's subsets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb import paths
from hybridir_mteb.errors import DataFormatError, SettingError
from hybridir_mteb.files import replacing, write_text
from hybridir_mteb.ranking.arrays import Qrels, Run

DEPTH = 1000
MEASURES_FILE = "measures.json"


@dataclass(frozen=True)
class SubsetRun:
    """What a system found for the queries of one subset.

    Attributes:
        scores: Measures, as in MTEB's result files.
        run: Query -> passage -> score, best first.
        qrels: Query -> passage -> grade.
    """

    scores: Mapping[str, Any]
    run: Run = field(repr=False)
    qrels: Qrels = field(repr=False)


def search(  # noqa: PLR0913 -- options are keywords
    encoder: str,
    task: str,
    output: Path | str,
    *,
    subsets: Sequence[str] = (),
    depth: int = DEPTH,
    dtype: str | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> Iterator[tuple[str, SubsetRun]]:
    """Search the subsets of a task and write each as a run, subset by subset.

    Writes ``<subset>.trec``, ``<subset>.qrels`` and ``measures.json``, which keeps the subsets that
    an earlier search wrote to the folder in the same way. trec_eval and pytrec_eval
    order the run as it is here: see :func:`trec_scores`. Passages of streamed collections are kept
    as shards, so a search that was interrupted goes on where it was.

    Args:
        encoder: Name that MTEB knows, folder of a sentence-transformers model, or hub id.
        task: A task of this package or its plugins.
        output: Folder; made if missing.
        subsets: Names; all by default.
        depth: Passages for each query in the run; measures see the whole ranking.
        dtype: ``float32`` or ``float16``, of the shards; by default what the environment says.
        device: Of encoder and search; by default a GPU if there is one.
        precision: ``fp32`` or ``bf16``, for encoders of this package.

    Yields:
        Name of each subset, and what was found.

    Raises:
        SettingError: An option that makes no sense, or a folder that holds another search.
        UnknownNameError: No such encoder, task or subset.
        DataUnavailableError: The encoder or the data cannot be had.
        DataFormatError: An id that a run cannot hold.
    """
    from hybridir_mteb.adapters.mteb.run import Searching

    if depth < 1:
        raise SettingError(f"depth={depth} (--depth): give 1 or more")
    if dtype is not None and dtype not in paths.SHARD_DTYPES:
        raise SettingError(
            f"dtype {dtype!r} (--dtype): expected one of {', '.join(paths.SHARD_DTYPES)}"
        )
    folder = Path(output)
    searching = Searching(task, subsets, dtype=dtype, device=device)
    named = {"encoder": encoder, "task": task}
    check_folder(folder, named)
    searching.load(encoder, precision)
    record = {**named, **searching.record, "depth": depth}
    found = _former(folder / MEASURES_FILE, record)
    for name in searching.subsets:
        result = searching.run(name, depth)
        write_run(folder / f"{name}.trec", result.run, encoder)
        write_qrels(folder / f"{name}.qrels", result.qrels)
        found[name] = result.scores
        content = json.dumps({**record, "subsets": found}, indent=1, allow_nan=False)
        write_text(folder / MEASURES_FILE, content + "\n")
        yield name, result


def check_folder(folder: Path, record: Mapping[str, str]) -> None:
    """Refuse to mix the files of two searches.

    Raises:
        SettingError: The folder holds those of another encoder or task, or is none.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} (--output) is a file; give a folder")
    path = folder / MEASURES_FILE
    if not path.exists():
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        former = {name: str(held[name]) for name in record}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{path} is no file of this command; give another --output") from error
    if former != record:
        raise SettingError(
            f"{folder} holds the search of {former['encoder']} on {former['task']}; give another "
            "--output"
        )


def _former(path: Path, record: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Measures of the subsets that are here already; none if they were made in another way."""
    if not path.exists():
        return {}
    held = json.loads(path.read_text(encoding="utf-8"))
    subsets = held.pop("subsets", None)
    return subsets if held == record and isinstance(subsets, dict) else {}


def trec_scores(scores: Sequence[float]) -> npt.NDArray[np.float32]:
    """Scores that trec_eval orders as they are given.

    trec_eval reads scores in float32 and orders equal ones by id, descending. So each score is
    rounded to float32 and, where it is not below the one before, put one step of float32 below
    that. Nothing changes by more than the rounding, unless many passages tie.

    Args:
        scores: Best first.

    Returns:
        (n,) float32, strictly falling.
    """
    falling = np.asarray(scores, np.float32)
    if (np.diff(falling) < 0).all():
        return falling
    falling = falling.copy()
    lowest = np.float32(-np.inf)
    for at in range(1, len(falling)):
        if falling[at] >= falling[at - 1]:
            falling[at] = np.nextafter(falling[at - 1], lowest)
    return falling


def write_run(path: Path, run: Run, name: str) -> None:
    """Write a run in TREC's six columns, as a whole or not at all.

    Args:
        path: The file.
        run: Query -> passage -> score, best first.
        name: Of the system, for the last column.

    Raises:
        DataFormatError: An id with white space.
    """
    tag = "_".join(name.split())
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, ranking in run.items():
            _check_id(query)
            scores = trec_scores(list(ranking.values())).tolist()
            for rank, (passage, score) in enumerate(zip(ranking, scores, strict=True), 1):
                _check_id(passage)
                file.write(f"{query} Q0 {passage} {rank} {score:.9g} {tag}\n")


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements in TREC's four columns, as a whole or not at all.

    Raises:
        DataFormatError: An id with white space.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, grades in qrels.items():
            _check_id(query)
            for passage, grade in grades.items():
                _check_id(passage)
                file.write(f"{query} 0 {passage} {grade}\n")


def _check_id(identifier: str) -> None:
    if not identifier or any(blank in identifier for blank in " \t\n\r\f\v"):
        raise DataFormatError(
            f"id {identifier!r} cannot be in a TREC file, whose columns end at white space: change "
            "the collection's ids"
        )
