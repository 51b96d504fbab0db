"""Experiment: a training step beside that of sentence-transformers' own trainer, ten minutes.

python docs/experiments/bench_training.py [WAY …]

All ways train the same LoRA adapters of ``pocket`` on the same batches, in the same order, with the
same loss, optimiser, learning rate and seed; each in a process of its own, so that its memory is
its own. The batches are those of the recipe ``pocket-hybrid``, without its distillation, which the
stock trainer does not have. What is left out of ours, one thing at a time, tells what each brings.
Where there is a GPU it is measured there, into another file, without tricks for processors.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from ceiling import work
from provenance import RESULTS, provenance
from scale_measurements import peak_mib
from side_by_side import alone

from hybridir_mteb.files import write_text

OUTPUT, ON_GPU = RESULTS / "bench-training.json", RESULTS / "bench-training-gpu.json"
COMMAND = "make bench-training"
PACKAGES = ("accelerate", "peft")
RECIPE = "pocket-hybrid"
STEPS, WARM = 9, 2  # steps, and those at the beginning that do not count for time
PAIRS_ON_GPU = 128
# Forward, and backward to the activations: frozen matrices have no gradient of their own.
PASSES = 2


@dataclass(frozen=True)
class Way:
    """How a step is made.

    Attributes:
        says: For people.
        half: Whether the forward pass is in bf16.
        chunks: Whether a batch is embedded in chunks of texts of similar length.
        plain_attention: Whether attention is computed without the fused kernel.
        onednn: Whether, in fp32, products are by oneDNN where it is faster.
        held: Whether, in bf16, frozen layers are held in it and casts for adapters are left out.
    """

    says: str
    half: bool = False
    chunks: bool = True
    plain_attention: bool = False
    onednn: bool = True
    held: bool = True


STOCK = {"chunks": False, "onednn": False, "held": False}
HALF = {"half": True, "plain_attention": True}
WAYS = {
    "stock_fp32": Way("sentence-transformers, fp32", **STOCK),
    "stock_bf16": Way("sentence-transformers, bf16", half=True, **STOCK),
    "ours_fp32": Way("ours, fp32"),
    "ours_fp32_whole_batch": Way("ours, fp32, without chunks by length", chunks=False),
    "ours_fp32_blas": Way("ours, fp32, with PyTorch's own products", onednn=False),
    "ours_fp32_plain": Way("ours, fp32, with plain attention", plain_attention=True),
    "ours_bf16": Way("ours, bf16", **HALF),
    "ours_bf16_whole_batch": Way("ours, bf16, without chunks by length", chunks=False, **HALF),
    "ours_bf16_fused": Way("ours, bf16, with fused attention", half=True),
    "ours_bf16_not_held": Way("ours, bf16, frozen layers held in fp32", held=False, **HALF),
}
WAYS_ON_GPU = ("stock_fp32", "stock_bf16", "ours_fp32", "ours_bf16", "ours_bf16_not_held")


def batches(pairs: int | None) -> tuple[Any, dict[str, list[Any]]]:
    """The recipe, with batches of so many pairs, and the columns of the first ones in a row."""
    from hybridir_mteb.training.pairs import PairDataset
    from hybridir_mteb.training.plan import make_plan
    from hybridir_mteb.training.recipe import read_recipe
    from hybridir_mteb.training.samplers import PairBatchSampler

    changes = {"batch_size": pairs} if pairs else {}
    plan = make_plan(read_recipe(Path(RECIPE), **changes), leak_check=False)
    data = PairDataset.build(plan.train)
    sampler = PairBatchSampler(
        data,
        plan.recipe.batch_size,
        pattern=plan.pattern(),
        temperature=plan.recipe.sampling_temperature,
    )
    rows: list[dict[str, Any]] = []
    for batch in sampler:
        rows += data.__getitems__(batch)
        if len(rows) == STEPS * plan.recipe.batch_size:
            break
    names = ("query", "passage", "label")
    return plan.recipe, {name: [row[name] for row in rows] for name in names}


def trained(name: str, pairs: int | None = None) -> dict[str, Any]:
    """Some steps of one way, in batches of so many pairs; by default those of the recipe."""
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback

    from hybridir_mteb.encoders.network import add_lora, freeze_in_bf16, set_dropout
    from hybridir_mteb.encoders.pocket.model import load_pocket
    from hybridir_mteb.encoders.processor import peak
    from hybridir_mteb.encoders.token_budget import CPU_TOKEN_BUDGET, Precision

    class Clock(TrainerCallback):
        ends: list[float] = []  # noqa: RUF012 -- one run in a process

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if gpu:
                torch.cuda.synchronize()
            self.ends.append(time.perf_counter())

    way, gpu = WAYS[name], torch.cuda.is_available()
    recipe, columns = batches(pairs or (PAIRS_ON_GPU if gpu else None))
    torch.manual_seed(recipe.seed)
    model = load_pocket()
    model.max_seq_length = recipe.max_tokens
    precision = Precision.BF16 if way.half else Precision.FP32
    of_peak = None if gpu else peak(model, CPU_TOKEN_BUDGET, precision)
    of_token, _ = work(model)
    tokens = tokens_of(model, columns)
    set_dropout(model, 0.0)
    add_lora(model, rank=recipe.lora.rank, alpha=recipe.lora.alpha, dropout=0.0)
    if way.half and way.held:
        freeze_in_bf16(model)
    model.to("cuda" if gpu else "cpu")
    before = memory_mib()
    with tempfile.TemporaryDirectory() as folder, as_told(way, model):
        trainer = trainer_of(name, recipe, model, Dataset.from_dict(columns), Path(folder))
        trainer.add_callback(Clock())
        trainer.train()
    steps = [b - a for a, b in zip(Clock.ends, Clock.ends[1:], strict=False)][WARM - 1 :]
    step, tokens = statistics.median(steps), tokens / STEPS
    reached = PASSES * of_token * tokens / step
    return {
        "seconds_a_step": round(step, 3),
        "tokens_a_step": round(tokens),
        "pairs_a_second": round(recipe.batch_size / step, 1),
        "gflops": round(reached / 1e9, 1),
        **({} if of_peak is None else shares(reached, of_peak)),
        "peak_mib_added_by_training": round(memory_mib() - before),
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
    }


def tokens_of(model: Any, columns: dict[str, list[Any]]) -> int:
    """Tokens of all queries and passages, with their prompts."""
    from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder

    roles = {"query": "query", "passage": "document"}
    counted = TokenBudgetEncoder(model).count_tokens
    return sum(sum(counted(columns[name], model.prompts[of])) for name, of in roles.items())


def shares(reached: float, of_peak: float) -> dict[str, float]:
    """The processor's peak, and the share of it that operations a second are."""
    return {"peak_gflops": round(of_peak / 1e9, 1), "share_of_peak": round(reached / of_peak, 3)}


