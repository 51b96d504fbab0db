"""Rankings as files that trec_eval reads: runs and judgements."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import DataFormatError, quoted
from hybridir_mteb.files import replacing
from hybridir_mteb.ranking.arrays import Qrels, Run


def trec_scores(scores: Sequence[float]) -> npt.NDArray[np.float32]:
    """Scores of one query, best first, that trec_eval orders as they are given.

    trec_eval reads scores in float32 and orders equal ones by id, descending. So each score is
    rounded to float32 and, where it is not below the one before, put one step of float32 below
    that. Nothing changes by more than the rounding, unless many passages tie.

    Returns:
        (n,) float32, strictly falling.
    """
    falling = np.asarray(scores, np.float32)
    if (np.diff(falling) < 0).all():
        return falling
    falling = falling.copy()
    for at in range(1, len(falling)):
        if falling[at] >= falling[at - 1]:
            falling[at] = np.nextafter(falling[at - 1], np.float32(-np.inf))
    return falling


def write_run(path: Path, run: Run, name: str) -> None:
    """Write a run, best passages first, in TREC's six columns, as a whole or not at all.

    Raises:
        DataFormatError: An id with white space.
        NoSpaceError: The disk is full.
    """
    tag = "_".join(name.split())
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, ranking in run.items():
            check_id(query)
            scores = trec_scores(list(ranking.values())).tolist()
            for rank, (passage, score) in enumerate(zip(ranking, scores, strict=True), 1):
                check_id(passage)
                file.write(f"{query} Q0 {passage} {rank} {score:.9g} {tag}\n")


def write_qrels(path: Path, qrels: Qrels) -> None:
    """Write judgements in TREC's four columns, as a whole or not at all.

    Raises:
        DataFormatError: An id with white space.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for query, grades in qrels.items():
            check_id(query)
            for passage, grade in grades.items():
                check_id(passage)
                file.write(f"{query} 0 {passage} {grade}\n")


def check_id(identifier: str) -> None:
    """Refuse an id that a column cannot hold.

    Raises:
        DataFormatError: It is empty or has white space in it.
    """
    if not identifier or any(blank in identifier for blank in " \t\n\r\f\v"):
        raise DataFormatError(
            f"id {quoted(identifier, 80)} cannot be in a TREC file, whose columns end at "
            "white space: change the collection's ids"
        )
