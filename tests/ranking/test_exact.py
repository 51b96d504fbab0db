"""Exact ranks against a naive sort and against pytrec_eval."""

from unittest.mock import patch

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.measure import RankTable, evaluate_measures
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.ranking import exact
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.exact import exact_ranks, ranks_and_top
from hybridir_mteb.ranking.matrices import MatrixScorer
from hybridir_mteb.ranking.ranking import Ties, tie_order
from hybridir_mteb.ranking.scorers import DenseScorer


def naive_ranks(scores: np.ndarray, rows: list[list[int]], order: np.ndarray) -> list[int]:
    """Sort each query's passages by score, then by tie place, and look the relevant ones up."""
    found = []
    for row, relevant in zip(scores, rows, strict=True):
        ranking = sorted(range(len(row)), key=lambda at: (-row[at], order[at]))
        found += [ranking.index(at) + 1 for at in relevant]
    return found


@st.composite
def judged_scores(draw: st.DrawFn) -> tuple[np.ndarray, list[list[int]]]:
    """Scores from a few values, so that ties are common; any number of relevant passages."""
    n_queries, n_passages = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    scores = draw(
        hnp.arrays(
            np.float64,
            (n_queries, n_passages),
            elements=st.sampled_from([-1.0, 0.0, 0.5, 0.75, 1.0, 1.0 + 1e-9, 2.0]),
        )
    )
    rows = [
        draw(st.lists(st.integers(0, n_passages - 1), unique=True, max_size=n_passages))
        for _ in range(n_queries)
    ]
    return scores, rows


WAYS = st.sampled_from([0, exact.SMALL_POOL])  # query by query, and many together


@given(judged_scores(), st.integers(1, 2000), WAYS, st.integers(1, 40))
def test_ranks_equal_a_naive_sort_for_any_block_size(judged, block_bytes, small, compared):
    scores, rows = judged
    order = tie_order([f"p:{at}" for at in range(scores.shape[1])])
    relevance = Relevance.from_lists(rows)
    with patch.multiple(exact, SMALL_POOL=small, COMPARED=compared):
        ranks = exact_ranks(MatrixScorer(scores), relevance, order, block_bytes=block_bytes)
    assert ranks.tolist() == naive_ranks(scores, rows, order)


TREC_NAMES = {
    "map": "map",
    "mrr": "recip_rank",
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_1": "recall_1",
    "recall_at_5": "recall_5",
    "recall_at_10": "recall_10",
    "recall_at_20": "recall_20",
    "recall_at_100": "recall_100",
}


def trec_means(
    run: dict[str, dict[str, float]], qrels: dict[str, dict[str, int]]
) -> dict[str, float]:
    measures = {"map", "recip_rank", "ndcg_cut.10", "recall.1,5,10,20,100"}
    results = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    return {
        ours: float(np.mean([results[query][theirs] for query in qrels]))
        for ours, theirs in TREC_NAMES.items()
    }


def ours_means(
    scores: np.ndarray, rows: list[list[int]], order: np.ndarray, ties: Ties = Ties.HASH
) -> dict[str, float]:
    relevance = Relevance.from_lists(rows)
    ranks = exact_ranks(MatrixScorer(scores), relevance, order, ties=ties)
    table = RankTable.build(relevance, ranks, scores.shape[1])
    return evaluate_measures(EFFECTIVENESS, table, Setting.MONOLINGUAL)


def as_trec(
    scores: np.ndarray, rows: list[list[int]], ids: list[str]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    run = {f"q{i}": dict(zip(ids, row.tolist(), strict=True)) for i, row in enumerate(scores)}
    qrels = {
        f"q{i}": {identifier: int(at in relevant) for at, identifier in enumerate(ids)}
        for i, relevant in enumerate(rows)
    }
    return run, qrels


@given(judged_scores(), WAYS)
def test_with_trec_ties_every_measure_equals_pytrec_eval(judged, small):
    scores, rows = judged
    ids = [f"p:{'ab'[at % 2]}:{at}" for at in range(scores.shape[1])]
    expected = trec_means(*as_trec(scores, rows, ids))
    with patch.object(exact, "SMALL_POOL", small):
        found = ours_means(scores, rows, tie_order(ids, Ties.TREC_EVAL), Ties.TREC_EVAL)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@given(judged_scores())
def test_with_hash_ties_every_measure_equals_pytrec_eval_fed_the_negative_rank(judged):
    scores, rows = judged
    ids = [f"p:{at}" for at in range(scores.shape[1])]
    order = tie_order(ids)
    everything = [list(range(len(ids)))] * len(scores)
    ranks = exact_ranks(MatrixScorer(scores), Relevance.from_lists(everything), order)
    untied = -ranks.reshape(scores.shape).astype(np.float64)
    expected = trec_means(*as_trec(untied, rows, ids))
    found = ours_means(scores, rows, order)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(Similarity)))
