"""Scorers against naive arithmetic, and what they refuse."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.ranking.arrays import Relevance, Similarity, check_embeddings
from hybridir_mteb.ranking.exact import exact_ranks
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.scorers import DenseScorer, FunctionScorer, RunScorer


def random_vectors(n: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dimension)).astype(np.float32)


def naive(queries: np.ndarray, passages: np.ndarray, similarity: Similarity) -> np.ndarray:
    scores = np.empty((len(queries), len(passages)))
    for i, query in enumerate(queries.astype(np.float64)):
        for j, passage in enumerate(passages.astype(np.float64)):
            scores[i, j] = sum(a * b for a, b in zip(query, passage, strict=True))
            if similarity is Similarity.COSINE:
                scores[i, j] /= np.sqrt(sum(query**2)) * np.sqrt(sum(passage**2))
    return scores


# Dense -------------------------------------------------------------------------------------------


def test_scores_worked_by_hand():
    queries = np.array([[3.0, 4.0]], np.float32)
    passages = np.array([[1.0, 0.0], [0.0, 2.0], [-6.0, -8.0]], np.float32)
    cosine = DenseScorer(queries, passages, device="cpu")
    dot = DenseScorer(queries, passages, similarity=Similarity.DOT, device="cpu")
    np.testing.assert_allclose(cosine.block(0, 1), [[0.6, 0.8, -1.0]], atol=1e-15)
    assert dot.block(0, 1).tolist() == [[3.0, 8.0, -50.0]]


@pytest.mark.parametrize("similarity", list(Similarity))
def test_scores_equal_the_naive_loop(similarity):
    queries, passages = random_vectors(5, 8, 1), random_vectors(9, 8, 2)
    columns = np.array([3, 3, 0, 8, 1])
    scorer = DenseScorer(queries, passages, columns, similarity=similarity, device="cpu")
    assert (scorer.n_queries, scorer.n_passages) == (5, 5)
    expected = naive(queries, passages, similarity)[:, columns]
    np.testing.assert_allclose(scorer.block(0, 5), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scorer.block(2, 4), expected[2:4], rtol=0, atol=1e-12)
    assert scorer.block(0, 5).dtype == np.float64


def test_without_columns_each_passage_is_a_candidate():
    queries, passages = random_vectors(2, 4, 1), random_vectors(3, 4, 2)
    plain = DenseScorer(queries, passages, device="cpu")
    listed = DenseScorer(queries, passages, np.arange(3), device="cpu")
    assert plain.n_passages == listed.n_passages == 3
    assert np.array_equal(plain.block(0, 2), listed.block(0, 2))


def test_a_proper_prefix_of_the_passages_is_a_smaller_pool():
    scorer = DenseScorer(random_vectors(2, 4, 1), random_vectors(3, 4, 2), np.arange(2))
    assert scorer.n_passages == 2
    assert scorer.block(0, 2).shape == (2, 2)


@pytest.mark.parametrize("similarity", list(Similarity))
@pytest.mark.parametrize("n_distinct", [2, 7, 33, 130])
def test_repeated_texts_score_equal_to_the_bit(similarity, n_distinct):
    columns = np.random.default_rng(0).integers(0, n_distinct, 300)
    scorer = DenseScorer(
        random_vectors(6, 48, 1),
        random_vectors(n_distinct, 48, 2),
        columns,
        similarity=similarity,
        device="cpu",
    )
    scores = scorer.block(0, 6)
    for row in range(n_distinct):
        copies = scores[:, columns == row]
        assert (copies == copies[:, :1]).all()


def test_inputs_are_not_changed():
    queries, passages = random_vectors(2, 4, 1).astype(np.float64), random_vectors(3, 4, 2)
    before = queries.copy(), passages.copy()
    DenseScorer(queries, passages, device="cpu").block(0, 2)
    np.testing.assert_array_equal(queries, before[0])
    np.testing.assert_array_equal(passages, before[1])


# Refused embeddings ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_names_the_embedding(value):
    vectors = np.zeros((4, 3), np.float32)
    vectors[2, 1] = vectors[3, 0] = value
    with pytest.raises(EmbeddingError, match=r"passage number 2 .*; 2 of 4"):
        check_embeddings(vectors, "passage")


def test_a_wrong_dimension_names_both():
    with pytest.raises(EmbeddingError, match=re.escape("query have shape (2, 3), expected (n, 4)")):
        check_embeddings(np.zeros((2, 3)), "query", 4)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_anything_but_a_matrix_is_refused(shape):
    with pytest.raises(EmbeddingError, match=re.escape(f"text have shape {shape}")):
        check_embeddings(np.zeros(shape), "text")


@pytest.mark.parametrize("value", [0.0, 1.0, np.finfo(np.float32).max])
@pytest.mark.parametrize("dimension", [3, None])
def test_sound_embeddings_pass_and_one_value_spoils_them(value, dimension):
    for n in (0, 2):
        vectors = np.full((n, 3), value, np.float32)
        check_embeddings(vectors, "query", dimension)
        assert (vectors == np.float32(value)).all()
        spoilt = np.concatenate([vectors, [[value, np.nan, value]]])
        with pytest.raises(EmbeddingError, match=rf"query number {n} .*; 1 of {n + 1}"):
            check_embeddings(spoilt, "query", dimension)


@pytest.mark.parametrize("broken", ["query", "passage"])
@pytest.mark.parametrize("fault", ["nan", "one-dimensional"])
def test_the_dense_scorer_says_which_side_is_broken(broken, fault):
    sides = {"query": random_vectors(2, 4, 1), "passage": random_vectors(3, 4, 2)}
    if fault == "nan":
        sides[broken][1, 1] = np.nan
    else:
        sides[broken] = sides[broken][0]
    with pytest.raises(EmbeddingError, match=rf"of {broken}\b"):
        DenseScorer(sides["query"], sides["passage"])


def test_the_dense_scorer_refuses_two_dimensions():
    with pytest.raises(EmbeddingError, match=re.escape("passage have shape (3, 5)")):
        DenseScorer(random_vectors(2, 4, 1), random_vectors(3, 5, 2))


# A model's own similarity ------------------------------------------------------------------------


def test_the_models_function_scores_blocks():
    queries = np.array([[0.0], [5.0], [9.0]], np.float32)
    passages = np.array([[1.0], [7.0]], np.float32)
    columns = np.array([1, 0, 1])
    scorer = FunctionScorer(queries, passages, columns, lambda q, p: -np.abs(q - p.T))
    assert (scorer.n_queries, scorer.n_passages) == (3, 3)
    assert scorer.block(1, 3).tolist() == [[-2.0, -4.0, -2.0], [-2.0, -8.0, -2.0]]
    assert scorer.block(1, 3).dtype == np.float64


def test_the_models_function_may_return_a_half_precision_tensor():
    queries, passages = random_vectors(2, 4, 1), random_vectors(3, 4, 2)
    scorer = FunctionScorer(
        queries, passages, np.arange(3), lambda q, p: torch.from_numpy(q @ p.T).bfloat16()
    )
    assert scorer.block(0, 2).dtype == np.float64
    np.testing.assert_allclose(scorer.block(0, 2), queries @ passages.T, rtol=1e-2)


@pytest.mark.parametrize("shape", [(3, 2), (2,), (2, 4), (2, 3, 1)])
def test_a_function_that_returns_another_shape_is_refused(shape):
    scorer = FunctionScorer(
        random_vectors(2, 4, 1), random_vectors(3, 4, 2), np.arange(3), lambda q, p: np.zeros(shape)
    )
    with pytest.raises(EmbeddingError, match=re.escape(f"shape {shape}, expected {(2, 3)}")):
        scorer.block(0, 2)


# A finished search -------------------------------------------------------------------------------


def test_returned_passages_keep_their_scores_and_the_others_come_last():
    scorer = RunScorer({"q1": {"p2": 0.5, "p0": -3.0}}, ["q1"], ["p0", "p1", "p2", "p3"])
    assert (scorer.n_queries, scorer.n_passages) == (1, 4)
    scores = scorer.block(0, 1)[0].tolist()
    assert (scores[0], scores[2]) == (-3.0, 0.5)
    assert scores[1] == scores[3] < -3.0


SCORES = st.floats(-1e300, 1e300)


@settings(deadline=None)
@given(st.lists(SCORES, min_size=1, max_size=6), st.integers(1, 4))
def test_missing_passages_always_rank_last(found, missing):
    passages = [f"p{at}" for at in range(len(found) + missing)]
    scorer = RunScorer({"q": dict(zip(passages, found, strict=False))}, ["q"], passages)
    scores = scorer.block(0, 1)[0]
    assert np.isfinite(scores).all()
    assert scores[: len(found)].tolist() == found
    assert scores[len(found) :].max() < min(found)


def test_ranks_of_a_run_with_a_missing_passage_worked_by_hand():
    scorer = RunScorer({"q": {"b": 2.0, "c": -1.0}}, ["q"], ["a", "b", "c"])
    ranks = exact_ranks(scorer, Relevance.from_lists([[0, 1, 2]]), tie_order(["a", "b", "c"]))
    assert ranks.tolist() == [3, 1, 2]


@pytest.mark.parametrize("run", [{}, {"q": {}}], ids=["query unknown", "nothing found"])
def test_a_query_without_results_leaves_all_passages_tied(run):
    passages = ["a", "b", "c"]
    scorer = RunScorer(run, ["q"], passages)
    assert len(set(scorer.block(0, 1)[0].tolist())) == 1
    order = tie_order(passages)
    ranks = exact_ranks(scorer, Relevance.from_lists([[0, 1, 2]]), order)
    assert ranks.tolist() == (order + 1).tolist()


def test_blocks_of_a_run_are_rows_of_the_whole():
    run = {"q0": {"a": 1.0}, "q1": {"b": 2.0}, "q2": {"a": 0.5, "b": 3.0}}
    scorer = RunScorer(run, ["q0", "q1", "q2"], ["a", "b"])
    assert np.array_equal(scorer.block(0, 3)[1:], scorer.block(1, 3))


def test_a_passage_outside_the_pool_is_named():
    with pytest.raises(EmbeddingError, match="'p9', not in the pool"):
        RunScorer({"q": {"p9": 1.0}}, ["q"], ["p0"]).block(0, 1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None, "high"])
def test_a_score_that_is_not_finite_names_query_and_passage(value):
    with pytest.raises(EmbeddingError, match=f"the score of 'p0' is {value!r}, no finite number"):
        RunScorer({"q7": {"p0": value}}, ["q7"], ["p0"]).block(0, 1)
