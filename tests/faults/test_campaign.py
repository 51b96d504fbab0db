"""A small part of the campaign of faults, in a process of its own: it forks, and registers toys."""

import json
import os
import sys
from pathlib import Path

import pytest
from toys import REPOSITORY, TESTS, offline
from toys.cli import succeed

QUICK = ("kills", "fuzzing", "plugins")
SLOW = ("corruptions", "disk", "together", "names")


def campaign(folder: Path, kinds: tuple[str, ...], amount: float) -> dict[str, dict]:
    """The report of some kinds; a failure shows what was seen."""
    report = folder / "faults.json"
    only = [part for kind in kinds for part in ("--only", kind)]
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    script = TESTS / "faults" / "campaign.py"
    options = ("--amount", str(amount), "--json", report, "--report-only")
    succeed(sys.executable, script, *only, *options, PYTHONPATH=path.strip(os.pathsep))
    found: dict[str, dict] = json.loads(report.read_text())
    return found


def check(report: dict[str, dict], kinds: tuple[str, ...], at_least: int) -> None:
    """Nothing undetected, no traceback, no wrong number, every rerun equal."""
    assert set(report) == set(kinds)
    failures = {kind: found["failures"] for kind, found in report.items() if found["failures"]}
    assert failures == {}
    for found in report.values():
        assert found["survived"] == found["tried"]
        assert found["undetected"] == found["wrong_numbers"] == found["tracebacks"] == 0
        assert found.get("reruns_equal") == found.get("reruns")
        assert found.get("most_done_again", 0) <= 1
    assert sum(found["tried"] for found in report.values()) >= at_least


@pytest.mark.slow
def test_kills_inputs_and_plugins_do_no_harm(tmp_path):
    check(campaign(tmp_path, QUICK, 0.02), QUICK, 700)


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
def test_damage_full_disks_processes_at_once_and_names_do_no_harm(tmp_path):
    try:
        check(campaign(tmp_path, SLOW, 0.01), SLOW, 50)
    finally:
        offline.attempts()  # some commands fetch data, and are refused: one line each
