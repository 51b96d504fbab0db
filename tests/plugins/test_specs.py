"""Specs by the names and in the forms that they had up to version 0.1."""

import pytest

from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec, StreamedSpec

CARD = CollectionCard("text", "url", "data", "1", "mit", ("2020-01-01", "2020-12-31"), ())


def made(*values, **options):
    with pytest.warns(DeprecationWarning, match="parallel=False") as caught:
        spec = StreamedSpec("Name", ("sw", "yo"), len, CARD, *values, **options)
    assert caught[0].filename == __file__
    return spec


def test_a_streamed_spec_is_a_collection_spec_that_is_not_parallel():
    expected = CollectionSpec("Name", ("sw", "yo"), len, CARD, parallel=False, split="dev")
    assert made(split="dev") == expected
    assert isinstance(expected, StreamedSpec)
    assert not isinstance(CollectionSpec("Name", ("sw", "yo"), len, CARD), StreamedSpec)
    assert not isinstance("Name", StreamedSpec)


def test_a_streamed_spec_takes_values_in_their_old_order():
    values = ((), "dev", (Setting.MULTILINGUAL,), "Task", ("en",), "map", {"sw": "place"})
    spec = made(*values)
    assert (spec.files, spec.split, spec.settings, spec.task) == values[:4]
    assert (spec.query_languages, spec.main_score, spec.corpora) == values[4:]
    assert not spec.parallel
    with pytest.raises(TypeError, match="split"):
        made((), "dev", split="dev")
    with pytest.raises(ValueError, match="longer"):
        made(*values, "one too many")
