"""The table of sharding, from what ``fsdp_check`` writes."""

import json

import pytest
from markers import fsdp, render, results
from toys import REPOSITORY

MADE_BY = json.loads((REPOSITORY / "docs/results/pocketqa-r.json").read_text())["made_by"]
CHECKPOINT = {"adapters": 28, "frozen": 0, "bytes": {"trained.safetensors": 2_000_000}}
REPORT = {
    "made_by": MADE_BY,
    "backbone": "toy",
    "global_batch": 8,
    "steps": 3,
    "parameters": 270_000_000,
    "variants": {
        "GradCache": {
            "losses": {"one": [3.0, 2.0, 1.0], "sharded": [3.0, 2.0, 1.000002]},
            "largest_difference": 2e-6,
            "share": [0.5, 0.5],
        }
    },
    "killed": {"equal": True, "curves_equal": True, "checkpoint": CHECKPOINT},
}


@pytest.mark.parametrize("equal", [True, False])
def test_the_table_says_how_far_the_curves_are_apart_and_whether_a_killed_run_ends_alike(
    tmp_path, monkeypatch, equal
):
    for module in (fsdp, results):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    assert "make fsdp-check" in render("{{ fsdp }}")
    report = {**REPORT, "killed": {**REPORT["killed"], "curves_equal": equal}}
    (tmp_path / "fsdp.json").write_text(json.dumps(report))
    shown = render("{{ fsdp }}")
    assert "| GradCache | 3 | 1.000000 | 1.000002 | 2.0e-06 | 50 % and 50 % |" in shown
    assert ("gave the same encoder and curve" in shown) == equal
    assert "28 tensors of adapters and 0 of the frozen network, 2.0 MB" in shown


def test_the_committed_curves_are_one_in_float32_and_apart_by_rounding_in_bf16():
    found = json.loads((REPOSITORY / "docs/results/fsdp.json").read_text())
    variants = found["variants"]
    exact = [name for name in variants if name != "bf16"]
    assert {"whole batch", "GradCache"} <= set(exact)
    assert max(variants[name]["largest_difference"] for name in exact) < 1e-5
    curves = (variants[name]["losses"]["one"] for name in ("whole batch", "bf16"))
    rounding = max(abs(one - other) for one, other in zip(*curves, strict=True))
    assert variants["bf16"]["largest_difference"] < 2 * rounding
    assert found["killed"]["equal"]
    assert found["killed"]["curves_equal"]
    assert found["killed"]["checkpoint"]["frozen"] == 0
