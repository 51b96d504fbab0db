"""The public scores that come with the package, and the facts of their models.

``docs/experiments/scaling_snapshot.py`` makes both files from MTEB's public results; the record is
sealed, and holds the checksum of the scores.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import ChecksumError, DataFormatError
from hybridir_mteb.files import replacing, sha256_of
from hybridir_mteb.files.reading import decoded, read_bytes
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.scaling.scores import Cell, Facts, Scores, csv_of, read_csv

FOLDER = paths.DATA / "mteb-results"
SCORES, RECORD = "scores.csv.gz", "record.json"
_CHECKSUM = "scores_sha256"


def read_snapshot(folder: Path = FOLDER) -> Scores:
    """The scores and facts of a snapshot, by default that of the package.

    Raises:
        DataUnavailableError: A file is missing.
        ChecksumError: The scores are not those that the record was made with.
        DataFormatError: A file is damaged.
    """
    record = read_record(folder / RECORD)
    path = folder / SCORES
    packed = read_bytes(path)
    if sha256_of(path) != record.get(_CHECKSUM):
        raise ChecksumError(
            f"{path}: its sha256 is not the recorded one; install the package again"
        )
    cells = read_csv(decoded(packed, str(path)), str(path))
    try:
        facts = {name: _facts(entry) for name, entry in record["models"].items()}
        origin = f"{record['source']}, commit {record['commit'][:7]} of {record['date']}"
    except (KeyError, TypeError, AttributeError) as error:
        raise DataFormatError(
            f"{folder / RECORD}: no record of a snapshot ({error}); install the package again"
        ) from error
    return Scores(cells, facts, (f"{origin}, licence {record['licence']}",))


def write_snapshot(scores: Scores, about: Mapping[str, str], folder: Path = FOLDER) -> None:
    """Write the two files; the same scores give the same bytes.

    Args:
        scores: What to keep.
        about: ``source``, ``commit``, ``date``, ``licence`` and whatever else is to be said.
        folder: Where to.
    """
    cells = sorted(scores.cells, key=_order)
    tasks = {cell.task for cell in cells}
    with replacing(folder / SCORES) as temporary:
        temporary.write_bytes(gzip.compress(csv_of(cells).encode(), 9, mtime=0))
    models = {name: _entry(scores.facts[name], tasks) for name in sorted(scores.facts)}
    record = {**about, _CHECKSUM: sha256_of(folder / SCORES), "models": models}
    write_record(folder / RECORD, record, indent=None)


def _order(cell: Cell) -> tuple[str, ...]:
    return cell.task, cell.model, cell.revision, cell.split, cell.subset


def _entry(facts: Facts, tasks: set[str]) -> dict[str, Any]:
    """What is not as of any model; of the training data, what is among the tasks."""
    entry = {name: value for name, value in vars(facts).items() if value != getattr(Facts, name)}
    if facts.trained_on is not None:
        entry["trained_on"] = sorted(facts.trained_on & tasks)
    return entry


def _facts(entry: Mapping[str, Any]) -> Facts:
    trained_on = entry.get("trained_on")
    known = None if trained_on is None else frozenset(trained_on)
    return Facts(**{**entry, "trained_on": known})
