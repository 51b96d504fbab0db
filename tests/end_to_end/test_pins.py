"""What users see stays as it is pinned: numbers, files, keys of caches, help texts.

Everything goes through commands, public names and files. ``write_pins.py`` beside this file writes
the pins anew. The network's floats depend on the processor: ``pins/probe.txt`` holds a digest of
embeddings, and where the running machine's is another, floats may differ a little
(``pin_compare.py``). What the made-up encoder computes is the same everywhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from end_to_end.pin_compare import (
    NETWORK,
    PINS,
    SUMS,
    differences,
    same_processor,
    unlike_pins,
)
from end_to_end.pin_runs import GROUPS, NEEDS_NETWORK_FLOATS, Runs

SHOWN = 20


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    mirror = os.environ.get("HYBRIDIR_DATA_DIR")
    folder = tmp_path_factory.mktemp("pins")
    return Runs(folder, Path(mirror).resolve() if mirror else None)


@pytest.fixture(scope="module")
def same_floats(runs: Runs, pocket_weights: None) -> bool:
    return same_processor(runs.probe())


# What the two encoders of the package give is compared in test_end_to_end.py, where one is encoded.
@pytest.mark.slow
@pytest.mark.parametrize("group", [group for group in GROUPS if group != "pocket"])
def test_nothing_changes_for_users(
    group: str, runs: Runs, same_floats: bool, request: pytest.FixtureRequest
) -> None:
    if group == "miracl":
        request.getfixturevalue("data_dir")
    if group == "beir":
        pytest.importorskip("beir")
    elsewhere = NETWORK if group in NEEDS_NETWORK_FLOATS else SUMS
    lines = unlike_pins(group, GROUPS[group](runs), None if same_floats else elsewhere)
    assert not lines, f"{len(lines)} differences\n" + "\n".join(lines[:SHOWN])


@pytest.mark.slow
def test_embeddings_and_shards_of_earlier_releases_are_found(runs: Runs) -> None:
    assert runs.encoded_anew(PINS / "cache") == []


PIN = {"map": 0.504586, "n": 3, "revision": "abc", "key:bits": "00ff", "text": "map 50.46 of x"}


@pytest.mark.parametrize(
    "change",
    [
        {"map": 0.504587},
        {"n": 4},
        {"n": 3.0},
        {"revision": "abd"},
        {"key:bits": "00fe"},
        {"text": "map 50.47 of x"},
        {"more": 1},
    ],
)
def test_a_changed_digit_is_seen_on_the_same_processor(change: dict[str, Any]) -> None:
    assert differences({"a": [PIN]}, {"a": [PIN]}) == []
    assert len(differences({"a": [PIN]}, {"a": [{**PIN, **change}]})) == 1


def test_another_processor_may_differ_in_floats_alone() -> None:
    near = {**PIN, "map": 0.5052, "key:bits": "00fe", "text": "map 50.51 of x"}
    assert differences(PIN, near, NETWORK) == []
    for change in ({"map": 0.52}, {"n": 4}, {"revision": "x"}, {"key:bits": ""}, {"text": "50"}):
        assert len(differences(PIN, {**near, **change}, NETWORK)) == 1
    assert differences(PIN, dict(reversed(PIN.items())), NETWORK) == [
        ": gone [], new [], order differs"
    ]
