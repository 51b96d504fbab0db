"""A stamp tells when a file has to be read again."""

import os
import time

from hybridir_mteb.files.stamp import is_settled, settle, stamp_of


def test_a_file_that_just_changed_is_not_trusted_by_its_time(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a")
    assert not is_settled(stamp_of(path))
    settle(path)
    assert is_settled(stamp_of(path))
    settled = stamp_of(path)
    path.write_bytes(b"b")
    assert stamp_of(path) != settled


def test_a_file_of_the_same_size_and_time_in_its_place_is_another(tmp_path):
    path, other = tmp_path / "file", tmp_path / "other"
    path.write_bytes(b"a")
    other.write_bytes(b"b")
    hour = time.time_ns() - 3600 * 10**9
    for each in (path, other):
        os.utime(each, ns=(hour, hour))
    before = stamp_of(path)
    assert before == stamp_of(path)
    other.replace(path)
    assert stamp_of(path)[:2] == before[:2]
    assert stamp_of(path) != before
