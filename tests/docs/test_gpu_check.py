"""What one GPU takes: every part runs on toy shapes, and one that fails stops no other."""

import json
import time

import gpu_check
import gpu_models
import gpu_parts
import pytest
import torch
from markers import gpu, render, results
from provenance import provenance


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    output = tmp_path_factory.mktemp("report") / "gpu-check.json"
    about = {"made_by": provenance("make gpu-check"), "predicted": gpu_parts.predicted()}
    gpu_check.check(gpu_parts.PARTS, gpu_parts.REHEARSAL, about, output)
    return json.loads(output.read_text())


@pytest.mark.slow
def test_every_part_of_the_rehearsal_measures_something(report):
    parts = report["parts"]
    assert parts.keys() == gpu_parts.PARTS.keys()
    assert not [part["error"] for part in parts.values() if "error" in part]
    toy = parts["lora-7b"]["parameters"]
    assert parts["qlora-70b"]["parameters"] == toy > 20_000  # packed ones count whole
    assert len(parts["qlora-70b"]["seconds_of_steps"]) == gpu_parts.REHEARSAL.large.steps
    assert parts["encode-7b"]["texts"] == gpu_parts.REHEARSAL.encoded
    for precision in ("fp32", "bf16"):
        found = parts["search"][precision]
        assert found["ranks_as_on_the_cpu"] == found["ranks"] == found["queries"]
        assert set(found["queries_with_the_same_top"].values()) == {found["queries"]}


@pytest.mark.slow
def test_a_page_says_what_was_measured_or_that_no_gpu_was_at_hand(report, tmp_path, monkeypatch):
    for module in (results, gpu):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    (tmp_path / "gpu-rehearsal.json").write_text(json.dumps(report))
    page = render("{{ gpu-check }}")
    assert page.startswith('!!! warning "Not run on a GPU"')
    assert f"{report['parts']['qlora-70b']['parameters']:,} numbers" in page
    report["parts"]["lora-7b"] = {"error": "OutOfMemoryError: a | b", "seconds_in_all": 1.0}
    card = {"name": "a GPU", "memory_gb": 85.0, "driver": "1.2"}
    report["made_by"]["machine"]["card"] = card
    (tmp_path / "gpu-check.json").write_text(json.dumps(report))
    page = render("{{ gpu-check }}")
    assert "Not run" not in page
    assert "a GPU, 85.0 GB, driver 1.2" in page
    assert "| failed: OutOfMemoryError: a / b |" in page


def test_a_part_that_fails_or_takes_too_long_stops_no_other(tmp_path):
    def fails(sizes, deadline):
        raise ValueError("too\nlarge")

    def sleeps(sizes, deadline):
        time.sleep(30)

    def works(sizes, deadline):
        assert deadline > time.monotonic()
        return {"found": sizes}

    parts = {"fails": (fails, 5), "sleeps": (sleeps, 1), "works": (works, 5)}
    found = gpu_check.check(parts, 7, {}, tmp_path / "out.json")["parts"]
    assert found["fails"]["error"] == "ValueError: too large"
    assert found["sleeps"]["error"] == "TimeoutError: took longer than 1 s"
    assert found["works"]["found"] == 7
    assert json.loads((tmp_path / "out.json").read_text())["parts"] == found
    assert sum(seconds for _, seconds in gpu_parts.PARTS.values()) < 9 * 60


def test_the_planner_says_that_both_fit():
    of_7b, of_70b = gpu_parts.predicted().values()
    assert 15 < of_7b["peak_gb"] < 40 < of_70b["peak_gb"] < 80  # 14 and 37 GB of them weights
    assert 0 < of_7b["seconds_a_step"] < of_70b["seconds_a_step"]


def test_the_largest_network_that_fits_is_measured(monkeypatch):
    layers = []

    def train(asked, device, deadline):
        layers.append(asked.shape.layers)
        if asked.shape.layers > 50:
            raise torch.OutOfMemoryError
        return {"parameters": asked.shape.layers}

    monkeypatch.setattr(gpu_parts, "train", train)
    found = gpu_parts.train_large(gpu_parts.REAL, 0.0)
    assert found == {"parameters": 45, "layers_that_did_not_fit": [80, 60]}
    assert layers == [80, 60, 45]


def test_networks_have_the_sizes_that_they_are_called_after():
    for shape, size in ((gpu_models.SHAPE_7B, 7.1e9), (gpu_models.SHAPE_70B, 69.5e9)):
        with torch.device("meta"):
            made = gpu_models.AutoModel.from_config(shape.config())
        assert sum(p.numel() for p in made.parameters()) == pytest.approx(size, rel=0.01)
    made = gpu_models.network(gpu_models.TOY, "cpu", four_bit=True)
    kinds = {p.dtype for p in made.parameters()}
    assert kinds == {torch.bfloat16, torch.uint8}
    assert all(b.device.type == "cpu" for b in made.buffers())
