"""Hashes that occur more than once, found with any number of them in memory."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridir_mteb.errors import NoSpaceError
from hybridir_mteb.files import repeats
from hybridir_mteb.files.repeats import Repeats

SOME = st.one_of(st.integers(0, 3), st.integers(2**64 - 3, 2**64 - 1), st.integers(0, 2**64 - 1))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hashes=st.lists(SOME, max_size=40), at_once=st.integers(1, 30), single=st.integers(0, 40))
def test_those_that_occur_more_than_once_are_found(tmp_path, monkeypatch, hashes, at_once, single):
    monkeypatch.setattr(repeats, "AT_ONCE", at_once)
    with Repeats(tmp_path) as many:
        for one in hashes[:single]:
            many.add(one)
        many.add_all(np.array(hashes[single:], np.uint64))
        assert any(tmp_path.iterdir()) == (len(hashes) >= at_once)
        found = many.found().tolist()
    assert sorted(found) == sorted(one for one, times in Counter(hashes).items() if times > 1)
    assert not any(tmp_path.iterdir())


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(repeats, "AT_ONCE", 4)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(repeats.np, "flatnonzero", full)
    with (
        pytest.raises(NoSpaceError, match=r"the disk is full .*choose another place"),
        Repeats(tmp_path) as many,
    ):
        many.add_all(np.arange(9, dtype=np.uint64))
    assert not any(tmp_path.iterdir())
