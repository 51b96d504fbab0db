"""Language bias measures: hand-worked examples, bounds and invariances, scipy as reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, kruskal, spearmanr

from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.measures.bootstrap import mean_intervals
from hybridir_mteb.measures.language_bias import (
    LANGUAGE_BIAS,
    language_preference,
    language_preference_expected,
    same_language_share,
    top1,
)
from hybridir_mteb.measures.measure import RankTable, measure_values
from hybridir_mteb.measures.peer import Unretrieved, kruskal_wallis, peer
from hybridir_mteb.measures.probe import language_probe_accuracy, probe_by_language, relevant_items
from hybridir_mteb.measures.report import BiasReport, bias_report
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.correlation import (
    full_ranking,
    mean_rank_correlation,
    ranking_and_correlation,
)
from hybridir_mteb.ranking.exact import best_columns, ranks_and_top
from hybridir_mteb.ranking.matrices import MatrixScorer
from hybridir_mteb.ranking.ranking import tie_order

CODES = ("de", "en", "fr")


def table_of(
    scores: np.ndarray,
    relevant: list[list[int]],
    query_languages: list[int],
    passage_languages: list[int],
    *,
    codes: tuple[str, ...] = CODES,
) -> RankTable:
    relevance = Relevance.from_lists(relevant)
    order = tie_order([f"p{at}" for at in range(len(passage_languages))])
    found = ranks_and_top(MatrixScorer(scores), relevance, order, 100)
    spoken = np.array(passage_languages)
    view = LanguageView(
        codes,
        np.array(query_languages),
        spoken[relevance.passages],
        np.bincount(spoken, minlength=len(codes)),
        spoken[found.top],
    )
    return RankTable.build(relevance, found.ranks, len(passage_languages), languages=view)


def ranking(*passages: int) -> np.ndarray:
    """Scores of one query that rank the passages in this order."""
    scores = np.empty((1, len(passages)))
    scores[0, list(passages)] = -np.arange(len(passages))
    return scores


# Six passages: de, de, en, en, fr, fr; a German query whose answers are 0 (de), 2 (en), 4 (fr),
# ranked fr0 de* de' en* fr* en': the answers have the ranks 2, 4 and 5.
HAND = table_of(ranking(5, 0, 1, 2, 4, 3), [[0, 2, 4]], [0], [0, 0, 1, 1, 2, 2])


def test_the_worked_example_by_hand():
    assert language_preference(HAND).tolist() == [1.0]  # German at rank 2 is first of the answers
    assert language_preference_expected(HAND) == pytest.approx([1 / 3])
    shares = [top1(HAND, relevant=r, same=s)[0] for r in (True, False) for s in (True, False)]
    assert shares == [0, 0, 0, 1]  # the first passage is French and no answer
    # Two of the top 3 are German, a third of the pool is.
    assert same_language_share(HAND, 3) == pytest.approx([(2 / 3) / (2 / 6)])
    # One answer in each language: H = n - 1 = 2 whatever the order, p = exp(-1).
    assert peer(HAND, 20) == pytest.approx([np.exp(-1)])


def test_peer_by_hand():
    # Answers at ranks 1, 2 (de) and 3, 4 (en): means 1.5 and 3.5 of a mean of 2.5; between
    # 2 * 1 + 2 * 1 = 4, within 5, H = 3 * 4 / 5 = 2.4 with one degree of freedom.
    scored = table_of(ranking(0, 1, 2, 3), [[0, 1, 2, 3]], [0], [0, 0, 1, 1])
    assert peer(scored, 20) == pytest.approx([0.121335], abs=1e-6)
    one_language = table_of(ranking(0, 1, 2, 3), [[0, 1]], [0], [0, 0, 1, 1])
    assert peer(one_language, 20).tolist() == [1.0]
    nothing_found = table_of(ranking(2, 3, 0, 1), [[0, 1]], [0], [0, 1, 1, 1])
    assert peer(nothing_found, 2).tolist() == [1.0]
    nothing_relevant = table_of(ranking(2, 3, 0, 1), [[]], [0], [0, 1, 1, 1])
    assert np.isnan(peer(nothing_relevant, 2)).all()


def test_where_peer_puts_what_is_not_retrieved():
    # Answers 0 and 1 (de) at ranks 19 and 20, answers 2 and 3 (en) below the cut-off of 20.
    order = [*range(4, 22), 0, 1, 2, 3]
    scored = table_of(ranking(*order), [[0, 1, 2, 3]], [0], [0, 0, 1, 1] + [2] * 18)

    def h(ranks: list[float]) -> float:
        values = np.array(ranks)
        groups = np.array([0, 0, 1, 1])
        return float(kruskal_wallis(values, np.zeros(4, int), groups, (1, 3))[0])

    # The package ties them at (2 * 4 + 2 + 1) / 2 = 5.5, above what was found.
    assert peer(scored, 20)[0] == pytest.approx(h([19, 20, 5.5, 5.5]))
    below = peer(scored, 20, unretrieved=Unretrieved.BELOW)[0]
    assert below == pytest.approx(h([19, 20, 21.5, 21.5]))


def test_peer_of_levels_with_weights():
    # The passage that is not relevant and those that are, half and half.
    scored = table_of(ranking(0, 1, 2, 3), [[0, 3]], [0], [0, 0, 1, 1])
    values = kruskal_wallis(np.array([2.0, 3.0]), np.zeros(2, int), np.array([0, 1]), (1, 3))
    relevant = kruskal_wallis(np.array([1.0, 4.0]), np.zeros(2, int), np.array([0, 1]), (1, 3))
    mixed = peer(scored, 4, weights={0: 0.5, 1: 0.5})
    assert mixed == pytest.approx(0.5 * values + 0.5 * relevant)


@given(st.lists(st.integers(0, 2), min_size=3, max_size=25))
def test_kruskal_wallis_is_scipys_where_the_ranks_are_all_there_are(groups):
    ranks = np.arange(1.0, len(groups) + 1)
    labels = np.array(groups)
    ours = kruskal_wallis(ranks, np.zeros(len(groups), int), labels, (1, 3))[0]
    samples = [ranks[labels == g] for g in range(3) if (labels == g).any()]
    assert ours == pytest.approx(kruskal(*samples).pvalue if len(samples) > 1 else 1.0)


# --- Rank correlation ---

SCORES = st.lists(
    st.lists(st.integers(0, 6), min_size=12, max_size=12), min_size=1, max_size=7
).map(lambda rows: np.array(rows, np.float64))


def slow_ranks(row: np.ndarray, order: np.ndarray) -> list[int]:
    return [
        1 + sum(row > row[at]) + sum((row == row[at]) & (order < order[at]))
        for at in range(len(row))
    ]


@given(SCORES, st.integers(1, 12))
def test_full_rankings_and_tops_follow_the_tie_rule(scores, k):
    order = tie_order([f"p{at}" for at in range(12)])
    for row in scores:
        expected = slow_ranks(row, order)
        assert full_ranking(row, order).tolist() == expected
        best = best_columns(row, order, k)
        assert [expected[column] for column in best] == list(range(1, k + 1))


@given(SCORES, st.lists(st.integers(0, 3), min_size=7, max_size=7), st.sampled_from([None, 4, 12]))
def test_rank_correlation_is_scipys_spearman(scores, numbers, depth):
    items = np.sort(np.array(numbers[: len(scores)]))
    order = tie_order([f"p{at}" for at in range(12)])
    ranks = np.array([slow_ranks(row, order) for row in scores])
    if depth is not None:
        ranks = np.minimum(ranks, depth + 1)
    expected = [
        np.mean([spearmanr(ranks[a], ranks[b]).statistic for b in others] or [np.nan])
        for a in range(len(items))
        for others in [[b for b in range(len(items)) if b != a and items[a] == items[b]]]
    ]
    for block_bytes in (1, 1 << 20):
        found = mean_rank_correlation(
            MatrixScorer(scores), items, order, depth=depth, block_bytes=block_bytes
        )
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(SCORES, st.lists(st.integers(0, 3), min_size=7, max_size=7), st.data())
def test_one_pass_gives_the_ranking_and_the_correlation_of_two(scores, numbers, data):
    n = len(scores)
    items = np.sort(np.array(numbers[:n]))
    order = tie_order([f"p{at}" for at in range(12)])
    rows = st.lists(st.integers(0, 11), unique=True)
    relevance = Relevance.from_lists(data.draw(st.lists(rows, min_size=n, max_size=n)))
    scorer, depth = MatrixScorer(scores), data.draw(st.integers(0, 14))
    expected = ranks_and_top(scorer, relevance, order, depth)
    for block_bytes in (1, 1 << 20):
        found, correlation = ranking_and_correlation(
            scorer, relevance, items, order, depth, block_bytes=block_bytes
        )
        for name in ("ranks", "top", "scores"):
            assert getattr(found, name).tolist() == getattr(expected, name).tolist(), name
        alone = mean_rank_correlation(scorer, items, order, block_bytes=block_bytes)
        np.testing.assert_array_equal(correlation, alone)


def test_one_pass_for_both_refuses_what_either_refuses():
    nothing = Relevance.from_lists([[], []])
    items, order = np.array([0, 0]), np.arange(3)
    with pytest.raises(EmbeddingError, match="NaN or infinite"):
        ranking_and_correlation(MatrixScorer(np.full((2, 3), np.nan)), nothing, items, order, 1)
    with pytest.raises(EmbeddingError, match="grouped by item"):
        ranking_and_correlation(MatrixScorer(np.eye(3)[:2]), nothing, items - [0, 1], order, 1)
    beyond = Relevance.from_lists([[0], [3]])
    with pytest.raises(EmbeddingError, match="outside the pool of 3"):
        ranking_and_correlation(MatrixScorer(np.eye(3)[:2]), beyond, items, order, 1)


def test_rank_correlation_wants_translations_side_by_side():
    with pytest.raises(EmbeddingError, match="grouped by item"):
        mean_rank_correlation(MatrixScorer(np.eye(3)), np.array([0, 1, 0]), np.arange(3))
    broken = np.full((2, 3), np.nan)
    with pytest.raises(EmbeddingError, match="NaN or infinite"):
        mean_rank_correlation(MatrixScorer(broken), np.array([0, 0]), np.arange(3))


def test_opposite_rankings_correlate_with_minus_one():
    scores = np.stack([np.arange(9.0), -np.arange(9.0)])
    found = mean_rank_correlation(MatrixScorer(scores), np.array([0, 0]), np.arange(9))
    assert found == pytest.approx([-1, -1])


# --- Bounds, invariances, extremes ---


def random_table(
    seed: int, n_items: int = 60, per_language: int = 30, bias: float = 0.0
) -> RankTable:
    """A parallel collection ranked at random; ``bias`` is added to the query's own language."""
    rng = np.random.default_rng(seed)
    spoken = np.repeat(np.arange(3), per_language)
    asked = np.tile(np.arange(3), n_items)
    answers = rng.integers(0, per_language, n_items)
    relevant = [
        [int(answers[item]) + per_language * m for m in range(3)]
        for item in np.repeat(np.arange(n_items), 3)
    ]
    scores = rng.standard_normal((len(asked), len(spoken)))
    scores += bias * (asked[:, None] == spoken[None, :])
    return table_of(scores, relevant, asked.tolist(), spoken.tolist())


