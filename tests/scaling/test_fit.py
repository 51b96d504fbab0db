"""Laws: recovered where they are known, the same as SciPy finds, honest where they cannot be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from hybridir_mteb.errors import SettingError
from hybridir_mteb.scaling.fit import Fitted, held_out, line

SIZES = np.array([0.03, 0.08, 0.16, 0.33, 0.6, 1.7, 4.0, 8.0, 14.0]) * 1e9


def law(sizes, a, b, c):
    return a - b * (np.asarray(sizes) / 1e9) ** -c


def noisy(seed, sizes=SIZES):
    return law(sizes, 70, 10, 0.4) + np.random.default_rng(seed).normal(0, 0.5, len(sizes))


def test_a_known_law_is_found_exactly_without_noise():
    found = Fitted(SIZES, law(SIZES, 70, 10, 0.4)).law(70e9)
    assert (found.a, found.b, found.c) == pytest.approx((70, 10, 0.4), rel=5e-3)
    assert found.residual < 0.01
    assert found.there == pytest.approx(law([70e9], 70, 10, 0.4)[0], abs=0.02)


def test_a_known_law_lies_within_its_interval_as_often_as_promised():
    truth, held = law([70e9], 70, 10, 0.4)[0], {"there": 0, "c": 0}
    for seed in range(20):
        found = Fitted(SIZES, noisy(seed)).law(70e9)
        held["there"] += found.there_interval[0] <= truth <= found.there_interval[1]
        held["c"] += found.c_interval[0] <= 0.4 <= found.c_interval[1]
        assert found.there_interval[0] < found.there < found.there_interval[1]
    assert min(held.values()) >= 15


@pytest.mark.parametrize("seed", range(3))
def test_the_search_finds_what_scipy_finds(seed):
    scores = noisy(seed)
    known = least_squares(
        lambda p: law(SIZES, *p) - scores, (70, 10, 0.4), bounds=((0, -200, 0.02), (100, 200, 3))
    )
    found = Fitted(SIZES, scores)
    assert found.best == pytest.approx(known.x, rel=5e-3)
    assert found.residual == pytest.approx(np.sqrt(2 * known.cost / len(SIZES)), rel=1e-3)


@settings(max_examples=15)
@given(st.floats(-30, 90), st.floats(-30, 30).filter(lambda b: abs(b) > 0.1), st.floats(0.05, 2))
def test_no_law_levels_off_above_a_hundred_percent_and_intervals_are_ordered(a, b, c):
    found = Fitted(SIZES, law(SIZES, a, b, c)).law(70e9)
    assert found.a <= 100
    for low, high in (found.a_interval, found.c_interval, found.there_interval):
        assert low <= high


def test_what_levels_off_is_told_from_what_does_not():
    levels_off = law(SIZES, 70, 10, 0.4)
    goes_on = 50 + 8 * np.log10(SIZES / 1e9)
    for scores, better in ((levels_off, "law"), (goes_on, "line")):
        found = held_out(SIZES, scores, 1 / 8)
        assert abs(getattr(found, better)) < 0.1
    assert held_out(SIZES, levels_off).line > 2  # a line promises too much


def test_the_largest_model_is_not_seen():
    scores = law(SIZES, 70, 10, 0.4)
    spoilt = scores.copy()
    spoilt[-1] -= 20
    before, after = held_out(SIZES, scores), held_out(SIZES, spoilt)
    assert (after.seen, after.largest_seen) == (8, 8e9)
    assert after.law - before.law == pytest.approx(20)
    assert after.line - before.line == pytest.approx(20)


def test_too_few_sizes_give_no_law():
    with pytest.raises(SettingError, match="at least 5 sizes, got 4"):
        Fitted([1e9, 2e9, 3e9, 4e9, 4e9], [1, 2, 3, 4, 4])
    with pytest.raises(SettingError, match="sizes above 0"):
        line([0, 1e9, 2e9], [1, 2, 3], 70e9)
    assert held_out([1e9, 2e9, 3e9], [1, 2, 3]) is None
    assert held_out([], []) is None
