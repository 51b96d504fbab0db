"""Frozen linear layers in 4 bits (QLoRA, Dettmers et al. 2023), by bitsandbytes.

A weight becomes one of the 16 values of NF4 times the largest of its block of 64; those, too, are
held in 8 bits ("double quantisation"). Whatever is no linear layer stays as it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hybridir_mteb.errors import SettingError, from_extra, one_line, quoted

NF4 = "nf4"


@dataclass(frozen=True)
class FourBit:
    """Number format of a network whose linear layers are packed.

    Attributes:
        compute: Type to which packed weights are unpacked when they are used, and of all others.
    """

    compute: torch.dtype = torch.float32

    def loading(self, device: str) -> dict[str, Any]:
        """Arguments with which transformers packs each weight as it reads it, on the device."""
        from transformers import BitsAndBytesConfig

        config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type=NF4,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=self.compute,
        )
        return {"quantization_config": config, "device_map": {"": device}, "dtype": self.compute}


def check_four_bit(device: str) -> None:
    """Refuse what cannot be had before any weight is read.

    Raises:
        MissingExtraError: bitsandbytes is not installed.
        SettingError: It cannot work on the device.
    """
    # On some processors it says which package for faster inference is not installed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    with from_extra("qlora", f"quantization: {NF4}"):
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    try:
        tried = quantize_4bit(torch.ones(64, 64, device=device), quant_type=NF4)
        dequantize_4bit(*tried).sum().item()
    except Exception as error:  # each backend has its own way of not being there
        raise SettingError(
            f"quantization: {NF4} cannot work on the device {quoted(device, 80)}: "
            f"{one_line(error, 160)}; leave quantization out of the recipe, or take a GPU that "
            "bitsandbytes knows"
        ) from error


def pack(network: nn.Module, numbers: FourBit) -> None:
    """Pack all linear layers of a network where they are, one after the other."""
    for above in list(network.modules()):
        for name, layer in list(above.named_children()):
            if type(layer) is nn.Linear:
                setattr(above, name, _packed(layer, numbers))
    settle(network)


def _packed(layer: nn.Linear, numbers: FourBit) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    made: nn.Module = Linear4bit(
        *(layer.in_features, layer.out_features, layer.bias is not None),
        compute_dtype=numbers.compute,
        quant_type=NF4,
        device="meta",
    )
    weight = Params4bit(layer.weight.detach(), quant_type=NF4, module=made)
    made.weight = weight.to(layer.weight.device)  # which is when it is packed
    made.bias = layer.bias
    return made


def settle(network: nn.Module) -> None:
    """Let packed layers compute in their own type on every processor, and never change by it.

    bitsandbytes else repacks a layer when it is first used on a processor with AVX512-BF16, and
    computes in bf16 from then on.
    """
    for _, layer in packed_layers(network):
        layer.support_avx512bf16_for_cpu = False


def packed_layers(network: nn.Module) -> list[tuple[str, Any]]:
    """Name and layer of all that are packed; an adapter around one is none."""
    return [
        (name, layer)
        for name, layer in network.named_modules()
        if type(layer).__name__ == "Linear4bit" and not hasattr(layer, "base_layer")
    ]


def is_packed(network: nn.Module) -> bool:
    """Whether a network has layers in 4 bits."""
    return any(hasattr(p, "quant_state") for p in network.parameters())


def unpacked(network: Any, dtype: torch.dtype = torch.float32) -> Any:
    """A network whose packed layers are ordinary ones of the values that they stand for.

    LoRA around them is added before anything is rounded. The network is changed, layer by layer;
    one without layers in 4 bits is returned as it is.
    """
    if not is_packed(network):
        return network
    network = network.get_base_model() if hasattr(network, "peft_config") else network
    for name, packed in packed_layers(network):
        own = name.removesuffix(".base_layer")
        above, _, attribute = own.rpartition(".")
        layer = _unpacked(packed, network.get_submodule(own), dtype)
        setattr(network.get_submodule(above), attribute, layer)
    for known in ("is_loaded_in_4bit", "is_quantized", "hf_quantizer", "quantization_method"):
        vars(network).pop(known, None)  # what transformers said of it
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    return network


def _unpacked(packed: Any, adapter: Any, dtype: torch.dtype) -> nn.Linear:
    from bitsandbytes.functional import dequantize_4bit

    weight = dequantize_4bit(packed.weight.data, packed.weight.quant_state).to(torch.float32)
    for name in getattr(adapter, "active_adapters", ()):
        weight += adapter.get_delta_weight(name).to(weight)
    sizes = packed.in_features, packed.out_features
    layer = nn.Linear(*sizes, packed.bias is not None, device="meta")
    layer.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
    layer.bias = packed.bias
    return layer


def count(parameter: torch.Tensor) -> int:
    """How many numbers a parameter stands for; two of them are in a byte of packed ones."""
    state = getattr(parameter, "quant_state", None)
    return parameter.numel() if state is None else torch.Size(state.shape).numel()
