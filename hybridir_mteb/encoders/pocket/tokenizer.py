"""The XLM-RoBERTa tokenizer, rebuilt from the vocabulary in the weight file."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from hybridir_mteb.encoders.pocket.weights import Vocabulary

MASK = "<mask>"

# XLM-R's own map normalises code point by code point: it neither reorders combining marks nor
# turns the full-width tilde into "~", and its vocabulary has pieces that only exist that way
# (shadda + vowel, dagesh + vowel, Myanmar). NFKC does both, so a noncharacter holds such marks
# apart, and another stands in for the tilde, while NFKC runs.
_BARRIER, _TILDE = "\ufdd0", "\ufdd1"
_REORDERED = (
    "(?<=\u0651)(?=[\u064b-\u0650])"
    "|(?<=[\u05bc\u05bf\u05c1\u05c2])(?=[\u05b0-\u05bc\u05bf])"
    "|(?<=[\u1039\u103a])(?=\u1037)"
)


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """``<s> text </s>`` over Unigram pieces, with metaspace and NMT + NFKC normalisation."""
    scored = list(zip(vocabulary.pieces, vocabulary.scores.tolist(), strict=True))
    tokenizer = Tokenizer(Unigram(scored, unk_id=vocabulary.unk, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace("\uff5e", _TILDE),
            normalizers.Replace(Regex(_REORDERED), _BARRIER),
            normalizers.NFKC(),
            normalizers.Replace(_BARRIER, ""),
            normalizers.Replace(_TILDE, "\uff5e"),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    bos, eos = vocabulary.pieces[vocabulary.bos], vocabulary.pieces[vocabulary.eos]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, vocabulary.bos), (eos, vocabulary.eos)],
    )
    tokenizer.add_special_tokens(
        [vocabulary.pieces[i] for i in (vocabulary.bos, vocabulary.pad, vocabulary.eos)]
        + [vocabulary.pieces[vocabulary.unk], MASK]
    )
    return tokenizer


def save_tokenizer(vocabulary: Vocabulary, folder: Path, max_length: int) -> None:
    """Write the tokenizer as transformers reads it.

    Args:
        vocabulary: Pieces, scores and special ids, as read from the weight file.
        folder: An existing folder.
        max_length: Longest input in tokens, ``<s>`` and ``</s>`` included.
    """
    build_tokenizer(vocabulary).save(str(folder / "tokenizer.json"), pretty=False)
    bos, eos = vocabulary.pieces[vocabulary.bos], vocabulary.pieces[vocabulary.eos]
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": bos,
        "cls_token": bos,
        "eos_token": eos,
        "sep_token": eos,
        "pad_token": vocabulary.pieces[vocabulary.pad],
        "unk_token": vocabulary.pieces[vocabulary.unk],
        "mask_token": MASK,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
