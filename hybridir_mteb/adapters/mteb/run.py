"""Searches our tasks with any encoder that MTEB loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mteb

from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.adapters.mteb.ranked_task import RankedTask, check_subsets
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.streamed import StreamedTask
from hybridir_mteb.errors import SettingError
from hybridir_mteb.ranking.trec import SubsetRun

ENCODE_KWARGS = {"batch_size": 32}  # as mteb run has it


class Searching:
    """One task, and the encoder that searches it.

    Args:
        task: Name of one of our tasks.
        subsets: Names; all if there are none.
        dtype: Of the shards of a streamed task.
        device: Of encoder and search.

    Attributes:
        subsets: Names of the subsets to search, in the task's order.

    Raises:
        UnknownNameError: No such task or subset.
        SettingError: A task that is not ours.
    """

    def __init__(
        self, task: str, subsets: Sequence[str], *, dtype: str | None, device: str | None
    ) -> None:
        self._task = _task(task)
        self._device = device
        if isinstance(self._task, StreamedTask):
            self._task.shard_dtype, self._task.device = dtype, device
        elif dtype is not None:
            raise SettingError(
                f"{task} is small and is searched in memory: leave out dtype (--dtype)"
            )
        check_subsets(self._task.metadata, subsets)
        known = self._task.metadata.hf_subsets
        self.subsets = [name for name in known if not subsets or name in subsets]
        self._task.hf_subsets = self.subsets
        self._model: Any = None

    def load(self, encoder: str, precision: str | None) -> None:
        """Load encoder and data.

        Raises:
            UnknownNameError: A name of this package that is not registered.
            SettingError: The encoder's loader does not know a precision.
            DataUnavailableError: The encoder or a data file cannot be had.
        """
        self._task.load_data()
        options = {"precision": precision} if precision else {}
        self._model = load_base(encoder, device=self._device, **options)

    @property
    def record(self) -> dict[str, Any]:
        """What the results are of, as JSON values."""
        metadata = self._task.metadata
        revision = getattr(getattr(self._model, "mteb_model_meta", None), "revision", None)
        return {
            "encoder_revision": revision,
            "dataset_revision": metadata.revision,
            "split": self._task.eval_splits[0],
            "main_score": metadata.main_score,
        }

    def run(self, subset: str, depth: int) -> SubsetRun:
        """Search one subset."""
        found: SubsetRun = self._task.search_subset(self._model, subset, depth, ENCODE_KWARGS)
        return found


def _task(name: str) -> Any:
    ours = register().tasks
    if name not in ours:
        try:
            mteb.get_task(name)
        except KeyError:
            ours[name]  # says which there are
        raise SettingError(
            f"{name} is a task of mteb: hybridir search writes rankings of 'hybridir tasks'; for "
            f"others use mteb run -t {name} --prediction-folder DIR"
        )
    task = ours[name]()
    if not isinstance(task, RankedTask):
        raise SettingError(
            f"{name} is made by a plugin in its own way: use mteb run -t {name} "
            "--prediction-folder DIR"
        )
    return task
