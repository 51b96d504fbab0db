"""Tables of the cluster, from what its campaign and its benchmark write."""

import json

import pytest
from markers import MarkerError, cluster, render, results
from toys import REPOSITORY

MADE_BY = json.loads((REPOSITORY / "docs/results/pocketqa-r.json").read_text())["made_by"]
FAULTS = {
    "worker": {
        "made_by": MADE_BY,
        "tried": 30,
        "shards_equal": 30,
        "ranks_equal": 29,
        "given_again": 0,
        "most_done_twice": 1,
        "temporary_files_left": 0,
    }
}
RATE = {"passages": [100, 500], "seconds": [12.0, 52.0], "seconds_before": 2.0}
COST = {
    "throughput": {
        "made_by": MADE_BY,
        "encoder": "toy",
        "workers": 2,
        "goal": 0.9,
        "one": {**RATE, "passages_per_second": 10.0},
        "cluster": {**RATE, "passages_per_second": 9.5},
        "share_of_one_process": 0.95,
        "seconds_with_nothing_to_do": 20.0,
    },
    "driver": {
        "made_by": MADE_BY,
        "1000000": {
            "passages": 1_000_000,
            "peak_mib_of_imports": 500.0,
            "peak_mib": 600.0,
            "seconds_of_ids": 8.0,
            "seconds": 40.0,
        },
        "dimension": 384,
        "peak_mib_added": 1.25,
        "resume": {
            "passages": 1_000_000,
            "gb": 1.5,
            "seconds": 3.0,
            "times_the_corpus_was_read": 0,
        },
    },
}


@pytest.fixture
def found(tmp_path, monkeypatch):
    for module in (cluster, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    return tmp_path


def test_accidents_are_a_row_for_each_kind(found):
    assert "make cluster-faults" in render("{{ cluster:faults }}")
    (found / "cluster-faults.json").write_text(json.dumps(FAULTS))
    row = "| a worker killed while it encodes | 30 | 30 | 29 | 0 | 1 | 0 |"
    assert row in render("{{ cluster:faults }}")


@pytest.mark.parametrize(("reads", "said"), [(0, "without reading"), (1, "after READING")])
def test_the_cost_is_beside_one_process(found, reads, said):
    assert "make cluster-bench" in render("{{ cluster:cost }}")
    COST["driver"]["resume"]["times_the_corpus_was_read"] = reads
    (found / "cluster.json").write_text(json.dumps(COST))
    shown = render("{{ cluster:cost }}")
    assert "| Ray, 2 workers of one thread | 9.5 | 2.0 | 12.0 | 52.0 |" in shown
    assert "That is 0.95 of the one process (the goal was 0.9)" in shown
    assert "+1.2 MiB from the smaller corpus" in shown
    assert f"is found in 3.0 s, {said} the corpus" in shown


def test_the_plan_is_that_of_all_of_miracl():
    shown = render("{{ cluster:plan }}")
    assert "| MIRACL | 12,980 | 12.8 |" in shown
    assert shown.count("| MIRACL | 106,332,152 | 64 |") == 2


def test_another_table_is_refused():
    with pytest.raises(MarkerError, match="expected one of faults, cost, plan"):
        render("{{ cluster:price }}")
