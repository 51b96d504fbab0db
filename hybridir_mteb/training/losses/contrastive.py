"""InfoNCE with temperature plus the terms of a method, with or without gradient caching.

InfoNCE itself, hard negatives, gathering across devices and GradCache (Gao et al. 2021) are
sentence-transformers' own; here a batch's columns are sorted into pairs, texts that belong to terms
alone and teacher texts, and the terms are added where the embeddings are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
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
    """Which columns of a batch are what: pairs, text, queries once more, then the pivot's two.

    Attributes:
        unlabelled: There is a column of unlabelled text.
        pivot: There are two columns for the teacher.
        translated: There is a column of the queries in another language.
    """

    unlabelled: bool = False
    pivot: bool = False
    translated: bool = False

    def split(self, columns: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Columns of the contrastive loss, of terms alone, and of the teacher."""
        teacher = len(columns) - 2 * self.pivot
        extra = teacher - self.unlabelled - self.translated
        return list(columns[:extra]), list(columns[extra:teacher]), list(columns[teacher:])

    def named(self, extra: Sequence[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The columns of terms alone and their languages, as fields of :class:`EmbeddedBatch`."""
        fields = [("texts", "text_language")] * self.unlabelled
        fields += [("other_queries", "other_language")] * self.translated
        found: dict[str, Tensor] = {}
        for (name, language), column, numbers in zip(fields, extra, labels.T[2:], strict=True):
            found |= {name: column.float(), language: numbers}
        return found


class _WithTerms:
    """What both variants share: terms, their logs, and the progress of the run.

    ``gather_across_devices`` takes other devices' passages as negatives; ``mini_batch_size`` of the
    cached variant is how many texts are in memory at once.
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
        self, loss: Tensor, pairs: Sequence[Tensor], extra: Sequence[Tensor], labels: Tensor
    ) -> Tensor:
        batch = EmbeddedBatch(
            pairs[0].float(),
            pairs[1].float(),
            labels[:, 0],
            labels[:, 1],
            **self.layout.named(extra, labels),
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
        """Scalar loss of one batch; labels (n, 2 to 4) are language numbers."""
        pairs, rest, taught = self.layout.split(list(sentence_features))
        self._ask_teacher(taught)
        embedded = [embed_by_length(self.model, f) for f in pairs]
        extra = [embed_by_length(self.model, f) for f in rest]
        # In float32, outside autocast: a low temperature needs the digits.
        with torch.autocast(embedded[0].device.type, enabled=False):
            full = [embedding.float() for embedding in embedded]
            loss = self.compute_loss_from_embeddings(full, labels)
            return self._add_terms(loss, full, extra, labels)


class CachedContrastiveLoss(_WithTerms, CachedMultipleNegativesRankingLoss):
    """InfoNCE plus terms in mini-batches: large batches on small memory (GradCache)."""

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        """Scalar loss of one batch; labels (n, 2 to 4) are language numbers."""
        pairs, rest, taught = self.layout.split(list(sentence_features))
        self._ask_teacher(taught)
        loss: Tensor = super().forward([*pairs, *rest], labels)
        return loss

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from cached embeddings; gradients stop at the embeddings."""
        if labels is None:
            raise ValueError("a batch needs labels: the language numbers of its texts")
        with torch.autocast(reps[0][0].device.type, enabled=False):
            full = [[part.float() for part in parts] for parts in reps]
            of_pairs, rest, _ = replace(self.layout, pivot=False).split(full)  # taught already
            infonce = super().calculate_loss(of_pairs, labels, with_backward=with_backward)
            pairs, extra = ([torch.cat(parts) for parts in of] for of in (of_pairs, rest))
            loss = self._add_terms(infonce, pairs, extra, labels)
        if with_backward and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        return loss
