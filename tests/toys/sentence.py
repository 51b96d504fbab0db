"""Tiny sentence-transformers models of every shape, with random weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    Normalize,
    Pooling,
    Router,
    StaticEmbedding,
    Transformer,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

SIZE = 16
SPECIAL = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}


def letters() -> Tokenizer:
    """One token a byte, between the two special tokens of BERT."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = SPECIAL | {letter: at for at, letter in enumerate(alphabet, len(SPECIAL))}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


def write_network(folder: Path, seed: int = 0, kind: Any = BertModel, **config: Any) -> Path:
    """A BERT of transformers' own classes, by default without any head."""
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    names |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters(), model_max_length=64, **names)
    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=300,
        hidden_size=SIZE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=SIZE,
        max_position_embeddings=64,
        pad_token_id=0,
        initializer_range=0.6,  # texts that differ, whatever they begin with
        **config,
    )
    kind(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Shouting(SentenceTransformer):
    """Queries are changed by code of its own."""

    def encode_query(self, inputs: Any, **kwargs: Any) -> Any:
        return super().encode_query([f"{text}!" for text in inputs], **kwargs)


class Shapes:
    """Makes models of a name.

    Args:
        folder: For the networks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: dict[str, Callable[[], SentenceTransformer]] = {
            "mean": lambda: self._model(Pooling(SIZE, "mean"), Normalize()),
            "no norm": lambda: self._model(Pooling(SIZE, "cls")),
            "dense": lambda: self._model(Pooling(SIZE, "mean"), Dense(SIZE, 12)),
            "prompts": lambda: self._prompted({"query": "query: ", "document": "passage: "}),
            "empty document": lambda: self._prompted({"query": "query: ", "passage": "passage: "}),
            "no document": lambda: self._only({"query": "query: ", "passage": "passage: "}),
            "default prompt": lambda: self._only({"other": "clustering: "}, "other"),
            "prompt not pooled": self._prompt_not_pooled,
            "truncated": lambda: self._model(Pooling(SIZE, "mean"), truncate_dim=6),
            "short": self._short,
            "lengths by role": self._lengths_by_role,
            "router": self._router,
            "static": self._static,
            "bf16": lambda: self._prompted({"query": "query: "}).to(torch.bfloat16),
            "in training": lambda: self._prompted({"query": "q "}).train(),
            "no limit": self._no_limit,
            "subclass": lambda: self._model(Pooling(SIZE, "mean"), kind=Shouting),
            "dot": lambda: self._model(Pooling(SIZE, "mean"), similarity_fn_name="dot"),
            "euclidean": lambda: self._model(Pooling(SIZE), similarity_fn_name="euclidean"),
        }

    def _network(self, seed: int = 0) -> Transformer:
        folder = self._folder / f"network-{seed}"
        if not folder.is_dir():
            write_network(folder, seed)
        return Transformer(str(folder))

    def _model(
        self, *modules: torch.nn.Module, kind: type = SentenceTransformer, **options: Any
    ) -> SentenceTransformer:
        found: SentenceTransformer = kind(
            modules=[self._network(), *modules], device="cpu", **options
        )
        return found.eval()

    def _prompted(self, prompts: dict[str, str]) -> SentenceTransformer:
        return self._model(Pooling(SIZE, "mean"), Normalize(), prompts=prompts)

    def _only(self, prompts: dict[str, str], default: str | None = None) -> SentenceTransformer:
        """Without those that sentence-transformers puts in."""
        model = self._model(Pooling(SIZE, "mean"))
        model.prompts, model.default_prompt_name = prompts, default
        return model

    def _prompt_not_pooled(self) -> SentenceTransformer:
        model = self._prompted({"query": "query: ", "document": "passage: "})
        model.set_pooling_include_prompt(include_prompt=False)
        return model

    def _short(self) -> SentenceTransformer:
        model = self._prompted({"query": "query: "})
        model.max_seq_length = 12
        return model

    def _no_limit(self) -> SentenceTransformer:
        """Relative positions, and a tokenizer that says 10**30."""
        folder = self._folder / "t5"
        if not folder.is_dir():
            torch.manual_seed(4)
            shape = T5Config(
                vocab_size=300, d_model=SIZE, d_ff=SIZE, d_kv=8, num_layers=1, num_heads=2
            )
            T5EncoderModel(shape).save_pretrained(folder)
            tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters(), pad_token="[PAD]")
            tokenizer.save_pretrained(folder)
        network = Transformer(str(folder))
        return SentenceTransformer(modules=[network, Pooling(SIZE, "mean")], device="cpu")

    def _lengths_by_role(self) -> SentenceTransformer:
        model = self._model(Pooling(SIZE, "mean"))
        model[0].query_length, model[0].document_length = 8, 20
        return model

    def _router(self) -> SentenceTransformer:
        routes = Router.for_query_document(
            query_modules=[self._network(1), Pooling(SIZE, "mean")],
            document_modules=[self._network(2), Pooling(SIZE, "cls")],
        )
        return SentenceTransformer(modules=[routes, Normalize()], device="cpu").eval()

    def _static(self) -> SentenceTransformer:
        torch.manual_seed(3)
        module = StaticEmbedding(letters(), embedding_dim=SIZE)
        return SentenceTransformer(modules=[module], device="cpu", prompts={"query": "q: "})
