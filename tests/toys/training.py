"""Small training data and networks for tests: real classes, random weights."""

import json
import random
from pathlib import Path

LANGUAGES = ("de", "en", "fr")
N_ITEMS = 120


def write_parallel_jsonl(path: Path, n_items: int = N_ITEMS) -> Path:
    """Queries of three made-up words each, passages of eight, in three made-up languages."""
    rng = random.Random(0)
    words = {c: [c + "".join(rng.choices("abcdefghij", k=5)) for _ in range(60)] for c in LANGUAGES}
    lines = []
    for item in range(n_items):
        chosen = rng.sample(range(60), 8)
        for code in LANGUAGES:
            text = [words[code][at] for at in chosen]
            row = {"id": f"i{item}", "language": code, "query": " ".join(text[:3])}
            lines.append(json.dumps({**row, "passage": " ".join(text)}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_tiny_xlmr(folder: Path) -> Path:
    """An XLM-RoBERTa of transformers' own class with the real tokenizer of the pocket file."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    from hybridir_mteb.encoders.pocket.tokenizer import save_tokenizer
    from hybridir_mteb.encoders.pocket.weights import WeightFile

    file = WeightFile(None)
    vocabulary = file.vocabulary
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=file.header.vocabulary,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=514,
        type_vocab_size=1,
        pad_token_id=vocabulary.pad,
        bos_token_id=vocabulary.bos,
        eos_token_id=vocabulary.eos,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    save_tokenizer(vocabulary, folder, 512)
    return folder


def write_tiny_decoder(folder: Path, family: str) -> Path:
    """A decoder of transformers' own class with a byte-level tokenizer, as these families have."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate(["<bos>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", model_max_length=512
    )
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(vocabulary) + 8,  # tokenizer classes add tokens of their own
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
    )
    folder.mkdir(parents=True, exist_ok=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder
