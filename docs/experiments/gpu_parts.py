"""Experiment: what `gpu_check.py` measures; each part by the package's own code."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import faiss
import numpy as np
import torch
from gpu_models import SHAPE_7B, SHAPE_70B, TOY, Shape, decoder, texts, write_pairs
from transformers import TrainerCallback

from hybridir_mteb.encoders.four_bit import count
from hybridir_mteb.encoders.network import add_lora, efficient
from hybridir_mteb.encoders.pocket.model import network_of
from hybridir_mteb.encoders.sentence import cut
from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.planning import choice
from hybridir_mteb.planning.job import Job
from hybridir_mteb.planning.machines import MACHINES
from hybridir_mteb.planning.memory import Sharding
from hybridir_mteb.planning.networks import of_config
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.exact import ranks_and_top
from hybridir_mteb.ranking.scorers import DenseScorer
from hybridir_mteb.training import run
from hybridir_mteb.training.plan import make_plan
from hybridir_mteb.training.recipe import Lora, make_recipe

FEWEST_LAYERS = 8  # below this a network that does not fit says nothing


@dataclass(frozen=True)
class Training:
    """Sizes of one measurement of training.

    Attributes:
        shape: Of the network.
        four_bit: QLoRA, else LoRA on weights in bf16.
        batch_size: Pairs of a step.
        mini_batch_size: Texts in memory at once (GradCache).
        tokens: Of each text.
        steps: At most.
    """

    shape: Shape
    four_bit: bool
    batch_size: int
    mini_batch_size: int
    tokens: int
    steps: int = 4


@dataclass(frozen=True)
class Search:
    """Sizes of the search."""

    queries: int
    passages: int
    dimension: int
    depth: int = 100


@dataclass(frozen=True)
class Sizes:
    """Those of all parts."""

    device: str
    small: Training
    large: Training
    search: Search
    encoded: int


REAL = Sizes(
    "cuda",
    Training(SHAPE_7B, False, 64, 16, 256),  # of the recipe llm-7b
    Training(SHAPE_70B, True, 16, 4, 256, steps=3),  # of the recipe llm-70b
    Search(200, 300_000, 1024),
    4096,
)
REHEARSAL = Sizes(
    "cpu",
    Training(TOY, False, 4, 2, 128, steps=2),
    Training(TOY, True, 4, 2, 128, steps=2),
    Search(20, 3000, 32, depth=20),
    24,
)


class Clock(TrainerCallback):
    """Times of the steps; ends the training when the time is over, after two steps at least."""

    def __init__(self, deadline: float) -> None:
        self._deadline, self.seconds, self._begun = deadline, [], 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See the base class."""
        _wait()
        self._begun = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """See the base class."""
        _wait()
        self.seconds.append(time.monotonic() - self._begun)
        if time.monotonic() > self._deadline and len(self.seconds) > 1:
            control.should_training_stop = True


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _fresh() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _peak_gb() -> float | None:
    """Largest memory of the device since it was fresh; None on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 1e9, 2) if torch.cuda.is_available() else None


def train_small(sizes: Sizes, deadline: float) -> dict[str, Any]:
    """LoRA on a 7B decoder in bf16."""
    return train(sizes.small, sizes.device, deadline)


def train_large(sizes: Sizes, deadline: float) -> dict[str, Any]:
    """QLoRA on a 70B decoder; with fewer layers where it does not fit, which the result says."""
    asked, tried = sizes.large, []
    while True:
        try:
            found = train(asked, sizes.device, deadline)
        except torch.OutOfMemoryError:
            tried.append(asked.shape.layers)
            fewer = asked.shape.layers * 3 // 4
            if fewer < FEWEST_LAYERS:
                raise
            asked = replace(asked, shape=replace(asked.shape, layers=fewer))
        else:
            return {**found, "layers_that_did_not_fit": tried}


def train(asked: Training, device: str, deadline: float) -> dict[str, Any]:
    """Memory and time of steps of the method `hybrid`, by the package's trainer."""
    _fresh()
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder / "pairs.jsonl", asked.batch_size * (asked.steps + 1), asked.tokens)
        begun = time.monotonic()
        model = decoder(asked.shape, folder / "model", device, four_bit=asked.four_bit)
        _wait()
        built, weights = time.monotonic() - begun, _peak_gb()
        plan = make_plan(_recipe(asked, folder), leak_check=False)
        lora = plan.lora
        add_lora(model, rank=lora.rank, alpha=lora.alpha, dropout=lora.dropout)
        network_of(model).enable_input_require_grads()
        cut(model, asked.tokens)
        clock = Clock(deadline)
        trainer = run._trainer(plan, model, folder / "run", Precision.BF16)
        trainer.add_callback(clock)
        with efficient(model, Precision.BF16):
            trainer.train()
    tokens = 2 * asked.batch_size * asked.tokens
    step = statistics.median(clock.seconds[1:])
    return {
        "sizes": asdict(asked),
        "parameters": sum(count(p) for n, p in model.named_parameters() if ".lora_" not in n),
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "seconds_to_make": round(built, 1),
        "gb_of_weights_while_made": weights,
        "peak_gb": _peak_gb(),
        "seconds_of_steps": [round(value, 3) for value in clock.seconds],
        "seconds_a_step": round(step, 3),
        "tokens_per_second": round(tokens / step),
    }


def _recipe(asked: Training, folder: Path) -> Any:
    return make_recipe(
        {
            "backbone": "decoder",
            "method": "hybrid",
            "weights": str(folder / "model"),
            "data": [{"kind": "jsonl", "path": str(folder / "pairs.jsonl")}],
            "held_out_every": 0,
            "steps": asked.steps,
            "batch_size": asked.batch_size,
            "mini_batch_size": asked.mini_batch_size,
            "max_tokens": asked.tokens,
            "precision": "bf16",
            "gradient_checkpointing": True,
            "save_every": 1000,
            **({"quantization": "nf4"} if asked.four_bit else {}),
        }
    )


