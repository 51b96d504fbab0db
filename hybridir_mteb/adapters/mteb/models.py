"""Our encoders as MTEB's: a sentence-transformers model, and any encoder debiased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.models.abs_encoder import AbsEncoder
from mteb.types import PromptType

from hybridir_mteb.collections.languages import LANGUAGES
from hybridir_mteb.debias.detect import MACRO, iso_639
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.kinds import refuse_other_kinds
from hybridir_mteb.encoders.processor import AUTO, best_for
from hybridir_mteb.encoders.sentence import role_prompt
from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder
from hybridir_mteb.errors import MESSAGE_LIMIT, EmbeddingError, SettingError, one_line, quoted
from hybridir_mteb.paths import ENGINES
from hybridir_mteb.ranking.arrays import FloatMatrix

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from sentence_transformers import SentenceTransformer
    from torch.utils.data import DataLoader


# Arguments of encode that change speed, not embeddings.
_SPEED = {"batch_size", "show_progress_bar"}
_PROMPTS = ("prompt", "prompt_name", "task")
_USUAL: Mapping[str, Any] = {
    "precision": "float32",
    "output_value": "sentence_embedding",
    "normalize_embeddings": False,
    "truncate_dim": None,
}


def torch_device(device: str | int | None) -> str | None:
    """MTEB's device argument, which is an int when ``--device`` is given, as torch wants it.

    Raises:
        SettingError: No such device.
    """
    name = f"cuda:{device}" if isinstance(device, int) else device
    try:
        torch.empty(0, device=name)
    except Exception as error:  # each backend of torch has its own way of not being there
        raise SettingError(
            f"device {quoted(name, 80)} (--device): {one_line(error, 160)}; give one of this "
            "machine's, such as cpu or cuda:0"
        ) from error
    return name


def as_matrix(output: Any, model: object) -> FloatMatrix:
    """What a model's ``encode`` returned, as float32.

    Raises:
        EmbeddingError: Not one vector of one length for each text.
    """
    try:
        if isinstance(output, torch.Tensor):
            output = output.detach().cpu()
            output = (output if output.is_complex() else output.float()).numpy()
        if np.iscomplexobj(output):
            raise TypeError("complex numbers")  # NumPy would drop a part of each
        return np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise EmbeddingError(
            f"{type(model).__name__}.encode returned {type(output).__name__}; expected one vector "
            "of one length for each text"
        ) from error


def odd_arguments(encode_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``encode`` that may change embeddings, and not only the speed."""
    return {name: value for name, value in encode_kwargs.items() if name not in _SPEED}


def refuse_prompts(encode_kwargs: Mapping[str, Any]) -> None:
    """Refuse what a sentence-transformers model cannot be told for each call of MTEB's.

    Raises:
        SettingError: A prompt, or an output that is no vector of each text.
    """
    given = [name for name in _PROMPTS if encode_kwargs.get(name) is not None]
    if given:
        raise SettingError(
            f"{', '.join(given)} in encode_kwargs: MTEB chooses prompt and task by the role of a "
            "text; change the model's prompts instead"
        )
    output = encode_kwargs.get("output_value", "sentence_embedding")
    if output != "sentence_embedding":
        raise SettingError(
            f"output_value={quoted(output)} in encode_kwargs: only 'sentence_embedding' gives one "
            "vector for each text"
        )