def mean_of(name: str, table: RankTable) -> float:
    (measure,) = [m for m in LANGUAGE_BIAS if m.name == name]
    return float(np.nanmean(measure_values(measure, table)))


def test_a_language_blind_random_ranking_gets_the_unbiased_values():
    blind = random_table(0, n_items=1500)
    assert mean_of("lpr", blind) == pytest.approx(mean_of("lpr_expected", blind), abs=0.03)
    assert mean_of("lpr_expected", blind) == pytest.approx(1 / 3)
    assert mean_of("same_language_share_at_10", blind) == pytest.approx(1, abs=0.03)
    top = mean_of("top1_relevant_same", blind) + mean_of("top1_nonrelevant_same", blind)
    assert top == pytest.approx(1 / 3, abs=0.03)
    # Three ranks drawn from N have an expected range of (N + 1) / 2.
    assert mean_of("rank_distance", blind) == pytest.approx(91 / 2, rel=0.03)


def test_ranking_the_own_language_first_gets_the_worst_values():
    biased = random_table(1, bias=1e6)
    assert mean_of("lpr", biased) == 1
    assert mean_of("same_language_share_at_10", biased) == pytest.approx(3)  # 1 / share of the pool
    assert mean_of("top1_relevant_other", biased) == mean_of("top1_nonrelevant_other", biased) == 0
    assert mean_of("rank_distance", biased) > mean_of("rank_distance", random_table(1))
    # Thirty passages of the own language come first.
    assert mean_of("cross_language_recall_at_10", biased) == mean_of("tlr_at_20", biased) == 0
    assert mean_of("complete_at_10", biased) == 0
    assert mean_of("max_rank", biased) > 60


