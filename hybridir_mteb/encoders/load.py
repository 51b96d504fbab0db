"""Backbones and trained encoders as sentence-transformers models."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers.processors import TemplateProcessing

from hybridir_mteb.encoders.backbones import place_of
from hybridir_mteb.encoders.contents import backbone_digest
from hybridir_mteb.encoders.four_bit import (
    NF4,
    FourBit,
    check_four_bit,
    is_packed,
    pack,
    settle,
    unpacked,
)
from hybridir_mteb.encoders.kinds import refuse_other_files
from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.trained import MODEL, PARAMETERS, StoredEncoder
from hybridir_mteb.errors import (
    MESSAGE_LIMIT,
    ChecksumError,
    DataUnavailableError,
    HybridIRError,
    SettingError,
    TrainingError,
    from_extra,
    one_line,
)
from hybridir_mteb.files.remote import CONNECT, reached
from hybridir_mteb.paths import with_home
from hybridir_mteb.plugins.specs import Backbone

logger = logging.getLogger(__name__)


@contextmanager
def _loading(place: object) -> Iterator[None]:
    """Whatever a damaged file makes a library raise is one message that names its place."""
    try:
        yield
    except HybridIRError:
        raise
    except Exception as error:
        raise DataUnavailableError(
            f"{place}: cannot be loaded, a file may be damaged: "
            f"{type(error).__name__}: {one_line(error, MESSAGE_LIMIT)}"
        ) from error


def load_sentence_transformer(
    encoder: StoredEncoder,
    backbone_of: Callable[[str], Backbone],
    *,
    device: str | None = None,
    whole: bool = False,
) -> SentenceTransformer:
    """A stored encoder, LoRA adapters merged into the weights of its backbone.

    One that was trained on weights in 4 bits keeps them, its adapter beside them: to round the sum
    to 4 bits again would give another encoder.

    Args:
        encoder: The encoder.
        backbone_of: Gives the backbone of a name, for the one that an adapter belongs to.
        device: Torch device; by default the CPU.
        whole: Make numbers of usual size of weights in 4 bits, and merge the adapter.

    Raises:
        DataUnavailableError: The backbone of an adapter, or the weights, cannot be loaded.
        MissingExtraError: The encoder is an adapter, and peft is not installed.
    """
    with _loading(encoder.path):
        if encoder.is_adapter:
            model = _load_adapter(encoder, backbone_of, device)
            if whole:
                holder: Any = model[0]
                holder.model = unpacked(holder.model)
            return model
        refuse_other_files(encoder.path / MODEL)
        return SentenceTransformer(
            str(encoder.path / MODEL),
            device=device or "cpu",
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        ).eval()


def _load_adapter(
    encoder: StoredEncoder, backbone_of: Callable[[str], Backbone], device: str | None
) -> SentenceTransformer:
    """The backbone, and what training has changed put into it or beside it."""
    trained_from = encoder.record["backbone"]
    _check_backbone(encoder)
    revision = trained_from["revision"]
    backbone = backbone_of(trained_from["name"])
    _check_embedded(encoder, backbone)
    own = (encoder.path / PARAMETERS).is_file()
    if not own:
        extra = "embedded" if backbone.name == "pocket" else "train"
        with from_extra(extra, f"{encoder.name}, an adapter,"):
            import peft  # noqa: F401 -- before a backbone is fetched for nothing
    model = load_backbone(
        backbone,
        weights=trained_from["weights"],
        revision=None if revision == "local" else revision,
        device=device,
        dtype=FourBit() if trained_from.get("quantization") == NF4 else None,
    )
    return (put_parameters if own else merge_adapter)(model, encoder.path)


def _check_embedded(encoder: StoredEncoder, backbone: Backbone) -> None:
    """Refuse weights that come with a package, if it carries others now."""
    trained_from = encoder.record["backbone"]
    embedded = backbone.loader and trained_from["weights"] is None
    if embedded and trained_from["revision"] not in {backbone.sha256 or "embedded", "embedded"}:
        raise ChecksumError(
            f"{encoder.name} was trained from other weights of {backbone.name} than this version "
            f"reads (sha256 {trained_from['revision']}, not {backbone.sha256}): use the version "
            "that trained it, or train it again"
        )


def _check_backbone(encoder: StoredEncoder) -> None:
    """Refuse a local backbone that is not the one that the adapter was trained from."""
    trained_from = encoder.record["backbone"]
    if trained_from["revision"] != "local":
        return
    folder, known = with_home(trained_from["weights"]), trained_from.get("digest")
    remedy = f"put it back, or train {encoder.name} again"
    if not folder.is_dir():
        raise DataUnavailableError(f"{folder}, the backbone of {encoder.name}, is gone: {remedy}")
    if known is None:
        logger.warning(
            "%s was trained by version 0.1, which did not note the files of its backbone: nobody "
            "can tell whether %s is still the same",
            encoder.name,
            folder,
        )
    elif backbone_digest(folder) != known:
        raise ChecksumError(
            f"{folder} is not the backbone that {encoder.name} was trained from, its files were "
            f"changed: {remedy}"
        )


def load_backbone(
    backbone: Backbone,
    *,
    weights: str | None = None,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | FourBit | None = None,
    trust_remote_code: bool = False,
) -> SentenceTransformer:
    """The network with its pooling, normalisation and prompts.

    Args:
        backbone: Entry of the table.
        weights: Local folder or hub id, instead of the table's.
        revision: Commit on the hub, instead of the table's.
        device: Torch device; by default the CPU.
        dtype: Type of the parameters, by default float32; or linear layers in 4 bits.
        trust_remote_code: Run code that comes with the weights. Never on by itself.

    Raises:
        SettingError: Weights from the hub without a commit, or of a model that is no bi-encoder.
        DataUnavailableError: The weights cannot be had.
        MissingExtraError: 4 bits are asked for, and bitsandbytes is not installed.
    """
    numbers: dict[str, Any] = {"dtype": dtype or torch.float32}
    if isinstance(dtype, FourBit):
        check_four_bit(device or "cpu")
        numbers = dtype.loading(device or "cpu")
    if backbone.loader and weights is None:
        with _loading(backbone.hub_id):
            return _from_package(backbone, device, dtype)
    place = place_of(backbone, weights)
    local = with_home(place).is_dir()
    revision = None if local else revision or backbone.revision
    if not local and revision is None:
        raise SettingError(
            f"{place}: give the commit on the hub as 'revision': weights from the hub are pinned"
        )
    options = {"revision": revision, "trust_remote_code": trust_remote_code}
    of_model = {**options, "use_safetensors": True, **numbers}
    remedies = "give another folder with --weights", "check its files" if local else CONNECT
    said = f"{place}: the weights cannot be loaded"
    with _loading(place), reached(said, *remedies), quiet_transformers():
        model = _assemble(backbone, place, device or "cpu", of_model, options)
    network = network_of(model)
    settle(network)
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # unused here; untrained parameters would stall DDP
    model.prompts = {**dict.fromkeys(("query", "document"), ""), **backbone.prompts}
    return model


def _from_package(
    backbone: Backbone, device: str | None, dtype: torch.dtype | FourBit | None
) -> SentenceTransformer:
    """A backbone that brings a loader of its own, in float32 or packed."""
    module, _, function = backbone.loader.partition(":")
    loader = getattr(importlib.import_module(module), function)
    loaded: SentenceTransformer = loader(device=device)
    if isinstance(dtype, FourBit):
        pack(network_of(loaded), dtype)
    return loaded


def _assemble(
    backbone: Backbone, place: str, device: str, of_model: dict[str, Any], options: dict[str, Any]
) -> SentenceTransformer:
    """The model as published, or the network with the pooling of the table."""
    refuse_other_files(place, revision=options["revision"])
    if not backbone.pooling:
        model = SentenceTransformer(
            place,
            device=device,
            model_kwargs=of_model,
            similarity_fn_name="cosine",  # what it is trained for, whatever was published
            **options,
        )
        if not isinstance(model[0], Transformer):
            raise SettingError(
                f"{place}: training starts from one transformer and its pooling, and this model "
                f"starts with {type(model[0]).__name__}; give other weights"
            )
        return model
    transformer = Transformer(
        place, model_kwargs=of_model, config_kwargs=options, processor_kwargs=options
    )
    if backbone.decoder:
        prepare_decoder_tokenizer(transformer.tokenizer)
    dimension = transformer.model.config.hidden_size
    pooling = Pooling(dimension, pooling_mode=backbone.pooling)
    return SentenceTransformer(
        modules=[transformer, pooling, Normalize()], device=device, similarity_fn_name="cosine"
    )


def prepare_decoder_tokenizer(tokenizer: Any) -> None:
    """Left padding, and an end-of-text token after every text: what last-token pooling reads.

    Raises:
        TrainingError: The tokenizer has no end-of-text token.
    """
    if tokenizer.eos_token is None:
        raise TrainingError(
            "the tokenizer has no end-of-text token: last-token pooling cannot work"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    start = tokenizer.bos_token
    ids = tokenizer("a")["input_ids"]
    begins = start is not None and bool(ids) and ids[0] == tokenizer.bos_token_id
    special = [(tokenizer.eos_token, tokenizer.eos_token_id)]
    if begins:
        special.append((start, tokenizer.bos_token_id))
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start + ' ' if begins else ''}$A {tokenizer.eos_token}",
        pair=None,
        special_tokens=special,
    )


def put_parameters(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Put trained parameters into the backbone that they were trained from.

    Raises:
        DataUnavailableError: They are those of another network.
    """
    with _loading(folder):
        found = load_file(folder / PARAMETERS)
    own = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if own.keys() != found.keys() or any(own[name].shape != found[name].shape for name in own):
        raise DataUnavailableError(f"{folder / PARAMETERS}: of another network; train it again")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(found[name])
    return model.eval()


def merge_adapter(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Add a stored LoRA adapter to the weights of its backbone; beside those in 4 bits.

    Raises:
        DataUnavailableError: The folder holds no adapter, or one that does not fit.
    """
    from peft import PeftModel

    holder: Any = model[0]
    with _loading(f"{folder}: the adapter"), quiet_transformers():
        adapted = PeftModel.from_pretrained(
            holder.model, str(folder), local_files_only=True, use_safetensors=True
        )
        holder.model = adapted if is_packed(adapted) else adapted.merge_and_unload()
    return model.eval()
