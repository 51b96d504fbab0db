"""Texts as a network reads them, each tokenised once: for its length, and for its batch.

A model's own ``preprocess`` tokenises and pads one batch; which texts make a batch is known only by
their numbers of tokens. So batches are padded here from tokens that are there already, where that
is found to give what the model's own method gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from hybridir_mteb.encoders.encoder import Role

NO_LIMIT = 1 << 31  # tokens: tokenizers that know no limit say 10**30
LONG = 2048  # words of a text that is longer than most models read
SAMPLES = ("a", "", " Zwei Wörter\n", "三つ 🙂", "a " * LONG)
# What each token has, and the attribute of a tokenizer that says what stands where there is none.
PADDING = {
    "input_ids": "pad_token_id",
    "token_type_ids": "pad_token_type_id",
    "attention_mask": "",
}
Features = dict[str, Any]


class Reader:
    """Reads texts for one model, with one prompt and role.

    Args:
        model: The model.
        prompt: Stands before each text.
        role: As what they are encoded; None is the model's plain ``encode``.

    Attributes:
        same: Whether batches from tokens are what the model's own method makes of the texts.
    """

    def __init__(self, model: SentenceTransformer, prompt: str | None, role: Role | None) -> None:
        self._model, self._prompt = model, prompt or ""
        self._task = {} if role is None else {"task": role}
        self._more: Features = {}
        theirs, own = self.by_model(SAMPLES[:1]), Texts(self, SAMPLES[:1]).padded([0])
        self._more = {name: value for name, value in theirs.items() if name not in own}
        alike = not any(isinstance(value, torch.Tensor) for value in self._more.values())
        self.same = alike and _same(theirs, {**own, **self._more}) and self._reads(SAMPLES)

    def _reads(self, texts: Sequence[str]) -> bool:
        """Whether a batch of several texts is padded as the model's own method does it."""
        return _same(self.by_model(texts), Texts(self, texts).padded(range(len(texts))))

    def tokens(self, texts: Sequence[str]) -> Mapping[str, list[list[int]]]:
        """What the tokenizer makes of texts behind the prompt, cut at the model's maximum."""
        return tokens_of(self._model, texts, self._prompt)

    def by_model(self, texts: Sequence[str]) -> Features:
        """What the model's own method makes of one batch; texts are tokenised anew."""
        found = self._model.preprocess(list(texts), prompt=self._prompt or None, **self._task)
        return {**found}

    def padded(self, parts: Mapping[str, list[list[int]]]) -> Features:
        """One batch, from its tokens."""
        tokenizer = self._model.tokenizer
        left = getattr(tokenizer, "padding_side", "right") == "left"
        longest = max(map(len, parts["input_ids"]))
        found: Features = {}
        for name, rows in parts.items():
            value = getattr(tokenizer, PADDING.get(name, ""), 0) or 0
            gaps = ([value] * (longest - len(row)) for row in rows)
            whole = [gap + row if left else row + gap for gap, row in zip(gaps, rows, strict=True)]
            found[name] = torch.tensor(whole)
        return {**found, **self._more}


class Texts:
    """Some texts, tokenised.

    Args:
        reader: Of the model.
        texts: The texts.

    Attributes:
        lengths: (n_texts,) numbers of tokens.
    """

    def __init__(self, reader: Reader, texts: Sequence[str]) -> None:
        self._reader, self._texts = reader, texts
        found = dict(reader.tokens(texts))
        found.setdefault("attention_mask", [[1] * len(ids) for ids in found["input_ids"]])
        self._found = found
        self.lengths = list(map(len, found["input_ids"]))

    def batch(self, positions: Sequence[int]) -> Features:
        """What the network reads of some of the texts, as the model's own method gives it."""
        if self._reader.same:
            return self.padded(positions)
        return self._reader.by_model([self._texts[at] for at in positions])

    def padded(self, positions: Sequence[int]) -> Features:
        """The same from the tokens that are there."""
        parts = {name: [rows[at] for at in positions] for name, rows in self._found.items()}
        return self._reader.padded(parts)


def tokens_of(
    model: SentenceTransformer, texts: Sequence[str], prompt: str | None
) -> Mapping[str, list[list[int]]]:
    """What a model's tokenizer makes of texts behind a prompt, cut at the model's maximum."""
    longest = model.max_seq_length
    limited = longest is not None and longest < NO_LIMIT
    cut = {"truncation": True, "max_length": longest} if limited else {}
    found: Mapping[str, list[list[int]]] = model.tokenizer(
        [(prompt or "") + text for text in texts], **cut
    )
    return found


def _same(theirs: Features, ours: Features) -> bool:
    return theirs.keys() == ours.keys() and all(_equal(theirs[name], ours[name]) for name in ours)


def _equal(theirs: Any, ours: Any) -> bool:
    if not isinstance(theirs, torch.Tensor) or not isinstance(ours, torch.Tensor):
        return type(theirs) is type(ours) and bool(theirs == ours)
    return theirs.dtype == ours.dtype and torch.equal(theirs, ours)