def memory_mib() -> float:
    """The most that was taken so far: of the GPU where there is one, else of the process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return peak_mib()


@contextmanager
def as_told(way: Way, model: Any) -> Iterator[None]:
    """What ``encoders.network.efficient`` and the loss do, but for what is left out of a way."""
    from peft.helpers import disable_input_dtype_casting
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from hybridir_mteb.encoders.pocket.model import network_of
    from hybridir_mteb.encoders.products import fastest_products
    from hybridir_mteb.training.losses import contrastive

    on_processor = model.device.type == "cpu"

    def whole(model: Any, features: Any) -> Any:
        return model(features)["sentence_embedding"]

    with ExitStack() as stack:
        held = way.half and way.held
        stack.enter_context(disable_input_dtype_casting(network_of(model), active=held))
        if way.plain_attention and on_processor:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        if way.onednn and not way.half and on_processor:
            stack.enter_context(fastest_products())
        if not way.chunks:
            stack.enter_context(mock.patch.object(contrastive, "embed_by_length", whole))
        yield


def trainer_of(name: str, recipe: Any, model: Any, data: Any, folder: Path) -> Any:
    """The trainer of a way, with the batches in the order of the data."""
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from torch.utils.data import SequentialSampler

    from hybridir_mteb.training.losses.contrastive import ContrastiveLoss
    from hybridir_mteb.training.trainer import EncoderTrainer

    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_gradient_norm,
        lr_scheduler_type="constant",
        seed=recipe.seed,
        bf16=WAYS[name].half,
        use_cpu=model.device.type == "cpu",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        prompts={"query": model.prompts["query"], "passage": model.prompts["document"]},
        batch_sampler=lambda rows, **more: DefaultBatchSampler(SequentialSampler(rows), **more),
        dataloader_pin_memory=False,
    )
    if name.startswith("stock"):
        loss: Any = MultipleNegativesRankingLoss(model, scale=1 / recipe.temperature)
        kind: Any = SentenceTransformerTrainer
    else:
        loss, kind = ContrastiveLoss(model, temperature=recipe.temperature), EncoderTrainer
    return kind(model=model, args=arguments, train_dataset=data, loss=loss)


def main() -> None:
    """Measure the ways that are named, or all, and compare each with the stock trainer."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(trained(sys.argv[2])))
        return
    report: dict[str, Any] = {"made_by": provenance(COMMAND, PACKAGES), "steps": STEPS, "ways": {}}
    gpu = "gpu" in report["made_by"]["machine"]
    for name in sys.argv[1:] or (WAYS_ON_GPU if gpu else WAYS):
        print(f"{name} …", flush=True)
        report["ways"][name] = {"says": WAYS[name].says, **alone(__file__, "--one", name)}
        print(json.dumps(report["ways"][name]), flush=True)
    stock = report["ways"].get("stock_fp32")
    for found in report["ways"].values() if stock else ():
        gaps = [abs(a - b) for a, b in zip(found["losses"], stock["losses"], strict=True)]
        found["times_as_fast"] = round(stock["seconds_a_step"] / found["seconds_a_step"], 2)
        found["largest_difference_of_losses"] = round(max(gaps), 5)
    report["limits"] = {"times_as_fast": 1.0 if gpu else 3.0}
    write_text(ON_GPU if gpu else OUTPUT, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
