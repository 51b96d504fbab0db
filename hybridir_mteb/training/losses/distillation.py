"""Keep the ranking that the backbone gives within one language.

The teacher is the frozen backbone on the pivot-language version of the batch's items; the student
must give the same distribution over the batch's passages whatever languages the pairs have. The
target knows no language of its own, so it does not teach the backbone's language bias.
Kullback-Leibler divergence between softmaxes at temperature T, as in Hinton et al. 2015.

``alignment`` also asks for the teacher's pivot-language embeddings themselves, as Reimers and
Gurevych 2020 (arXiv 2004.09813) make an encoder multilingual: the mean squared distance between a
text's embedding and the teacher's embedding of its pivot-language version.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor

from hybridir_mteb.training.losses.terms import EmbeddedBatch, Stateless, log_scores


@dataclass
class Distillation(Stateless):
    """The term ``distillation``.

    Attributes:
        weight: Factor of the divergence.
        temperature: Temperature of both softmaxes.
        alignment: Factor of the squared distance; 0 leaves it out.
    """

    name = "distillation"
    weight: float = 1.0
    temperature: float = 0.05
    alignment: float = 0.0

    def __call__(self, batch: EmbeddedBatch) -> Tensor:
        """Weighted divergence, averaged over queries, and weighted squared distance."""
        if batch.teacher_queries is None or batch.teacher_passages is None:
            raise ValueError("distillation needs a teacher: ask for a pivot language")
        student = log_scores(batch.queries, batch.passages, self.temperature)
        teacher = log_scores(batch.teacher_queries, batch.teacher_passages, self.temperature)
        divergence = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
        loss = self.weight * divergence
        if self.alignment:
            distance = _squared_distance(batch.queries, batch.teacher_queries) / 2
            distance = distance + _squared_distance(batch.passages, batch.teacher_passages) / 2
            self.metrics = {"alignment": float(distance.detach())}
            loss = loss + self.alignment * distance
        return loss


def _squared_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over texts of the squared distance of the normalised embeddings, 0 to 4."""
    gap = F.normalize(student, dim=1) - F.normalize(teacher, dim=1)
    return gap.square().sum(dim=1).mean()
