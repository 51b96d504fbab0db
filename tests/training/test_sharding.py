"""Sharding: what it relies on inside accelerate, transformers and torch, and runs on the CPU."""

import inspect
import shutil
from importlib.metadata import version
from types import SimpleNamespace

import fsdp_check
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import fsdp_utils
from fsdp_check import COMMON, GLOBAL_BATCH, Launch, start
from toys.forked import needs_fork
from toys.training import write_parallel_jsonl, write_tiny_decoder
from transformers import AutoModel, Trainer

from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.errors import SettingError
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.training import sharding
from hybridir_mteb.training.sharding import sharding_asked, without_weights
from hybridir_mteb.training.trainer import EncoderTrainer

TESTED = {"accelerate": "1.15", "transformers": "5.23", "torch": "2.13"}


def why() -> str:
    return f"{ {name: version(name) for name in TESTED} } differ from the tested {TESTED}"


@pytest.fixture
def processes(monkeypatch):
    """accelerate's state, which a process has once, as it was before and is after."""
    for kind in (AcceleratorState, PartialState):
        monkeypatch.setattr(kind, "_shared_state", dict(kind._shared_state))
    PartialState._shared_state.clear()
    AcceleratorState._shared_state.clear()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")  # which is set anew
    return monkeypatch


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    return write_tiny_decoder(tmp_path_factory.mktemp("weights") / "gemma", "gemma3_text")


def test_accelerate_leaves_a_sharded_model_alone_and_the_trainer_has_what_is_overridden():
    prepare = inspect.getsource(fsdp_utils.fsdp2_prepare_model)
    assert prepare.index("if is_type_fsdp:") < prepare.index("set_auto_wrap_policy"), why()
    assert "_prepare_fsdp2" in vars(Accelerator), why()
    for name in ("save_model", "_save_optimizer_and_scheduler", "_load_optimizer_and_scheduler"):
        theirs, ours = getattr(Trainer, name), getattr(EncoderTrainer, name)
        assert list(inspect.signature(theirs).parameters) == list(
            inspect.signature(ours).parameters
        ), why()


def test_a_configuration_without_effect_is_refused_in_one_line(processes):
    assert sharding_asked(PartialState(cpu=True)) is None
    processes.setenv("ACCELERATE_USE_FSDP", "true")
    processes.setenv("FSDP_VERSION", "2")
    with pytest.raises(SettingError) as raised:
        sharding_asked(PartialState(cpu=True))
    assert str(raised.value) == (
        "the configuration of accelerate asks for FSDP, which has no effect on 1 process(es) on "
        "cpu: start several processes on GPUs (use_cpu: false), or use a configuration without FSDP"
    )


@pytest.mark.parametrize(
    "settings", [{"FSDP_VERSION": "1"}, {"FSDP_VERSION": "2", "FSDP_OFFLOAD_PARAMS": "true"}]
)
def test_what_was_never_run_is_refused(processes, settings):
    processes.setattr(AcceleratorState, "__init__", AcceleratorState.__init__)  # comes back
    fsdp_check.shard_on_cpu()
    for name, value in {"ACCELERATE_USE_FSDP": "true", **settings}.items():
        processes.setenv(name, value)
    state = PartialState(cpu=True)
    processes.setitem(PartialState._shared_state, "distributed_type", "MULTI_CPU")
    with pytest.raises(SettingError, match=r"set fsdp_version: 2 and fsdp_offload_params: false"):
        sharding_asked(state)


def test_a_network_without_weights_is_the_one_with_weights(decoder, tmp_path):
    bare = shutil.copytree(decoder, tmp_path / "bare", ignore=lambda *_: ["model.safetensors"])
    backbone, reader = installed_plugins().backbones["decoder"], AutoModel.from_pretrained
    with without_weights():
        empty = load_backbone(backbone, weights=str(bare), device="meta")
    assert AutoModel.from_pretrained == reader
    full = load_backbone(backbone, weights=str(decoder))
    for kind in ("named_parameters", "named_buffers"):
        shapes = [
            {name: (value.shape, value.dtype) for name, value in getattr(model, kind)()}
            for model in (empty, full)
        ]
        assert shapes[0] == shapes[1], why()
        assert {value.device.type for _, value in getattr(empty, kind)()} == {"meta"}, why()


def test_each_layer_and_the_embedding_is_gathered_by_itself(decoder):
    network = network_of(
        load_backbone(installed_plugins().backbones["decoder"], weights=str(decoder))
    )
    units = list(sharding._units(network))
    assert units == [*network.layers, network.embed_tokens]


def test_no_device_has_nothing_of_what_is_trained(monkeypatch):
    assert sharding._placement(torch.nn.Parameter(torch.empty(4, 6)), 4) is None
    assert sharding._placement(torch.nn.Parameter(torch.empty(4, 16)), 8).dim == 1
    monkeypatch.setattr(sharding, "is_plain", lambda model: True)
    with pytest.raises(SettingError, match=r"weight, \(4, 12\), cannot be spread over 8 devices"):
        sharding._check(torch.nn.Linear(12, 4), 8)


def test_packed_weights_are_refused():
    packed = torch.nn.Module()
    packed.weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(SettingError, match="packed ones, cannot be sharded"):
        sharding._check(packed, 2)


@pytest.fixture(scope="module")
def launched(decoder, tmp_path_factory):
    """What processes found: one alone, two that are sharded, two that are killed and run again."""
    work = tmp_path_factory.mktemp("launches")
    path = write_parallel_jsonl(work / "tiny.jsonl", 40)
    known = {**COMMON, "backbone": "decoder", "weights": str(decoder), "mini_batch_size": 2}
    known |= {"data": [{"kind": "jsonl", "path": str(path)}], "lora": {"rank": 1}}
    known |= {"gradient_checkpointing": True, "languages": ["de", "en"], "held_out_items": 2}
    known |= {"held_out_pool": 4, "interpolation": [0.5, 1.0]}

    def run(name: str, processes: int = 2, **more: object) -> list[dict]:
        fields = {**known, "batch_size": GLOBAL_BATCH // processes}
        return start(Launch(name, fields, processes, **more), work, 120)

    return SimpleNamespace(
        one=run("one", 1),
        sharded=run("sharded"),
        killed=run("killed", store="again", kill=True),
        resumed=run("resumed", store="again"),
    )


@needs_fork
@pytest.mark.slow
def test_two_sharded_processes_train_as_one_with_the_same_batch(launched):
    (one,), (first, second) = launched.one, launched.sharded
    assert first["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert len(set(first["losses"])) == fsdp_check.STEPS
    assert first["selection"] == one["selection"]
    assert first["selection"]["interpolations_tried"]
    assert fsdp_check._adapters_apart(one["path"], first["path"]) < 1e-5
    assert first["loaded_on"] == ["cpu", "meta"]  # read once, and never again
    assert second["loaded_on"] == ["meta"]
    assert [first["share"], second["share"]] == pytest.approx([0.5, 0.5], abs=0.02)
    assert first["parameters"] == one["parameters"]


@needs_fork
@pytest.mark.slow
def test_a_sharded_run_that_was_killed_ends_as_an_unbroken_one(launched):
    (checkpoint,) = launched.killed
    assert checkpoint["adapters"] > 0
    assert checkpoint["frozen"] == 0
    assert {"optimizer.pt", "trained.safetensors"} <= set(checkpoint["complete"])
    unbroken, resumed = launched.sharded[0], launched.resumed[0]
    assert resumed["fingerprint"] == unbroken["fingerprint"]
    assert resumed["curve"] == unbroken["curve"]
