"""Embeddings of any MTEB encoder, each distinct text encoded once."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.encoder import SentenceEncoder
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace
from hybridir_mteb.encoders.fingerprint import module_fingerprint, weights_stamp
from hybridir_mteb.encoders.memory import EncodeOnce, encode_once_for
from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import (
    BatchEncoder,
    FloatMatrix,
    IntArray,
    ScoreFunction,
    Similarity,
    check_embeddings,
)
from hybridir_mteb.ranking.exact import Scorer
from hybridir_mteb.ranking.scorers import scorer_of

logger = logging.getLogger(__name__)

CHUNK_TEXTS = 1024  # texts for one call of a foreign encode: what a kill can cost
_NOT_IN_KEY = {"batch_size", "show_progress_bar"}  # they change speed, not embeddings


@dataclass(frozen=True)
class EncodeCall:
    """What MTEB passes along with the texts.

    Attributes:
        label: Shown beside the progress bar; by default task and subset.
    """

    metadata: TaskMetadata
    split: str
    subset: str
    encode_kwargs: Mapping[str, Any]
    label: str = ""

    def variant(self, model: Any) -> str:
        """What changes embeddings besides weights, prompt and text, as one string."""
        settings = {k: v for k, v in self.encode_kwargs.items() if k not in _NOT_IN_KEY}
        settings["wrapper"] = _wrapper(model)
        module = module_of(model)
        for name in ("truncate_dim", "default_prompt_name", "max_seq_length"):
            settings[name] = getattr(module, name, None)
        settings["precision"] = getattr(getattr(model, "engine", None), "precision", None)
        return json.dumps(settings, sort_keys=True, default=repr)


def _wrapper(model: Any) -> str:
    """The class of a model; of our own encoders the name that old stores know it by."""
    if type(model) is SentenceEncoder:
        return "hybridir_mteb.adapters.mteb_encoder.SentenceEncoder"
    return f"{type(model).__module__}.{type(model).__qualname__}"


def embed(  # noqa: PLR0913 -- options are keywords
    model: Any,
    texts: Sequence[str],
    role: PromptType,
    call: EncodeCall,
    languages: Sequence[str | None] | None = None,
    *,
    encode: BatchEncoder | None = None,
    keep: bool = True,
) -> tuple[FloatMatrix, IntArray]:
    """Embeddings of texts in one role.

    Args:
        model: An MTEB encoder.
        texts: Texts as the model gets them, repetitions allowed.
        role: Query or document.
        call: MTEB's arguments.
        languages: ISO 639-1 code of each text, for debiased encoders; None takes the one that the
            task tells, or detects them.
        encode: Encodes texts in another way than the model does it by itself, to the same vectors.
        keep: Whether embeddings stay in memory and in the store.

    Returns:
        A (n_distinct, dimension) float32 matrix and the row of each text. Texts share a row if
        they are equal and, for debiased encoders, in one language.
    """
    base = getattr(model, "undebiased", None)
    if base is not None:  # encoded, and stored, as the base does it
        found = embed(base, texts, role, call, languages, encode=encode, keep=keep)
        debiased: tuple[FloatMatrix, IntArray] = model.debias_distinct(
            found, texts, languages, role, call
        )
        return debiased
    once = encode_once_of(model, call) if keep else EncodeOnce(None)
    encode = encode or batch_encoder(model, role, call)
    label = f"{call.label or f'{call.metadata.name} {call.subset}'} {role.value}"
    return once.embed(texts, prompt_signature(model, role, call), encode, label)


def batch_encoder(model: Any, role: PromptType, call: EncodeCall) -> BatchEncoder:
    """Encodes texts in one role, batch by batch, without memory or store; not for debiased ones."""
    batches = getattr(model, "text_batches", None)
    return (lambda texts: batches(texts, role)) if batches else _foreign(model, role, call)


def encode_once_of(model: Any, call: EncodeCall) -> EncodeOnce:
    """The memory of a model object; the same for all tasks of a run."""
    model = undebiased(model)
    variant, module = call.variant(model), module_of(model)
    stamp = weights_stamp(module) if module is not None else ""
    return encode_once_for(model, variant, stamp, lambda: _open_store(model, variant))


def undebiased(model: Any) -> Any:
    """The encoder whose network and similarity a debiased encoder uses; any other is its own."""
    while hasattr(model, "undebiased"):
        model = model.undebiased
    return model


def scorer(
    model: Any,
    queries: tuple[FloatMatrix, IntArray],
    passages: tuple[FloatMatrix, IntArray],
) -> Scorer:
    """Scores by the model's similarity: cosine and dot product in float64, others by the model."""
    return scorer_of(similarity_of(model), queries[0][queries[1]], *passages)


def similarity_of(model: Any) -> Similarity | ScoreFunction:
    """Cosine or dot product, or the function of a model that brings code of its own for it."""
    model = undebiased(model)
    return Similarity.named(_similarity_name(model), model.similarity)


