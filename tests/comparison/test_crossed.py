"""Differences over questions and seeds: by hand, against scipy and statsmodels, and error rates."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, ttest_1samp
from statsmodels.formula.api import mixedlm
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from hybridir_mteb.comparison.crossed import crossed, differences, holm


def table(seeds: int, questions: int, of_seed: float, of_question: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.7, (seeds, questions))
    return (
        0.3
        + rng.normal(0, of_seed, (seeds, 1))
        + rng.normal(0, of_question, (1, questions))
        + noise
    )


def test_seeds_and_questions_are_both_drawn_at_random():
    """Against the REML estimate of the mixed-effects model with both as crossed random effects."""
    differences = table(5, 20, 0.5, 1.0)
    rows = [(d, s, q, 1) for s, of in enumerate(differences) for q, d in enumerate(of)]
    frame = pd.DataFrame(rows, columns=["d", "seed", "question", "all"])
    components = {"seed": "0 + C(seed)", "question": "0 + C(question)"}
    model = mixedlm("d ~ 1", frame, groups="all", re_formula="0", vc_formula=components).fit()
    found = crossed(differences)
    assert found.mean == pytest.approx(differences.mean())
    assert found.error == pytest.approx(model.bse["Intercept"], rel=1e-4)
    assert found.spread**2 == pytest.approx(model.vcomp.sum() + model.scale, rel=1e-4)
    low, high = found.interval
    assert (low < 0 < high) == (found.p > 0.05)


def test_one_seed_is_the_paired_t_test():
    differences = table(1, 30, 0.0, 1.0)
    reference = ttest_1samp(differences[0], 0)
    found = crossed(differences)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.interval == pytest.approx(tuple(reference.confidence_interval(0.95)))


def test_by_hand():
    """Seeds (1, 3) and (2, 6): mean 3, mean squares 4 of seeds, 9 of questions, 1 of the rest."""
    found = crossed(np.array([[1.0, 3.0], [2.0, 6.0]]))
    assert found.mean == 3
    assert found.error == pytest.approx(((4 + 9 - 1) / 4) ** 0.5)
    assert found.freedom == pytest.approx(12**2 / (4**2 + 9**2 + 1**2))
    assert found.spread**2 == pytest.approx((4 - 1) / 2 + (9 - 1) / 2 + 1)


@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 1000))
def test_a_factor_without_variance_counts_for_nothing(seeds, questions, seed):
    """The error is never smaller than that of as many independent differences."""
    differences = np.random.default_rng(seed).normal(1, 1, (seeds, questions))
    found = crossed(differences)
    assert found.error >= 0.999 * found.spread / (seeds * questions) ** 0.5
    assert 0 < found.freedom < seeds * questions
    assert 0 <= found.p <= 1
    assert crossed(-differences).p == pytest.approx(found.p)


def test_constant_differences_have_no_error():
    assert crossed(np.ones((3, 4))).p == 0
    assert crossed(np.zeros((3, 4))).p == 1


@pytest.mark.slow
def test_holms_correction_is_that_of_statsmodels():
    rng = np.random.default_rng(0)
    for n in (1, 2, 7, 30):
        p = rng.uniform(size=n) ** 3
        assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.parametrize(("questions", "tests"), [(3, 1), (20, 1), (200, 15)])
def test_what_could_be_seen_is_what_the_power_of_the_t_test_says(questions, tests):
    found = crossed(table(1, questions, 0.0, 1.0))
    exact = TTestPower().solve_power(nobs=questions, alpha=0.05 / tests, power=0.8)
    assert found.visible(tests) == pytest.approx(exact * found.spread, rel=1e-3)


def test_of_many_questions_what_could_be_seen_is_as_if_normal():
    found = crossed(table(1, 9000, 0.0, 1.0))
    reach = norm.isf(0.025 / 500) + norm.ppf(0.8)  # where statsmodels gives up
    assert found.visible(500) == pytest.approx(reach * found.error, rel=2e-3)


def test_seeds_are_paired_by_place_and_one_stands_against_all():
    one, two = np.arange(6.0).reshape(3, 2), np.ones((2, 2))
    assert differences(one, two).tolist() == [[-1, 0], [1, 2]]
    assert differences(one, two[:1]).shape == (3, 2)


@pytest.mark.parametrize("seeds", [1, 5])
def test_equal_systems_are_told_apart_as_seldom_as_the_level_says(seeds):
    """Questions and seeds differ much; of 400 comparisons 5 % may be wrong, and not twice that."""
    rng = np.random.default_rng(seeds)
    wrong = 0
    for _ in range(400):
        of_seeds = rng.normal(0, 0.1 if seeds > 1 else 0, (2, seeds, 1))
        questions = rng.normal(0, 1, (2, 1, 40))
        values = of_seeds + questions + rng.normal(0, 0.5, (2, seeds, 40))
        wrong += crossed(differences(*values)).p < 0.05
    assert 8 <= wrong <= 32
