"""Recall by language, largest rank, completeness, nDCG: by hand, plainly, and by trec_eval."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS, SAME_AS
from hybridir_mteb.measures.language_recall import (
    all_found,
    language_ndcg,
    language_recall,
    max_rank,
)
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.view import LanguageView
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED

POOL = 130
CODES = ("de", "en", "fr")


class Passage(NamedTuple):
    """A relevant one; without a rank it was not retrieved."""

    rank: int | None
    language: int
    grade: int = 1


class Query(NamedTuple):
    language: int
    relevant: list[Passage]


def table_of(*queries: Query) -> RankTable:
    passages = [passage for query in queries for passage in query.relevant]
    relevance = Relevance.from_lists([list(range(len(query.relevant))) for query in queries])
    ranks = [NOT_RETRIEVED if p.rank is None else p.rank for p in passages]
    view = LanguageView(
        CODES,
        np.array([query.language for query in queries], np.int64),
        np.array([p.language for p in passages], np.int64),
        np.array([50, 40, 40]),
        np.empty((len(queries), 0), np.int64),
    )
    grades = np.array([p.grade for p in passages], np.float64)
    return RankTable.build(relevance, np.array(ranks, np.int64), POOL, grades, view)


# A German query: German at 2, English at 4 and 30, French not retrieved.
HAND = table_of(Query(0, [Passage(30, 1), Passage(None, 2), Passage(2, 0), Passage(4, 1)]))
NOTHING = table_of(Query(0, []))


def test_recall_by_language_by_hand():
    for depth, same, other in ((1, 0, 0), (3, 1, 0), (10, 1, 1 / 3), (100, 1, 2 / 3)):
        assert language_recall(HAND, depth, same=True).tolist() == [same]
        assert language_recall(HAND, depth, same=False).tolist() == pytest.approx([other])
    only_english = table_of(Query(0, [Passage(1, 1)]), Query(1, [Passage(1, 1)]))
    np.testing.assert_array_equal(language_recall(only_english, 5, same=True), [np.nan, 1])
    np.testing.assert_array_equal(language_recall(only_english, 5, same=False), [1, np.nan])


def test_the_largest_rank_and_completeness_by_hand():
    assert np.isnan(max_rank(HAND)).all()  # one was not retrieved
    assert all_found(HAND, 100).tolist() == [0]
    assert np.isnan(max_rank(NOTHING)).all()
    assert np.isnan(all_found(NOTHING, 100)).all()
    eleven = table_of(Query(0, [Passage(rank, 0) for rank in range(1, 12)]))
    assert max_rank(eleven).tolist() == [11]
    assert (all_found(eleven, 10).tolist(), all_found(eleven, 11).tolist()) == ([0], [1])


def test_ndcg_by_language_by_hand():
    # Gains 2 at rank 2 and 1 at rank 4; at best 2, 1, 1, 1.
    achieved = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 2 + 1 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
    assert language_ndcg(HAND, 10).tolist() == pytest.approx([achieved / ideal])
    # Grade 3 in English is worth more than grade 1 in German: 3 at rank 2, 2 at rank 1.
    graded = table_of(Query(0, [Passage(1, 0, 1), Passage(2, 1, 3)]))
    expected = (2 + 3 / math.log2(3)) / (3 + 2 / math.log2(3))
    assert language_ndcg(graded, 10).tolist() == pytest.approx([expected])
    assert language_ndcg(NOTHING, 10).tolist() == [0]  # as ndcg_at_10


@st.composite
def some_queries(draw: st.DrawFn) -> list[Query]:
    def query() -> Query:
        ranks = draw(st.lists(st.integers(1, POOL) | st.integers(1, 15), unique=True, max_size=12))
        lost = draw(st.integers(0, 2))
        rest = st.tuples(st.integers(0, 2), st.integers(1, 3))
        relevant = [Passage(rank, *draw(rest)) for rank in [*ranks, *[None] * lost]]
        return Query(draw(st.integers(0, 2)), draw(st.permutations(relevant)))

    return [query() for _ in range(draw(st.integers(1, 4)))]


def plainly(query: Query) -> dict[str, float]:
    """Every measure of one query, written as its definition."""
    ranks = [math.inf if p.rank is None else p.rank for p in query.relevant]
    own = [r for r, p in zip(ranks, query.relevant, strict=True) if p.language == query.language]
    others = [r for r, p in zip(ranks, query.relevant, strict=True) if p.language != query.language]

    def share(of: list[float], depth: int) -> float:
        return sum(rank <= depth for rank in of) / len(of) if of else math.nan

    values = {f"tlr_at_{depth}": share(others, depth) for depth in (20, 100)}
    for depth in (10, 100):
        values[f"same_language_recall_at_{depth}"] = share(own, depth)
        values[f"cross_language_recall_at_{depth}"] = share(others, depth)
        complete = float(all(rank <= depth for rank in ranks))
        values[f"complete_at_{depth}"] = complete if ranks else math.nan
    values["max_rank"] = max(ranks, default=math.nan)
    if values["max_rank"] == math.inf:
        values["max_rank"] = math.nan
    gains = [p.grade * (2 if p.language == query.language else 1) for p in query.relevant]
    found = [g / math.log2(1 + r) for g, r in zip(gains, ranks, strict=True) if r <= 10]
    best = sorted(gains, reverse=True)[:10]
    ideal = sum(g / math.log2(1 + place) for place, g in enumerate(best, 1))
    values["lang_ndcg_at_10"] = sum(found) / ideal if ideal else 0
    return values


@given(some_queries())
def test_every_measure_is_what_its_definition_says(queries):
    table = table_of(*queries)
    expected = [plainly(query) for query in queries]
    computed = {measure.name: measure.compute(table) for measure in LANGUAGE_BIAS}
    assert expected[0].keys() <= computed.keys()
    for name in expected[0]:
        np.testing.assert_allclose(
            computed[name], [values[name] for values in expected], rtol=1e-12, err_msg=name
        )
    for name, other in SAME_AS.items():
        np.testing.assert_array_equal(computed[name], computed[other])


@given(some_queries())
def test_trec_eval_gives_the_same_from_judgements_of_one_language_and_from_graded_ones(queries):
    table = table_of(*queries)
    run, own, others, graded = {}, {}, {}, {}
    for at, query in enumerate(queries):
        ids = {f"r{n}": passage for n, passage in enumerate(query.relevant)}
        taken = {p.rank: name for name, p in ids.items()}
        run[str(at)] = {taken.get(rank, f"x{rank}"): -float(rank) for rank in range(1, POOL + 1)}
        same = {name: p.language == query.language for name, p in ids.items()}
        own[str(at)] = {name: 1 for name in ids if same[name]}
        others[str(at)] = {name: 1 for name in ids if not same[name]}
        graded[str(at)] = {name: p.grade * (1 + same[name]) for name, p in ids.items()}
    recalls = {f"recall.{depth}" for depth in (10, 20, 100)}
    for qrels, is_same in ((own, True), (others, False)):
        judged = {query: relevant for query, relevant in qrels.items() if relevant}
        theirs = pytrec_eval.RelevanceEvaluator(judged, recalls).evaluate(run)
        for depth in (10, 20, 100):
            ours = language_recall(table, depth, same=is_same)
            assert {str(at) for at in np.flatnonzero(~np.isnan(ours))} == set(judged)
            for query, found in theirs.items():
                assert ours[int(query)] == pytest.approx(found[f"recall_{depth}"])
    judged = {query: grades for query, grades in graded.items() if grades}
    theirs = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut.10"}).evaluate(run)
    ours = language_ndcg(table, 10)
    for query, found in theirs.items():
        assert ours[int(query)] == pytest.approx(found["ndcg_cut_10"])
