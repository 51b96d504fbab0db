"""What a training method may add to the contrastive loss, and the memory that terms share."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
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
    teacher_queries: Tensor | None = None
    teacher_passages: Tensor | None = None
    progress: float = 0.0
    training: bool = True

    def all_texts(self) -> tuple[Tensor, Tensor]:
        """Every embedding of the batch with its language number: (m, dimension) and (m,)."""
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
