"""Any MTEB encoder as the package's :class:`~hybridir_mteb.encoders.encoder.Encoder`.

All that has to be guessed about other people's models is guessed here, once for each call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4
from weakref import WeakKeyDictionary

import datasets
import torch
from datasets import Dataset
from mteb._create_dataloaders import create_dataloader
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
from mteb.types import PromptType
from sentence_transformers import SentenceTransformer

from hybridir_mteb.adapters.mteb.models import (
    BatchesTexts,
    DebiasedEncoder,
    SentenceEncoder,
    as_matrix,
    odd_arguments,
    refuse_for_debiased,
    refuse_prompts,
    task_languages,
)
from hybridir_mteb.debias.encoder import Debiased
from hybridir_mteb.encoders.cache import Namespace
from hybridir_mteb.encoders.encoder import Role, TextEncoder
from hybridir_mteb.encoders.fingerprint import module_fingerprint, weights_stamp
from hybridir_mteb.encoders.kinds import refuse_other_kinds
from hybridir_mteb.encoders.memory import PerModel
from hybridir_mteb.encoders.module_state import is_patched
from hybridir_mteb.encoders.sentence import (
    has_own_similarity,
    is_plain,
    own_similarity,
    role_prompt,
)
from hybridir_mteb.errors import EmbeddingError, SettingError
from hybridir_mteb.files.progress import bars
from hybridir_mteb.ranking.arrays import FloatMatrix, ScoreFunction, Similarity, check_embeddings

CHUNK_TEXTS = 1024  # texts for one call of a foreign encode: what a kill can cost
# Quantised by the ranges of all vectors of one call, so no function of the text.
_BY_RANGES = {"int8", "uint8"}
# What of a network changes embeddings and is in no parameter.
_SETTINGS = ("truncate_dim", "default_prompt_name", "max_seq_length")
# By this name embedding stores have known our encoders since version 0.1, wherever the class is.
_OWN_WRAPPER = "hybridir_mteb.adapters.mteb_encoder.SentenceEncoder"
# What these do with the network's output is known.
_KNOWN = {SentenceEncoder, SentenceTransformerEncoderWrapper}
_FINGERPRINTS: PerModel[str | None] = PerModel()  # reading all weights takes long


@dataclass(frozen=True)
class EncodeCall:
    """What MTEB passes along with the texts.

    Attributes:
        metadata: The task's metadata; prompts may depend on it.
        split: Name of the split.
        subset: Name of the subset.
        encode_kwargs: Arguments for ``encode``, such as ``batch_size``.
        label: Shown beside progress bars; by default task and subset.
        keep: Whether embeddings stay in memory and in the store; if not, weights are also read anew
            each time that they are told apart.
        pool: Processes of sentence-transformers that share the work, if there are any.
    """

    metadata: TaskMetadata
    split: str
    subset: str
    encode_kwargs: Mapping[str, Any]
    label: str = ""
    keep: bool = True
    pool: Any = None

    @property
    def at_once(self) -> bool:
        """Whether embeddings depend on which others are made in the same call."""
        return self.encode_kwargs.get("precision") in _BY_RANGES


@runtime_checkable
class StatesFingerprint(Protocol):
    """A model that tells itself from every other that embeds differently."""

    embedding_fingerprint: str


def of_mteb(model: Any, call: EncodeCall) -> MtebEncoder | Debiased:
    """An MTEB encoder, for one call of MTEB's.

    Args:
        model: What MTEB evaluates: it has ``encode`` and ``similarity``.
        call: MTEB's arguments.

    Raises:
        SettingError: No encoder of one vector for each text, or arguments that it cannot honour.
    """
    refuse_other_kinds(model)
    if isinstance(model, DebiasedEncoder):
        refuse_for_debiased(call.encode_kwargs)
        base = of_mteb(model.undebiased, call)
        among = task_languages(call.metadata, call.subset)
        # One that MTEB has not loaded has no name of its own.
        return Debiased(base, model.fitted, host=model, name=_name_of(model), among=among)
    return MtebEncoder(model, call)


def module_of(model: Any) -> torch.nn.Module | None:
    """The network behind a model, if it can be seen."""
    candidates = (model, getattr(model, "model", None))
    return next((found for found in candidates if isinstance(found, torch.nn.Module)), None)


def _mixed_precision(module: torch.nn.Module | None) -> str:
    """The type to which the caller's ``torch.autocast`` rounds; empty if there is none."""
    first = next(module.parameters(), None) if module is not None else None
    kind = "cpu" if first is None else first.device.type
    return str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else ""


def _name_of(model: Any) -> str:
    """The model's name in MTEB; empty if it has none."""
    return str(getattr(getattr(model, "mteb_model_meta", None), "name", None) or "")


