"""Measures: values worked by hand, bounds and invariances."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.measures.effectiveness import (
    EFFECTIVENESS,
    average_precision,
    ndcg,
    recall,
    reciprocal_rank,
)
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS, rank_distance, rank_distance_norm
from hybridir_mteb.measures.measure import RankTable, evaluate_measures
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.plugins.specs import Measure
from hybridir_mteb.ranking.arrays import Relevance


def table(*rows: list[int], pool: int = 100, gains: list[float] | None = None) -> RankTable:
    """Ranks by query, in any order."""
    relevance = Relevance.from_lists([list(range(len(row))) for row in rows])
    ranks = np.array([rank for row in rows for rank in row], np.int64)
    grades = None if gains is None else np.array(gains)
    return RankTable.build(relevance, ranks, pool, grades)


def test_average_precision_by_hand():
    # Ranks 2, 5, 10: (1/2 + 2/5 + 3/10) / 3 = 0.4
    assert average_precision(table([5, 10, 2])).tolist() == pytest.approx([0.4])


def test_reciprocal_rank_by_hand_and_its_cut_off():
    ranks = table([4, 9], [11], [])
    assert reciprocal_rank(ranks).tolist() == pytest.approx([1 / 4, 1 / 11, 0])
    assert reciprocal_rank(ranks, depth=10).tolist() == pytest.approx([1 / 4, 0, 0])


def test_ndcg_by_hand():
    # Ranks 1 and 3 of 3 relevant; the third is at 50.
    achieved = 1 / math.log2(2) + 1 / math.log2(4)
    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert ndcg(table([1, 3, 50]), 10).tolist() == pytest.approx([achieved / ideal])


def test_ndcg_with_grades_by_hand():
    # Grade 1 at rank 1, grade 3 at rank 2; ideal is the other way round.
    achieved = 1 / math.log2(2) + 3 / math.log2(3)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert ndcg(table([1, 2], gains=[1.0, 3.0]), 10).tolist() == pytest.approx([achieved / ideal])


def test_ndcg_with_more_relevant_passages_than_its_depth_can_reach_one():
    assert ndcg(table(list(range(1, 16))), 10).tolist() == pytest.approx([1.0])


def test_recall_by_hand():
    assert recall(table([1, 5, 6], []), 5).tolist() == pytest.approx([2 / 3, 0])


def test_rank_distance_by_hand():
    values = rank_distance(table([7, 2, 3], [4], []))
    assert values[0] == 5
    assert np.isnan(values[1:]).all()


def test_rank_distance_norm_is_zero_at_best_and_one_at_worst():
    assert rank_distance_norm(table([6, 7, 8], [1, 2, 20], pool=20)).tolist() == pytest.approx(
        [0, 1]
    )


def test_rank_distance_norm_is_undefined_where_the_pool_holds_nothing_else():
    assert np.isnan(rank_distance_norm(table([1, 2], pool=2))).all()


ranked_queries = st.lists(
    st.lists(st.integers(1, 60), unique=True, max_size=12), min_size=1, max_size=8
)


@given(ranked_queries)
def test_every_measure_keeps_its_bounds(rows):
    ranks = table(*rows, pool=60)
    for measure in EFFECTIVENESS:
        values = measure.compute(ranks)
        assert ((values >= 0) & (values <= 1 + 1e-12)).all(), measure.name
    norm = rank_distance_norm(ranks)
    defined = norm[~np.isnan(norm)]
    assert ((defined >= 0) & (defined <= 1)).all()


@given(ranked_queries, st.randoms())
def test_the_order_in_which_relevant_passages_are_given_does_not_matter(rows, random):
    shuffled = [random.sample(row, len(row)) for row in rows]
    for measure in (*EFFECTIVENESS, *LANGUAGE_BIAS):
        np.testing.assert_array_equal(
            measure.compute(table(*rows)), measure.compute(table(*shuffled)), measure.name
        )


@given(st.lists(st.integers(2, 60), unique=True, min_size=1, max_size=12))
def test_a_better_rank_never_lowers_effectiveness(row):
    better = sorted(row)
    free = next(rank for rank in range(1, 61) if rank not in better)
    improved = [min(free, better[0]), *better[1:]]
    for measure in EFFECTIVENESS:
        assert measure.compute(table(improved))[0] >= measure.compute(table(better))[0] - 1e-12


def test_bias_is_reported_in_the_multilingual_setting_only():
    ranks = table([1, 2])
    measures = (*EFFECTIVENESS, *LANGUAGE_BIAS)
    mono = evaluate_measures(measures, ranks, Setting.MONOLINGUAL)
    multi = evaluate_measures(measures, ranks, Setting.MULTILINGUAL)
    assert set(multi) - set(mono) == {measure.name for measure in LANGUAGE_BIAS}


def test_an_undefined_measure_is_none_and_undefined_queries_leave_its_mean():
    undefined = evaluate_measures(LANGUAGE_BIAS, table([]), Setting.MULTILINGUAL)
    assert undefined == {measure.name: None for measure in LANGUAGE_BIAS}
    both = evaluate_measures(LANGUAGE_BIAS, table([3], [1, 4]), Setting.MULTILINGUAL)
    assert both["rank_distance"] == 3


@pytest.mark.parametrize("name", ["main_score", "n_queries", "Success", "p@5", ""])
def test_a_name_that_result_files_cannot_hold_is_refused(name):
    with pytest.raises(ValueError, match="use lower-case letters"):
        Measure(name, lambda ranks: ranks.counts * 1.0, "")


def test_an_infinite_value_is_refused_because_it_is_no_json():
    broken = Measure("broken", lambda ranks: np.full(ranks.n_queries, np.inf), "")
    with pytest.raises(ValueError, match="measure broken returned an infinite value"):
        evaluate_measures([broken], table([1]), Setting.MONOLINGUAL)


def test_a_measure_of_the_wrong_shape_is_refused_by_name():
    broken = Measure("broken", lambda ranks: np.zeros(ranks.n_queries + 1), "")
    with pytest.raises(ValueError, match="measure broken returned shape"):
        evaluate_measures([broken], table([1]), Setting.MONOLINGUAL)
