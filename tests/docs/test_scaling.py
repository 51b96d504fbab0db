"""The page on scores against parameters: its numbers are those of the room, and gaps are named."""

import pytest
from markers import MarkerError, render
from markers.scaling import effects


def test_values_come_from_the_results():
    assert render("{{ scaling-score:mlqa-gap codefuse-ai/F2LLM-v2-80M }}") == "4.2"
    assert render("{{ scaling-score:miracl-hard codefuse-ai/F2LLM-v2-14B }}") == "64.9"
    laws = render("{{ scaling-laws:F2LLM-v2 }}")
    assert "| `miracl-hard` | 49.0 | 64.9 |" in laws
    assert "70B, extrapolated" in laws
    assert "GritLM/GritLM-8x7B | 58B |" in render("{{ scaling-large }}")
    assert "Qwen/Qwen3-Embedding-8B | XQuADRetrieval | 1 |" in render("{{ scaling-broken }}")


def test_effects_are_there_for_what_was_compared():
    rows = [line.split(" | ") for line in effects().splitlines()[2:]]
    assert {row[0].strip("| `") for row in rows} == {"muse", "pocket", "gemma3-270m"}
    assert all(len(row) == 7 for row in rows)


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
