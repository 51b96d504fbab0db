"""The page about plans: what was measured stands beside what was predicted, or nothing does."""

import json

import pytest
from markers import planning

CASE = {
    "texts": 64,
    "tokens": 96,
    "predicted": {"bytes": 90_000_000, "seconds": 3.0},
    "measured": {"bytes": 100_000_000, "bytes_by_default": 120_000_000, "seconds": 2.0},
}
MADE_BY = {
    "command": "make plan-check",
    "date": "2026-01-01",
    "commit": "abc",
    "machine": {
        "processor": "P",
        "cores": 2,
        "memory_gb": 8,
        "platform": "Linux",
        "python": "3.11",
    },
    "versions": {"torch": "2.0"},
}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "RESULTS", tmp_path)
    return tmp_path


def test_without_results_the_page_says_so(results):
    assert "Not measured" in planning.plan_check()


def test_committed_predictions_are_near_what_was_measured():
    found = json.loads((planning.RESULTS / "plan-check.json").read_text())
    cases = [case for of in found.values() for case in of["cases"].values()]
    assert {"pocket", "muse", "gemma3-270m"} <= set(found)
    for case in cases:
        predicted, measured = case["predicted"], case["measured"]
        assert predicted["bytes"] == pytest.approx(measured["bytes"], rel=0.2)
        assert 1 / 1.5 < predicted["seconds"] / measured["seconds"] < 1.5


def test_predicted_and_measured_stand_side_by_side(results):
    of_memory = {side: {**CASE[side], "seconds": None} for side in ("predicted", "measured")}
    cases = {"recipe": CASE, "GradCache": {**CASE, **of_memory}}
    content = {"muse": {"made_by": MADE_BY, "cases": cases}}
    (results / "plan-check.json").write_text(json.dumps(content))
    table = planning.plan_check().splitlines()
    assert table[2] == "| `muse` | recipe | 64 | 96 | 90 | 100 | -10% | 120 | 3.00 | 2.00 | 1.50 |"
    assert table[3].endswith("| -10% | 120 | – | – | – |")
    assert "Made by <code>make plan-check</code></summary>on 2026-01-01, commit abc" in table[-1]