@pytest.mark.parametrize("seed", range(5))
def test_bounds(seed):
    table = random_table(seed, bias=float(seed))
    for measure in LANGUAGE_BIAS:
        values = measure_values(measure, table)
        defined = values[~np.isnan(values)]
        limits = {"rank_distance": 89.0, "max_rank": 90.0, "same_language_share_at_10": 3.0}
        limit = limits.get(measure.name, 1 + 1e-12)  # in the top 100 of a smaller pool is all of it
        assert ((defined >= 0) & (defined <= limit)).all(), measure.name
    sums = sum(top1(table, relevant=r, same=s) for r in (True, False) for s in (True, False))
    assert (sums == 1).all()


@given(st.permutations(range(3)), st.integers(0, 3))
def test_the_names_of_languages_do_not_matter(names, seed):
    table = random_table(seed, n_items=8, bias=1.0)
    view = table.languages
    assert view is not None
    new = np.array(names)
    relabelled = replace(
        view,
        queries=new[view.queries],
        entries=new[view.entries],
        pool=view.pool[np.argsort(new)],
        top=new[view.top],
    )
    for measure in LANGUAGE_BIAS:
        np.testing.assert_allclose(
            measure.compute(table), measure.compute(replace(table, languages=relabelled))
        )


def test_without_languages_only_what_looks_at_ranks_alone_is_defined():
    blind = replace(HAND, languages=None)
    for measure in LANGUAGE_BIAS:
        defined = not np.isnan(measure_values(measure, blind)).any()
        ranks_alone = measure.name.startswith(("rank_distance", "max_rank", "complete_"))
        assert defined == ranks_alone, measure.name


