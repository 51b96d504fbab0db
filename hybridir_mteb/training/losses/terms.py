"""What a training method may add to the contrastive loss, and the memory that terms share."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor


@dataclass(frozen=True)
class EmbeddedBatch:
    """Embeddings of one batch on one device, as the contrastive loss sees them.

    Attributes:
        queries: (n, dimension).
        passages: (n, dimension), row i belongs to query i.
        query_language: (n,) language numbers.
        passage_language: (n,) language numbers.
        texts: (n, dimension) unlabelled texts, if the method asked for them.
        text_language: (n,) language numbers of these.
        other_queries: (n, dimension) the queries in another language, if the method asked for them.
        other_language: (n,) language numbers of these; the query's own where its item has no other.
        teacher_queries: (n, dimension) pivot queries embedded by the frozen backbone, if asked for.
        teacher_passages: (n, dimension) pivot passages embedded by the frozen backbone.
        progress: Share of the training steps that are done, 0 to 1.
        training: False while a held-out loss is computed: nothing may be learnt from the batch.
    """

    queries: Tensor
    passages: Tensor
    query_language: Tensor
    passage_language: Tensor
    texts: Tensor | None = None
    text_language: Tensor | None = None
    other_queries: Tensor | None = None
    other_language: Tensor | None = None
    teacher_queries: Tensor | None = None
    teacher_passages: Tensor | None = None
    progress: float = 0.0
    training: bool = True

    def all_texts(self) -> tuple[Tensor, Tensor]:
        """Queries, passages and unlabelled texts with their languages: (m, dimension) and (m,)."""
        embeddings = [self.queries, self.passages]
        languages = [self.query_language, self.passage_language]
        if self.texts is not None and self.text_language is not None:
            embeddings.append(self.texts)
            languages.append(self.text_language)
        return torch.cat(embeddings), torch.cat(languages)


class LossTerm(Protocol):
    """A term that is added to InfoNCE.

    Attributes:
        name: For logs, such as ``adversarial``.
        metrics: Last values of what the term wants logged, by name.
    """

    name: str
    metrics: dict[str, float]

    def __call__(self, batch: EmbeddedBatch) -> Tensor:
        """Scalar to add to the loss, differentiable in the embeddings."""

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs to go on exactly; flat, for safetensors."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up a state that :meth:`state_dict` gave."""


@dataclass
class Stateless:
    """What a term inherits that has nothing to keep for a resumed run."""

    metrics: dict[str, float] = field(default_factory=dict, init=False)

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: the term has no state."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing to load."""


def log_scores(queries: Tensor, passages: Tensor, temperature: float) -> Tensor:
    """(n, m) logarithms of each query's distribution over passages: softmax of cosines."""
    cosines = F.normalize(queries, dim=1) @ F.normalize(passages, dim=1).T
    return F.log_softmax(cosines / temperature, dim=1)


def risen(progress: float, warm_up: float) -> float:
    """A factor that rises linearly from 0 to 1 over a share of the training, and stays there."""
    return min(1.0, progress / warm_up) if warm_up else 1.0


def gathered(rows: Tensor) -> Tensor:
    """The rows of every device of the process group, without gradient; without a group, as given.

    Every device must hold equally many rows, which full batches guarantee.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


class BatchQueue:
    """Detached embeddings and language numbers of the last batches, of all devices.

    Args:
        length: How many batches are kept.
    """

    def __init__(self, length: int) -> None:
        self.batches: deque[tuple[Tensor, Tensor]] = deque(maxlen=length)

    def add(self, embeddings: Tensor, languages: Tensor) -> None:
        """Take up a batch; the oldest one goes where there are too many."""
        self.batches.append((gathered(embeddings.detach()), gathered(languages)))

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The queue, flat; every name begins with the prefix."""
        return {
            f"{prefix}{at}.{name}": rows
            for at, batch in enumerate(self.batches)
            for name, rows in zip(("embeddings", "languages"), batch, strict=True)
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state that :meth:`state_dict` gave without a prefix."""
        self.batches.clear()
        for at in range(len(state) // 2):
            self.batches.append((state[f"{at}.embeddings"], state[f"{at}.languages"]))
