"""A grid of evaluations by MTEB: encoders, their seeds, and tasks; no cell stops another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import mteb
from mteb.models.model_implementations import MODEL_REGISTRY

from hybridir_mteb.adapters.mteb.encoder import no_table_bars
from hybridir_mteb.adapters.mteb.load import check_base, load_base, local_folder
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.run import ENCODE_KWARGS
from hybridir_mteb.encoders import trained
from hybridir_mteb.errors import (
    BusyError,
    SettingError,
    UnknownNameError,
    one_line,
    plain_logger,
    quoted,
)
from hybridir_mteb.files.lock import only_one
from hybridir_mteb.plugins.guard import alone

logger = plain_logger(__name__)

REVISION = "@"  # between a name and the fingerprint of one of its seeds
WAIT_S = 0.05
DIGITS = 6  # as MTEB's files have them


@dataclass(frozen=True)
class Cell:
    """One encoder on one task.

    Attributes:
        encoder: Name that MTEB knows, or hub id.
        revision: Of the encoder; None: the one that MTEB knows.
        seed: Of its training; None if it has none, or none is known.
        task: Name of a task that MTEB knows.
    """

    encoder: str
    revision: str | None
    seed: int | None
    task: str

    def __str__(self) -> str:
        which = f"{REVISION}{self.revision[:8]}" if self.revision else ""
        return f"{self.encoder}{which} on {self.task}"


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        score: The task's main score; None if it failed.
        file: Where its results are.
        known: Whether they were there before.
        seconds: What it took.
        error: Why it failed, in one line.
    """

    score: float | None = None
    file: Path | None = None
    known: bool = False
    seconds: float = 0.0
    error: str = ""


def cells(encoders: Sequence[str], tasks: Sequence[str], *, seeds: bool = False) -> list[Cell]:
    """The cells of a grid, encoder by encoder.

    Args:
        encoders: Names that MTEB knows, or hub ids; ``NAME@FINGERPRINT``, or its first characters,
            is one of several that are stored under a name.
        tasks: Names of tasks that MTEB knows, ours among them.
        seeds: Whether all that are stored under a name are meant, and not only the newest.

    Raises:
        SettingError: A folder: MTEB files results by name and revision.
        UnknownNameError: No such encoder, fingerprint or task.
        DataUnavailableError: A name that nothing can have.
    """
    register()
    for task in tasks:
        task_of(task)
    found = [
        Cell(name, revision, seed, task)
        for given in encoders
        for name, revision, seed in _several(given, seeds)
        for task in tasks
    ]
    return list(dict.fromkeys(found))


def task_of(name: str) -> Any:
    """A task that MTEB knows.

    Raises:
        UnknownNameError: It knows none of this name.
    """
    try:
        return mteb.get_task(name)
    except KeyError as error:
        raise UnknownNameError(one_line(error, 300)) from error


def _several(given: str, seeds: bool) -> Iterator[tuple[str, str | None, int | None]]:
    """Name, revision and seed of each encoder that is meant."""
    name, _, revision = given.partition(REVISION)
    if local_folder(name) is not None:
        raise SettingError(
            f"{quoted(name)} is a folder, and MTEB files results by name and revision: give a "
            "name of 'hybridir models list', or a hub id"
        )
    check_base(name)
    fits = [one for one in trained.encoders() if one.name == name]
    stored = [one for one in fits if one.fingerprint.startswith(revision)]
    if fits and not stored:
        trained.get(name, revision)  # says what there is
    for one in stored if seeds else stored[:1]:
        yield name, one.fingerprint, one.record.get("recipe", {}).get("seed")
    if not stored:
        yield name, revision or None, None


class Results(mteb.ResultCache):
    """MTEB's cache of results, to which several processes may write."""

    def load_task_result(self, *arguments: Any, **options: Any) -> Any:
        """MTEB's; what a killed process has left of a file is no result."""
        try:
            return super().load_task_result(*arguments, **options)
        except ValueError as error:
            logger.warning("a damaged result is made anew: %s", one_line(error, 300))
            return None

    def save_to_cache(self, *arguments: Any, **options: Any) -> None:
        """MTEB's, one process at a time: files of all tasks of an encoder are read and written."""
        with _in_turn(self.cache_path / ".hybridir-lock"):
            super().save_to_cache(*arguments, **options)


@contextmanager
def _in_turn(lock: Path) -> Iterator[None]:
    while True:
        try:
            with only_one(lock, "the cache of results"):
                yield
            return
        except BusyError:
            time.sleep(WAIT_S)


@dataclass(frozen=True)
class Grid:
    """How cells are evaluated, here or by a worker elsewhere.

    Attributes:
        folder: MTEB's folder of results.
        device: Torch device; by default a GPU if there is one.
        precision: ``fp32`` or ``bf16``, for encoders of this package.
    """

    folder: Path
    device: str | None = None
    precision: str | None = None

    def __call__(self) -> Callable[[Cell], Outcome]:
        """What evaluates, in a process that has loaded nothing yet."""
        register()
        return self.evaluate

    def evaluate(self, cell: Cell) -> Outcome:
        """Evaluate one cell, unless its results are there; what fails is told, not raised."""
        began, failed = time.monotonic(), list[str]()
        with alone(str(cell), failed.append):
            found, meta = self.known(cell)
            known = found is not None
            if found is None:
                model = _loaded(cell.encoder, cell.revision, self.device, self.precision)
                found, meta = self._run(model, cell, "only-missing"), model.mteb_model_meta
            file = Results(self.folder).get_task_result_path(cell.task, meta)
            seconds = round(time.monotonic() - began, 1)
            score = round(float(found.get_score()), DIGITS)
            return Outcome(score, file, known, seconds)
        said = failed[0].removeprefix(f"{cell}: ")
        return Outcome(seconds=round(time.monotonic() - began, 1), error=said)

    def known(self, cell: Cell) -> tuple[Any, Any]:
        """The results that are there, if all are, and metadata of the encoder; loads nothing."""
        meta = MODEL_REGISTRY.get(cell.encoder)
        if meta is None:  # the hub would be asked for it
            return None, None
        changes: dict[str, Any] = {"revision": cell.revision or meta.revision}
        if self.precision:
            changes["experiment_kwargs"] = {"precision": self.precision}
        meta = meta.model_copy(update=changes)
        try:
            return self._run(meta, cell, "only-cache"), meta
        except ValueError:  # MTEB's way to say that something is missing
            return None, meta

    def _run(self, model: Any, cell: Cell, strategy: str) -> Any:
        arguments: Any = {**ENCODE_KWARGS}
        with no_table_bars():
            result = mteb.evaluate(
                model,
                task_of(cell.task),
                cache=Results(self.folder),
                overwrite_strategy=strategy,
                encode_kwargs=arguments,
                show_progress_bar=False,
            )
        return result.task_results[0]


@lru_cache(maxsize=1)
def _loaded(encoder: str, revision: str | None, device: str | None, precision: str | None) -> Any:
    """One encoder stays for all tasks."""
    options = {"precision": precision} if precision else {}
    return load_base(encoder, revision=revision, device=device, **options)


def results_folder(given: Path | None) -> Path:
    """Where results go: as asked, else where ``mteb run`` puts them."""
    return Path(mteb.ResultCache(given).cache_path).absolute()
