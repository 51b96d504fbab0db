"""What the processor at hand does best with an encoder: measured in a second, once, and kept.

Peaks of matrix products mislead: a processor that multiplies faster in bf16 may encode slower in
it, since layers also convert, normalise and attend. So the first layers of the encoder itself are
timed on made-up texts, in each precision and in batches of several sizes. Only speed is decided by
it, and what ``auto`` means: embeddings differ by rounding, as between two machines.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from sentence_transformers import SentenceTransformer

from hybridir_mteb import paths
from hybridir_mteb.encoders.cpu import processor, processor_name
from hybridir_mteb.encoders.features import Reader, Texts
from hybridir_mteb.encoders.probes import Probes
from hybridir_mteb.encoders.products import Library, library
from hybridir_mteb.encoders.sentence import is_plain
from hybridir_mteb.encoders.threads import chosen_by_others
from hybridir_mteb.encoders.token_budget import CPU_TOKEN_BUDGET, Precision, TokenBudgetEncoder
from hybridir_mteb.ranking.onednn import onednn

AUTO = "auto"
VERSION = 2  # of the measurement: another number, and all is measured again
LAYERS = 2  # of a network, which stand for all
WORDS = 30  # of a made-up text: a sentence
# Batches are tried by how many threads share them; from four on, half of them as well.
SEVERAL_THREADS, MANY_THREADS = 4, 8
BUDGETS, LARGE_BUDGET = (CPU_TOKEN_BUDGET, 4 * CPU_TOKEN_BUDGET), 16 * CPU_TOKEN_BUDGET
# Seconds of a measurement: threads that have just begun share a core for some hundredths.
WATCHED_S, OF_A_PRODUCT_S = 0.4, 0.02
WORTH = 1.05  # times as fast, or the usual batches stay
WORTH_BF16 = 1.1  # times as fast, or three digits are not given up
TYPES = {Precision.FP32: torch.float32, Precision.BF16: torch.bfloat16}


class Way(NamedTuple):
    """How a batch is computed.

    Attributes:
        precision: Arithmetic of the forward pass.
        budget: Tokens of a batch.
        threads: Of torch.
    """

    precision: Precision
    budget: int
    threads: int


@dataclass(frozen=True)
class Measured:
    """What one processor does with encoders of one shape.

    Attributes:
        processor: Its name.
        encoder: The network, in words.
        peaks: Floating point operations a second of the products of the encoder's shapes.
        rates: Tokens a second that go through the layers that were timed; the usual way first.
    """

    processor: str
    encoder: str
    peaks: dict[Precision, float]
    rates: dict[Way, float]

    @property
    def precision(self) -> Precision:
        """What ``auto`` stands for."""
        rate = {one: self.rates[self.way(one)] for one in Precision}
        faster = rate[Precision.BF16] >= WORTH_BF16 * rate[Precision.FP32]
        return Precision.BF16 if faster else Precision.FP32

    def way(self, precision: Precision) -> Way:
        """The quickest way in a precision; the usual one unless another is worth the change."""
        of = {way: rate for way, rate in self.rates.items() if way.precision is precision}
        usual, best = next(iter(of)), max(of, key=of.__getitem__)
        return best if of[best] >= WORTH * of[usual] else usual

    def __str__(self) -> str:
        way = self.way(self.precision)
        rates = ", ".join(f"{one} {self.rates[self.way(one)]:,.0f}" for one in Precision)
        peaks = ", ".join(f"{one} {peak / 1e9:,.0f}" for one, peak in self.peaks.items())
        return (
            f"auto is {way.precision}, {way.budget} tokens a batch, {way.threads} threads; "
            f"tokens/s in {LAYERS} layers: {rates}; GFLOP/s of products: {peaks}"
        )


class Best(NamedTuple):
    """What to encode with.

    Attributes:
        precision: Arithmetic of the forward pass.
        token_budget: Tokens of a batch; None leaves it to the engine.
        threads: Of torch; None leaves them as they are.
    """

    precision: Precision
    token_budget: int | None = None
    threads: int | None = None


def best_for(
    model: SentenceTransformer, precision: str = Precision.FP32, token_budget: int | None = None
) -> Best:
    """How the processor at hand encodes fastest; what is asked for stays as it is.

    Args:
        model: The encoder.
        precision: ``auto`` takes the faster one.
        token_budget: Tokens of a batch; None takes ``HYBRIDIR_TOKEN_BUDGET``, else what is fastest.
    """
    asked = token_budget or paths.token_budget()
    if not paths.probe_enabled() or model.device.type != "cpu" or not is_plain(model):
        return Best(by_instructions() if precision == AUTO else Precision(precision), asked)
    if precision != AUTO and asked:
        return Best(Precision(precision), asked)
    found = measured(model)
    way = found.way(found.precision if precision == AUTO else Precision(precision))
    return Best(way.precision, asked or way.budget, way.threads)


def by_instructions() -> Precision:
    """bf16 where the device has instructions for it, whether or not they are fast."""
    if torch.cuda.is_available():
        return Precision.BF16 if torch.cuda.is_bf16_supported() else Precision.FP32
    available = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    has = available and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Precision.BF16 if has else Precision.FP32


def measured(model: SentenceTransformer) -> Measured:
    """What is known of this processor and encoders of this shape; else it is measured and kept."""
    return _PROBES.get(_file(model), lambda: measure(model))


def all_kept() -> Iterator[tuple[Path, Measured]]:
    """Everything that was measured on this processor, with its file."""
    for file in sorted(paths.probes_dir().glob("*.json")):
        found = _PROBES.kept(file)
        if found is not None and found.processor == processor_name():
            yield file, found


def _file(model: SentenceTransformer) -> Path:
    shapes = [(name, [*p.shape], str(p.dtype)) for name, p in model.named_parameters()]
    about = [VERSION, *processor(), torch.get_num_threads(), torch.__version__, shapes]
    digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return paths.probes_dir() / f"{digest[:32]}.json"


def _read(record: dict[str, Any]) -> Measured:
    """A measurement from its record.

    Raises:
        ValueError: It lacks a precision.
    """
    peaks = {Precision(name): float(peak) for name, peak in record["peaks"].items()}
    rates = {Way(Precision(p), int(b), int(t)): float(r) for p, b, t, r in record["rates"]}
    if {way.precision for way in rates} != {*Precision}:
        raise ValueError("a precision is missing")
    return Measured(str(record["processor"]), str(record["encoder"]), peaks, rates)


def _record(found: Measured) -> dict[str, Any]:
    return {
        "processor": found.processor,
        "encoder": found.encoder,
        "peaks": found.peaks,
        "rates": [[*way, rate] for way, rate in found.rates.items()],
    }


_PROBES = Probes(_read, _record)


def measure(model: SentenceTransformer) -> Measured:
    """Time the first layers of an encoder on the processor at hand, and the products in it."""
    threads = torch.get_num_threads()
    budgets = [*BUDGETS, *([LARGE_BUDGET] if threads >= MANY_THREADS else [])]
    ways = [Way(precision, budget, threads) for precision in Precision for budget in budgets]
    if threads >= SEVERAL_THREADS and not chosen_by_others():
        ways += [Way(precision, CPU_TOKEN_BUDGET, threads // 2) for precision in Precision]
    network = getattr(model[0], "model", model[0])
    return Measured(
        processor_name(),
        f"{type(network).__name__}, {sum(p.numel() for p in model.parameters()):,} parameters",
        {one: peak(model, CPU_TOKEN_BUDGET, one, OF_A_PRODUCT_S) for one in Precision},
        _rates(model, ways),
    )


def _rates(model: SentenceTransformer, ways: Sequence[Way]) -> dict[Way, float]:
    """Tokens a second of each way, by turns, so that all see the same load of the machine."""
    model.eval()
    engines = {one: TokenBudgetEncoder(model, precision=one, token_budget=1) for one in Precision}
    largest = max(way.budget for way in ways)
    read = Texts(Reader(model, "", None), [" ".join(["language"] * WORDS)] * largest)
    length = max(1, read.lengths[0])
    sizes = {way.budget: max(1, way.budget // length) for way in ways}
    features = {budget: read.batch(range(size)) for budget, size in sizes.items()}
    least: dict[Way, float] = {}
    before = torch.get_num_threads()

    def turn(way: Way) -> None:
        torch.set_num_threads(way.threads)
        start = time.perf_counter()
        with suppress(_EnoughError):
            engines[way.precision].vectors(features[way.budget])
        spent = (time.perf_counter() - start) / (length * sizes[way.budget])
        least[way] = min(spent, least.get(way, spent))

    try:
        with _first_layers(model):
            for way in ways:  # memory and kernels are not ready the first time
                turn(way._replace(budget=CPU_TOKEN_BUDGET))
            least.clear()
            end = time.perf_counter() + WATCHED_S
            while not least or time.perf_counter() < end:
                for way in ways:
                    turn(way)
    finally:
        torch.set_num_threads(before)
    return {way: 1 / least[way] for way in ways}


class _EnoughError(Exception):
    """The first layers are done."""


@contextmanager
def _first_layers(model: SentenceTransformer) -> Iterator[None]:
    """Within the block a forward pass ends behind the first layers, if the network has layers."""
    for stack in model.modules():
        if isinstance(stack, torch.nn.ModuleList) and len(stack) > LAYERS:
            last = stack[LAYERS - 1]
            if any(True for _ in last.children()):  # not one of several single products
                break
    else:
        yield
        return

    def stop(*_: object) -> None:
        raise _EnoughError

    hook = last.register_forward_hook(stop)
    try:
        yield
    finally:
        hook.remove()


def products(network: torch.nn.Module) -> Counter[tuple[int, int]]:
    """How often a network has a product with a matrix of a shape, (outputs, inputs).

    Embeddings, which are looked up, are none; a convolution is one of all that it sees at a time.
    """
    kinds = (torch.nn.Linear, torch.nn.Conv1d)
    weights = (module.weight for module in network.modules() if isinstance(module, kinds))
    return Counter((len(w), w[0].numel()) for w in weights if w.is_floating_point())


def peak(
    network: torch.nn.Module, rows: int, precision: Precision, watched: float = WATCHED_S
) -> float:
    """Floating point operations a second of all products of a network, each by itself.

    In float32 by the library that encodes here.

    Args:
        network: Whose matrices have the shapes.
        rows: Tokens that go through together.
        precision: Type of the matrices.
        watched: Seconds that each shape is repeated for.
    """
    operations = seconds = 0.0
    by_onednn = precision is Precision.FP32 and library() is Library.ONEDNN
    multiply = onednn if by_onednn else torch.nn.functional.linear
    for (outputs, inputs), count in products(network).items():
        left = torch.ones(rows, inputs, dtype=TYPES[precision])
        right = torch.ones(outputs, inputs, dtype=TYPES[precision])
        operations += count * 2.0 * rows * outputs * inputs
        seconds += count * least_seconds(partial(multiply, left, right), watched)
    return operations / seconds if seconds else 0.0


def least_seconds(work: Callable[[], Any], watched: float = WATCHED_S) -> float:
    """Seconds of a work that is repeated for so long; it is done twice at least."""
    work()
    least, end = float("inf"), time.perf_counter() + watched
    while least == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    return least
