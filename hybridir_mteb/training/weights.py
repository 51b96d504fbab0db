"""The parameters that a run trains: taken out, put back, and moved between start and end."""

from __future__ import annotations

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from hybridir_mteb.errors import TrainingError
from hybridir_mteb.training.sharding import put, reshard, whole


def trained_state(model: SentenceTransformer) -> dict[str, Tensor]:
    """The parameters that training changes, on the CPU; of a sharded model, in all processes."""
    reshard(model)
    return {
        name: whole(parameter).cpu().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def load_trained_state(model: SentenceTransformer, state: dict[str, Tensor]) -> None:
    """Put parameters back.

    Raises:
        TrainingError: The state is not of this model.
    """
    reshard(model)
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != state.keys():
        odd = sorted(parameters.keys() ^ state.keys())[:3]
        raise TrainingError(
            f"the checkpoint is of another model: {', '.join(odd)} are in only one of them; "
            "delete the run's folder to start anew"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            put(parameter, state[name])


def blend(start: dict[str, Tensor], end: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """Parameters between start (0) and end (1)."""
    blended = {}
    for name, value in end.items():
        if ".lora_A." in name:
            blended[name] = value
        elif ".lora_B." in name:
            blended[name] = value * weight
        else:
            blended[name] = torch.lerp(start[name], value, weight)
    return blended
