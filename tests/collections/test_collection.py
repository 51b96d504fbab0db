"""Collections: what they refuse, that they stay as they are, and their ids."""

from collections.abc import Sequence
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.collections.collection import LanguagePart, ParallelCollection, Passage, Query
from hybridir_mteb.collections.languages import LANGUAGES
from hybridir_mteb.errors import DataFormatError, UnknownNameError


def part(
    language: str = "en",
    queries: Sequence[Query] = (Query("f0", "who sleeps?", (0,)),),
    passages: Sequence[Passage] = (Passage("0", "the cat sleeps."), Passage("1", "it rains.")),
) -> LanguagePart:
    return LanguagePart(language, tuple(queries), tuple(passages))


def test_an_id_that_occurs_twice_is_refused():
    queries = [Query(name, "who?", (at % 2,)) for at, name in enumerate(("f0", "f1", "f0"))]
    with pytest.raises(DataFormatError, match="en: query id 'f0' occurs twice"):
        part(queries=queries)
    with pytest.raises(DataFormatError, match="en: passage id '0' occurs twice"):
        part(passages=[Passage("0", "one."), Passage("0", "two.")])


def test_the_same_passage_text_may_occur_twice():
    same = part(passages=[Passage("0", "one."), Passage("1", "one.")])
    assert [passage.text for passage in same.passages] == ["one.", "one."]


@pytest.mark.parametrize("empty", ["", " ", "\t\n\u00a0\u3000"])
def test_an_empty_text_is_refused(empty):
    with pytest.raises(DataFormatError, match="en: query 'f0': its text is empty"):
        part(queries=[Query("f0", empty, (0,))])
    with pytest.raises(DataFormatError, match="en: passage '1' is empty"):
        part(passages=[Passage("0", "one."), Passage("1", empty)])


@pytest.mark.parametrize("outside", [-1, 2, 99])
def test_a_relevant_passage_out_of_range_is_refused(outside):
    with pytest.raises(DataFormatError, match=f"en: query 'f0': no passage {outside}$"):
        part(queries=[Query("f0", "who?", (0, outside))])


@given(at=st.integers(-3, 6), count=st.integers(1, 4))
def test_a_relevant_passage_is_accepted_exactly_where_there_is_a_passage(at, count):
    passages = [Passage(str(number), "text") for number in range(count)]
    query = Query("f0", "who?", (at,))
    if 0 <= at < count:
        assert part(queries=[query], passages=passages).queries == (query,)
    else:
        with pytest.raises(DataFormatError):
            part(queries=[query], passages=passages)


@pytest.mark.parametrize("code", ["xx", "deu", "EN", ""])
def test_an_unknown_language_code_is_refused(code):
    with pytest.raises(UnknownNameError, match=f"unknown language code '{code}'.*ISO 639-1"):
        part(language=code)


def test_a_collection_without_a_language_or_with_a_part_under_anothers_key_is_refused():
    with pytest.raises(DataFormatError, match="collection Empty has no language"):
        ParallelCollection("Empty", {})
    with pytest.raises(DataFormatError, match="Toy: part 'de' holds language en"):
        ParallelCollection("Toy", {"de": part("en")})


def test_a_query_without_a_relevant_passage_in_any_language_is_refused():
    unanswered = [Query("f0", "who?", (0,)), Query("f1", "what?", ())]
    collection = ParallelCollection("Toy", {"en": part(queries=unanswered), "de": part("de")})
    with pytest.raises(DataFormatError, match="Toy: query 'f1' has no relevant passage in any"):
        collection.check_answered()


def test_a_query_may_have_its_relevant_passage_in_another_language():
    german = part("de", queries=[Query("f0", "wer?", ())])
    collection = ParallelCollection("Toy", {"en": part("en"), "de": german})
    assert collection.part("de").queries[0].relevant == ()


def test_what_a_collection_is_made_of_cannot_be_reassigned(toy):
    english = toy.part("en")
    for thing, attribute in (
        (toy, "name"),
        (toy, "parts"),
        (english, "queries"),
        (english.queries[0], "relevant"),
        (english.passages[0], "text"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, attribute, None)


def test_the_mappings_of_a_collection_are_read_only(toy):
    with pytest.raises(TypeError):
        toy.parts["xx"] = toy.part("en")
    with pytest.raises(TypeError):
        toy.part("en").relevant_by_parallel_id["f0"] = ()


def test_a_collection_does_not_follow_changes_to_the_mapping_that_it_was_made_from():
    given_parts = {"en": part("en")}
    collection = ParallelCollection("Toy", given_parts)
    given_parts["de"] = part("de")
    assert collection.languages == ("en",)


def test_languages_are_sorted_and_parts_found_by_code(toy):
    assert toy.languages == ("de", "en", "fr")
    assert toy.part("fr").passages[2].text == "le chien court."


def test_a_missing_language_is_named_with_those_that_there_are(toy):
    with pytest.raises(UnknownNameError) as caught:
        toy.part("es")
    assert str(caught.value) == "Toy has no language 'es', only de, en, fr"


def test_ids_carry_role_and_language(toy):
    assert toy.part("de").query_id(1) == "q:de:f1"
    assert toy.part("de").passage_id(1) == "p:de:0.1"


local_ids = st.lists(st.text("a:.0", min_size=1, max_size=4), min_size=1, max_size=4, unique=True)


@given(languages=st.sets(st.sampled_from(sorted(LANGUAGES)), min_size=2, max_size=3), ids=local_ids)
def test_no_two_ids_collide_even_if_local_ids_are_shared(languages, ids):
    """The same local ids, queries and passages alike, in every language."""
    parts = [
        part(
            code,
            [Query(identifier, "who?", (0,)) for identifier in ids],
            [Passage(identifier, "text") for identifier in ids],
        )
        for code in languages
    ]
    made = [one.query_id(at) for one in parts for at in range(len(ids))]
    made += [one.passage_id(at) for one in parts for at in range(len(ids))]
    assert len(set(made)) == 2 * len(languages) * len(ids)


def test_relevant_passages_are_found_by_parallel_id(toy):
    assert dict(toy.part("fr").relevant_by_parallel_id) == {"f0": (0,), "f1": (2,)}
