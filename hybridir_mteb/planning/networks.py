"""A network as arithmetic sees it: its products, what they read, what backward needs of a token.

Numbers are of elements, not bytes; :mod:`hybridir_mteb.planning.memory` knows how they are held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.files.numbers import whole


@dataclass(frozen=True)
class Read:
    """An input of a token, and the matrices that multiply it.

    Attributes:
        width: Elements of the input.
        outputs: Elements of each product.
        wide: Whether it comes from a norm, in the number format of the residual stream.
        window: Tokens that a convolution reads at once.
    """

    width: int
    outputs: tuple[int, ...]
    wide: bool = False
    window: int = 1

    @property
    def weights(self) -> int:
        """Elements of the matrices."""
        return self.width * self.window * sum(self.outputs)

    @property
    def ends(self) -> int:
        """Inputs and outputs of all matrices: LoRA has as many parameters for each rank."""
        return len(self.outputs) * self.width * self.window + sum(self.outputs)


@dataclass(frozen=True)
class Block:
    """One layer, as often as the network has it.

    Attributes:
        reads: Inputs and matrices.
        vectors: Parameters that are no matrices: norms and biases.
        normed: Inputs of norms, which are kept in float32.
        kept: What else backward needs, besides the inputs of matrices and of attention.
        heads: Attention heads; each has a score for every two tokens.
        context: Heads times width of a head; 0 where there is no attention.
        rms: Whether norms keep their input once more when they are trained.
    """

    reads: tuple[Read, ...]
    vectors: int
    normed: int
    kept: int
    heads: int = 0
    context: int = 0
    rms: bool = False

    @property
    def weights(self) -> int:
        """Elements of all matrices."""
        return sum(read.weights for read in self.reads)

    @property
    def largest(self) -> int:
        """Elements of the largest matrix."""
        return max(read.width * read.window * max(read.outputs) for read in self.reads)


@dataclass(frozen=True)
class Network:
    """What is loaded to embed texts; an output head over the vocabulary never is.

    Attributes:
        block: One layer.
        layers: How many there are.
        hidden: Elements of the residual stream.
        dimension: Elements of an embedding.
        tables: Parameters that are looked up by token, position or kind.
        vectors: Parameters of norms outside of the layers.
        per_text: Weights that see a text once, not each of its tokens.
        head: Parameters of the output head of the published model, which are not loaded.
        decoder: Whether it is a decoder, which a GPU holds in bf16.
        table_bytes: Of an element of tables that are held as they are stored; 0 where they are not.
        exact: Whether the shape is known; else it is a guess from parameters, layers and width.
    """

    block: Block
    layers: int
    hidden: int
    dimension: int
    tables: int
    vectors: int = 0
    per_text: int = 0
    head: int = 0
    decoder: bool = False
    table_bytes: int = 0
    exact: bool = True

    @property
    def matrices(self) -> int:
        """Parameters of the linear layers that tokens pass."""
        return self.layers * self.block.weights

    @property
    def parameters(self) -> int:
        """All that is loaded."""
        vectors = self.vectors + self.layers * self.block.vectors
        return self.tables + self.matrices + vectors + self.per_text

    @property
    def published(self) -> int:
        """Parameters as the maker counts them, output head included."""
        return self.parameters + self.head

    def trained(self, rank: int | None) -> int:
        """Parameters that training changes.

        Args:
            rank: Of LoRA on all linear layers; None trains all but tables held as stored.
        """
        if rank is None:
            return self.parameters - (self.tables if self.table_bytes else 0)
        return rank * self.layers * sum(read.ends for read in self.block.reads)


def of_config(config: Mapping[str, Any], place: str) -> Network:
    """The network of transformers' ``config.json``: BERT and its kin, or a gated decoder.

    Raises:
        SettingError: It is of neither kind, or lacks a size.
    """
    config = config.get("text_config") or config
    if "rms_norm_eps" in config and "intermediate_size" in config:
        return _decoder(config, place)
    if "layer_norm_eps" in config and "intermediate_size" in config:
        return _encoder(config, place)
    raise SettingError(
        f"{place}: a network of type {quoted(config.get('model_type'), 80)} cannot be planned: "
        "known are BERT and its kin, and decoders with gated layers such as Llama and Qwen"
    )


def _size(config: Mapping[str, Any], name: str, place: str, default: int | None = None) -> int:
    value = config.get(name)
    found = whole(default if value is None else value)
    if found is None or found < 1:
        raise SettingError(f"{place}: {name} is {quoted(value, 80)}, not a number of elements")
    return found


def _decoder(config: Mapping[str, Any], place: str) -> Network:
    """Llama, Mistral, Qwen and Gemma: RMS norms, grouped attention, a gated feed-forward part."""
    kind = str(config.get("model_type"))
    hidden, heads = (_size(config, n, place) for n in ("hidden_size", "num_attention_heads"))
    of_head = _size(config, "head_dim", place, hidden // heads)
    queries = heads * of_head
    keys = _size(config, "num_key_value_heads", place, heads) * of_head
    inner = _size(config, "intermediate_size", place)
    gemma = kind.startswith(("gemma2", "gemma3"))
    norms = (4 if gemma else 2) * hidden
    biases = queries + 2 * keys if config.get("attention_bias") or kind == "qwen2" else 0
    biases += hidden if config.get("attention_bias") and kind != "qwen2" else 0
    of_heads = kind.startswith(("qwen3", "gemma3"))  # norms of each query and key
    block = Block(
        reads=(
            Read(hidden, (queries, keys, keys), wide=True),
            Read(queries, (hidden,)),
            Read(hidden, (inner, inner), wide=True),
            Read(inner, (hidden,)),
        ),
        vectors=norms + biases + (2 * of_head if of_heads else 0),
        normed=norms + (queries + keys if of_heads else 0),
        kept=3 * inner,
        heads=heads,
        context=queries,
        rms=True,
    )
    tables = _size(config, "vocab_size", place) * hidden
    tied = config.get("tie_word_embeddings", gemma)
    layers = _size(config, "num_hidden_layers", place)
    head = 0 if tied else tables
    return Network(block, layers, hidden, hidden, tables, vectors=hidden, head=head, decoder=True)


def _encoder(config: Mapping[str, Any], place: str) -> Network:
    """BERT, XLM-RoBERTa: layer norms, biases, learned positions; the pooler is not loaded."""
    hidden, inner = (_size(config, name, place) for name in ("hidden_size", "intermediate_size"))
    rows = _size(config, "vocab_size", place) + _size(config, "max_position_embeddings", place)
    rows += whole(config.get("type_vocab_size", 2)) or 0
    heads, layers = (_size(config, f"num_{n}", place) for n in ("attention_heads", "hidden_layers"))
    block = plain_block(hidden, inner, heads, vectors=4 * hidden + 5 * hidden + inner)
    return Network(block, layers, hidden, hidden, rows * hidden, vectors=2 * hidden)


def plain_block(hidden: int, inner: int, heads: int, vectors: int = 0) -> Block:
    """Attention without groups, and a feed-forward part of two matrices."""
    return Block(
        reads=(
            Read(hidden, (hidden,) * 3, wide=True),
            Read(hidden, (hidden,)),
            Read(hidden, (inner,), wide=True),
            Read(inner, (hidden,)),
        ),
        vectors=vectors,
        normed=2 * hidden,
        kept=inner,
        heads=heads,
        context=hidden,
    )