def refuse_for_debiased(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments under which embeddings are not those that a debiaser was fitted on.

    Raises:
        SettingError: There is one.
    """
    for name, usual in {**dict.fromkeys(_PROMPTS), **_USUAL}.items():
        value = arguments.get(name, usual)
        if value != usual and (value is not None or name == "output_value"):
            raise SettingError(f"{name}={quoted(value)} cannot be debiased, only {usual!r}")


class OwnRevision(AbsEncoder):
    """An MTEB encoder whose revision is known only once it is loaded.

    MTEB assigns its metadata after loading and files results under their revision, which a name
    that was registered before does not have, and under what the loader was asked for.

    Args:
        revision: Fingerprint that replaces the one in the metadata that MTEB hands over; None
            leaves it.
    """

    def __init__(self, revision: str | None) -> None:
        self._revision = revision

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "mteb_model_meta" and value is not None:
            if self._revision is not None:
                value = value.model_copy(update={"revision": self._revision})
            asked = value.experiment_kwargs or {}
            if told := {key: of for key, of in self.told(asked).items() if asked.get(key) != of}:
                value = value.model_copy(update={"experiment_kwargs": {**asked, **told}})
        super().__setattr__(name, value)

    def told(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What decides results besides what the loader was asked for, or what that has become."""
        return {}


@runtime_checkable
class BatchesTexts(Protocol):
    """An MTEB encoder that makes batches by itself and whose prompts depend on the role alone."""

    def prompt(self, prompt_type: PromptType | None) -> str:
        """The prefix of a role."""
        ...

    def text_batches(
        self, texts: Sequence[str], prompt_type: PromptType | None
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Positions and embeddings, batch by batch in any order."""
        ...


class SentenceEncoder(OwnRevision):
    """MTEB encoder over a sentence-transformers model, batched by token budget.

    Args:
        model: The model; prompts and similarity are its own.
        precision: Arithmetic of the forward pass; ``auto`` is the faster one on this processor.
        token_budget: Largest batch in tokens, padding included; by default what is fastest here.
        revision: Fingerprint of the weights, if it is known only once they are loaded.
        engine: ``openvino`` or ``vllm`` encode, where their vectors are the model's.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        precision: str = "fp32",
        token_budget: int | None = None,
        revision: str | None = None,
        engine: str = ENGINES[0],
    ) -> None:
        super().__init__(revision)
        self.model = model
        best = best_for(model, precision, token_budget)
        self.engine = _engine(engine)(
            model, precision=best.precision, token_budget=best.token_budget
        )
        self.engine.threads = best.threads

    def told(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """An engine that a variable has chosen, and the precision that ``auto`` has become."""
        found = {"engine": self.engine.name.split()[0]} if self.engine.name else {}
        if asked.get("precision") == AUTO:
            found["precision"] = self.engine.precision.value
        return found

    @property
    def model_prompts(self) -> dict[str, str] | None:
        """The model's prompts by name; setting them sets the model's."""
        prompts: dict[str, str] = self.model.prompts
        return prompts

    @model_prompts.setter
    def model_prompts(self, prompts: dict[str, str] | None) -> None:
        self.model.prompts = dict(prompts or {})

    def prompt(self, prompt_type: PromptType | None) -> str:
        """The prefix of a role; symmetric tasks, which have no role, use the query's."""
        return role_prompt(self.model, (prompt_type or PromptType.query).value) or ""

    def text_batches(
        self, texts: Sequence[str], prompt_type: PromptType | None
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Embeddings batch by batch, in the order in which they are computed."""
        return self.engine.batches(texts, self.prompt(prompt_type), _role(prompt_type))

    def encode(
        self,
        inputs: DataLoader[Any],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        **encode_kwargs: Any,
    ) -> Any:
        """(n, dimension) float32 embeddings in input order.

        Other arguments than MTEB's batch size, which is not used, are those of the model's own
        ``encode``, which then does it: quantised or truncated vectors, for instance.

        Raises:
            SettingError: An argument that the model does not know, or that gives no vectors.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        prompt, role = self.prompt(prompt_type), _role(prompt_type)
        if not odd_arguments(encode_kwargs):
            return self.engine.encode(texts, prompt, role)
        refuse_prompts(encode_kwargs)
        try:
            return self.engine.by_model(texts, prompt, role, **encode_kwargs)
        except (TypeError, ValueError) as error:
            raise SettingError(f"encode_kwargs: {one_line(error, MESSAGE_LIMIT)}") from error

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The model's similarity of all pairs."""
        return self.model.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The model's similarity of corresponding embeddings."""
        return self.model.similarity_pairwise(embeddings1, embeddings2)


def _engine(name: str) -> type[TokenBudgetEncoder]:
    """What encodes; other engines are imported only where they are asked for."""
    if name == "vllm":
        from hybridir_mteb.encoders.vllm import VllmEncoder

        return VllmEncoder
    if name == "openvino":
        from hybridir_mteb.encoders.openvino import OpenVinoEncoder

        return OpenVinoEncoder
    return TokenBudgetEncoder


def _role(prompt_type: PromptType | None) -> Role | None:
    return None if prompt_type is None else prompt_type.value


class DebiasedEncoder(OwnRevision):
    """An MTEB encoder whose embeddings are debiased by the language of each text.

    The language is that of the task's subset if it has one; among several, and where the task
    does not tell, it is detected. What happens to an unknown language is the debiaser's matter.
    Symmetric tasks, which have no role, are debiased as queries.

    Args:
        undebiased: Any MTEB encoder.
        fitted: What is applied to its embeddings.
        revision: Fingerprint of statistics and base, if it is known only once they are loaded.

    Raises:
        SettingError: Not an encoder, or one that searches by itself.
    """

    def __init__(
        self, undebiased: AbsEncoder, fitted: FittedDebiaser, *, revision: str | None = None
    ) -> None:
        check_encoder(undebiased)
        super().__init__(revision)
        self.undebiased = undebiased
        self.fitted = fitted
        self.model_prompts = getattr(undebiased, "model_prompts", None)  # a mere EncoderProtocol

    def told(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What the encoder beneath tells."""
        beneath = self.undebiased
        return beneath.told(asked) if isinstance(beneath, OwnRevision) else {}

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
        """(n, dimension) float32 debiased embeddings in input order.

        Raises:
            EmbeddingError: The encoder gives no vector of the statistics' dimension for each text.
            SettingError: An argument that changes the encoder's embeddings.
        """
        refuse_for_debiased(encode_kwargs)
        role = (prompt_type or PromptType.query).value
        by_language = self.fitted.needs_languages(role)
        if by_language and isinstance(inputs, Iterator):
            inputs = list(inputs)  # type: ignore[assignment]  # read twice: by the encoder and here
        output = self.undebiased.encode(
            inputs,
            task_metadata=task_metadata,
            hf_split=hf_split,
            hf_subset=hf_subset,
            prompt_type=prompt_type,
            **encode_kwargs,
        )
        vectors = as_matrix(output, self.undebiased)
        texts = [t for batch in inputs for t in batch.get("text", ())] if by_language else []
        if len(texts) not in {0, len(vectors)}:
            raise EmbeddingError(
                f"{type(self.undebiased).__name__}.encode returned {len(vectors)} embeddings for "
                f"{len(texts)} texts"
            )
        texts = texts or [""] * len(vectors)  # pictures and sounds have no language
        among = task_languages(task_metadata, hf_subset)
        return self.fitted.apply(vectors, self.fitted.languages_of(texts, None, role, among), role)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The undebiased encoder's similarity of all pairs."""
        return self.undebiased.similarity(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """The undebiased encoder's similarity of corresponding embeddings."""
        return self.undebiased.similarity_pairwise(embeddings1, embeddings2)


def settled(precision: str | None, model: object) -> str | None:
    """The precision that was asked for; ``auto`` is what it has become in a loaded encoder."""
    encoder = getattr(model, "undebiased", model)
    if precision == AUTO and isinstance(encoder, SentenceEncoder):
        return encoder.engine.precision.value
    return precision


def check_encoder(model: object) -> None:
    """Refuse what has no embeddings to debias.

    Raises:
        SettingError: Not an encoder, or one that searches by itself.
    """
    refuse_other_kinds(model)
    if not isinstance(model, EncoderProtocol) or isinstance(model, SearchProtocol):
        raise SettingError(
            f"{type(model).__name__} cannot be debiased: it must be an encoder with one vector for "
            "each text, and no model that searches or reranks by itself"
        )


@lru_cache(maxsize=1)
def _short_codes() -> dict[str, str]:
    """ISO 639-3 -> ISO 639-1."""
    own = {entry.mteb_code.split("-")[0]: code for code, entry in LANGUAGES.items()}
    return {**{long: short for short, long in iso_639().items()}, **MACRO, **own}


def task_languages(metadata: TaskMetadata, subset: str) -> tuple[str, ...]:
    """Codes of a subset's languages, sorted; empty if the task does not tell.

    ISO 639-1 where there is one, else MTEB's own; scripts do not count.
    """
    codes = metadata.hf_subsets_to_langscripts.get(subset, [])
    long = (str(code).partition("-")[0] for code in codes)
    return tuple(sorted({_short_codes().get(code, code) for code in long}))
