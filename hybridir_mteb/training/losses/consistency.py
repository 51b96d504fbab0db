"""A query must score the passages of a batch alike in whatever language it is asked.

The definition is ours. Hong et al. 2026 (arXiv 2604.05684) join a Jensen-Shannon divergence to
InfoNCE to align languages, and Jang et al. 2026 (arXiv 2605.31171) distil a teacher's English.
Here is no teacher, and what must agree is what a searcher sees: the scores of passages.

Query i has the embedding q_i and, in another language that its item has, q'_i. With the n passages
p_j of the batch and a temperature T,

    P_i(j) = softmax_j(cos(q_i, p_j) / T),    P'_i(j) = softmax_j(cos(q'_i, p_j) / T),

and the term is weight x ramp x the mean over i of JS(P_i, P'_i) in nats, 0 where they are equal and
ln 2 where they have no passage in common. A query that exists in one language alone counts as 0.
Between distributions that are nearly equal the divergence, and its gradient, are a quarter of those
of Kullback and Leibler: with the default weight the term is as strong as one of theirs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hybridir_mteb.training.losses.terms import EmbeddedBatch, Stateless, log_scores, risen


@dataclass
class Consistency(Stateless):
    """The term ``consistency``.

    Gradients flow into both queries and into the passages. Passages are the relevant ones of a
    device's own batch: hard negatives and what InfoNCE gathers from other devices are left out, and
    the devices' gradients are averaged as those of any loss.

    Attributes:
        temperature: What the cosines are divided by, T above.
        weight: Factor, reached after ``warm_up``.
        warm_up: Share of the training over which the factor rises linearly from 0.
    """

    name = "consistency"
    temperature: float
    weight: float = field(default=4.0, kw_only=True)
    warm_up: float = field(default=0.1, kw_only=True)

    def __call__(self, batch: EmbeddedBatch) -> Tensor:
        """Weighted divergence, averaged over the queries of the batch."""
        if batch.other_queries is None or batch.other_language is None:
            raise ValueError("consistency needs each query in another language: translated=True")
        divergence = jensen_shannon(
            log_scores(batch.queries, batch.passages, self.temperature),
            log_scores(batch.other_queries, batch.passages, self.temperature),
        )
        # Dropout would make a query differ from itself.
        asked_twice = batch.other_language != batch.query_language
        mean = (divergence * asked_twice).mean()
        self.metrics = {"query_divergence": float(mean.detach())}
        return self.weight * risen(batch.progress, self.warm_up) * mean


def jensen_shannon(one: Tensor, other: Tensor) -> Tensor:
    """(n,) Jensen-Shannon divergences in nats, 0 to ln 2, of (n, m) logarithms of probabilities."""
    middle = torch.logaddexp(one, other) - math.log(2)
    return (one.exp() * (one - middle) + other.exp() * (other - middle)).sum(dim=1) / 2