def _similarity_name(model: Any) -> str | None:
    """The similarity function of a model that does not bring code of its own for it."""
    method = type(model).similarity
    if method is SentenceTransformerEncoderWrapper.similarity:
        return getattr(model.model, "similarity_fn_name", None)
    if method is AbsEncoder.similarity:
        meta = getattr(model, "mteb_model_meta", None)
        return getattr(getattr(meta, "similarity_fn_name", None), "value", None)
    return None


def prompt_signature(model: Any, role: PromptType, call: EncodeCall) -> str:
    """Everything besides text and weights that an embedding depends on, as one string."""
    if hasattr(model, "text_batches"):
        return f"{role.value}|{model.prompt(role)}"
    if isinstance(model, AbsEncoder):
        metadata = call.metadata
        name = model.get_prompt_name(metadata, role)
        parts = [
            name,
            (model.model_prompts or {}).get(name) if name else None,
            model.get_task_instruction(metadata, role),
            metadata.type,
        ]
        return json.dumps([role.value, *parts])
    # Nothing is known of what the model makes of the task: embeddings are shared between the
    # settings of one data set only.
    return json.dumps([role.value, call.metadata.dataset["path"], call.metadata.revision])


def _foreign(model: Any, role: PromptType, call: EncodeCall) -> BatchEncoder:
    """Encode through MTEB's own protocol, in chunks sorted by length."""

    def encode(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        for start in range(0, len(order), CHUNK_TEXTS):
            positions = order[start : start + CHUNK_TEXTS]
            yield positions, _call_encode(model, [texts[at] for at in positions], role, call)

    return encode


def _call_encode(model: Any, texts: list[str], role: PromptType, call: EncodeCall) -> FloatMatrix:
    ids = [str(at) for at in range(len(texts))]
    arguments = dict(call.encode_kwargs)
    loader = create_dataloader(
        Dataset.from_dict({"id": ids, "text": texts}),
        task_metadata=call.metadata,
        prompt_type=role,
        batch_size=arguments.get("batch_size", 32),
    )
    output = model.encode(
        loader,
        task_metadata=call.metadata,
        hf_split=call.split,
        hf_subset=call.subset,
        prompt_type=role,
        **arguments,
    )
    vectors = as_matrix(output, model)
    check_embeddings(vectors, f"{role.value} text")
    if len(vectors) != len(texts):
        raise EmbeddingError(
            f"{type(model).__name__}.encode returned {len(vectors)} embeddings for "
            f"{len(texts)} texts"
        )
    return vectors


def as_matrix(output: Any, model: Any) -> FloatMatrix:
    """What a model's ``encode`` returned, as float32.

    Raises:
        EmbeddingError: Not one vector of one length for each text.
    """
    try:
        if isinstance(output, torch.Tensor):
            output = output.detach().float().cpu().numpy()
        return np.asarray(output, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise EmbeddingError(
            f"{type(model).__name__}.encode returned {type(output).__name__}; expected one vector "
            "of one length for each text"
        ) from error


def _open_store(model: Any, variant: str) -> EmbeddingStore | None:
    """The store, if all that the embeddings depend on can be seen; else None: memory only."""
    if not paths.embedding_store_enabled():
        return None
    namespace = namespace_of(model, variant)
    if namespace is None:
        name = name_of(model)
        logger.info("%s has no fingerprint: its embeddings are kept in memory only", name)
        return None
    return EmbeddingStore(paths.embedding_store_dir(), namespace, paths.embedding_store_limit())


def name_of(model: Any) -> str:
    """The model's name in MTEB."""
    return str(getattr(getattr(model, "mteb_model_meta", None), "name", None) or "nameless")


def namespace_of(model: Any, variant: str) -> Namespace | None:
    """All that embeddings depend on besides prompt and text; None if it cannot be seen."""
    fingerprint = _fingerprint(model)
    if fingerprint is None:
        return None
    module = module_of(model)
    first = next(module.parameters(), None) if module is not None else None
    longest = getattr(module, "max_seq_length", None) or 0
    return Namespace(
        fingerprint=fingerprint,
        max_length=int(longest) if math.isfinite(longest) else 0,  # static models have no limit
        dtype=str(first.dtype) if first is not None else "",
        variant=variant,
        label=name_of(model),
    )


def _fingerprint(model: Any) -> str | None:
    """What tells a model from every other that embeds differently; None if that is unknown.

    Any other class than these two may do anything with the network's output, so its network's
    weights are not enough: it says so itself, in the attribute ``embedding_fingerprint``.
    """
    own = getattr(model, "embedding_fingerprint", None)
    if isinstance(own, str) and own:
        return own
    module = module_of(model)
    known = type(model) in {SentenceEncoder, SentenceTransformerEncoderWrapper}
    return module_fingerprint(module) if known and module is not None else None


def module_of(model: Any) -> torch.nn.Module | None:
    """The network behind a model, if it can be seen."""
    candidates = (model, getattr(model, "model", None))
    return next((found for found in candidates if isinstance(found, torch.nn.Module)), None)
