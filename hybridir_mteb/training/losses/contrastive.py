"""InfoNCE with temperature plus the terms of a method, with or without gradient caching.

InfoNCE itself, hard negatives, gathering across devices and GradCache (Gao et al. 2021) are
sentence-transformers' own; here a batch's columns are sorted into pairs, unlabelled texts and
teacher texts, and the terms are added where the embeddings are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
)
from torch import Tensor

from hybridir_mteb.training.by_length import embed_by_length
from hybridir_mteb.training.losses.terms import EmbeddedBatch, LossTerm
from hybridir_mteb.training.teacher import Teacher

Features = dict[str, Any]


@dataclass(frozen=True)
class BatchLayout:
    """Which columns of a batch are what: pairs first, then text, then the pivot's two.

    Attributes:
        unlabelled: There is a column of unlabelled text.
        pivot: There are two columns for the teacher.
    """

    unlabelled: bool = False
    pivot: bool = False

    def split(self, columns: Sequence[Any]) -> tuple[list[Any], Any | None, list[Any]]:
        """Columns of the contrastive loss, unlabelled text, teacher's columns."""
        rest = list(columns)
        teacher = [rest.pop(), rest.pop()][::-1] if self.pivot else []
        text = rest.pop() if self.unlabelled else None
        return rest, text, teacher


class _WithTerms:
    """What both variants share: terms, their logs, and the progress of the run.

    Args:
        model: The encoder.
        temperature: Temperature of the softmax over candidates.
        layout: Columns of a batch.
        terms: What the method adds.
        teacher: The frozen backbone, for terms that compare with it.
        gather_across_devices: Use the other devices' passages as negatives.
        **variant: What one variant alone has: ``mini_batch_size``, texts in memory at once.
    """

    progress: float = 0.0
    training: bool

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        temperature: float,
        layout: BatchLayout | None = None,
        terms: Sequence[LossTerm] = (),
        teacher: Teacher | None = None,
        gather_across_devices: bool = False,
        **variant: int,
    ) -> None:
        super().__init__(
            model,  # type: ignore[call-arg]  # of the host's loss, which comes next
            scale=1 / temperature,
            gather_across_devices=gather_across_devices,
            **variant,
        )
        self.layout = layout or BatchLayout()
        self.terms = tuple(terms)
        self.teacher = teacher
        self.metrics: dict[str, float] = {}
        self._taught: list[Tensor] = []

    def _ask_teacher(self, features: list[Features]) -> None:
        self._taught = [] if self.teacher is None else [self.teacher(f) for f in features]

    def _add_terms(
        self, loss: Tensor, pairs: Sequence[Tensor], text: Tensor | None, labels: Tensor
    ) -> Tensor:
        batch = EmbeddedBatch(
            pairs[0].float(),
            pairs[1].float(),
            labels[:, 0],
            labels[:, 1],
            None if text is None else text.float(),
            None if text is None else labels[:, 2],
            teacher_queries=self._taught[0] if self._taught else None,
            teacher_passages=self._taught[1] if self._taught else None,
            progress=self.progress,
            training=self.training,
        )
        self.metrics["infonce"] = float(loss.detach())
        for term in self.terms:
            added = term(batch)
            self.metrics[term.name] = float(added.detach())
            self.metrics.update(term.metrics)
            loss = loss + added
        return loss


class ContrastiveLoss(_WithTerms, MultipleNegativesRankingLoss):
    """InfoNCE plus terms; the whole batch is in memory at once."""

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        """Scalar loss of one batch; labels (n, 2 or 3) are language numbers."""
        pairs, text, taught = self.layout.split(list(sentence_features))
        self._ask_teacher(taught)
        embedded = [embed_by_length(self.model, f) for f in pairs]
        extra = None if text is None else embed_by_length(self.model, text)
        with _float32(embedded) as full:
            loss = self.compute_loss_from_embeddings(full, labels)
            return self._add_terms(loss, full, extra, labels)


class CachedContrastiveLoss(_WithTerms, CachedMultipleNegativesRankingLoss):
    """InfoNCE plus terms in mini-batches: large batches on small memory (GradCache)."""

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        """Scalar loss of one batch; labels (n, 2 or 3) are language numbers."""
        pairs, text, taught = self.layout.split(list(sentence_features))
        self._ask_teacher(taught)
        columns = pairs if text is None else [*pairs, text]
        loss: Tensor = super().forward(columns, labels)
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from cached embeddings; gradients stop at the embeddings."""
        if labels is None:
            raise ValueError("a batch needs labels: the language numbers of its texts")
        with torch.autocast(reps[0][0].device.type, enabled=False):
            full = [[part.float() for part in parts] for parts in reps]
            columns = [torch.cat(parts) for parts in full]
            pairs = columns[:-1] if self.layout.unlabelled else columns
            text = columns[-1] if self.layout.unlabelled else None
            of_pairs = full[:-1] if self.layout.unlabelled else full
            infonce = super().calculate_loss(of_pairs, labels, with_backward=with_backward)
            loss = self._add_terms(infonce, pairs, text, labels)
        if with_backward and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        return loss


@contextmanager
def _float32(embeddings: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """The embeddings in float32, outside autocast: a low temperature needs the digits."""
    with torch.autocast(embeddings[0].device.type, enabled=False):
        yield [embedding.float() for embedding in embeddings]
