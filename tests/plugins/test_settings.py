"""Subsets of the three settings, the queries judged in them, and the text of a candidate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.collections.collection import (
    LanguagePart,
    ParallelCollection,
    Passage,
    Query,
    judged_queries,
    passage_text,
)
from hybridir_mteb.collections.languages import LANGUAGES
from hybridir_mteb.plugins.settings import Context, Setting, Subset, subsets

XQUAD_R = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
MLQA_R = ("ar", "de", "en", "es", "hi", "vi", "zh")


@pytest.mark.parametrize(
    ("languages", "monolingual", "cross_lingual", "multilingual"),
    [(XQUAD_R, 11, 110, 11), (MLQA_R, 7, 42, 7), (("de", "en"), 2, 2, 2), (("de",), 1, 0, 1)],
)
def test_every_setting_has_its_number_of_subsets(
    languages, monolingual, cross_lingual, multilingual
):
    assert len(subsets(languages, Setting.MONOLINGUAL)) == monolingual
    assert len(subsets(languages, Setting.CROSS_LINGUAL)) == cross_lingual
    assert len(subsets(languages, Setting.MULTILINGUAL)) == multilingual


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        (Setting.MONOLINGUAL, "de:de>de en:en>en fr:fr>fr"),
        (Setting.MULTILINGUAL, "de:de>de,en,fr en:en>de,en,fr fr:fr>de,en,fr"),
        (
            Setting.CROSS_LINGUAL,
            "de-en:de>en de-fr:de>fr en-de:en>de en-fr:en>fr fr-de:fr>de fr-en:fr>en",
        ),
    ],
)
def test_subsets_name_the_query_language_first(setting, names):
    found = subsets(["fr", "de", "en"], setting)
    assert all(isinstance(subset, Subset) for subset in found)
    shown = [f"{s.name}:{s.query_language}>{','.join(s.passage_languages)}" for s in found]
    assert shown == names.split()


@given(
    languages=st.lists(st.sampled_from(sorted(LANGUAGES)), unique=True, min_size=1, max_size=12),
    setting=st.sampled_from(Setting),
)
def test_names_are_unique_and_do_not_depend_on_the_order_of_languages(languages, setting):
    names = [subset.name for subset in subsets(languages, setting)]
    assert len(set(names)) == len(names)
    assert names == [subset.name for subset in subsets(languages[::-1], setting)]


def test_the_languages_of_a_subset_begin_with_the_querys_and_hold_none_twice():
    assert Subset("fr", "fr", ("de", "en", "fr")).languages == ("fr", "de", "en")
    assert Subset("fr-de", "fr", ("de",)).languages == ("fr", "de")
    assert Subset("fr", "fr", ("fr",)).languages == ("fr",)


def judged(collection: ParallelCollection, setting: Setting, name: str):
    (subset,) = [one for one in subsets(collection.languages, setting) if one.name == name]
    return list(judged_queries(collection, subset))


def test_monolingual_queries_have_their_own_languages_passages(toy):
    assert judged(toy, Setting.MONOLINGUAL, "fr") == [(0, ["p:fr:0.0"]), (1, ["p:fr:1.0"])]


def test_a_query_without_a_relevant_passage_in_the_pool_is_left_out(toy):
    """The third fact is missing in French."""
    assert judged(toy, Setting.CROSS_LINGUAL, "de-fr") == [(0, ["p:fr:0.0"]), (1, ["p:fr:1.0"])]
    assert [at for at, _ in judged(toy, Setting.CROSS_LINGUAL, "de-en")] == [0, 1, 2]
    assert [at for at, _ in judged(toy, Setting.CROSS_LINGUAL, "fr-de")] == [0, 1]


def test_multilingual_queries_have_the_relevant_passages_of_every_language_that_has_one(toy):
    assert judged(toy, Setting.MULTILINGUAL, "en") == [
        (0, ["p:de:0.0", "p:en:0.0", "p:fr:0.0"]),
        (1, ["p:de:1.0", "p:en:1.0", "p:fr:1.0"]),
        (2, ["p:de:2.0", "p:en:2.0"]),
    ]


def test_a_query_may_have_several_relevant_passages_and_positions_skip_unjudged_ones():
    passages = tuple(Passage(str(at), f"text {at}") for at in range(4))
    english = LanguagePart("en", (Query("a", "what?", ()), Query("b", "which?", (1, 3))), passages)
    german = LanguagePart("de", (Query("a", "was?", (2,)),), passages)
    collection = ParallelCollection("Toy", {"en": english, "de": german})
    assert judged(collection, Setting.MONOLINGUAL, "en") == [(1, ["p:en:1", "p:en:3"])]
    assert judged(collection, Setting.CROSS_LINGUAL, "en-de") == [(0, ["p:de:2"])]
    assert judged(collection, Setting.CROSS_LINGUAL, "de-en") == []


def one_passage(text: str, context: str) -> LanguagePart:
    return LanguagePart("en", (), (Passage("0", text, context),))


@pytest.mark.parametrize(
    ("text", "context", "alone", "inside"),
    [
        (
            " It rains. ",
            " It rains. Take a coat.\n",
            "It rains.",
            "It rains. It rains. Take a coat.",
        ),
        *(("It rains.", nothing, "It rains.", "It rains.") for nothing in ("", " ", "\n")),
    ],
)
def test_a_candidate_is_the_stripped_sentence_then_its_paragraph_if_any(
    text, context, alone, inside
):
    part = one_passage(text, context)
    assert passage_text(part, 0, Context.SENTENCE) == alone
    assert passage_text(part, 0, Context.SENTENCE_AND_PARAGRAPH) == inside
