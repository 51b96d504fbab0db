"""Language erasure: a penalty on the cross-covariance of embeddings and language labels.

After LANCER (Huang et al. 2024, EMNLP): where every language has the same mean embedding, no linear
classifier can do better than chance, and the cross-covariance with the one-hot labels is zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor

from hybridir_mteb.training.losses.terms import BatchQueue, EmbeddedBatch, risen


class Erasure:
    """The term ``erasure``: weight x ramp x squared Frobenius norm of the cross-covariance.

    Means over a batch are noisy, so the covariance is taken over the batch and a queue of recent
    detached embeddings; gradients flow through the batch alone.

    Args:
        n_languages: Number of languages.
        weight: Factor, reached after ``warm_up``.
        queue_batches: Batches that the queue holds.
        warm_up: Share of the training over which the factor rises linearly from 0.
    """

    name = "erasure"

    def __init__(
        self,
        n_languages: int,
        *,
        weight: float = 10.0,
        queue_batches: int = 8,
        warm_up: float = 0.1,
    ) -> None:
        self.n_languages, self.weight, self.warm_up = n_languages, weight, warm_up
        self.metrics: dict[str, float] = {}
        self._queue = BatchQueue(queue_batches)

    def __call__(self, batch: EmbeddedBatch) -> Tensor:
        """The penalty on this batch."""
        embeddings, languages = batch.all_texts()
        past = [entry for entry in self._queue.batches if entry[0].device == embeddings.device]
        covariance = cross_covariance(
            torch.cat([embeddings, *(e for e, _ in past)]),
            torch.cat([languages, *(y for _, y in past)]),
            self.n_languages,
        )
        if batch.training:
            self._queue.add(embeddings, languages)
        # The batch is a share of what the covariance is taken over: undo the dilution.
        total = len(embeddings) + sum(len(e) for e, _ in past)
        penalty = covariance.square().sum() * (total / len(embeddings)) ** 2
        self.metrics = {"cross_covariance": float(covariance.detach().norm())}
        return self.weight * risen(batch.progress, self.warm_up) * penalty

    def state_dict(self) -> dict[str, Tensor]:
        """The queue."""
        return self._queue.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up a queue."""
        self._queue.load_state_dict(state)


def cross_covariance(embeddings: Tensor, languages: Tensor, n_languages: int) -> Tensor:
    """(dimension, n_languages) covariance of embeddings and one-hot language labels."""
    labels = F.one_hot(languages, n_languages).to(embeddings.dtype)
    centred = embeddings - embeddings.mean(dim=0)
    return centred.T @ (labels - labels.mean(dim=0)) / len(embeddings)
