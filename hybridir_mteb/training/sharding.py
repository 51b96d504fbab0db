"""Sharding over devices (FSDP2) as accelerate's launcher asks for it.

The model is sharded before anything is computed, by torch's own ``fully_shard``; accelerate leaves
alone what is sharded already. The first process reads the weights, the others only the network's
shape. What is taken out of a sharded model, its trained parameters and the optimiser's state, is
gathered; that takes all processes at once. Whatever of this rests on the insides of accelerate,
transformers and torch is in this module; a contract test names the versions it was checked with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import MethodType
from typing import Any
from unittest import mock

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from transformers import AutoModel

from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.encoders.sentence import is_plain
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.errors import SettingError, from_extra

with from_extra("train", "training"):
    from accelerate import Accelerator, PartialState
    from accelerate.utils import (
        DistributedType,
        FullyShardedDataParallelPlugin,
        broadcast_object_list,
        convert_outputs_to_fp32,
        disable_fsdp_ram_efficient_loading,
        parse_flag_from_env,
    )

ASKED = "ACCELERATE_USE_FSDP"
PATIENCE = timedelta(hours=2)  # of processes that wait while the first one reads the weights
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
FROM_FIRST = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)


def is_asked() -> bool:
    """Whether the launcher was given a configuration with FSDP."""
    return bool(parse_flag_from_env(ASKED))


def sharding_asked(state: PartialState) -> FullyShardedDataParallelPlugin | None:
    """The settings of sharding; None where the launcher asks for none.

    Raises:
        SettingError: It asks for sharding that accelerate will not do, or of another kind.
    """
    if not is_asked():
        return None
    disable_fsdp_ram_efficient_loading()  # with which transformers reads zeros for weights
    found = Accelerator(cpu=state.device.type == "cpu").state
    plugin: FullyShardedDataParallelPlugin | None = getattr(found, "fsdp_plugin", None)
    if found.distributed_type != DistributedType.FSDP or plugin is None:
        raise SettingError(
            f"the configuration of accelerate asks for FSDP, which has no effect on "
            f"{state.num_processes} process(es) on {state.device.type}: start several processes on "
            "GPUs (use_cpu: false), or use a configuration without FSDP"
        )
    if plugin.fsdp_version != 2 or isinstance(plugin.cpu_offload, CPUOffloadPolicy):
        raise SettingError(
            "the configuration of accelerate asks for FSDP 1, or for parameters on the CPU: set "
            "fsdp_version: 2 and fsdp_offload_params: false"
        )
    return plugin


@contextmanager
def without_weights() -> Iterator[None]:
    """Networks that are loaded within the block have shapes alone: no weights are read."""
    read: Any = AutoModel.from_pretrained
    of_config: Any = AutoModel.from_config

    def from_shape(*place: Any, config: Any = None, dtype: Any = None, **given: Any) -> Any:
        if config is None:  # no encoder is loaded, but a file unpacked
            return read(*place, dtype=dtype, **given)
        with torch.device("meta"):
            return of_config(config, dtype=dtype, trust_remote_code=given.get("trust_remote_code"))

    with mock.patch.object(AutoModel, "from_pretrained", from_shape):
        yield


def shard(
    model: SentenceTransformer, settings: FullyShardedDataParallelPlugin, state: PartialState
) -> None:
    """Spread parameters over the processes, a layer at a time, in place.

    Args:
        model: With its adapters; of the first process on the CPU, of the others without weights.
        settings: Of :func:`sharding_asked`.
        state: The processes.

    Raises:
        SettingError: The model cannot be sharded.
    """
    _check(model, state.num_processes)
    first = state.is_main_process
    weights: dict[str, Any] = model.state_dict() if first else {}
    buffers = dict(model.named_buffers())
    model.to("meta")  # so that no device ever holds the whole
    kind = state.device.type
    shared: dict[str, Any] = {
        "mesh": init_device_mesh(kind, (state.num_processes,)),
        "shard_placement_fn": lambda parameter: _placement(parameter, state.num_processes),
    }
    for unit in _units(network_of(model)):
        fully_shard(unit, reshard_after_forward=settings.reshard_after_forward, **shared)
    fully_shard(model, **shared)
    model.to_empty(device=state.device)
    set_model_state_dict(model, weights, options=FROM_FIRST)
    for name, buffer in model.named_buffers():  # not all are in the state
        if first:
            buffer.copy_(buffers[name])
        torch.distributed.broadcast(buffer, src=0)
    # The first pass decides which parameters are trained: adapters may be off in a later one.
    ShardedEncoder(model, precision=Precision.BF16).encode(["a"])
    reshard(model)


def _check(model: SentenceTransformer, devices: int) -> None:
    odd = [type(p).__name__ for p in model.parameters() if not p.is_floating_point()]
    if odd:
        raise SettingError(f"weights of type {odd[0]}, packed ones, cannot be sharded: use DDP")
    if not is_plain(model):
        raise SettingError("a model with an encode of its own cannot be sharded: use DDP")
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and max(_sizes(parameter, devices)) < devices:
            raise SettingError(
                f"{name}, {tuple(parameter.shape)}, cannot be spread over {devices} devices: "
                "use fewer, or a larger rank of LoRA"
            )


def _sizes(parameter: Tensor, devices: int) -> list[int]:
    """Lengths along which a parameter can be cut; any but the first only into equal parts."""
    first, *others = parameter.shape or (0,)
    return [first, *(size for size in others[:1] if size % devices == 0)]


def _placement(parameter: nn.Parameter, devices: int) -> Shard | None:
    """A device with nothing of a parameter would take it for another: cut wide ones across."""
    first, *across = _sizes(parameter, devices)
    return Shard(1) if first < devices and across else None


def _units(network: nn.Module) -> Iterator[nn.Module]:
    """What is gathered at a time: each layer of the outermost lists, and the token embedding."""
    lists = [name for name, m in network.named_modules() if isinstance(m, nn.ModuleList)]
    for name in lists:
        if not any(name.startswith(f"{other}.") for other in lists):
            yield from network.get_submodule(name).children()
    embeddings = getattr(network, "get_input_embeddings", None)
    if callable(embeddings):
        yield embeddings()


def is_sharded(model: Any) -> bool:
    """Whether :func:`shard` was here."""
    return isinstance(model, FSDPModule)


def reshard(model: nn.Module) -> None:
    """Let go of what a forward pass gathered, so that parameters are those that are trained."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def whole(value: Tensor) -> Tensor:
    """A parameter without its gradient; of a sharded one all parts, which takes all processes."""
    value = value.detach()
    return value.full_tensor() if isinstance(value, DTensor) else value


