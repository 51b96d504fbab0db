"""An option chosen on held-out lines: what is measured, what is chosen, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hybridir_mteb.debias.choice import EVERY, FEWEST, find_translations
from hybridir_mteb.debias.fit import fit
from hybridir_mteb.debias.fitted import FittedDebiaser
from hybridir_mteb.debias.methods import DEBIASERS
from hybridir_mteb.errors import PluginError, SettingError
from hybridir_mteb.files import tie_key
from hybridir_mteb.plugins.debias_specs import ROLES, Debiaser
from hybridir_mteb.ranking.arrays import FloatArray

METHOD = {debiaser.name: debiaser for debiaser in DEBIASERS}
CODES = ("de", "en", "fr")
TENTHS = [tenth / 10 for tenth in range(11)]
LINES = EVERY * FEWEST


def lines_of(seed: int, offset: float, n: int = LINES) -> dict[str, FloatArray]:
    """Each line has a meaning of its own, each language an offset of a length, and some noise."""
    rng = np.random.default_rng(seed)
    meaning = rng.standard_normal((n, 16))
    found = {}
    for code in CODES:
        direction = rng.standard_normal(16)
        moved = meaning + offset * direction / np.linalg.norm(direction)
        found[code] = moved + 0.5 * rng.standard_normal((n, 16))
    return found


def fitted(name: str, lines: dict[str, FloatArray], **options: Any) -> FittedDebiaser:
    parallel = len({len(matrix) for matrix in lines.values()}) == 1
    return fit(METHOD[name], dict.fromkeys(ROLES, lines), parallel=parallel, options=options)


def test_translations_are_searched_among_all_lines_but_the_query():
    """German a finds b' (0.8) before a' (0.6), and b likewise; English a' finds b', b, then a."""
    german = np.array([[1.0, 0.0], [0.0, 1.0]])
    english = np.array([[0.6, 0.8], [0.8, 0.6]])
    found, distance = find_translations([german, english], [german, english])
    assert found == pytest.approx((1 / 2 + 1 / 2 + 1 / 3 + 1 / 3) / 4)
    assert np.isnan(distance)  # of one translation


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_a_slow_computation(seed):
    queries, passages = (list(lines_of(seed + part, 2.0, 7).values()) for part in (0, 9))
    passages[1][3] = passages[1][4]  # equal scores are ordered by the hash of the place
    unit = [matrix / np.linalg.norm(matrix, axis=1, keepdims=True) for matrix in passages]
    precisions, distances = [], []
    for language, line in np.ndindex(3, 7):
        pool = [place for place in np.ndindex(3, 7) if place != (language, line)]
        score = {(c, at): unit[c][at] @ queries[language][line] for c, at in pool}
        score[1, 3] = score.get((1, 4), score.get((1, 3), 0.0))
        pool.sort(key=lambda p: (-score[p], tie_key(str(7 * p[0] + p[1]))))
        ranks = [rank for rank, (_, at) in enumerate(pool, 1) if at == line]
        precisions.append(np.mean([(found + 1) / rank for found, rank in enumerate(ranks)]))
        distances.append(ranks[-1] - ranks[0])
    expected = (np.mean(precisions), np.mean(distances))
    np.testing.assert_allclose(find_translations(queries, passages), expected)


@pytest.mark.parametrize("seed", range(3))
def test_languages_that_lie_apart_are_shifted_together(seed):
    lines = lines_of(seed, 6.0)
    shift = fitted("shift", lines, alpha="auto")
    choice = shift.choice
    assert choice is not None
    assert choice.value >= 0.8
    assert [score.value for score in choice.scores] == TENTHS
    best = max(choice.scores, key=lambda score: score.map)
    assert (best.value, best.map > choice.scores[0].map + 0.1) == (choice.value, True)
    assert best.rank_distance < choice.scores[0].rank_distance
    # The value given by hand does the same: it was fitted on all lines.
    same = fitted("shift", lines, alpha=choice.value)
    assert same.fingerprint == shift.fingerprint
    assert same.choice is None
    # And nothing in it depends on the run.
    assert fitted("shift", lines, alpha="auto").choice == choice


def test_nothing_is_shifted_if_that_hurts_lines_that_were_held_out():
    """Only the lines that statistics are estimated on lie apart, so held-out ones must tell."""
    lines = lines_of(0, 8.0)
    for code, matrix in lines_of(0, 0.0).items():
        lines[code][EVERY - 1 :: EVERY] = matrix[EVERY - 1 :: EVERY]
    choice = fitted("shift", lines, alpha="auto").choice
    assert choice is not None
    assert (choice.value, choice.lines, choice.held_out) == (0, LINES, FEWEST)
    assert choice.scores[0].map > choice.scores[-1].map + 0.1


def test_of_equally_good_values_the_smallest_is_taken():
    same = dict.fromkeys(CODES, lines_of(0, 0.0)["de"])
    choice = fitted("shift", same, alpha="auto").choice
    assert choice is not None
    assert len({score.map for score in choice.scores}) == 1
    assert choice.value == 0


def test_other_methods_choose_by_the_same_code():
    lines = lines_of(1, 6.0)
    found = fitted("lir", lines, k="auto")
    assert found.choice is not None
    assert [score.value for score in found.choice.scores] == [1, 2, 3, 5, 8]
    assert found.options == {"k": found.choice.value} == {"k": 1}  # one offset for each language
    assert fitted("lir", lines).choice is None


def test_the_choice_is_written_down():
    shift = fitted("shift", lines_of(0, 6.0), alpha="auto")
    assert shift.choice is not None
    said = shift.choice.as_dict()
    rows = said.pop("scores")
    assert said == {
        "option": "alpha",
        "value": shift.options.get("alpha", 1.0),
        "chosen_by": "map of translations",
        "held_out_every": EVERY,
        "held_out_lines": FEWEST,
        "refitted_on_lines": LINES,
    }
    assert rows[3]["value"] == 0.3
    assert rows[3]["map"] == pytest.approx(shift.choice.scores[3].map, abs=1e-6)


def test_a_choice_needs_enough_parallel_lines():
    short = lines_of(0, 1.0, LINES - 1)
    needed = f"so {LINES} lines of each language are needed; the text has {LINES - 1}"
    for name, option in (("shift", "alpha"), ("lir", "k")):
        with pytest.raises(SettingError, match=rf"{name}: {option}=auto is chosen.*{needed}"):
            fitted(name, short, **{option: "auto"})
    longer = lines_of(0, 1.0, LINES + 1)
    with pytest.raises(SettingError, match=r"k=auto .* needs line-parallel text.* such as k=1"):
        fitted("lir", {**longer, "fr": longer["fr"][1:]}, k="auto")
    for name, option in (("shift", "source"), ("centre", "alpha")):
        with pytest.raises(SettingError, match=option):
            fitted(name, longer, **{option: "auto"})
    two = replace(METHOD["lir"], options={"k": 1, "l": 1}, choices={"k": (1,), "l": (1,)})
    with pytest.raises(SettingError, match="lir: k and l are auto: one option at a time"):
        fit(two, dict.fromkeys(ROLES, longer), parallel=True, options={"k": "auto", "l": "auto"})


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"k": 1}, {"scale": "alpha"}),
        ({"k": 1}, {"choices": {"l": (1, 2)}}),
        ({"alpha": 0.5}, {"scale": "alpha"}),
        ({}, {"scale": "alpha"}),
    ],
)
def test_a_debiaser_whose_scale_or_choices_are_no_option_is_refused(options, more):
    parts = (lambda data, role: {}, lambda vectors, languages, tensors: vectors, options)
    with pytest.raises(PluginError, match=r"mine: scale and choices must name options .*1 by"):
        Debiaser("mine", "", "", *parts, **more)
