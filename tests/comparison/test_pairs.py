"""Pairs of systems, an example worked by hand, the letters of groups, and what is said of them."""

import json

import numpy as np
import pytest
from scipy.stats import ttest_rel

from hybridir_mteb.comparison.pairs import by_question, compare, corrected, letters
from hybridir_mteb.comparison.plot import write_picture
from hybridir_mteb.comparison.present import as_json, as_latex, means, pairs, words

RNG = np.random.default_rng(0)
QUESTIONS = RNG.normal(0.5, 0.05, 60)
TABLES = {
    "low": (QUESTIONS + RNG.normal(-0.2, 0.02, 60))[None],
    "good": (QUESTIONS + RNG.normal(0, 0.02, 60))[None],
    "alike": (QUESTIONS + RNG.normal(0, 0.02, 60))[None],
}


def found(measure: str = "map") -> list:
    tables = {
        name: table * (100 if measure == "rank_distance" else 1) for name, table in TABLES.items()
    }
    return corrected([compare(("Task", measure), tables, 120, {"low": 4})])


def test_by_hand():
    """Differences 0.1, 0.2, 0.3: mean 0.2, error 0.1 / sqrt(3), t = 3.4641 with 2 degrees."""
    one, other = np.array([[0.5, 0.7, 0.6]]), np.array([[0.4, 0.5, 0.3]])
    (pair,) = corrected([compare(("Task", "map"), {"b": other, "a": one}, 3)])[0].pairs
    assert (pair.one, pair.other) == ("a", "b")
    assert pair.found.mean == pytest.approx(0.2)
    assert pair.found.error == pytest.approx(0.1 / 3**0.5)
    assert pair.found.p == pytest.approx(0.0742, abs=5e-5)
    assert pair.found.interval == pytest.approx((0.2 - 0.24841, 0.2 + 0.24841), abs=1e-5)
    assert pair.found.in_spreads(pair.found.mean) == pytest.approx(2)
    assert pair.p_holm == pair.found.p  # one test
    assert not pair.differ


def test_the_test_is_the_paired_one_and_the_better_comes_first():
    (one,) = found()
    assert list(one.means)[-1] == "low"
    for pair in one.pairs:
        reference = ttest_rel(TABLES[pair.one][0], TABLES[pair.other][0])
        assert pair.found.p == pytest.approx(reference.pvalue)
        assert pair.found.mean > 0
    smallest = min(one.pairs, key=lambda pair: pair.found.p)
    assert smallest.p_holm == pytest.approx(3 * smallest.found.p)
    assert one.letters["good"] == one.letters["alike"] == "a"
    assert one.letters["low"] == "b"


def test_less_is_better_of_ranks():
    (one,) = found("rank_distance")
    assert next(iter(one.means)) == "low"
    assert all(pair.found.mean < 0 for pair in one.pairs)


def test_the_correction_is_for_all_tests_of_a_command():
    both = [compare((task, "map"), TABLES, 60) for task in "AB"]
    alone, together = corrected(both[:1]), corrected(both)
    first = min(range(3), key=lambda at: alone[0].pairs[at].found.p)
    assert together[0].pairs[first].p_holm == pytest.approx(2 * alone[0].pairs[first].p_holm)
    assert together[0].pairs[0].visible > alone[0].pairs[0].visible


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (set(), ["a", "a", "a"]),
        ({(0, 2)}, ["a", "ab", "b"]),
        ({(0, 1), (0, 2), (1, 2)}, ["a", "b", "c"]),
        ({(0, 1), (0, 2)}, ["a", "b", "b"]),
        ({(0, 1)}, ["a", "b", "ab"]),
    ],
)
def test_letters_by_hand(apart, expected):
    assert letters(3, apart) == expected


def test_two_systems_share_a_letter_exactly_if_they_do_not_differ():
    for _ in range(50):
        apart = {(i, j) for j in range(7) for i in range(j) if RNG.uniform() < 0.5}
        shown = letters(7, apart)
        for j in range(7):
            for i in range(j):
                assert bool(set(shown[i]) & set(shown[j])) == ((i, j) not in apart)


def test_a_question_is_the_mean_over_its_translations():
    units = {("de", "1"): "x", ("en", "1"): "x", ("de", "2"): "y"}
    values = {("de", "1"): 0.2, ("en", "1"): 0.6, ("de", "2"): 1.0}
    assert by_question([values], units, list(units)).tolist() == [[0.4, 1.0]]


def test_tables_say_what_was_found():
    (one,) = found()
    best = next(iter(one.means))
    assert means(one).rows[0] == (best, "1", f"{100 * one.means[best]:.2f}", "a")
    row = pairs(one).rows[-1]
    assert row[0].endswith(" vs. low")
    assert row[1].startswith("+")
    assert row[4:6] == ("<0.001", "<0.001")
    text = " ".join(words([one]))
    assert "correction for 3 tests" in text
    assert "points could have been seen, in 80% of repetitions" in text
    assert "left out are of low 4" in text
    assert "there is one run" in text
    assert "ranks could have been seen" in " ".join(words(found("rank_distance")))


def test_json_holds_all_and_latex_can_be_set():
    one = found()
    written = json.loads(as_json(one))
    (task,) = written["comparisons"]
    assert [system["group"] for system in task["systems"]] == ["a", "a", "b"]
    assert task["pairs"][0]["difference"] == one[0].pairs[0].found.mean
    latex = as_latex(one)
    assert latex.count(r"\begin{tabular}") == 2
    assert r"95\% interval" in latex


def test_systems_without_any_difference_are_one_group():
    same = {"one": TABLES["good"], "two": TABLES["good"]}
    one = corrected([compare(("Task", "map"), same, 60)])
    assert one[0].letters == {"one": "a", "two": "a"}
    assert pairs(one[0]).rows[0][3] == "-"  # no effect size where nothing spreads
    json.loads(as_json(one))


def test_the_same_comparison_gives_the_same_picture(tmp_path):
    for name in ("a.svg", "b.svg", "a.png"):
        write_picture(found(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
