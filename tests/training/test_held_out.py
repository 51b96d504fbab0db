"""Evaluation on held-out documents."""

from collections.abc import Sequence

import numpy as np
import pytest
from toys.encoders import hash_embedding

from hybridir_mteb.training.held_out import HeldOut
from hybridir_mteb.training.pairs import Example, Source, TrainingItem


def embed(texts: Sequence[str], role: str) -> np.ndarray:
    """Finds a passage by the words that it shares with the query."""
    return np.stack([hash_embedding(text) for text in texts])


def item(at: int, languages: str) -> TrainingItem:
    texts = {c: Example(f"{c}{at} word", f"{c}{at} word here") for c in languages.split()}
    return TrainingItem(str(at), texts)


def test_pairs_of_languages_without_a_common_item_are_left_out():
    items = (item(0, "en de"), item(1, "en de"), item(2, "en fr"), item(3, "en fr"))
    scores = HeldOut([Source("s", items)], 10).evaluate(embed)
    assert scores.mono_map == 1.0  # each query shares its first word with its own passage alone
    assert 0 < scores.cross_map < 1
    assert np.isfinite(scores.criterion)


def test_one_language_has_no_cross_lingual_score():
    scores = HeldOut([Source("s", (item(0, "en"), item(1, "en")))], 10).evaluate(embed)
    assert scores.cross_map == 0
    assert scores.mono_map == pytest.approx(1.0)
    assert scores.as_dict()["language_probe"] is None
