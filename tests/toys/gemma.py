"""A small Gemma 3 as the packages of the real one carry it: a GGUF file in four parts."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch

from hybridir_mteb.encoders.gemma import files
from hybridir_mteb.encoders.gemma.model import WEIGHTS, _unpack
from hybridir_mteb.files import sha256_of

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
EOS, BOS = 1, 2
CONTROL, NORMAL, BYTE = 3, 1, 6  # as GGUF numbers them
PIECES = ["▁", *LETTERS, "th", "the", "▁the"]
TOKENS = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *PIECES]
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "sliding_window": 8,
}


def tiny_gemma() -> Any:
    """The network with random weights that 8 bits can hold, norms included."""
    from gguf import GGMLQuantizationType, dequantize, quantize
    from transformers import Gemma3TextConfig, Gemma3TextModel

    torch.manual_seed(0)
    config = Gemma3TextConfig(vocab_size=len(TOKENS), bos_token_id=BOS, eos_token_id=EOS, **SIZES)
    model = Gemma3TextModel(config).eval()
    kind = GGMLQuantizationType.Q8_0
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "norm" in name:
                value.normal_(0, 0.1)
            else:
                exact = dequantize(quantize(value.numpy() * 20, kind), kind)
                value.copy_(torch.from_numpy(exact))
    return model


def write_gguf(path: Path, model: Any) -> None:
    """As llama.cpp writes it: norms with one added, the other weights quantised."""
    import gguf

    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_name("tiny")
    writer.add_context_length(SIZES["max_position_embeddings"])
    writer.add_embedding_length(SIZES["hidden_size"])
    writer.add_block_count(SIZES["num_hidden_layers"])
    writer.add_feed_forward_length(SIZES["intermediate_size"])
    writer.add_head_count(SIZES["num_attention_heads"])
    writer.add_head_count_kv(SIZES["num_key_value_heads"])
    writer.add_key_length(SIZES["head_dim"])
    writer.add_value_length(SIZES["head_dim"])
    writer.add_sliding_window(SIZES["sliding_window"])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e6)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([-float(at) for at in range(len(TOKENS))])
    kinds = [CONTROL] * len(SPECIAL) + [BYTE] * 256 + [NORMAL] * len(PIECES)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(3)
    writer.add_add_bos_token(True)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, SIZES["num_hidden_layers"])
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, value in model.state_dict().items():
        plain = name.removesuffix(".weight")
        written = f"{names.get_name(f'model.{plain}')}.weight"
        array = value.numpy().astype(np.float32)
        if "norm" in name:
            writer.add_tensor(written, array + 1)
        else:
            writer.add_tensor(written, gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def install(monkeypatch: pytest.MonkeyPatch, site: Path, network: Any) -> None:
    """Make the packages those of the backbone, pinned as the real ones are.

    Args:
        monkeypatch: Puts the pins and the path back.
        site: Folder for the packages.
        network: Of :func:`tiny_gemma`.
    """
    monkeypatch.setattr(files, "SHA256", write_packages(site, network))
    monkeypatch.syspath_prepend(site)
    with TemporaryDirectory() as folder:
        _unpack(Path(folder), Path(folder))
        monkeypatch.setattr(files, "UNPACKED_SHA256", sha256_of(Path(folder) / WEIGHTS))


def write_packages(site: Path, model: Any) -> str:
    """The four packages, in a folder for ``sys.path``; returns the sha256 of their parts together.

    Args:
        site: The folder.
        model: Of :func:`tiny_gemma`.
    """
    site.mkdir(parents=True, exist_ok=True)
    whole = site / "whole.gguf"
    write_gguf(whole, model)
    content = whole.read_bytes()
    size = len(content) // len(files.MODULES) + 1
    for at, module in enumerate(files.MODULES):
        data = site / module / "data"
        data.mkdir(parents=True)
        (site / module / "__init__.py").touch()
        (data / f"{files.FILE}.part{at:02}").write_bytes(content[at * size : (at + 1) * size])
    return hashlib.sha256(content).hexdigest()
