"""A two-layer BERT of a few bytes as a sentence-transformers model."""

from pathlib import Path
from typing import Any

WORDS = [f"w{at}" for at in range(40)]


def write_bert_network(folder: Path, seed: int = 0, **config: Any) -> Path:
    """Network and tokenizer alone, as transformers writes them."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": len(entries),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
        "initializer_range": 0.5,  # texts must not all look alike
    }
    BertModel(BertConfig(**(sizes | config))).save_pretrained(folder)
    return folder


def write_bert(folder: Path, seed: int = 0) -> Path:
    """A sentence-transformers folder: mean pooling, a dense layer, length 1."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Dense,
        Normalize,
        Pooling,
        Transformer,
    )

    network = write_bert_network(folder.with_name(f"{folder.name}-network"), seed)
    torch.manual_seed(seed)
    dense = Dense(16, 8, activation_function=torch.nn.LeakyReLU())
    modules = [Transformer(str(network)), Pooling(16), dense, Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder
