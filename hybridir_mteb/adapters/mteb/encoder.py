"""A sentence-transformers model as an MTEB encoder, batched by token budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mteb.models.abs_encoder import AbsEncoder
from mteb.types import PromptType

from hybridir_mteb.encoders.token_budget import Precision, TokenBudgetEncoder
from hybridir_mteb.ranking.arrays import FloatMatrix

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import SentenceTransformer
    from torch.utils.data import DataLoader


def torch_device(device: str | int | None) -> str | None:
    """MTEB's device argument, which is an int when ``--device`` is given, as torch wants it."""
    return f"cuda:{device}" if isinstance(device, int) else device


class SentenceEncoder(AbsEncoder):
    """MTEB encoder over a sentence-transformers model.

    Args:
        model: The model; its ``prompts`` name the prefixes of ``query`` and ``document``.
        precision: Arithmetic of the forward pass.
        token_budget: Largest batch in tokens, padding included.
        revision: Fingerprint of the weights, if it is known only once they are loaded; it
            replaces the one in the metadata that MTEB hands over.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        precision: str = "fp32",
        token_budget: int | None = None,
        revision: str | None = None,
    ) -> None:
        self._revision = revision
        self.model = model
        self.model_prompts = {key: prompt for key, prompt in model.prompts.items() if prompt}
        self.engine = TokenBudgetEncoder(
            model, precision=Precision(precision), token_budget=token_budget
        )

    def __setattr__(self, name: str, value: Any) -> None:
        # MTEB assigns its metadata after loading and files results under their revision.
        if name == "mteb_model_meta" and self._revision is not None and value is not None:
            value = value.model_copy(update={"revision": self._revision})
        super().__setattr__(name, value)

    def prompt(self, prompt_type: PromptType | None) -> str:
        """The prefix of a role; symmetric tasks, which have no role, use the query's."""
        role = (prompt_type or PromptType.query).value
        return (self.model_prompts or {}).get(role, "")

    def text_batches(
        self, texts: Sequence[str], prompt_type: PromptType | None
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Embeddings batch by batch, in the order in which they are computed."""
        return self.engine.batches(texts, self.prompt(prompt_type))

    def encode(
        self,
        inputs: DataLoader[Any],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **encode_kwargs: Any,
    ) -> FloatMatrix:
        """(n, dimension) float32 embeddings in input order; MTEB's batch size is not used."""
        texts = [text for batch in inputs for text in batch["text"]]
        return self.engine.encode(texts, self.prompt(prompt_type))
