"""The table of languages, and suggestions for mistyped names."""

import re

import pytest

from hybridir_mteb.collections.languages import LANGUAGES, Language, language
from hybridir_mteb.errors import UnknownNameError, suggest


def test_a_language_is_found_by_its_code():
    assert language("de") == Language("de", "deu-Latn", "German")


@pytest.mark.parametrize(
    ("code", "script"),
    [
        ("ar", "Arab"),
        ("el", "Grek"),
        ("hi", "Deva"),
        ("ru", "Cyrl"),
        ("th", "Thai"),
        ("zh", "Hans"),
    ],
)
def test_the_script_is_the_second_half_of_the_mteb_code(code, script):
    assert language(code).mteb_code.split("-")[1] == script


def test_the_languages_of_the_collections_are_there():
    """XQuAD-R's eleven, MLQA-R's seven and MIRACL's eighteen."""
    codes = "ar bn de el en es fa fi fr hi id ja ko ru sw te th tr vi yo zh"
    assert all(language(code).code == code for code in codes.split())


def test_codes_have_their_form_and_none_stands_for_two_languages():
    for code, entry in LANGUAGES.items():
        assert re.fullmatch("[a-z]{2}", code)
        assert entry.code == code
        assert re.fullmatch("[a-z]{3}-[A-Z][a-z]{3}", entry.mteb_code)
    assert len({entry.mteb_code for entry in LANGUAGES.values()}) == len(LANGUAGES)
    assert len({entry.name for entry in LANGUAGES.values()}) == len(LANGUAGES)


def test_mteb_knows_every_code_and_script():
    from mteb.languages import ISO_TO_LANGUAGE, ISO_TO_SCRIPT

    for entry in LANGUAGES.values():
        iso, script = entry.mteb_code.split("-")
        assert iso in ISO_TO_LANGUAGE
        assert script in ISO_TO_SCRIPT
        assert entry.name in ISO_TO_LANGUAGE[iso]


def test_an_unknown_code_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        language("deu")
    message = str(caught.value)
    assert message.startswith("unknown language code 'deu': expected ISO 639-1, one of af, am, ar")
    assert message.endswith(". Did you mean de?")


def test_suggestions_name_close_matches_only():
    assert suggest("XQuAD", ["XQuADR", "MLQAR", "PocketQAR"]) == ". Did you mean XQuADR?"
    assert suggest("recal", ["recall", "recal2", "map"]).count(" or ") == 1
    assert suggest("zzz", ["XQuADR", "MLQAR"]) == ""
    assert suggest("anything", []) == ""