def put(parameter: Tensor, value: Tensor) -> None:
    """Copy a whole value into a parameter; each process takes its own part."""
    if isinstance(parameter, DTensor):
        mesh, placements = parameter.device_mesh, parameter.placements
        value = value.to(parameter.device)
        value = distribute_tensor(value, mesh, placements, src_data_rank=None)
    parameter.copy_(value)


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The gathered state, which the first process gets; it takes all of them."""
    return dict(get_optimizer_state_dict(model, optimizer, options=WHOLE))


def load_optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]
) -> None:
    """Give each process its part of what the first one has; the others give nothing."""
    set_optimizer_state_dict(model, optimizer, state, options=FROM_FIRST)


def compute_in_bf16(model: SentenceTransformer) -> None:
    """What accelerate does to a model that is not sharded: weights stay, a pass is in bf16."""
    half = torch.autocast(model.device.type, dtype=torch.bfloat16)
    forward: Any = MethodType(half(type(model).forward), model)
    model.forward = convert_outputs_to_fp32(forward)  # type: ignore[method-assign]


def agreed(value: Any) -> Any:
    """The first process's value: what all go by must not differ in the last digit."""
    return broadcast_object_list([value])[0]


class ShardedEncoder(TokenBudgetEncoder):
    """Encodes with a sharded model; all processes encode the same texts."""

    # What is gathered in inference mode could not be trained on afterwards.
    without_gradient = staticmethod(torch.no_grad)

    @property
    def plain(self) -> bool:
        """True, by :func:`shard`; sharding gives the model another class."""
        return True
