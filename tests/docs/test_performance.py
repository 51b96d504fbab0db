"""Tables of speed: share of the peak, a training step, growth; from files that are made up."""

import json

import pytest
from markers import MarkerError, render, results
from toys import REPOSITORY

MADE_BY = json.loads((REPOSITORY / "docs/results/pocketqa-r.json").read_text())["made_by"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a results file."""
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return lambda name, content: (tmp_path / f"{name}.json").write_text(json.dumps(content))


@pytest.mark.parametrize(("share", "said"), [(0.85, "met"), (0.84, "**missed**")])
def test_each_way_of_encoding_stands_beside_the_peak_of_its_arithmetic(write, share, said):
    rates = {"sentence_transformers_batch_32": 3200, "ours_fp32": 5800, "ours_bf16": 3400}
    rates |= {"openvino_fp32": 6280, "openvino_bf16": 3660}
    shares = dict(zip(rates, (0.4, share, 0.7, 0.79, 0.75), strict=True))
    peaks = {"fp32": 340.2, "bf16": 189.0}
    part = {"tokens_per_second": rates, "share_of_peak": shares, "peak_gflops": peaks}
    write("bench", {"encode": {"made_by": MADE_BY, "limits": {"share_of_peak": 0.85}, **part}})
    table = render("{{ bench-ceiling }}")
    assert f"(goal 0.85: {said})" in table
    assert "| token budget, bf16 | 3,400 | 189 in bf16 | 0.70 |" in table
    assert f"| token budget, fp32 | 5,800 | 340 in fp32 | {share:.2f} |" in table


def way(name, seconds, times, gap):
    return {
        "says": name,
        "seconds_a_step": seconds,
        "times_as_fast": times,
        "share_of_peak": 0.5,
        "peak_mib_added_by_training": 1234,
        "largest_difference_of_losses": gap,
    }


def test_a_training_step_stands_beside_the_stock_trainers(write):
    ways = {"stock_fp32": way("stock", 6.0, 1.0, 0.0), "ours_fp32": way("ours", 2.0, 3.0, 0.00012)}
    report = {"made_by": MADE_BY, "ways": ways, "limits": {"times_as_fast": 3.0}}
    write("bench-training", report)
    table = render("{{ training-steps }}")
    assert "| stock | 6.00 | 1.00 | 0.50 | 1,234 |  |" in table
    assert "| ours | 2.00 | 3.00 | 0.50 | 1,234 | 0.0001 |" in table
    assert render("{{ training-goal }}").endswith("in fp32: met, with 3")
    ways["ours_fp32"]["times_as_fast"] = 2.9
    write("bench-training", report)
    assert render("{{ training-goal }}").endswith("**missed**, with 2.9")


def test_growth_has_a_row_for_each_size_and_exponents_behind_the_last(write):
    part = {"what": "texts", "sizes": [300, 3000], "seconds": [1.0, 10.0], "mib": [0.0, 12.0]}
    part |= {"exponent_of_time": 1.0, "exponent_of_memory": None, "made_by": MADE_BY}
    write("bench-growth", {"encode": part})
    table = render("{{ growth }}")
    assert "| encode | 300 texts | 1 | 0 |  |  |" in table
    assert "|  | 3,000 texts | 10 | 12 | 1.00 | – |" in table
    del part["seconds"]
    write("bench-growth", {"encode": part})
    with pytest.raises(MarkerError, match="'seconds'"):
        render("{{ growth }}")


def test_what_is_not_measured_is_named_with_its_target(write):
    for marker, target in (("growth", "bench-growth"), ("training-steps", "bench-training")):
        with pytest.raises(MarkerError, match=f"make {target} writes it"):
            render(f"{{{{ {marker} }}}}")
