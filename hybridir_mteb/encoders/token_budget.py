"""Encoding in batches of similar length under a token budget, instead of a fixed batch size.

A batch of n texts costs n x longest text, padding included. Sorting by number of tokens (not of
characters: scripts differ several-fold) leaves almost no padding, and a budget keeps each batch at
the size at which the processor is fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings

CPU_TOKEN_BUDGET = 1024
GPU_TOKEN_BUDGET = 32768
MAX_BATCH = 1024
CHUNK_TEXTS = 4096  # texts tokenised at a time: bounded memory for millions of passages


class Precision(StrEnum):
    """Arithmetic of the forward pass; embeddings come out in float32 either way."""

    FP32 = "fp32"
    BF16 = "bf16"


def length_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Positions in batches of similar length, longest first.

    Args:
        lengths: Number of tokens of each text, at least 1.
        budget: Largest n x longest of a batch; a single text may exceed it.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable").tolist()
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        size = min(MAX_BATCH, max(1, budget // max(1, lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches


class TokenBudgetEncoder:
    """Encodes with any sentence-transformers model, batch by batch.

    Args:
        model: The model; its own tokenisation, pooling and prompts are used.
        precision: ``bf16`` runs the forward pass under autocast: faster where the processor has
            bf16 instructions, at the price of about three significant digits.
        token_budget: Largest n x longest of a batch; by default what suits the device.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        precision: Precision = Precision.FP32,
        token_budget: int | None = None,
    ) -> None:
        self.model = model
        self.precision = Precision(precision)
        on_cpu = model.device.type == "cpu"
        self.token_budget = token_budget or (CPU_TOKEN_BUDGET if on_cpu else GPU_TOKEN_BUDGET)

    def count_tokens(self, texts: Sequence[str], prompt: str = "") -> list[int]:
        """Number of tokens of each text with its prompt, truncated to the model's maximum."""
        limit = self.model.max_seq_length or 512
        encoded = self.model.tokenizer(
            [prompt + text for text in texts], truncation=True, max_length=limit
        )
        return [len(ids) for ids in encoded["input_ids"]]

    def batches(
        self, texts: Sequence[str], prompt: str = ""
    ) -> Iterator[tuple[list[int], FloatMatrix]]:
        """Positions and embeddings of one batch after the other.

        Raises:
            EmbeddingError: An embedding is not finite.
        """
        self.model.eval()  # as encode of sentence-transformers does: no dropout
        for start in range(0, len(texts), CHUNK_TEXTS):
            chunk = texts[start : start + CHUNK_TEXTS]
            lengths = self.count_tokens(chunk, prompt)
            for batch in length_batches(lengths, self.token_budget):
                vectors = self._forward([chunk[at] for at in batch], prompt)
                check_embeddings(vectors, "text")
                yield [start + at for at in batch], vectors

    def encode(self, texts: Sequence[str], prompt: str = "") -> FloatMatrix:
        """(n, dimension) float32 embeddings in input order."""
        dimension = self.model.get_embedding_dimension() or 0
        out = np.empty((len(texts), dimension), np.float32)
        for positions, vectors in self.batches(texts, prompt):
            out[positions] = vectors
        return out

    def _forward(self, texts: list[str], prompt: str) -> FloatMatrix:
        features = self.model.preprocess(texts, prompt=prompt or None)
        on_device = {
            key: value.to(self.model.device) if isinstance(value, torch.Tensor) else value
            for key, value in features.items()
        }
        with torch.inference_mode(), self._autocast():
            output = self.model(on_device)["sentence_embedding"]
        matrix: FloatMatrix = output.float().cpu().numpy()
        return matrix

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision is Precision.FP32:
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=torch.bfloat16)
