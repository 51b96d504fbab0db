"""The page on scores against parameters: its numbers are those of the room, and gaps are named."""

import json

import pytest
from markers import MarkerError, render
from markers.results import RESULTS
from markers.scaling import _held_out_effects, effects


def test_values_come_from_the_results():
    assert render("{{ scaling-score:mlqa-gap codefuse-ai/F2LLM-v2-80M }}") == "4.2"
    assert render("{{ scaling-score:miracl-hard codefuse-ai/F2LLM-v2-14B }}") == "64.9"
    laws = render("{{ scaling-laws:F2LLM-v2 }}")
    assert "| `miracl-hard` | 49.0 | 64.9 |" in laws
    assert "70B, extrapolated" in laws
    assert "GritLM/GritLM-8x7B | 58B |" in render("{{ scaling-large }}")
    assert "Qwen/Qwen3-Embedding-8B | XQuADRetrieval | 1 |" in render("{{ scaling-broken }}")


def test_effects_are_there_for_what_was_compared():
    lines = effects().splitlines()
    rows = [line.split(" | ") for line in lines[2:] if line.startswith("|")]
    assert {row[0].strip("| `") for row in rows} == {"muse", "pocket", "gemma3-270m"}
    assert all(len(row) == 7 for row in rows)
    apart = {row[0].strip("| `") for row in rows if row[2].endswith("*")}
    notes = [line for line in lines if line.startswith("\\* ")]
    assert all(any(f"`{name}`" in note and "one seed" in note for note in notes) for name in apart)
    assert len(notes) == len(apart)


def test_what_was_only_held_out_is_a_difference_of_one_seed():
    found, questions = _held_out_effects("gemma3-270m")
    methods = json.loads((RESULTS / "compare-data.json").read_text())["gemma3-270m"]["methods"]
    ours, mono = (methods[name]["all"]["scores"]["all"] for name in ("hybrid", "mono"))
    assert found["mono"][0] == f"{100 * (ours['mono_map'] - mono['mono_map']):+.1f}"
    assert found["mono"][3] == f"{ours['rank_distance'] - mono['rank_distance']:+.0f}"
    assert questions == ours["questions"]


@pytest.mark.parametrize(
    "marker",
    [
        "scaling-laws:nobody",
        "scaling-value:mlqa-cross nobody law.a",
        "scaling-value:mlqa-cross F2LLM-v2 law.z",
        "scaling-score:mlqa-cross me/nobody",
        "scaling-gaps:nothing",
    ],
)
def test_what_is_not_there_is_an_error(marker):
    with pytest.raises(MarkerError, match=r"scaling\.json has no"):
        render(f"{{{{ {marker} }}}}")
