"""Encoding in batches of similar length under a token budget, instead of a fixed batch size.

A batch of n texts costs n x longest text, padding included. Sorting by number of tokens (not of
characters: scripts differ several-fold) leaves almost no padding, and a budget keeps each batch at
the size at which the processor is fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.features import Features, Reader, Texts, tokens_of
from hybridir_mteb.encoders.products import fastest_products
from hybridir_mteb.encoders.sentence import is_plain, role_prompt
from hybridir_mteb.errors import SettingError
from hybridir_mteb.ranking.arrays import FloatMatrix, check_embeddings
from hybridir_mteb.ranking.shards.pairs import torch_threads

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

    Attributes:
        name: Of another engine that computes; empty for the model itself.
        threads: Of torch in a forward pass; None leaves them as they are.

    Args:
        model: The model; its own tokenisation, pooling and prompts are used. One that is not
            :func:`is_plain` makes its batches itself.
        precision: ``bf16`` runs the forward pass under autocast: faster where the processor has
            bf16 instructions, at the price of about three significant digits.
        token_budget: Largest n x longest of a batch; by default what suits the device.
    """

    name = ""
    threads: int | None = None
    without_gradient: Callable[[], AbstractContextManager[object]] = staticmethod(
        torch.inference_mode
    )

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

    @property
    def plain(self) -> bool:
        """Whether batches are made here; see :func:`is_plain`."""
        return is_plain(self.model)

    def count_tokens(self, texts: Sequence[str], prompt: str | None = "") -> list[int]:
        """Number of tokens of each text with its prompt, truncated to the model's maximum."""
        return [len(ids) for ids in self.token_ids(texts, prompt)]

    def token_ids(self, texts: Sequence[str], prompt: str | None = "") -> list[list[int]]:
        """Tokens of each text with its prompt, truncated to the model's maximum."""
        return tokens_of(self.model, texts, prompt)["input_ids"]

    def batches(
        self, texts: Sequence[str], prompt: str | None = "", role: Role | None = None
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Positions and embeddings of one batch after the other.

        Args:
            texts: The texts.
            prompt: Stands before each.
            role: As what they are encoded; None is the model's plain ``encode``.

        Raises:
            EmbeddingError: An embedding is not finite.
        """
        reader = Reader(self.model, prompt, role) if self.plain and len(texts) else None
        self.model.eval()  # as the model's own encode leaves it
        for start in range(0, len(texts), CHUNK_TEXTS):
            chunk = texts[start : start + CHUNK_TEXTS]
            if reader is None:
                vectors = np.asarray(self.by_model(chunk, prompt, role), np.float32)
                everywhere = range(start, start + len(chunk))
                check_embeddings(vectors, "text", positions=everywhere)
                yield everywhere, vectors
                continue
            read = Texts(reader, chunk)
            for batch in length_batches(read.lengths, self.token_budget):
                vectors = self._forward(read.batch(batch), role)
                positions = [start + at for at in batch]
                check_embeddings(vectors, "text", positions=positions)
                yield positions, vectors

    def encode(
        self, texts: Sequence[str], prompt: str | None = "", role: Role | None = None
    ) -> FloatMatrix:
        """(n, dimension) float32 embeddings in input order; arguments as of :meth:`batches`."""
        out: FloatMatrix | None = None
        for positions, vectors in self.batches(texts, prompt, role):
            if out is None:
                out = np.empty((len(texts), vectors.shape[1]), np.float32)
            out[positions] = vectors
        if out is None:
            return np.empty((0, self.model.get_embedding_dimension() or 0), np.float32)
        return out

    def by_model(
        self, texts: Sequence[str], prompt: str | None, role: Role | None, **arguments: Any
    ) -> Any:
        """What the model's own ``encode_query``, ``encode_document`` or ``encode`` returns.

        Args:
            texts: The texts.
            prompt: Stands before each.
            role: Which of the three; None is ``encode``.
            **arguments: Of that method.

        Raises:
            SettingError: bf16 in several processes, which would compute in fp32.
        """
        several = arguments.get("pool") is not None or isinstance(arguments.get("device"), list)
        if several and self.precision is not Precision.FP32:
            raise SettingError(
                f"several processes cannot compute in {self.precision}: load the encoder with "
                "precision fp32, or encode in one process"
            )
        own = {"query": self.model.encode_query, "document": self.model.encode_document}
        encode = self.model.encode if role is None else own[role]
        if role is None or (prompt or "") != (role_prompt(self.model, role) or ""):
            arguments["prompt"] = prompt
        with self._arithmetic():
            return encode(list(texts), **{"show_progress_bar": False, **arguments})

    def _forward(self, features: Features, role: Role | None) -> FloatMatrix:
        if self.threads in {None, torch.get_num_threads()}:
            return self.vectors(features, role)
        with torch_threads(self.threads or 1):
            return self.vectors(features, role)

    def vectors(self, features: Features, role: Role | None = None) -> FloatMatrix:
        """(n, dimension) embeddings of one batch, as a network reads it."""
        task = {} if role is None else {"task": role}
        there = batch_to_device({**features}, self.model.device)
        with self.without_gradient(), self._arithmetic():
            output = self.model(there, **task)["sentence_embedding"]
        matrix: FloatMatrix = output[:, : self.model.truncate_dim].float().cpu().numpy()
        return matrix

    def _arithmetic(self) -> AbstractContextManager[object]:
        kind = self.model.device.type
        if self.precision is Precision.BF16:
            return torch.autocast(kind, dtype=torch.bfloat16)
        return fastest_products() if kind == "cpu" else nullcontext()
