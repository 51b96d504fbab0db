"""PocketQA-R, the collection that ships with the package."""

import json
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

import hybridir_mteb
from hybridir_mteb.collections.languages import language
from hybridir_mteb.tasks.pocketqa_r import FOLDER, POCKETQA_R

LANGUAGES = ("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh")
N_FACTS = 48
# Script of languages.py -> first word of the Unicode name of its letters and vowel signs.
UNICODE_NAME = {
    "Arab": "ARABIC",
    "Cyrl": "CYRILLIC",
    "Deva": "DEVANAGARI",
    "Grek": "GREEK",
    "Hans": "CJK",
    "Latn": "LATIN",
    "Thai": "THAI",
}
# Letters that no other of the Latin-script languages here uses as its own, and frequent words.
MARKS = {
    "de": ("äß", "der die das und ist wurde"),
    "es": ("ñ¿¡", "el la los una fue qué"),
    "tr": ("ığş", "bir ve için hangi kim yıl"),
    "vi": ("đơưế", "là của được một trong nào"),
}


def read(code: str) -> list[dict]:
    with (FOLDER / f"{code}.jsonl").open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


@pytest.fixture(scope="module")
def items() -> dict[str, list[dict]]:
    """Language -> its lines."""
    return {code: read(code) for code in LANGUAGES}


def texts(lines: list[dict]) -> list[str]:
    return [text for line in lines for text in (line["query"], *line["sentences"])]


def script_share(text: str, script: str) -> float:
    """Share of the letters and vowel signs of a text that belong to a script."""
    names = [
        unicodedata.name(character).split()[0]
        for character in text
        if unicodedata.category(character)[0] in "LM"
    ]
    return names.count(UNICODE_NAME[script]) / len(names)


def test_the_files_are_in_the_packages_data_folder_with_their_licence():
    package = Path(hybridir_mteb.__file__).parent
    assert FOLDER.relative_to(package).parts == ("data", "pocketqa-r")
    assert sorted(path.name for path in FOLDER.iterdir()) == [
        "LICENSE",
        *(f"{code}.jsonl" for code in LANGUAGES),
    ]
    assert "CC0" in (FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert POCKETQA_R.card.license == "cc0-1.0"
    assert POCKETQA_R.files == (), "nothing to download"


def test_every_language_has_48_facts_under_the_same_ids(items):
    assert N_FACTS >= 40
    expected = [f"f{number:02d}" for number in range(1, N_FACTS + 1)]
    for code in LANGUAGES:
        assert [line["id"] for line in items[code]] == expected


def test_the_loader_gives_a_query_and_three_candidates_for_each_fact():
    collection = POCKETQA_R.load(POCKETQA_R.languages)
    assert collection.languages == POCKETQA_R.languages == LANGUAGES
    for part in collection.parts.values():
        assert (len(part.queries), len(part.passages)) == (N_FACTS, 3 * N_FACTS)
        assert [query.relevant[0] // 3 for query in part.queries] == list(range(N_FACTS))
        assert {len(query.relevant) for query in part.queries} == {1}


def test_only_the_languages_asked_for_are_read():
    assert POCKETQA_R.load(["th", "de"]).languages == ("de", "th")


def test_three_sentences_of_which_exactly_one_holds_the_answer(items):
    for code in LANGUAGES:
        for line in items[code]:
            assert len(line["sentences"]) == 3
            assert line["answer"].strip()
            holding = [at for at in range(3) if line["answer"] in line["sentences"][at]]
            assert holding == [line["relevant"]], (code, line["id"])


def test_the_query_does_not_give_the_answer_away(items):
    for code in LANGUAGES:
        for line in items[code]:
            assert line["answer"].casefold() not in line["query"].casefold(), (code, line["id"])


def test_position_and_topic_agree_across_languages(items):
    for code in LANGUAGES:
        for line, english in zip(items[code], items["en"], strict=True):
            assert line["relevant"] == english["relevant"]
            assert line["topic"] == english["topic"]


def test_the_position_of_the_relevant_sentence_says_nothing(items):
    assert Counter(line["relevant"] for line in items["en"]) == {0: 16, 1: 16, 2: 16}


def test_topics_are_varied(items):
    topics = Counter(line["topic"] for line in items["en"])
    assert len(topics) >= 15
    assert max(topics.values()) <= N_FACTS / 8


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_text_is_in_the_languages_script(items, code):
    for text in texts(items[code]):
        assert script_share(text, language(code).mteb_code.split("-")[1]) >= 0.9, text


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_text_is_normalised_and_clean(items, code):
    for text in [*texts(items[code]), *(line["answer"] for line in items[code])]:
        assert unicodedata.is_normalized("NFC", text), text
        assert text == " ".join(text.split()), text
        assert not [c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Co", "Cn"}], text


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_sentence_and_no_query_occurs_twice_in_a_language(items, code):
    sentences = [sentence for line in items[code] for sentence in line["sentences"]]
    assert len(set(sentences)) == 3 * N_FACTS
    assert len({line["query"] for line in items[code]}) == N_FACTS


@pytest.mark.parametrize("code", sorted(MARKS))
def test_no_latin_script_text_is_the_english_one(items, code):
    for line, english in zip(items[code], items["en"], strict=True):
        assert line["query"] != english["query"]
        assert not set(line["sentences"]) & set(english["sentences"])


@pytest.mark.parametrize("code", sorted(MARKS))
def test_typical_letters_and_words_are_frequent_in_their_language_only(items, code):
    letters, words = MARKS[code]

    def frequency(lines: list[dict]) -> tuple[int, int]:
        whole = " ".join(texts(lines)).casefold()
        tokens = Counter(re.findall(r"\w+", whole))
        return sum(map(whole.count, letters)), sum(tokens[word] for word in words.split())

    own_letters, own_words = frequency(items[code])
    assert own_letters >= N_FACTS
    assert own_words >= 2 * N_FACTS
    for other in {"en", *MARKS} - {code}:
        other_letters, other_words = frequency(items[other])
        assert own_letters > 5 * other_letters
        assert own_words > 5 * other_words


def test_numbers_in_an_answer_agree_across_languages(items):
    def numbers(text: str) -> list[str]:
        return re.findall(r"\d+", "".join(str(unicodedata.digit(c, c)) for c in text))

    expected = {line["id"]: numbers(line["answer"]) for line in items["en"]}
    expected = {identifier: found for identifier, found in expected.items() if found}
    assert expected == {"f01": ["243"], "f03": ["4", "2"], "f17": ["1883"], "f21": ["116"]}
    for code in LANGUAGES:
        found = {line["id"]: numbers(line["answer"]) for line in items[code]}
        assert {identifier: found[identifier] for identifier in expected} == expected, code
