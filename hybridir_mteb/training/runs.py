"""The folders of runs that have not ended: checkpoints, and who works in them. Imports no torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hybridir_mteb import paths
from hybridir_mteb.encoders.threads import chosen_by_others
from hybridir_mteb.errors import BusyError, DataFormatError, TrainingError
from hybridir_mteb.files import sweep
from hybridir_mteb.files.lock import only_one
from hybridir_mteb.files.record import read_record, write_record
from hybridir_mteb.files.room import check_folder
from hybridir_mteb.files.temporary import size_of

RECORD = "run.json"
THREADS = "threads.json"
PRECISION = "precision.json"


@dataclass(frozen=True)
class Unfinished:
    """A run that has not ended.

    Attributes:
        path: Its folder.
        bytes: Size on disk.
    """

    path: Path
    bytes: int


def runs_dir() -> Path:
    """Where the folders of runs are, in the store of encoders."""
    return paths.model_store_dir() / ".runs"


def unfinished() -> list[Unfinished]:
    """The runs whose folders are there; some may be at work."""
    folders = sorted(path for path in runs_dir().glob("[!.]*") if path.is_dir())
    return [Unfinished(folder, size_of(folder)) for folder in folders]


def clear_unfinished() -> int:
    """Delete the folders of runs at which nobody works.

    Returns:
        Bytes freed.
    """
    freed = 0
    for run in unfinished():
        try:
            with only_one(_lock(run.path), f"the training in {run.path}"):
                shutil.rmtree(run.path, ignore_errors=True)
                freed += run.bytes
        except BusyError:
            continue
    return freed


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """A run's folder, made if missing, and held while the block runs.

    Its name stands for recipe, data and number of devices.

    Raises:
        TrainingError: It holds another run, or there is a file in its place.
        BusyError: Another process trains in it.
        SettingError: It cannot be written.
    """
    check_folder(paths.model_store_dir(), paths.MODEL_STORE_VARIABLE)
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder} is a file where checkpoints belong: remove or rename it")
    with only_one(_lock(folder), f"the training in {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        _check(folder)
        yield


def same_threads(folder: Path) -> None:
    """Compute with as many threads as before the run was interrupted: others round otherwise.

    Unless the user has chosen a number now.
    """
    import torch

    if chosen_by_others():
        return
    record = folder / THREADS
    try:
        torch.set_num_threads(int(read_record(record)["threads"]))
    except (FileNotFoundError, DataFormatError, KeyError, ValueError, RuntimeError):
        write_record(record, {"threads": torch.get_num_threads()})


def same_precision(folder: Path, choose: Callable[[], str]) -> str:
    """The arithmetic that a run began with, in which it goes on; one that begins chooses."""
    record = folder / PRECISION
    try:
        return str(read_record(record)["precision"])
    except (FileNotFoundError, DataFormatError, KeyError):
        found = choose()
        write_record(record, {"precision": found})
        return found


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _check(folder: Path) -> None:
    """Whether the checkpoints are of this run; those of version 0.1 do not say."""
    record = folder / RECORD
    try:
        found = read_record(record).get("run")
    except FileNotFoundError:
        found = folder.name
        write_record(record, {"run": found})
    except DataFormatError as error:
        raise TrainingError(f"{error}; remove {folder} to train from the start") from error
    if found != folder.name:
        raise TrainingError(
            f"{folder} holds the checkpoints of another run, {found}: rename it back, or remove it "
            "to train from the start"
        )
