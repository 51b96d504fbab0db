"""A full disk is one line with the right cause; a place that cannot be written is said early."""

import errno
import os
import resource
import shutil
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from hybridir_mteb.errors import DataFormatError, NoSpaceError, SettingError
from hybridir_mteb.files import folder_beside, replacing, room
from hybridir_mteb.files.room import check_file, check_folder, check_room, room_for


def write_with_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", os.urandom(400_000))


def write_with_numpy(path):
    with path.open("wb") as stream:
        np.save(stream, np.zeros(100_000, np.float32))


WRITERS = {
    "torch": lambda path: torch.save({"a": torch.zeros(100_000)}, path),
    "safetensors": lambda path: save_file({"a": np.zeros(100_000, np.float32)}, path),
    "Python": lambda path: path.write_bytes(bytes(400_000)),
    "zip": write_with_zip,
    "NumPy": write_with_numpy,
}


@contextmanager
def small_files():
    """No file may be larger than 50 kB; around the write alone, since pytest may log to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_message_whoever_writes(tmp_path, writer):
    target = tmp_path / "target"
    with (
        pytest.raises(NoSpaceError, match=r"target cannot be written: .* free") as caught,
        replacing(target) as path,
        small_files(),
    ):
        WRITERS[writer](path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_message_has_the_cause_and_how_much_was_written(tmp_path):
    with (
        pytest.raises(NoSpaceError, match=r"larger than the system allows .*: 50 kB of it were"),
        folder_beside(tmp_path / "encoder") as folder,
        small_files(),
    ):
        WRITERS["Python"](folder / "weights")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "cause"), [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "your quota")]
)
def test_full_disks_and_quotas_are_told_apart(tmp_path, code, cause):
    with pytest.raises(NoSpaceError, match=cause), room_for(tmp_path / "a" / "b"):
        raise OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    "error", [PermissionError(13, "no"), ValueError("x"), DataFormatError("y")]
)
def test_other_errors_stay_what_they_are(tmp_path, error):
    with pytest.raises(type(error)) as caught, room_for(tmp_path):
        raise error
    assert caught.value is error


def test_a_place_for_a_folder_is_looked_at_before_it_is_needed(tmp_path):
    (tmp_path / "file").write_text("")
    check_folder(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingError, match=r"\(--output\) cannot be made: .*file is a file"):
            check_folder(place, "--output")
    with pytest.raises(SettingError, match="File name too long"):
        check_folder(tmp_path / ("n" * 300))


def test_a_folder_without_permission_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(room.os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(SettingError, match="no permission to write"):
        check_folder(tmp_path / "a")


def test_a_place_for_a_file_is_no_folder(tmp_path):
    check_file(tmp_path / "new" / "file")
    with pytest.raises(SettingError, match="is a folder; give the name of a file"):
        check_file(tmp_path)


def test_what_the_disk_cannot_hold_is_not_begun(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    check_room(tmp_path / "new", usage.free / 2, "the export")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    with pytest.raises(
        NoSpaceError, match=r"the export in .*new needs about 2.5 GB, and .* 1.0 GB"
    ):
        check_room(tmp_path / "new", 2.5e9, "the export")
