"""What killed processes leave goes at the next use; what somebody may be writing stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toys.cli import left_by_a_killed_process

from hybridir_mteb.files import beside, folder_beside, replacing, sweep, temporary, write_text
from hybridir_mteb.files.temporary import TemporaryFolder, done, left_behind

KILLED = """
import os, signal, sys
from pathlib import Path
from hybridir_mteb.files import folder_beside
with folder_beside(Path(sys.argv[1])) as folder:
    (folder / "weights").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_of_a_killed_process_is_seen_and_goes_at_the_next_use(tmp_path):
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, tmp_path / "a" / "encoder"], check=False
        )
        assert ended.returncode == -9
        (left,) = left_behind(tmp_path / "a")  # the second has removed that of the first
        assert left.bytes == 1000
    with folder_beside(tmp_path / "a" / "other"):
        assert not left.path.exists()
    assert names(tmp_path / "a") == []


def test_the_file_of_a_killed_process_goes_when_a_file_is_written_there(tmp_path):
    left = left_by_a_killed_process(tmp_path / "text")
    assert [one.bytes for one in left_behind(tmp_path)] == [len("half of it")]
    write_text(tmp_path / "another", "new")
    assert not left.exists()


def test_what_a_living_process_writes_stays(tmp_path):
    with replacing(tmp_path / "text") as mine, folder_beside(tmp_path / "folder") as folder:
        mine.write_text("new")
        other = folder.with_name(folder.name.replace(f".{os.getpid()}.", f".{os.getppid()}."))
        other.mkdir()
        assert sweep(tmp_path) == 0
        assert mine.exists()
        assert folder.exists()
        assert other.exists()


def test_a_number_that_this_process_got_again_does_not_keep_what_another_left(tmp_path):
    left = beside(tmp_path / "text")
    left.write_text("half")
    done(left)  # so it looks to a process in whose container numbers begin anew
    assert sweep(tmp_path) == 4
    assert names(tmp_path) == []


def test_what_another_machine_writes_stays_for_a_day(tmp_path, monkeypatch):
    folder = beside(tmp_path / "folder")
    done(folder)
    folder.mkdir()
    (folder / "part").write_text("half")
    monkeypatch.setattr(temporary, "_machine", lambda: "0" * 8)
    assert sweep(tmp_path) == 0
    hours_ago = time.time() - 30 * 3600
    os.utime(folder, (hours_ago, hours_ago))
    assert sweep(tmp_path) == 0, "a file in it is new"
    os.utime(folder / "part", (hours_ago, hours_ago))
    assert sweep(tmp_path) == 4
    assert names(tmp_path) == []


def test_names_of_version_0_1_are_known(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".a.{ended.pid}.0123abcd.tmp").write_text("half")
    assert sweep(tmp_path) == 4


@pytest.mark.parametrize(
    "name", ["a.tmp", ".a.tmp", ".a.1.tmp", ".a.b.0123abcd.tmp", ".a.999999999.0123abc.tmp"]
)
def test_no_file_of_somebody_else_is_touched(tmp_path, name):
    (tmp_path / name).write_text("mine")
    assert sweep(tmp_path) == 0
    assert names(tmp_path) == [name]


def test_a_link_is_never_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    left = left_by_a_killed_process(tmp_path / "text")
    left.unlink()
    left.symlink_to(tmp_path / "precious")
    sweep(tmp_path)
    assert (tmp_path / "precious" / "file").exists()


def test_a_long_name_is_written_all_the_same(tmp_path):
    for name in ("n" * 250, "ü" * 120):
        write_text(tmp_path / name, "new")
        assert (tmp_path / name).read_text() == "new"


def test_a_temporary_folder_goes_with_its_owner(tmp_path):
    owner = TemporaryFolder(tmp_path, "shards")
    (owner.path / "file").write_text("x")
    assert owner.path.stat().st_mode & 0o077 == 0
    del owner
    assert names(tmp_path) == []
    with TemporaryFolder(tmp_path, "shards") as folder:
        assert names(tmp_path) == [folder.name]
    assert names(tmp_path) == []
