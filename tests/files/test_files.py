"""Files are written whole or not at all."""

import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybridir_mteb.files import folder_beside, move_in, replacing, sha256_of, write_text

# FIPS 180-2, appendix B: the message "abc".
SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def target(tmp_path):
    (tmp_path / "text").write_text("old")
    return tmp_path / "text"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_checksum_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == SHA256_ABC


def test_a_text_is_written_in_utf_8_and_missing_folders_are_made(tmp_path):
    target = tmp_path / "a" / "b" / "text.json"
    write_text(target, "größer")
    assert target.read_bytes() == b"gr\xc3\xb6\xc3\x9fer"
    assert names_in(target.parent) == ["text.json"]


def test_the_old_file_stays_until_the_block_ends(tmp_path, target):
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.parent == target.parent, "a rename is atomic within a file system only"
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["text"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_exception_the_old_content_stays_and_no_temporary_file(tmp_path, target, error):
    def write_half():
        with replacing(target) as temporary:
            temporary.write_text("half of the n")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["text"]


def test_a_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path, target):
    with pytest.raises(UnicodeEncodeError):
        write_text(target, "a lone surrogate: \ud800")
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["text"]


def test_a_target_that_is_a_folder_is_an_error_and_leaves_nothing(tmp_path):
    target = tmp_path / "text"
    target.mkdir()
    with pytest.raises(OSError):
        write_text(target, "new")
    assert names_in(tmp_path) == ["text"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no mode bits")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_mode_bits_respect_the_umask_and_the_umask_stays(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "text", "new")
        after = os.umask(mask)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "text").stat().st_mode) == mode
    assert after == mask


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_comes_back_as_it_was_written(tmp_path, text):
    write_text(tmp_path / "text", text)
    assert (tmp_path / "text").read_bytes() == text.encode()


def test_of_two_folders_for_one_place_the_first_stays(tmp_path):
    place = tmp_path / "place"
    came_in = []
    for content in ("first", "second"):
        with folder_beside(place) as folder:
            (folder / "text").write_text(content)
            came_in.append(move_in(folder, place))
    assert came_in == [True, False]
    assert (place / "text").read_text() == "first"
    assert names_in(tmp_path) == ["place"]


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
    place = tmp_path / "place"
    place.write_text("a file")
    with folder_beside(place) as folder, pytest.raises(OSError, match="place"):
        move_in(folder, place)
    assert names_in(tmp_path) == ["place"]
