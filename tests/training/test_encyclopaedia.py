"""The package's passages with questions: complete, in their scripts, in no evaluation set."""

import json
import re
import unicodedata
from collections import Counter

import pytest

from hybridir_mteb.training.leak import check_leaks
from hybridir_mteb.training.pairs import normalise
from hybridir_mteb.training.plan import read_source
from hybridir_mteb.training.recipe import JsonLines

SCRIPTS = {
    **dict.fromkeys(("de", "en", "es", "tr", "vi"), "LATIN"),
    "ar": "ARABIC",
    "el": "GREEK",
    "hi": "DEVANAGARI",
    "ru": "CYRILLIC",
    "th": "THAI",
    "zh": "CJK",
}
ENDS = {"ar": "؟", "el": ";", "zh": "？"}


@pytest.fixture(scope="module")
def source():
    return read_source(JsonLines(path="package:encyclopaedia/passages.jsonl.gz"), ())


def test_every_passage_has_two_questions_in_every_language(source):
    assert len(source.items) == 414
    assert {len(item.examples) for item in source.items} == {len(SCRIPTS)}
    of_document = Counter(item.document for item in source.items)
    assert (len(of_document), set(of_document.values())) == (207, {2})
    for code in SCRIPTS:
        passages = {item.examples[code].passage for item in source.items}
        questions = {item.examples[code].query for item in source.items}
        assert (len(passages), len(questions)) == (207, 414)


@pytest.mark.parametrize("code", SCRIPTS)
def test_texts_are_in_the_script_of_their_language(source, code):
    for item in source.items:
        for text in (item.examples[code].passage, item.examples[code].query):
            letters = [char for char in text if char.isalpha()]
            own = sum(unicodedata.name(char).startswith(SCRIPTS[code]) for char in letters)
            assert own > 0.6 * len(letters), text
            assert text == unicodedata.normalize("NFC", text).strip()
        if code != "th":  # questions have no mark there
            assert item.examples[code].query.endswith(ENDS.get(code, "?"))


def test_no_passage_is_named_after_an_article_of_an_evaluation_set_or_begins_as_one(
    source, data_dir
):
    names = {item.document for item in source.items}
    passages = {item.examples["en"].passage for item in source.items}
    for folder, articles in (("xquad-r", 48), ("mlqa-r", 520)):
        found = {}
        for path in (data_dir / folder).glob("*.json"):
            content = json.loads(path.read_text(encoding="utf-8"))
            found[path.stem] = {row["title"].replace("_", " ") for row in content["data"]}
        assert len(found["en"]) == articles
        titles = {normalise(re.sub("[(,].*", "", title)) for code in found for title in found[code]}
        for name in names:
            plain = normalise(name)
            assert not {plain, f"{plain}s", plain.removesuffix("s")} & titles, name
        for title in found["en"]:  # "Sky (United Kingdom)" is not about the sky
            begins = re.compile(rf"((an?|the) )?{re.escape(title)}s?(?!\w)", re.IGNORECASE)
            assert not [text for text in passages if begins.match(text)], title


@pytest.mark.slow
def test_no_text_occurs_in_an_evaluation_set(source, known):
    assert {"XQuADR", "MLQAR", "PocketQAR"} <= set(known.checked)
    assert check_leaks([source], known, allow=True) == []
