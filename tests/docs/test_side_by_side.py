"""Work on every core, and what a results file says of where it was made."""

import json
import os
import subprocess
import sys

import pytest
import side_by_side
from provenance import provenance
from toys import REPOSITORY


def test_work_comes_back_in_order(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert side_by_side.on_every_core(divmod, range(5, 9), range(2, 6)) == [
        (2, 1),
        (2, 0),
        (1, 3),
        (1, 3),
    ]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are chosen on Linux alone")
def test_on_many_cores_each_worker_keeps_to_two(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(side_by_side, "MANY_CORES", 1)
    found = side_by_side.on_every_core(os.sched_getaffinity, [0] * 4)
    here = os.sched_getaffinity(0)
    assert all(cores <= here and len(cores) == min(2, len(here)) for cores in found)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are chosen on Linux alone")
def test_neighbours_are_counted_among_the_cores_that_a_process_may_use():
    code = (
        "import os, queue, side_by_side\n"
        "here = sorted(os.sched_getaffinity(0))\n"
        "numbers = queue.Queue()\n"
        "numbers.put(len(here) - 1)\n"
        "side_by_side._settle(numbers)\n"
        "assert os.sched_getaffinity(0) == {here[-1], here[0]}, os.sched_getaffinity(0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY / "docs/experiments")


def test_files_without_a_repository_say_their_commit_by_a_variable(monkeypatch):
    monkeypatch.setenv("HYBRIDIR_COMMIT", "0123456789ab")
    assert provenance("make nothing")["commit"] == "0123456789ab"


def test_a_name_that_is_not_known_is_answered_with_those_that_are():
    assert side_by_side.named([], ("muse", "pocket")) == ["muse", "pocket"]
    assert side_by_side.named(["pocket"], ("muse", "pocket")) == ["pocket"]
    with pytest.raises(SystemExit, match="puket: not known here; there are muse, pocket"):
        side_by_side.named(["muse", "puket"], ("muse", "pocket"))


def test_a_part_takes_the_place_of_an_older_one_and_the_others_stay(tmp_path):
    path = tmp_path / "results.json"
    for name, part in (("muse", {"at": 1}), ("pocket", {"at": 2}), ("muse", {"at": 3})):
        side_by_side.put_part(path, name, part)
    assert path.read_text() == json.dumps({"muse": {"at": 3}, "pocket": {"at": 2}}, indent=1) + "\n"