def test_embeddings_give_the_same_ranks_whatever_the_block_size(seed, similarity):
    rng = np.random.default_rng(seed)
    queries = rng.standard_normal((37, 24)).astype(np.float32)
    distinct = rng.standard_normal((53, 24)).astype(np.float32)
    columns = rng.integers(0, 53, 90)  # many repeated texts
    relevance = Relevance.from_lists([rng.choice(90, 5, replace=False).tolist() for _ in range(37)])
    order = tie_order([f"p:{at}" for at in range(90)])
    scorer = DenseScorer(queries, distinct, columns, similarity=similarity, device="cpu")
    whole = exact_ranks(scorer, relevance, order)
    for rows in (1, 2, 7, 36, 37, 1000):
        ranks = exact_ranks(scorer, relevance, order, block_bytes=8 * 90 * rows)
        assert ranks.tolist() == whole.tolist()


def test_repeated_texts_are_ranked_by_the_hash_of_their_ids():
    ids = ["p:de:1", "p:de:2", "p:de:3"]
    order = tie_order(ids)
    scorer = DenseScorer(
        np.ones((1, 4), np.float32),
        np.ones((1, 4), np.float32),
        np.zeros(3, np.int64),
        device="cpu",
    )
    ranks = exact_ranks(scorer, Relevance.from_lists([[0, 1, 2]]), order)
    assert ranks.tolist() == (order + 1).tolist()
    assert sorted(ranks.tolist()) == [1, 2, 3]


def test_the_hash_order_is_pinned_because_published_scores_depend_on_it():
    ids = [f"p:{language}:{at}" for language in ("ar", "en", "zh") for at in range(3)]
    assert tie_order(ids).tolist() == PINNED_ORDER


# blake2b-64 of each id as a big-endian number, sorted; worked out apart from the package.
PINNED_ORDER = [0, 4, 5, 2, 6, 1, 8, 7, 3]


def test_the_hash_favours_no_language_where_the_id_would():
    ids = [f"p:{language}:{at}" for language in ("ar", "zh") for at in range(2000)]
    by_hash = tie_order(ids)
    by_id = tie_order(ids, Ties.TREC_EVAL)
    ahead = (by_hash[:2000] < by_hash[2000:]).mean()
    assert 0.45 < ahead < 0.55
    assert (by_id[:2000] > by_id[2000:]).all()


def test_a_hand_worked_tie():
    # Scores 0.9, 0.5, 0.5, 0.1; passage 1 comes before passage 2 in tie order.
    order = np.array([0, 1, 2, 3])
    ranks = exact_ranks(
        MatrixScorer(np.array([[0.9, 0.5, 0.5, 0.1]])), Relevance.from_lists([[1, 2, 3]]), order
    )
    assert ranks.tolist() == [2, 3, 4]


def test_top_passages_agree_with_the_ranks():
    scores = np.array([[0.5, 0.5, 0.9, 0.5], [0.0, 0.0, 0.0, 0.0]])
    order = tie_order([f"p:{at}" for at in range(4)])
    everything = Relevance.from_lists([[0, 1, 2, 3]] * 2)
    ranking = ranks_and_top(MatrixScorer(scores), everything, order, 3)
    ranks = exact_ranks(MatrixScorer(scores), everything, order)
    assert ranking.ranks.tolist() == ranks.tolist()
    for row, found in enumerate(ranks.reshape(2, 4)):
        assert ranking.top[row].tolist() == np.argsort(found)[:3].tolist()
    assert ranking.scores[0].tolist() == [0.9, 0.5, 0.5]


def test_top_passages_of_a_small_pool_are_the_whole_pool():
    scorer, nothing = MatrixScorer(np.zeros((1, 2))), Relevance.from_lists([[]])
    assert ranks_and_top(scorer, nothing, np.array([1, 0]), 10).top.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("shape", "relevant", "expected"), [((1, 1), [[0]], [1]), ((2, 3), [[], []], [])]
)
def test_the_smallest_pool_and_queries_without_relevant_passages(shape, relevant, expected):
    order = np.arange(shape[1])
    ranks = exact_ranks(MatrixScorer(np.zeros(shape)), Relevance.from_lists(relevant), order)
    assert ranks.tolist() == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_names_the_query(bad):
    scores = np.zeros((3, 2))
    scores[1, 1] = bad
    with pytest.raises(EmbeddingError, match="query 1"):
        exact_ranks(MatrixScorer(scores), Relevance.from_lists([[0]] * 3), np.arange(2))


@pytest.mark.parametrize(
    ("shape", "relevant", "message"),
    [
        ((1, 0), [[]], "pool of passages is empty"),
        ((2, 3), [[0]], "2 queries and 3 passages"),
        ((1, 3), [[3]], "outside the pool of 3"),
    ],
)
def test_sizes_that_do_not_fit_are_one_clear_error(shape, relevant, message):
    scorer, order = MatrixScorer(np.zeros(shape)), np.arange(shape[1])
    with pytest.raises(EmbeddingError, match=message):
        exact_ranks(scorer, Relevance.from_lists(relevant), order)


@given(judged_scores(), st.data())
def test_entries_of_queries_are_theirs_in_their_order(judged, data):
    _, rows = judged
    relevance = Relevance.from_lists(rows)
    queries = data.draw(st.lists(st.integers(0, len(rows) - 1)))
    entries = relevance.entries_of(np.array(queries, np.int64))
    assert relevance.passages[entries].tolist() == [one for at in queries for one in rows[at]]
