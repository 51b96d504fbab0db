"""Language-adversarial training: a discriminator behind gradient reversal.

Gradient reversal is Ganin et al. 2016; the discriminator learns from a queue of recent, detached
embeddings as in MoDIR (Xin et al. 2022, Findings of ACL), so that it stays ahead of an encoder that
changes under it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 -- torch's own custom
from torch import Tensor, nn

from hybridir_mteb.training.losses.terms import BatchQueue, EmbeddedBatch


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context: object, embeddings: Tensor, strength: float) -> Tensor:
        context.strength = strength  # type: ignore[attr-defined]
        return embeddings.view_as(embeddings)

    @staticmethod
    def backward(context: object, *gradients: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradients[0], None  # type: ignore[attr-defined]


def reverse_gradient(embeddings: Tensor, strength: float) -> Tensor:
    """The identity, whose gradient is multiplied by ``-strength``."""
    reversed_: Tensor = _Reversal.apply(embeddings, strength)  # type: ignore[no-untyped-call]
    return reversed_


def ramp(progress: float) -> float:
    """0 at the start, 1 at the end of training: 2 / (1 + exp(-10 p)) - 1 (Ganin et al. 2016)."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


@dataclass(frozen=True)
class AdversaryOptions:
    """How the discriminator is trained and how strong its gradient is.

    Attributes:
        strength: Largest factor of the reversed gradient.
        hidden: Width of the discriminator's hidden layer.
        steps: Discriminator steps for each batch.
        queue_batches: Batches that the queue holds.
        learning_rate: Learning rate of the discriminator.
    """

    strength: float = 0.3
    hidden: int = 384
    steps: int = 3
    queue_batches: int = 12
    learning_rate: float = 1e-3


class LanguageAdversary:
    """The term ``adversarial``.

    Not a ``torch.nn.Module`` on purpose: the discriminator has an optimiser of its own and must
    not be among the parameters that the trainer updates.

    Args:
        dimension: Dimension of the embeddings.
        n_languages: Number of languages that the discriminator tells apart.
        options: Its options; by default those of the method.
        seed: Seed of its initial weights, the same on every device.
    """

    name = "adversarial"

    def __init__(
        self,
        dimension: int,
        n_languages: int,
        options: AdversaryOptions | None = None,
        *,
        seed: int = 0,
    ) -> None:
        self.n_languages = n_languages
        self.options = options = options or AdversaryOptions()
        self.metrics: dict[str, float] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.discriminator = nn.Sequential(
                nn.Linear(dimension, options.hidden),
                nn.GELU(),
                nn.Linear(options.hidden, n_languages),
            )
        parameters = self.discriminator.parameters()
        self._optimizer = torch.optim.AdamW(parameters, lr=options.learning_rate)
        self._queue = BatchQueue(options.queue_batches)
        self._scale = math.sqrt(dimension)  # unit vectors have components of about 1 / sqrt(d)

    def __call__(self, batch: EmbeddedBatch) -> Tensor:
        """Cross-entropy of the discriminator on this batch, its gradient reversed."""
        embeddings, languages = batch.all_texts()
        self.discriminator.to(embeddings.device)
        if batch.training:
            self._queue.add(embeddings, languages)
            self._train_discriminator()
        reversed_ = reverse_gradient(embeddings, self.options.strength * ramp(batch.progress))
        self.discriminator.requires_grad_(False)
        try:
            logits = self._logits(reversed_)
        finally:
            self.discriminator.requires_grad_(True)
        return F.cross_entropy(logits, languages, weight=self._class_weights(languages))

    def _logits(self, embeddings: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(F.normalize(embeddings, dim=1) * self._scale)
        return logits

    def _class_weights(self, fallback: Tensor) -> Tensor:
        """Inverse frequency in the queue: one language fills a monolingual batch."""
        languages = torch.cat([y for _, y in self._queue.batches] or [fallback])
        counts = torch.bincount(languages, minlength=self.n_languages)
        return len(languages) / (self.n_languages * counts.clamp(min=1)).float()

    def _train_discriminator(self) -> None:
        embeddings = torch.cat([e for e, _ in self._queue.batches])
        languages = torch.cat([y for _, y in self._queue.batches])
        weights = self._class_weights(languages)
        with torch.enable_grad():
            for _ in range(self.options.steps):
                logits = self._logits(embeddings)
                self._optimizer.zero_grad()
                loss = F.cross_entropy(logits, languages, weight=weights)
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
        newest, truth = self._queue.batches[-1]
        with torch.no_grad():
            right = self._logits(newest).argmax(dim=1) == truth
        self.metrics = {
            "discriminator_accuracy": float(right.float().mean()),
            "discriminator_chance": 1 / self.n_languages,
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Discriminator, its optimiser, and the queue."""
        state = {f"net.{k}": v.detach() for k, v in self.discriminator.state_dict().items()}
        for number, slots in self._optimizer.state_dict()["state"].items():
            state |= {f"opt.{number}.{key}": torch.as_tensor(v) for key, v in slots.items()}
        return state | self._queue.state_dict("queue.")

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up discriminator, optimiser and queue."""
        parts = {kind: _below(state, kind) for kind in ("net", "opt", "queue")}
        # Before the optimiser: its moments go where the parameters are.
        self.discriminator.to(next(iter(parts["net"].values())).device)
        self.discriminator.load_state_dict(parts["net"])
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in parts["opt"].items():
            number, name = key.split(".", 1)
            slots.setdefault(int(number), {})[name] = value
        self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": slots})
        self._queue.load_state_dict(parts["queue"])


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) + 1 :]: v for k, v in state.items() if k.startswith(f"{prefix}.")}
