"""Backbones as sentence-transformers models, ready for training or with a trained adapter."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.helpers import disable_input_dtype_casting
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers.processors import TemplateProcessing
from torch.nn.attention import SDPBackend, sdpa_kernel

from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import DataUnavailableError, SettingError, TrainingError
from hybridir_mteb.plugins.specs import Backbone


def load_backbone(
    backbone: Backbone,
    *,
    weights: str | None = None,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    trust_remote_code: bool = False,
) -> SentenceTransformer:
    """The network with its pooling, normalisation and prompts.

    Args:
        backbone: Entry of the table.
        weights: Local folder or hub id, instead of the table's.
        revision: Commit on the hub, instead of the table's.
        device: Torch device; by default the CPU, or what ``accelerate`` gave this process.
        dtype: Of the parameters; by default float32.
        trust_remote_code: Run code that comes with the weights. Never on by itself.

    Raises:
        SettingError: Weights from the hub without a commit.
        DataUnavailableError: The weights cannot be had.
    """
    if backbone.loader and weights is None:
        module, _, function = backbone.loader.partition(":")
        loaded: SentenceTransformer = getattr(importlib.import_module(module), function)(
            device=device
        )
        return loaded
    place = weights or backbone.hub_id
    local = Path(place).expanduser().is_dir()
    revision = None if local else revision or backbone.revision or pinned_revision(place)
    if not local and revision is None:
        raise SettingError(
            f"{place}: give the commit on the hub as 'revision': weights from the hub are pinned"
        )
    options: dict[str, Any] = {
        "revision": revision,
        "trust_remote_code": trust_remote_code,
    }
    of_model = {**options, "use_safetensors": True, "dtype": dtype or torch.float32}
    try:
        with quiet_transformers():
            if not backbone.pooling:
                model = SentenceTransformer(
                    place, device=device or "cpu", model_kwargs=of_model, **options
                )
            else:
                model = _assemble(backbone, place, device, of_model, options)
    except OSError as error:
        raise DataUnavailableError(
            f"{place}: the weights cannot be loaded: {error}. Connect to the network, or give a "
            "local folder with --weights"
        ) from error
    network = network_of(model)
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # unused here; untrained parameters would stall DDP
    model.prompts = {**dict.fromkeys(("query", "document"), ""), **backbone.prompts}
    return model


def pinned_revision(hub_id: str) -> str | None:
    """The commit that MTEB pins for a model, if it knows the model."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(hub_id)
    return None if meta is None else meta.revision


def _assemble(
    backbone: Backbone,
    place: str,
    device: str | None,
    of_model: dict[str, Any],
    options: dict[str, Any],
) -> SentenceTransformer:
    transformer = Transformer(
        place, model_kwargs=of_model, config_kwargs=options, processor_kwargs=options
    )
    if backbone.decoder:
        prepare_decoder_tokenizer(transformer.tokenizer)
    dimension = transformer.model.config.hidden_size
    pooling = Pooling(dimension, pooling_mode=backbone.pooling)
    return SentenceTransformer(
        modules=[transformer, pooling, Normalize()],
        device=device or "cpu",
        similarity_fn_name="cosine",
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


def set_dropout(model: SentenceTransformer, probability: float) -> None:
    """Change the dropout of all layers, attention included."""
    for module in network_of(model).modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = probability
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = probability


def add_lora(model: SentenceTransformer, *, rank: int, alpha: float, dropout: float) -> None:
    """Put LoRA adapters (Hu et al. 2022) on every linear layer; only they are trained from now on.

    Raises:
        SettingError: The rank is not positive.
    """
    if rank < 1:
        raise SettingError(f"the rank of LoRA must be positive, not {rank}")
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # annotated int, used as a factor
        lora_dropout=dropout,
        target_modules="all-linear",
        bias="none",
    )
    holder: Any = model[0]
    holder.model = get_peft_model(holder.model, config)


def freeze_in_bf16(model: SentenceTransformer) -> None:
    """Hold frozen linear layers in bf16, to which autocast rounds them in every forward pass."""
    for module in network_of(model).modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.requires_grad:
            module.to(torch.bfloat16)


@contextmanager
def efficient(model: SentenceTransformer, precision: Precision) -> Iterator[None]:
    """Settings within the block that change the time of a training step, not its result.

    Under autocast, casts of activations to the adapters' float32 and back are left out. On a CPU
    attention is computed plainly: the fused kernel's backward pass is several times slower there.
    """
    with ExitStack() as stack:
        half = precision is Precision.BF16
        stack.enter_context(disable_input_dtype_casting(network_of(model), active=half))
        if model.device.type == "cpu":
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def merge_adapter(model: SentenceTransformer, folder: Path) -> SentenceTransformer:
    """Add a stored LoRA adapter to the weights of its backbone.

    Raises:
        DataUnavailableError: The folder holds no adapter, or one that does not fit.
    """
    holder: Any = model[0]
    try:
        adapted = PeftModel.from_pretrained(
            holder.model, str(folder), local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise DataUnavailableError(f"{folder}: the adapter cannot be loaded: {error}") from error
    holder.model = adapted.merge_and_unload()
    return model.eval()