def _as_json(arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The arguments, or None if one is an object that cannot be told from others."""
    try:
        json.dumps(arguments, sort_keys=True)
    except (TypeError, ValueError):
        return None
    return arguments


# By a network's number and what torch counts of its changes: what it is known to be while nothing
# else can change it.
_Stamps = dict[tuple[Any, ...], str]
_STAMPS: ContextVar[_Stamps | None] = ContextVar("stamps", default=None)
_OF_CALLS: WeakKeyDictionary[object, _Stamps] = WeakKeyDictionary()


@contextmanager
def unchanged(call: object = None) -> Iterator[None]:
    """Within the block no model changes, so that the weights of each are looked at once.

    Args:
        call: What all blocks of one call of MTEB's have in common, such as its timer: MTEB asks for
            one subset after the other, and reading all weights for each takes longer than scoring.
    """
    before = _STAMPS.set({} if call is None else _OF_CALLS.setdefault(call, {}))
    try:
        yield
    finally:
        _STAMPS.reset(before)


def _stamp(module: torch.nn.Module | None) -> str:
    """What changes with the weights; empty if there is no network to be seen."""
    if module is None:
        return ""
    known = _STAMPS.get()
    if known is None:
        return weights_stamp(module)
    key = id(module), *map(_changes, (*module.parameters(), *module.buffers()))
    if key not in known:
        known[key] = weights_stamp(module)
    return known[key]


def _changes(tensor: torch.Tensor) -> tuple[int, int]:
    """Where a tensor's numbers lie, and how often torch has counted a change of them."""
    counted = -1 if tensor.is_inference() else tensor._version
    try:
        return tensor.data_ptr(), counted
    except RuntimeError:  # a kind that has no place of its own
        return id(tensor), counted


class MtebEncoder(TextEncoder):
    """One MTEB encoder, as one call of MTEB's uses it.

    Args:
        model: The encoder; anything but a debiased one.
        call: MTEB's arguments.
    """

    def __init__(self, model: Any, call: EncodeCall) -> None:
        self.host = self._model = model
        self._call = call
        self._module = module_of(model)
        self.name = _name_of(model) or "nameless"
        if type(model) in _KNOWN:
            refuse_prompts(call.encode_kwargs)
        self._arguments = odd_arguments(call.encode_kwargs)
        told = _as_json(self._arguments)
        self._seen = told is not None and not call.at_once
        self.keep = call.keep and self._seen
        self.variant = self._settings(told)
        self.stamp = _stamp(self._module)
        ask = getattr(self._module, "get_embedding_dimension", None)
        width = ask() if callable(ask) and not self._arguments else None
        self.width = width if isinstance(width, int) else None
        self.label = call.label or f"{call.metadata.name} {call.subset}"

    def _settings(self, arguments: Mapping[str, Any] | None) -> str:
        """What changes embeddings besides weights, prompt and text; None are untold arguments."""
        kind, model = type(self._model), self._model
        own = kind is SentenceEncoder
        settings: dict[str, Any] = {}
        settings["wrapper"] = _OWN_WRAPPER if own else f"{kind.__module__}.{kind.__qualname__}"
        for name in _SETTINGS:
            settings[name] = getattr(self._module, name, None)
        ours = isinstance(model, SentenceEncoder)
        settings["precision"] = model.engine.precision if ours else None
        if ours and (settings["truncate_dim"] is not None or not is_plain(model.model)):
            settings["forward"] = "own"  # version 0.1 did not truncate, and took any route
        if ours and model.engine.name:
            settings["engine"] = model.engine.name  # with its version: the last digits are its own
        if mixed := _mixed_precision(self._module):
            settings["autocast"] = mixed
        if arguments is None:
            settings["encode"] = uuid4().hex  # equal to no other
        elif arguments:  # apart from the settings, whatever they are called
            settings["encode"] = arguments
        return json.dumps(settings, sort_keys=True, default=repr)

    @property
    def similarity(self) -> Similarity | ScoreFunction:
        """Cosine or dot product, or the function of a model that brings code of its own."""
        name, method = None, type(self._model).similarity
        if has_own_similarity(self._model):
            return Similarity.named(None, self._model.similarity)
        if method in {SentenceTransformerEncoderWrapper.similarity, SentenceEncoder.similarity}:
            return own_similarity(self._model.model, self._model.similarity)
        if method is AbsEncoder.similarity:
            meta = getattr(self._model, "mteb_model_meta", None)
            name = getattr(getattr(meta, "similarity_fn_name", None), "value", None)
        return Similarity.named(name, self._model.similarity)

    @property
    def namespace(self) -> Namespace | None:
        """All that embeddings depend on besides prompt and text; None if it cannot be seen."""
        fingerprint = self._fingerprint() if self._seen else None
        if fingerprint is None:
            return None
        first = next(self._module.parameters(), None) if self._module is not None else None
        longest = getattr(self._module, "max_seq_length", None) or 0
        return Namespace(
            fingerprint=fingerprint,
            max_length=int(longest) if math.isfinite(longest) else 0,  # static models: no limit
            dtype=str(first.dtype) if first is not None else "",
            variant=self.variant,
            label=self.name,
        )

    def _fingerprint(self) -> str | None:
        """What tells the model from every other that embeds differently; None if unknown."""
        # Any class but those known may do anything with the network's output: it states its own.
        model, module = self._model, self._module
        if isinstance(model, StatesFingerprint) and isinstance(model.embedding_fingerprint, str):
            return model.embedding_fingerprint or None
        if module is None or type(model) not in _KNOWN or is_patched(model):
            return None
        if not self.keep:
            return module_fingerprint(module)
        return _FINGERPRINTS.get(
            model, self.stamp, lambda: module_fingerprint(module), self.variant
        )

    def state(self) -> str:
        """Settings, weights, and the similarity that is named in the network."""
        return f"{super().state()}|{getattr(self._module, 'similarity_fn_name', None)}"

    def prompt(self, role: Role) -> str:
        """Everything besides text and weights that an embedding depends on, as one string."""
        model, metadata, kind = self._model, self._call.metadata, PromptType(role)
        if isinstance(model, BatchesTexts):
            return f"{role}|{model.prompt(kind)}"
        if isinstance(model, AbsEncoder):
            name = model.get_prompt_name(metadata, kind)
            parts = [
                name,
                (model.model_prompts or {}).get(name) if name else None,
                model.get_task_instruction(metadata, kind),
                metadata.type,
            ]
            network = self._module
            if parts[1] is None and isinstance(network, SentenceTransformer):
                own = role_prompt(network, role) if type(model) in _KNOWN else None
                parts += [own] if own else []  # then the network chooses
            return json.dumps([role, *parts])
        # Nothing is known of what the model makes of the task: embeddings are shared between the
        # settings of one data set only.
        return json.dumps([role, metadata.dataset["path"], metadata.revision])

    def batches(
        self, texts: Sequence[str], role: Role
    ) -> Iterator[tuple[Sequence[int], FloatMatrix]]:
        """Positions and embeddings, batch by batch: the model's own, else chunks by length."""
        odd = self._arguments or self._call.pool is not None
        if isinstance(self._model, BatchesTexts) and not odd:
            yield from self._model.text_batches(texts, PromptType(role))
            return
        order = sorted(range(len(texts)), key=lambda at: -len(texts[at]))
        whole = self._call.at_once or self._call.pool is not None
        size = max(1, len(order)) if whole else CHUNK_TEXTS
        for start in range(0, len(order), size):
            positions = order[start : start + size]
            yield positions, self._encode(texts, positions, role)

    def network(self) -> SentenceTransformer:
        """The sentence-transformers model, for encoding in several processes.

        Raises:
            SettingError: The encoder is none.
        """
        if type(self._model) not in _KNOWN or not isinstance(self._module, SentenceTransformer):
            raise SettingError(
                f"{type(self._model).__name__} is no sentence-transformers model, so it cannot "
                "encode in several processes; use encode_queries and encode_corpus"
            )
        return self._module

    def _encode(self, every: Sequence[str], positions: Sequence[int], role: Role) -> FloatMatrix:
        """Embeddings of some texts by the model's ``encode``, as MTEB calls it."""
        call, kind, texts = self._call, PromptType(role), [every[at] for at in positions]
        arguments = dict(call.encode_kwargs)
        with no_table_bars():
            loader = create_dataloader(
                Dataset.from_dict({"id": [str(at) for at in range(len(texts))], "text": texts}),
                task_metadata=call.metadata,
                prompt_type=kind,
                batch_size=arguments.get("batch_size", 32),
            )
        if call.pool is not None:
            arguments["pool"] = call.pool
        output = self._model.encode(
            loader,
            task_metadata=call.metadata,
            hf_split=call.split,
            hf_subset=call.subset,
            prompt_type=kind,
            **arguments,
        )
        vectors = as_matrix(output, self._model)
        check_embeddings(vectors, f"{role} text", positions=positions)
        if len(vectors) != len(texts):
            raise EmbeddingError(
                f"{type(self._model).__name__}.encode returned {len(vectors)} embeddings for "
                f"{len(texts)} texts"
            )
        return vectors


@contextmanager
def no_table_bars() -> Iterator[None]:
    """Tables are gone through without a bar where nobody would see it move."""
    were_off = datasets.are_progress_bars_disabled()
    if not bars():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            datasets.enable_progress_bars()