# --- Report ---


def report_of(table: RankTable, **options: object) -> BiasReport:
    return bias_report(table, LANGUAGE_BIAS, **options)


def test_the_report_averages_over_queries_then_over_languages():
    table = random_table(2, bias=1.0)
    report = report_of(table)
    values = language_preference(table)
    assert table.languages is not None
    for at, code in enumerate(CODES):
        own = values[table.languages.queries == at]
        assert report.by_language[code]["lpr"] == pytest.approx(own.mean())
        assert len(report.rank_distances[code]) == report.n_queries[code] == 60
    expected = np.mean([report.by_language[code]["lpr"] for code in CODES])
    assert report.means["lpr"] == pytest.approx(expected)
    assert report.means["mrc"] is None
    assert report.n_passages == dict.fromkeys(CODES, 30)


def test_the_matrices_by_brute_force():
    table = random_table(3, n_items=20, bias=0.5)
    report = report_of(table, resamples=0)
    view = table.languages
    assert view is not None
    for row, _ in enumerate(CODES):
        for column, _ in enumerate(CODES):
            entries = [
                at
                for at in range(len(table.ranks))
                if view.queries[table.query_of_entry[at]] == row and view.entries[at] == column
            ]
            ranks = table.ranks[entries]
            share = (view.top[view.queries == row, :10] == column).mean()
            assert report.matrices["mean_rank"][row][column] == pytest.approx(ranks.mean())
            recall = report.matrices["recall_at_10"][row][column]
            assert recall == pytest.approx((ranks <= 10).mean())  # one answer in each language
            assert report.matrices["share_at_10"][row][column] == pytest.approx(share)
    assert report.intervals["lpr"] is None


def test_a_refused_measure_is_none_and_says_why():
    report = report_of(random_table(4), not_applicable={"rank_distance": "not parallel"})
    assert report.means["rank_distance"] is None
    assert report.rank_distances == {}
    assert report.as_dict()["not_applicable"] == {"rank_distance": "not parallel"}
    with pytest.raises(ValueError, match="needs the languages"):
        report_of(replace(HAND, languages=None))


def test_intervals_are_those_of_scipy_and_hold_translations_together():
    rng = np.random.default_rng(5)
    values = rng.random((400, 2))
    values[rng.random(values.shape) < 0.1] = np.nan
    low, high = mean_intervals(values)[0]
    column = values[~np.isnan(values[:, 0]), 0]
    reference = bootstrap((column,), np.mean, method="percentile", rng=1).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.005)
    # Copies of one column: drawn together, their mean is as uncertain as one of them alone.
    copies = np.repeat(values[:, :1], 5, axis=1)
    together = mean_intervals(copies, np.zeros(5, np.int64))[0]
    assert together == pytest.approx((low, high))
    assert np.isnan(mean_intervals(np.full((3, 1), np.nan))).all()


# --- Probe ---


def test_passages_of_one_answer_are_one_item_and_shared_passages_join_questions():
    relevance = Relevance.from_lists([[0, 3], [3, 5], [7], []])
    columns, items = relevant_items(relevance, np.array([0, 1, 2, 2]))
    assert columns.tolist() == [0, 3, 5, 7]
    assert items[0] == items[1] == items[2] != items[3]


def test_the_probe_by_language_averages_to_the_accuracy():
    rng = np.random.default_rng(0)
    languages = ["de", "en", "fr"] * 60
    items = [str(at // 3) for at in range(180)]
    embeddings = rng.standard_normal((180, 6)).astype(np.float32)
    embeddings[::3, 0] += 2.0
    by_language = probe_by_language(embeddings, languages, items)
    accuracy = language_probe_accuracy(embeddings, languages, items)
    assert np.mean(list(by_language.values())) == pytest.approx(accuracy)
    assert by_language["de"] > by_language["fr"]
