"""What training changes about a network: dropout, LoRA adapters, and arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch.nn.attention import SDPBackend, sdpa_kernel

from hybridir_mteb.encoders.pocket.model import network_of, quiet_transformers
from hybridir_mteb.encoders.products import fastest_products
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.errors import SettingError, from_extra

with from_extra("train", "training"):
    from peft import LoraConfig, get_peft_model
    from peft.helpers import disable_input_dtype_casting


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
    with quiet_transformers():
        holder.model = get_peft_model(holder.model, config)


def freeze_in_bf16(model: SentenceTransformer) -> None:
    """Hold frozen linear layers in bf16, to which autocast rounds them in every forward pass.

    Those in 4 bits, whose bytes are no numbers, stay as they are.
    """
    for module in network_of(model).modules():
        if not isinstance(module, torch.nn.Linear) or module.weight.requires_grad:
            continue
        if module.weight.is_floating_point():
            module.to(torch.bfloat16)


@contextmanager
def efficient(
    model: SentenceTransformer, precision: Precision, *, own_products: bool = False
) -> Iterator[None]:
    """Settings within the block that change the time of a training step, not its result.

    Under autocast, casts of activations to the adapters' float32 and back are left out, and on a
    CPU attention is computed plainly: the fused kernel's backward pass in bf16 is slow there. In
    float32 products are by the faster library. ``make bench-training`` tells what each brings.

    Args:
        model: What is trained.
        precision: Of the steps.
        own_products: Whether products stay PyTorch's own: with gradient checkpointing, which
            computes again without the choice of a library, and with weights that are sharded.
    """
    with ExitStack() as stack:
        half = precision is Precision.BF16
        stack.enter_context(disable_input_dtype_casting(network_of(model), active=half))
        if model.device.type == "cpu" and half:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        elif model.device.type == "cpu" and not own_products:
            stack.enter_context(fastest_products())
        yield
