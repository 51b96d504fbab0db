"""Numbers that users hand over: arrays, lists, tensors of torch, as NumPy arrays and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hybridir_mteb.errors import SettingError, one_line
from hybridir_mteb.ranking.arrays import ScoreBlock

EXACT = 2**53  # up to here a double holds every whole number


def as_array(values: object, name: str) -> npt.NDArray[Any]:
    """Numbers as an array, from anything that holds them, tensors of torch included.

    Raises:
        SettingError: Rows of different lengths, or no numbers.
    """
    try:
        array: npt.NDArray[Any] = np.asarray(_without_torch(values))
    except (TypeError, ValueError, OverflowError) as error:
        raise SettingError(f"{name}: not a matrix of numbers ({one_line(error, 200)})") from error
    if array.dtype.kind not in "iuf":
        raise SettingError(f"{name}: expected numbers, got {array.dtype}")
    if array.dtype.kind != "f" and array.size and max(-int(array.min()), int(array.max())) > EXACT:
        raise SettingError(f"{name}: whole numbers beyond 2**53, of which doubles make equal ones")
    return array


def _without_torch(values: Any) -> Any:
    if isinstance(values, list | tuple):
        tensors = any(hasattr(value, "detach") for value in values)
        return [_without_torch(value) for value in values] if tensors else values
    if not hasattr(values, "detach"):
        return values
    tensor = values.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":  # NumPy has none; float32 holds it exactly
        tensor = tensor.float()
    return tensor.numpy()


class MatrixScorer:
    """Scores that are there already: (n_queries, n_passages), higher is better."""

    def __init__(self, scores: npt.NDArray[np.generic]) -> None:
        if scores.ndim != 2:
            raise SettingError(
                f"scores have shape {scores.shape}; expected one row for each query, one column "
                "for each passage"
            )
        self._scores = scores
        self.n_queries, self.n_passages = scores.shape

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        return np.asarray(self._scores[start:stop], np.float64)
