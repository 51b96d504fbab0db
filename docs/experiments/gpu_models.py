"""Experiment: decoders of real shapes with random weights, made without a network or a disk.

What they cost is that of the real ones; what they embed means nothing.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.four_bit import FourBit, check_four_bit, pack
from hybridir_mteb.encoders.load import load_backbone

DEVIATION = 0.02
LANGUAGES = ("de", "en", "fr")
DECODER = next(backbone for backbone in BACKBONES if backbone.name == "decoder")


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder of Llama's kind."""

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int

    def config(self) -> Any:
        """As transformers has them."""
        return AutoConfig.for_model(
            "llama",
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.intermediate,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            max_position_embeddings=2048,
            bos_token_id=0,
            eos_token_id=1,
        )


SHAPE_7B = Shape(4096, 32, 32, 8, 14336, 32768)  # of Mistral 7B
SHAPE_70B = Shape(8192, 80, 64, 8, 28672, 128256)  # of Llama 3.1 70B
TOY = Shape(32, 2, 4, 2, 64, 300)


def decoder(shape: Shape, folder: Path, device: str, *, four_bit: bool) -> SentenceTransformer:
    """An encoder as the package makes it of a decoder, its network on the device in bf16.

    Args:
        shape: Of the network.
        folder: Empty; holds the tokenizer and a network of some bytes, which the real one replaces.
        device: Where the weights are made, one layer after the other.
        four_bit: Pack the linear layers of each layer as soon as it is made.
    """
    if four_bit:
        check_four_bit(device)
    AutoModel.from_config(TOY.config()).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    model = load_backbone(DECODER, weights=str(folder), device="cpu")
    holder: Any = model[0]
    holder.model = network(shape, device, four_bit=four_bit)
    return model.to(device)


def network(shape: Shape, device: str, *, four_bit: bool) -> Any:
    """Random weights in bf16, on the device; no more than one layer is ever there unpacked."""
    with torch.device("meta"):
        made: Any = AutoModel.from_config(shape.config(), dtype=torch.bfloat16)
    torch.manual_seed(0)
    for part in (made.embed_tokens, *made.layers, made.norm):
        part.to_empty(device=device)
        with torch.no_grad():
            for parameter in part.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0.0, DEVIATION)
                else:
                    parameter.fill_(1.0)
        if four_bit:
            pack(part, FourBit(torch.bfloat16))
    made.rotary_emb = type(made.rotary_emb)(config=made.config).to(device)  # was on "meta"
    return made


def _tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate(["<bos>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", model_max_length=2048
    )


def texts(count: int, length: int, seed: int = 0) -> list[str]:
    """Random letters, as many as asked for: each is a token."""
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghij ", k=length)) for _ in range(count)]


def write_pairs(file: Path, items: int, length: int) -> None:
    """Parallel pairs in three made-up languages, as long as they may be."""
    lines = []
    for number, language in enumerate(LANGUAGES):
        queries, passages = (texts(items, length, 2 * number + at) for at in range(2))
        lines += [
            {"id": f"i{at}", "language": language, "query": query, "passage": passage}
            for at, (query, passage) in enumerate(zip(queries, passages, strict=True))
        ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