def encode(sizes: Sizes, deadline: float) -> dict[str, Any]:
    """Texts a second of a 7B decoder in bf16, by the package's own batches."""
    _fresh()
    asked, done = sizes.small, 0
    with TemporaryDirectory() as name:
        model = decoder(asked.shape, Path(name), sizes.device, four_bit=False)
    encoder = TokenBudgetEncoder(cut(model, asked.tokens), precision=Precision.BF16)
    given = texts(sizes.encoded, asked.tokens)
    next(encoder.batches(given[:2], model.prompts["document"], "document"))  # warm
    _wait()
    begun = time.monotonic()
    for positions, _ in encoder.batches(given, model.prompts["document"], "document"):
        done += len(positions)
        if time.monotonic() > deadline:
            break
    spent = time.monotonic() - begun
    return {
        "texts": done,
        "tokens_of_each": asked.tokens,
        "token_budget": encoder.token_budget,
        "seconds": round(spent, 2),
        "texts_per_second": round(done / spent, 1),
        "tokens_per_second": round(done * asked.tokens / spent),
        "peak_gb": _peak_gb(),
    }


def search(sizes: Sizes, deadline: float) -> dict[str, Any]:
    """Exact search on the device: the ranks of the CPU, and what others find, with the times."""
    del deadline  # one pass of fixed size
    _fresh()
    asked, rng = sizes.search, np.random.default_rng(0)
    passages = rng.standard_normal((asked.passages, asked.dimension), dtype=np.float32)
    relevant = np.sort(rng.integers(0, asked.passages, asked.queries))
    noise = rng.standard_normal((asked.queries, asked.dimension), dtype=np.float32)
    queries = passages[relevant] + 4 * noise
    found: dict[str, Any] = {"sizes": asdict(asked)}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        rounded = [torch.from_numpy(v).to(dtype).float().numpy() for v in (queries, passages)]
        found[name] = _compared(rounded[0], rounded[1], relevant, asked.depth, sizes.device)
    return {**found, "peak_gb": _peak_gb()}


def _compared(
    queries: np.ndarray, passages: np.ndarray, relevant: np.ndarray, depth: int, device: str
) -> dict[str, Any]:
    order = np.random.default_rng(1).permutation(len(passages))
    relevance = Relevance(np.arange(len(queries) + 1), relevant)
    seconds, ranking = {}, {}
    for name, where in (("exact_on_device", device), ("exact_on_cpu", "cpu")):
        begun = time.monotonic()
        scorer = DenseScorer(queries, passages, similarity=Similarity.COSINE, device=where)
        ranking[name] = ranks_and_top(scorer, relevance, order, depth)
        seconds[name] = round(time.monotonic() - begun, 3)
        del scorer
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, passages)]
    tops = {}
    for name, of in (("faiss_on_cpu", _by_faiss), ("torch_topk_on_device", _by_torch)):
        begun = time.monotonic()
        tops[name] = of(*unit, depth, device)
        seconds[name] = round(time.monotonic() - begun, 3)
    ours, cpu = ranking["exact_on_device"], ranking["exact_on_cpu"]
    return {
        "seconds": seconds,
        "ranks": len(ours.ranks),
        "ranks_as_on_the_cpu": int((ours.ranks == cpu.ranks).sum()),
        "queries": len(queries),
        "queries_with_the_same_top": {
            "exact_on_cpu": _same(ours.top, cpu.top),
            **{name: _same(ours.top, top) for name, top in tops.items()},
        },
    }


def _by_faiss(queries: np.ndarray, passages: np.ndarray, depth: int, device: str) -> np.ndarray:
    index = faiss.IndexFlatIP(passages.shape[1])
    index.add(passages)
    return index.search(queries, depth)[1]


def _by_torch(queries: np.ndarray, passages: np.ndarray, depth: int, device: str) -> np.ndarray:
    first, second = (torch.from_numpy(v).to(device) for v in (queries, passages))
    return (first @ second.T).topk(depth, dim=1).indices.cpu().numpy()


def _same(first: np.ndarray, second: np.ndarray) -> int:
    return sum(set(a) == set(b) for a, b in zip(first.tolist(), second.tolist(), strict=True))


def predicted() -> dict[str, dict[str, float]]:
    """Part -> what ``hybridir plan`` says of its training on one GPU of 80 GB."""
    machine = MACHINES["h100"]
    found = {}
    for name, asked in (("lora-7b", REAL.small), ("qlora-70b", REAL.large)):
        way = choice.way(_job(asked), machine, Sharding.COPIES, devices=1)
        found[name] = {
            "peak_gb": round(way.memory.total / 1e9, 1),
            "seconds_a_step": round(way.cost.seconds, 2),
        }
    return found


def _job(asked: Training) -> Job:
    """The run of :func:`train` as the planner sees it; LoRA is that of recipes without settings."""
    lora = Lora()
    return Job(
        of_config(asked.shape.config().to_dict(), "gpu_models.py"),
        asked.batch_size,
        asked.tokens,
        mini_batch=asked.mini_batch_size,
        checkpointing=True,
        rank=lora.rank,
        dropout=lora.dropout,
        four_bit=asked.four_bit,
    )


# Name -> part, and the share of the nine minutes that it may take; what may fail most comes last.
PARTS = {
    "search": (search, 80),
    "lora-7b": (train_small, 120),
    "encode-7b": (encode, 60),
    "qlora-70b": (train_large, 250),
}
