"""What a sentence-transformers model decides by itself: prompts, similarity, how it batches."""

from __future__ import annotations

from typing import Any

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer

from hybridir_mteb.encoders.encoder import Role
from hybridir_mteb.encoders.muse.model import Muse
from hybridir_mteb.errors import SettingError, quoted
from hybridir_mteb.ranking.arrays import ScoreFunction, Similarity

# By which of these names encode_document finds its prompt, first come first served.
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
# What makes a text's features depend on the role, beside the prompt.
_BY_ROLE = ("query_length", "document_length", "query_expansion")
FEWEST_TOKENS = 8  # of a text, beside its prompt
_ENCODES = ("encode", "encode_query", "encode_document", "preprocess")


def role_prompt(model: SentenceTransformer, role: Role) -> str | None:
    """The prompt that the model's own ``encode_query`` or ``encode_document`` chooses.

    An empty prompt is a choice, too: None leaves it to what the model does without any.
    """
    names = ("query",) if role == "query" else _DOCUMENT_PROMPTS
    found = next((name for name in names if name in model.prompts), model.default_prompt_name)
    return None if found is None else model.prompts.get(found)


def cut(model: SentenceTransformer, max_tokens: int | None) -> SentenceTransformer:
    """The model, told its longest input.

    Args:
        model: The model.
        max_tokens: Number of tokens, those of the prompt included; None leaves the model's limit.

    Raises:
        SettingError: Not a number of tokens that the model can read, or too few to hold more than
            the prompt: all texts would be one.
    """
    if max_tokens is not None:
        own = model.max_seq_length
        prompts = [
            model.tokenizer(prompt)["input_ids"] for prompt in model.prompts.values() if prompt
        ]
        fewest = FEWEST_TOKENS + max(map(len, prompts), default=0)
        whole = isinstance(max_tokens, int) and not isinstance(max_tokens, bool)
        if not whole or not fewest <= max_tokens <= (own or max_tokens):
            raise SettingError(
                f"max_tokens={quoted(max_tokens, 80)}: expected a whole number from {fewest}, "
                f"which leaves room beside the prompt, to {own or 'any'}, the longest input"
            )
        model.max_seq_length = max_tokens
    return model


def is_plain(model: SentenceTransformer) -> bool:
    """Whether batches of our own give what the model's own ``encode`` gives.

    So it is for a transformer of sentence-transformers' own class, or our own network, and whatever
    follows it. Routes, static embeddings and classes of other people are left to the model.
    """
    first: Any = model[0]
    return (
        type(model) is SentenceTransformer
        and type(first) in {Transformer, Muse}
        and callable(first.tokenizer)
        and not any(name in vars(model) for name in _ENCODES)
        and not any(getattr(first, name, None) for name in _BY_ROLE)
    )


def own_similarity(model: Any, function: ScoreFunction) -> Similarity | ScoreFunction:
    """How a model compares embeddings; by the function if it is neither cosine nor dot product."""
    theirs = getattr(type(model), "similarity", None) is SentenceTransformer.similarity
    name = str(model.similarity_fn_name) if theirs and not has_own_similarity(model) else None
    return Similarity.named(name, function)


def has_own_similarity(model: object) -> bool:
    """Whether somebody put another similarity than the class's into the object."""
    return "similarity" in getattr(model, "__dict__", {})
