"""The network in PyTorch, inside sentence-transformers.

Yang et al. 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval" (ACL
demonstrations), the convolutional one: an embedding of pieces, convolutions over 2, 3 and 5 of
them, a sum over the text, and a deep averaging network. All but the embedding can be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule
from torch import Tensor, nn
from torch.nn import functional

from hybridir_mteb.encoders.muse.files import read_vocabulary, read_weights
from hybridir_mteb.encoders.muse.tokenizer import MuseTokenizer
from hybridir_mteb.ranking.arrays import FloatArray

LANGUAGES = (
    *("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"),
)
CHUNKS = 17  # the embedding's rows are dealt out to so many tables, each with its own scale
HIDDEN, WIDTH, DIMENSION = 512, 256, 512
WINDOWS = {2: (0, 1), 3: (1, 1), 5: (2, 2)}  # pieces -> how many to the left and to the right


class NGramNetwork(nn.Module):
    """From ids to one vector of unit length.

    Args:
        arrays: The arrays of the weight file.
    """

    scale: Tensor
    lowest: Tensor

    def __init__(self, arrays: Mapping[str, FloatArray]) -> None:
        super().__init__()
        table = np.empty((CHUNKS * len(arrays["q1"]), HIDDEN), np.uint8)
        for chunk in range(CHUNKS):
            table[chunk::CHUNKS] = arrays[f"q{chunk + 1}"]
        # Held as it is stored, a quarter of the size: rows become numbers when they are looked up.
        self.pieces = nn.Parameter(torch.from_numpy(table), requires_grad=False)
        self.register_buffer("scale", torch.from_numpy(arrays["scale"]))
        self.register_buffer("lowest", torch.from_numpy(arrays["lo"]))
        epsilon = float(arrays["eps"])

        def joined(name: str) -> FloatArray:
            return np.concatenate([arrays[f"{name}{n}"] for n in WINDOWS], axis=-1)

        self.project = _linear(joined("proj"), joined("proj_b"))
        self.project_norm = _norm(joined("ln_g"), joined("ln_b"), epsilon)
        self.first, self.second = (
            nn.ModuleList(
                _convolution(arrays[f"w{layer}_{n}"], arrays[f"b{layer}_{n}"]) for n in WINDOWS
            )
            for layer in (1, 2)
        )
        self.norm = _norm(arrays["ln_g"], arrays["ln_b"], epsilon)
        self.out = _linear(arrays["cnn_W"], arrays["cnn_b"])
        self.deep = nn.ModuleList(_linear(arrays[f"d{layer}"]) for layer in range(4))
        self.skip = nn.ModuleList(_linear(arrays[name]) for name in ("p1", "p3"))
        self.epsilon = epsilon

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(n, dimension) embeddings of unit length.

        Args:
            input_ids: (n, longest) ids.
            attention_mask: (n, longest) 1 where there is one, 0 behind a text's end.
        """
        there = attention_mask.unsqueeze(-1).to(self.scale.dtype)
        chunk = input_ids % CHUNKS
        rows = functional.embedding(input_ids, self.pieces).to(self.scale.dtype)
        embedded = rows * self.scale[chunk].unsqueeze(-1) + self.lowest[chunk].unsqueeze(-1)
        parts = self.project_norm(self.project(embedded)).split(WIDTH, dim=-1)
        features = [embedded]
        for part, sides, first, second in zip(
            parts, WINDOWS.values(), self.first, self.second, strict=True
        ):
            found = part
            for convolution in (first, second):
                found = _slide(convolution, found * there, sides) + found
            features.append(found)
        summed = (self.norm(torch.cat(features, dim=-1)) * there).sum(dim=1)
        n_pieces = there.sum(dim=1)
        total = functional.linear(summed, self.out.weight) + n_pieces * self.out.bias
        mean = total * n_pieces.rsqrt()
        # The deep averaging network, and unit length.
        one = (self.skip[0](mean) + self.deep[1](self.deep[0](mean).relu())).relu()
        two = torch.tanh(self.skip[1](one) + self.deep[3](self.deep[2](one).relu()))
        return two * two.square().sum(dim=-1, keepdim=True).clamp(min=self.epsilon).rsqrt()


def _slide(convolution: nn.Module, inputs: Tensor, sides: tuple[int, int]) -> Tensor:
    """One convolution over the pieces, zeros beyond the ends of a text."""
    found: Tensor = convolution(functional.pad(inputs.transpose(1, 2), sides))
    return found.transpose(1, 2).relu()


def _linear(weight: FloatArray, bias: FloatArray | None = None) -> nn.Linear:
    inputs, outputs = weight.shape
    layer = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    layer.weight = nn.Parameter(torch.from_numpy(weight.T.copy()))
    if bias is not None:
        layer.bias = nn.Parameter(torch.from_numpy(bias.copy()))
    return layer


def _norm(weight: FloatArray, bias: FloatArray, epsilon: float) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(weight), eps=epsilon)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _convolution(weight: FloatArray, bias: FloatArray) -> nn.Conv1d:
    n = len(weight) // WIDTH
    layer = nn.Conv1d(WIDTH, WIDTH, n, device="meta")
    by_place = weight.reshape(n, WIDTH, WIDTH).transpose(2, 1, 0)  # out, in, place
    layer.weight = nn.Parameter(torch.from_numpy(by_place.copy()))
    layer.bias = nn.Parameter(torch.from_numpy(bias.copy()))
    return layer


class Muse(InputModule):
    """The network and its tokenizer, as sentence-transformers wants them.

    Args:
        network: From ids to vectors.
        tokenizer: From texts to ids.

    Attributes:
        max_seq_length: Longest input in pieces; None for no limit, as published.
    """

    max_seq_length: int | None = None

    def __init__(self, network: NGramNetwork, tokenizer: MuseTokenizer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = network
        self.tokenizer: Any = tokenizer

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Tensor | Any]:
        """Ids and mask of some texts, each behind the prompt, padded at the end."""
        limit = self.max_seq_length
        texts = [f"{prompt or ''}{text}" for text in inputs]
        ids = self.tokenizer(texts, truncation=limit is not None, max_length=limit)["input_ids"]
        mask = [torch.ones(len(found), dtype=torch.long) for found in ids]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            "input_ids": pad([torch.tensor(found) for found in ids], batch_first=True),
            "attention_mask": pad(mask, batch_first=True),
        }

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Adds ``sentence_embedding`` to what :meth:`preprocess` gives."""
        del kwargs
        vectors = self.model(features["input_ids"], features["attention_mask"])
        return {**features, "sentence_embedding": vectors}

    def get_embedding_dimension(self) -> int:
        """Length of an embedding."""
        return DIMENSION

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Refused: such a folder could be loaded with foreign code only.

        Raises:
            NotImplementedError: Always; the message says how encoders are kept.
        """
        raise NotImplementedError(
            "muse is read from its package; 'hybridir models export' writes an encoder that was "
            "trained from it"
        )


def load_muse(*, device: str | None = None, folder: Path | None = None) -> SentenceTransformer:
    """The encoder as published: no prompts, cosine, any length; by default on the CPU.

    Its files are in a folder, by default that of the installed package; errors as of
    :func:`hybridir_mteb.encoders.muse.files.checked`.
    """
    muse = Muse(NGramNetwork(read_weights(folder)), MuseTokenizer(read_vocabulary(folder)))
    model = SentenceTransformer(
        modules=[muse],
        device=device or "cpu",
        prompts={"query": "", "document": ""},
        similarity_fn_name="cosine",
    )
    return model.eval()
