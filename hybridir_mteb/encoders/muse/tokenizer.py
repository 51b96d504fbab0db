"""The tokenizer: SentencePiece's unigram model, run by the package ``tokenizers``."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from hybridir_mteb.encoders.muse.files import Vocabulary

UNKNOWN, START, END = 0, 1, 2


class MuseTokenizer:
    """Texts as ids, ``<s> text </s>``.

    SentencePiece gives one unknown piece for each character that it does not know, the package
    ``tokenizers`` one for a run of them; the network counts pieces, so runs are taken apart.

    Args:
        vocabulary: Pieces, scores and the map of characters.
    """

    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, vocabulary: Vocabulary) -> None:
        scored = list(zip(vocabulary.pieces, vocabulary.scores, strict=True))
        self.backend_tokenizer = Tokenizer(Unigram(scored, unk_id=UNKNOWN, byte_fallback=False))
        self.backend_tokenizer.normalizer = normalizers.Sequence(
            [
                normalizers.Precompiled(vocabulary.characters),
                normalizers.Replace(Regex("^ +| +$"), ""),  # blanks alone, unlike Strip
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        )
        self.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(
            replacement="▁", prepend_scheme="always", split=False
        )

    def __call__(
        self, texts: str | Sequence[str], *, truncation: bool = False, max_length: int | None = None
    ) -> dict[str, list[list[int]]]:
        """``input_ids`` of texts.

        Args:
            texts: One text or several.
            truncation: Whether to cut texts at ``max_length``.
            max_length: Largest number of ids, the two at the ends included.
        """
        several = [texts] if isinstance(texts, str) else list(texts)
        inner = max_length - 2 if truncation and max_length else None
        found = self.backend_tokenizer.encode_batch(several, add_special_tokens=False)
        ids = []
        for encoding in found:
            pieces: list[int] = []
            for number, token in zip(encoding.ids, encoding.tokens, strict=True):
                pieces += [UNKNOWN] * len(token) if number == UNKNOWN else [number]
            ids.append([START, *(pieces or [UNKNOWN])[:inner], END])
        return {"input_ids": ids}
