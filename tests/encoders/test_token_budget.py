"""Batches by length, and parity of the token-budget encoder with sentence-transformers."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.encoders import token_budget as encode
from hybridir_mteb.encoders.token_budget import (
    MAX_BATCH,
    Precision,
    TokenBudgetEncoder,
    length_batches,
)
from hybridir_mteb.errors import EmbeddingError

SENTENCES = [
    "The Panthers defense gave up just 308 points, ranking sixth in the league.",
    "Die Verteidigung der Panthers gab nur 308 Punkte ab und belegte den sechsten Platz.",
    "La defensa de los Panthers cedió solo 308 puntos y se ubicó sexta en la liga.",
    "Защита «Пантерз» уступила всего 308 очков, заняв шестое место в лиге.",
    "Η άμυνα των Πάνθερς παραχώρησε μόνο 308 πόντους, όντας έκτη στο πρωτάθλημα.",
    "Panthers savunması yalnızca 308 sayı vererek ligde altıncı sırada yer aldı.",
    "Hàng thủ của Panthers chỉ thua 308 điểm, đứng thứ sáu trong giải đấu.",
    "ألحق دفاع بانثرز 308 نقطة فقط واحتل المرتبة السادسة في الدوري.",
    "पैंथर्स के रक्षकों ने केवल 308 अंक दिए और लीग में छठे स्थान पर रहे।",
    "แพนเธอส์เสียไปเพียง 308 แต้ม อยู่ในอันดับที่หกของลีก",
    "黑豹队的防守只丢了 308分,在联赛中排名第六。",
    "パンサーズの守備陣はわずか308失点で、リーグ6位につけた。",
]


def mixed_texts() -> list[str]:
    """120 texts of very different lengths: prefixes of each sentence, and some repeated."""
    texts = [
        sentence[: 1 + len(sentence) * part // 7] for sentence in SENTENCES for part in range(8)
    ]
    texts += [f"{sentence} {sentence} {sentence}" for sentence in SENTENCES]
    texts += [
        "",
        " ",
        "\n",
        "a",
        "🙂",
        "👩‍👩‍👧",
        "e\u0301",
        "ﬁ",
        "\u200b",
        "<s>",
        "query: ",
        "  x  ",
    ]
    return texts


# Batches -----------------------------------------------------------------------------------------


def test_batches_worked_by_hand():
    assert length_batches([3, 10, 4, 3, 9], 12) == [[1], [4], [2, 0, 3]]


def test_equal_lengths_keep_their_order():
    assert length_batches([5, 5, 5, 5, 5], 10) == [[0, 1], [2, 3], [4]]


def test_no_texts_make_no_batches():
    assert length_batches([], 100) == []


def test_a_batch_has_a_largest_number_of_texts():
    batches = length_batches([1] * (MAX_BATCH + 1), 10**9)
    assert [len(batch) for batch in batches] == [MAX_BATCH, 1]


@given(st.lists(st.integers(0, 600)), st.integers(1, 5000))
def test_batches_hold_every_position_once_longest_first_within_the_budget(lengths, budget):
    batches = length_batches(lengths, budget)
    flat = [at for batch in batches for at in batch]
    assert sorted(flat) == list(range(len(lengths)))
    in_order = [lengths[at] for at in flat]
    assert in_order == sorted(lengths, reverse=True)
    for batch in batches:
        longest = max(lengths[at] for at in batch)
        assert len(batch) == 1 or len(batch) * longest <= budget


@given(st.lists(st.integers(1, 600), min_size=2), st.integers(1, 5000))
def test_no_batch_could_take_the_first_text_of_the_next(lengths, budget):
    for batch in length_batches(lengths, budget)[:-1]:
        longest = max(lengths[at] for at in batch)
        assert (len(batch) + 1) * longest > budget or len(batch) == MAX_BATCH


# Encoding ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_embeddings_equal_those_of_sentence_transformers(pocket):
    texts = mixed_texts()
    assert len(texts) == 120
    ours = TokenBudgetEncoder(pocket).encode(texts, "passage: ")
    theirs = pocket.encode(texts, prompt="passage: ", batch_size=16, show_progress_bar=False)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (120, 384)
    assert np.abs(ours - theirs).max() <= 1e-5


def test_the_prompt_counts(pocket):
    encoder = TokenBudgetEncoder(pocket)
    texts = SENTENCES[:3]
    with_prompt = encoder.encode(texts, "query: ")
    np.testing.assert_allclose(
        with_prompt, encoder.encode([f"query: {text}" for text in texts]), atol=1e-5
    )
    assert np.abs(with_prompt - encoder.encode(texts)).max() > 1e-3


def test_the_budget_changes_neither_values_nor_order(pocket):
    texts = SENTENCES[::-2]
    expected = np.concatenate([TokenBudgetEncoder(pocket).encode([text]) for text in texts])
    for budget in (1, 60, 100_000):
        got = TokenBudgetEncoder(pocket, token_budget=budget).encode(texts)
        assert np.abs(got - expected).max() <= 1e-5


def test_chunks_of_texts_change_nothing(pocket, monkeypatch):
    texts = [*SENTENCES[:7], *SENTENCES[:4]]
    encoder = TokenBudgetEncoder(pocket)
    expected = encoder.encode(texts)
    monkeypatch.setattr(encode, "CHUNK_TEXTS", 5)
    assert np.abs(encoder.encode(texts) - expected).max() <= 1e-5


def test_batches_keep_the_budget_and_give_every_position(pocket):
    encoder = TokenBudgetEncoder(pocket, token_budget=100)
    lengths = encoder.count_tokens(SENTENCES, "query: ")
    seen: list[int] = []
    for positions, vectors in encoder.batches(SENTENCES, "query: "):
        seen += positions
        assert vectors.shape == (len(positions), 384)
        assert len(positions) == 1 or len(positions) * max(lengths[at] for at in positions) <= 100
    assert sorted(seen) == list(range(len(SENTENCES)))


def test_no_texts_give_an_empty_matrix(pocket):
    empty = TokenBudgetEncoder(pocket).encode([])
    assert (empty.shape, empty.dtype) == ((0, 384), np.float32)


def test_bf16_stays_close_to_fp32_and_returns_float32(pocket):
    exact = TokenBudgetEncoder(pocket).encode(SENTENCES, "query: ")
    fast = TokenBudgetEncoder(pocket, precision=Precision.BF16).encode(SENTENCES, "query: ")
    assert fast.dtype == np.float32
    cosines = (exact * fast).sum(axis=1) / np.linalg.norm(fast, axis=1)
    assert cosines.min() >= 0.999
    assert not np.array_equal(exact, fast)  # else nothing ran in bf16
    assert next(pocket.parameters()).dtype == torch.float32


def test_an_unknown_precision_is_refused(pocket):
    with pytest.raises(ValueError, match="fp8"):
        TokenBudgetEncoder(pocket, precision="fp8")  # type: ignore[arg-type]


def test_tokens_are_counted_with_prompt_and_both_special_tokens(pocket):
    encoder = TokenBudgetEncoder(pocket)
    assert encoder.count_tokens(["", "a"]) == [2, 3]
    assert encoder.count_tokens(["a"], "query: ") == encoder.count_tokens(["query: a"])
    assert encoder.count_tokens(["a"], "query: ")[0] > 3


def test_texts_are_cut_at_512_tokens(pocket):
    encoder = TokenBudgetEncoder(pocket)
    word = "a"  # one token
    long, longer, changed_late, changed_early = (
        " ".join(words)
        for words in (
            [word] * 510,
            [word] * 900,
            [word] * 510 + ["dog"] * 50,
            [word] * 509 + ["dog"],
        )
    )
    texts = [long, longer, changed_late, changed_early]
    assert encoder.count_tokens(texts) == [512] * 4
    vectors = encoder.encode(texts)
    np.testing.assert_allclose(vectors[1], vectors[0], atol=1e-5)
    np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-5)
    assert np.abs(vectors[3] - vectors[0]).max() > 1e-4


def test_weights_that_are_not_finite_are_an_error(pocket):
    bias = pocket[0].model.encoder.layer[0].output.LayerNorm.bias.data
    sound = bias[0].item()
    bias[0] = torch.nan
    try:
        with pytest.raises(EmbeddingError, match="NaN") as raised:
            TokenBudgetEncoder(pocket).encode(["short", "a longer one that comes first"])
        assert raised.value.position == 1  # of all texts, whatever the batches are
    finally:
        bias[0] = sound
    assert np.isfinite(TokenBudgetEncoder(pocket).encode(SENTENCES[:1])).all()
