"""Evaluation on held-out documents."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from toys.encoders import hash_embedding

from hybridir_mteb.training.held_out import (
    HeldOut,
    held_out_items,
    held_out_passages,
    split_documents,
)
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


def by_text(vectors: dict[str, tuple[float, float]], texts: list[str]) -> np.ndarray:
    return np.array([vectors[text] for text in texts], np.float32)


def plain(at: int, languages: str, document: str = "") -> TrainingItem:
    texts = {c: Example(f"q{at} {c}", f"p{at} {c}") for c in languages.split()}
    return TrainingItem(str(at), texts, document)


def test_the_criterion_and_its_error_by_hand():
    """The first question is answered everywhere; the second prefers the passages of the first.

    Alone, the second has 1/2 in each language and across, and, with the answers at ranks 3 and 4 of
    the pool of both, (1/3 + 2/4) / 2: together (1/2 + 1/2 + 5/12) / 3 = 17/36. Two values that
    differ by 19/36 deviate by 19/36 / sqrt(2), and their mean has that over sqrt(2) as its error.
    """
    held_out = HeldOut([Source("s", (plain(0, "de en"), plain(1, "de en")))], 10)
    place = {"p0 en": (1, 0), "p0 de": (1, 0), "p1 en": (0, 1), "p1 de": (0, 1)}
    queries = {"q0": (1.0, 0.0), "q1": (1.0, 0.5)}
    scores = held_out.score(
        {c: by_text(queries, [q[:2] for q in held_out.queries(c)]) for c in ("de", "en")},
        {c: by_text(place, held_out.passages(c)) for c in ("de", "en")},
    )
    assert (scores.mono_map, scores.cross_map) == (0.75, 0.75)
    assert scores.multi_map == pytest.approx((1 + 5 / 12) / 2)
    assert scores.criterion == pytest.approx((1 + 17 / 36) / 2)
    assert scores.standard_error == pytest.approx(19 / 72)
    assert scores.questions == 2
    assert scores.as_dict()["standard_error"] == round(19 / 72, 5)


def test_a_question_in_one_language_counts_in_what_it_has():
    """Equally good questions have no error, also if only one of them can be asked across."""
    held_out = HeldOut([Source("s", (plain(0, "de en"), plain(1, "en")))], 10)
    place = {"p0 en": (1, 0), "p0 de": (1, 0), "p1 en": (0, 1)}
    queries = {"q0": (1.0, 0.0), "q1": (0.0, 1.0)}
    scores = held_out.score(
        {c: by_text(queries, [q[:2] for q in held_out.queries(c)]) for c in ("de", "en")},
        {c: by_text(place, held_out.passages(c)) for c in ("de", "en")},
    )
    assert (scores.criterion, scores.standard_error) == (1.0, 0.0)


def reference(
    items: list[TrainingItem],
    pool: dict[str, dict[str, str]],
    query: dict[str, np.ndarray],
    passage: dict[str, np.ndarray],
) -> tuple[float, float, float]:
    """Monolingual, cross-lingual and multilingual mAP, one ranked list after the other."""

    def average(item: TrainingItem, code: str, languages: list[str]) -> float:
        scored = sorted(
            (-float(query[item.examples[code].query] @ passage[text]), other, text)
            for other in languages
            for text in pool[other]
        )
        hits = [
            at
            for at, (_, other, text) in enumerate(scored, 1)
            if other in item.examples and item.examples[other].passage == text
        ]
        return sum((n / at for n, at in enumerate(hits, 1)), 0.0) / len(hits)

    def mean(values: list[float]) -> float:
        return sum(values) / len(values) if values else 0.0

    def over(code: str, other: str) -> list[float]:
        return [average(i, code, [other]) for i in items if {code, other} <= i.examples.keys()]

    codes = sorted({code for item in items for code in item.examples})
    across = [over(code, other) for code in codes for other in codes if code != other]
    whole = [[average(i, code, codes) for i in items if code in i.examples] for code in codes]
    return (
        mean([mean(over(code, code)) for code in codes]),
        mean([mean(values) for values in across if values]),
        mean([mean(values) for values in whole]),
    )


def unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(size=4)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_a_plain_computation(seed, missing):
    rng = np.random.default_rng(seed)
    items = []
    for at in range(int(rng.integers(3, 12))):
        has = [code for code in ("de", "en", "fr") if rng.random() >= missing] or ["en"]
        items.append(plain(at, " ".join(has)))
    cut = Source("t", tuple(plain(at, "de en fr") for at in range(50, 60)), written=False)
    sources = [Source("s", tuple(items)), cut]
    held_out = HeldOut(sources, 100, 15)
    pool = held_out_passages(sources, items, 15)
    query = {q: unit(rng) for c in pool for q in held_out.queries(c)}
    passage = {text: unit(rng) for code in pool for text in pool[code]}
    scores = held_out.score(
        {c: np.array([query[q] for q in held_out.queries(c)]) for c in pool},
        {c: np.array([passage[text] for text in held_out.passages(c)]) for c in pool},
    )
    found = (scores.mono_map, scores.cross_map, scores.multi_map)
    assert found == pytest.approx(reference(items, pool, query, passage))
    if not missing:  # then an error is that of the criteria of each question alone
        alone = [np.mean(reference([item], pool, query, passage)) for item in items]
        assert np.mean(alone) == pytest.approx(scores.criterion)
        error = np.std(alone, ddof=1) / math.sqrt(len(items))
        assert scores.standard_error == pytest.approx(error)


def test_questions_are_those_that_were_written_each_source_giving_its_share():
    cut = Source("cut", tuple(plain(at, "en") for at in range(500)), written=False)
    first = Source("first", tuple(plain(at, "en") for at in range(1000, 1100)))
    second = Source("second", tuple(plain(at, "en") for at in range(2000, 2050)))
    chosen = [int(item.id) // 1000 for item in held_out_items([cut, first, second], 30)]
    assert (chosen.count(0), chosen.count(1), chosen.count(2)) == (0, 20, 10)
    assert len(held_out_items([cut, first, second], 1000)) == 150
    assert len(held_out_items([cut], 30)) == 30
    assert held_out_items([Source("one", first.items[:1])], 30) == []


def test_a_small_pool_has_the_answers_and_the_same_passages_in_all_languages():
    items = [plain(at, "de en", f"d{at}") for at in range(200)]
    sources = [Source("cut", tuple(items[:150]), written=False), Source("s", tuple(items[150:]))]
    asked = items[150:160]
    pools = held_out_passages(sources, asked, 50)
    assert {len(pool) for pool in pools.values()} == {50}
    assert set(pools["de"].values()) == set(pools["en"].values())
    assert {item.examples["de"].passage for item in asked} <= set(pools["de"])
    others = sorted({int(name[1:]) for name in pools["en"].values()} - set(range(150, 160)))
    gaps = [after - before for before, after in pairwise([-1, *others, 200])]
    assert max(gaps) < 18  # one of 4.75 is taken; answers are 10 that cannot be
    assert {len(pool) for pool in held_out_passages(sources, asked, 4).values()} == {10}
    assert {len(pool) for pool in held_out_passages(sources, asked, None).values()} == {200}


def test_languages_that_share_no_passage_have_a_pool_of_full_size_each():
    items = tuple(plain(at, ("de", "en")[at % 2]) for at in range(100))
    pools = held_out_passages([Source("s", items)], items[:4], 20)
    assert [len(pools[code]) for code in ("de", "en")] == [20, 20]


def test_two_questions_about_one_passage_search_it_once():
    one = Example("q", "p")
    items = (TrainingItem("1", {"en": one}), TrainingItem("2", {"en": Example("r", "p")}))
    held_out = HeldOut([Source("s", items)], 10)
    assert held_out.passages("en") == ["p"]
    assert held_out.queries("en") == ["q", "r"]


def documents(source: Source) -> set[str]:
    return {item.document for item in source.items}


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_a_fifth_of_each_source_is_held_out_whatever_stands_before_it(order):
    """Also of a corpus of which one source has all documents, and another a few."""
    corpus = tuple(f"n{at}" for at in range(23))
    cut = Source("cut", tuple(plain(at, "en", name) for at, name in enumerate(corpus)))
    asked = Source("asked", tuple(plain(at, "en", f"n{at}") for at in (4, 3, 9)), documents=corpus)
    other = Source("other", tuple(plain(at, "en", f"o{at}") for at in range(11)))
    sources = [(cut, asked, other)[at] for at in order]
    train, held = split_documents(sources, 5)
    found = {source.name: documents(source) for source in held}
    assert found == {
        "cut": {"n4", "n9", "n14", "n19"},
        "asked": {"n4", "n9"},
        "other": {"o4", "o9"},
    }
    assert not set().union(*map(documents, train)) & set().union(*found.values())


def test_questions_alone_are_split_as_they_are_beside_their_documents():
    corpus = tuple(f"n{at}" for at in range(10))
    asked = Source("asked", tuple(plain(at, "en", f"n{at}") for at in (4, 3)), documents=corpus)
    (trained,), (held,) = split_documents([asked], 5)
    assert (documents(trained), documents(held)) == ({"n3"}, {"n4"})
