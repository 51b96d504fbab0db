"""One process at a time works in a place, and the others are told which it is."""

import os
import signal
import subprocess
import sys

import pytest

from hybridir_mteb.errors import BusyError
from hybridir_mteb.files.lock import only_one

HOLDS = """
import sys, time
from pathlib import Path
from hybridir_mteb.files.lock import only_one
with only_one(Path(sys.argv[1]), "the run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_holds_the_place_and_a_kill_frees_it(tmp_path):
    place = tmp_path / "runs" / "a.lock"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDS, place], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=f"the run is being .* by process {first.pid} on "),
            only_one(place, "the run"),
        ):
            pass
        assert place.exists(), "it is the first one's"
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    with only_one(place, "the run"):
        assert place.read_text().startswith(f"process {os.getpid()} on ")
    assert list(place.parent.iterdir()) == []


def test_within_a_process_too(tmp_path):
    with only_one(tmp_path / "lock", "a"):
        with pytest.raises(BusyError), only_one(tmp_path / "lock", "a"):
            pass
        assert (tmp_path / "lock").exists()
