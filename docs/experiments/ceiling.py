"""Research code: what a processor can do at most, and what share of it an encoder gets.

The peak is that of matrix products of the encoder's own shapes, each by itself, measured in the
same run. Encoding is counted from real tokens: padding is no work, and attention between tokens,
which is not in the peak, is told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sentence_transformers import SentenceTransformer
from torch.nn import Conv1d, Linear

from hybridir_mteb.encoders.processor import Precision, best_for, measured, peak
from hybridir_mteb.encoders.token_budget import CPU_TOKEN_BUDGET, TokenBudgetEncoder


@dataclass
class Passed:
    """What went through a network.

    Attributes:
        real: Tokens of texts.
        padded: Tokens of batches, padding included.
    """

    real: int = 0
    padded: int = 0

    @property
    def ratio(self) -> float:
        """How many times the work is done that is needed."""
        return self.padded / self.real


def engine(model: SentenceTransformer, precision: Precision) -> TokenBudgetEncoder:
    """The engine as an encoder of the package uses it on this processor."""
    best = best_for(model, precision)
    made = TokenBudgetEncoder(model, precision=precision, token_budget=best.token_budget)
    made.threads = best.threads
    return made


@contextmanager
def watched(model: SentenceTransformer) -> Iterator[Passed]:
    """Counts the tokens that go through a model within the block."""
    found = Passed()

    def count(_: Any, arguments: tuple[Any, ...]) -> None:
        mask = arguments[0]["attention_mask"]
        found.real += int(mask.sum())
        found.padded += mask.numel()

    hook = model[0].register_forward_pre_hook(count)
    try:
        yield found
    finally:
        hook.remove()


def work(model: SentenceTransformer) -> tuple[float, float]:
    """Floating point operations of the matrix products: of each token, and of each text."""
    of_token, of_text = [0.0], [0.0]

    def count(module: Any, _: Any, output: Any) -> None:
        several = output.numel() > len(module.weight)  # rows: tokens, or one for the text
        (of_token if several else of_text)[0] += 2 * module.weight.numel()

    hooks = [
        m.register_forward_hook(count) for m in model.modules() if isinstance(m, Linear | Conv1d)
    ]
    try:
        TokenBudgetEncoder(model).encode(["some words of one text"])
    finally:
        for hook in hooks:
            hook.remove()
    return of_token[0], of_text[0]


def attention(model: SentenceTransformer, lengths: Sequence[int]) -> float:
    """Operations of attention: scores and sums of all pairs of tokens of a text, in every layer."""
    config = getattr(getattr(model[0], "model", None), "config", None)
    if config is None:
        return 0.0
    heads = config.num_attention_heads
    width = heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
    return float(sum(4 * config.num_hidden_layers * width * length**2 for length in lengths))


def of_peak(
    model: SentenceTransformer, texts: Sequence[str], prompt: str, seconds: dict[str, float]
) -> dict[str, Any]:
    """What every way of encoding takes of the processor's peak, which is measured now.

    Args:
        model: The encoder.
        texts: What was encoded.
        prompt: What stood before each.
        seconds: What each way took; those whose name ends in ``bf16`` computed in it.
    """
    lengths = TokenBudgetEncoder(model).count_tokens(texts, prompt)
    tokens, (of_token, of_text) = sum(lengths), work(model)
    products, pairs = tokens * of_token + len(texts) * of_text, attention(model, lengths)
    peaks = {one: peak(model, CPU_TOKEN_BUDGET, one) for one in Precision}
    peak_of = {way: peaks[Precision("bf16" if way.endswith("bf16") else "fp32")] for way in seconds}
    return {
        "tokens": tokens,
        "mflop_a_token": round(of_token / 1e6, 1),
        "attention_over_products": round(pairs / products, 3),
        "peak_gflops": {one.value: round(of / 1e9, 1) for one, of in peaks.items()},
        "tokens_per_second": {way: round(tokens / spent) for way, spent in seconds.items()},
        "share_of_peak": {
            way: round(products / spent / peak_of[way], 3) for way, spent in seconds.items()
        },
        "measured": str(measured(model)),
    }


def padding(
    model: SentenceTransformer, ours: Callable[[], Any], theirs: Callable[[], Any]
) -> dict[str, float]:
    """Padded over real tokens of two ways; the second is what packing can bring at most."""
    found = {}
    for name, encode in (("ours", ours), ("batch_32", theirs)):
        with watched(model) as passed:
            encode()
        found[name] = round(passed.ratio, 3)
    return found
