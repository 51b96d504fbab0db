"""Texts of collections for a page of results."""

import pytest

from hybridir_mteb.cli.texts import texts_of
from hybridir_mteb.tasks.pocketqa_r import load


@pytest.fixture(autouse=True)
def _nothing_here(tmp_path, monkeypatch):
    for variable in ("HYBRIDIR_DATA_DIR", "HYBRIDIR_CACHE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path))


def test_texts_are_those_of_a_question_and_its_answer():
    found = texts_of("PocketQARInContext")
    assert found is not None
    part = load(["de"]).parts["de"]
    query = part.queries[0]
    told = found("de", query.parallel_id)
    assert told == (query.text, part.passages[query.relevant[0]].text)
    assert found("de", "no such query") is None
    assert found("xx", query.parallel_id) is None


@pytest.mark.parametrize("name", ["XQuADR", "MIRACL", "Unknown"])
def test_nothing_is_fetched_for_them(name):
    assert texts_of(name) is None
