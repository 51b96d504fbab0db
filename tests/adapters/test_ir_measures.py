"""Measures and provider for ir_measures: values, undefined queries, identity, registration."""

import sys
from collections.abc import Iterator
from typing import Any

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.bias import Parallel
from toys.cli import succeed

from hybridir_mteb import language_bias
from hybridir_mteb.adapters import ir_measures as adapter
from hybridir_mteb.adapters.ir_measures import (
    LPR,
    MRC,
    PEER,
    PROVIDER,
    TLR,
    Complete,
    CrossLanguageRecall,
    LangNDCG,
    LPRExpected,
    MaxRank,
    RankDistance,
    RankDistanceNorm,
    SameLanguageRecall,
    SameLanguageShare,
    Top1,
)
from hybridir_mteb.errors import SettingError

TOY = Parallel.make()
DOCUMENTS, QUERIES, ITEMS = TOY.maps
LANGUAGES: dict[str, Any] = {"doc_lang": DOCUMENTS, "query_lang": QUERIES}
BY_NAME = {
    "rank_distance": RankDistance(**LANGUAGES),
    "rank_distance_norm": RankDistanceNorm(**LANGUAGES),
    "lpr": LPR(**LANGUAGES),
    "lpr_expected": LPRExpected(**LANGUAGES),
    "top1_relevant_same": Top1(**LANGUAGES),
    "top1_relevant_other": Top1(**LANGUAGES, same=False),
    "top1_nonrelevant_same": Top1(**LANGUAGES, relevant=False),
    "top1_nonrelevant_other": Top1(**LANGUAGES, relevant=False, same=False),
    "same_language_share_at_10": SameLanguageShare(**LANGUAGES) @ 10,
    "same_language_share_at_100": SameLanguageShare(**LANGUAGES) @ 100,
    "peer_at_20": PEER(**LANGUAGES) @ 20,
    "peer_at_100": PEER(**LANGUAGES) @ 100,
    "mrc": MRC(**LANGUAGES, query_item=ITEMS),
    "tlr_at_20": TLR(**LANGUAGES) @ 20,
    "same_language_recall_at_10": SameLanguageRecall(**LANGUAGES) @ 10,
    "cross_language_recall_at_10": CrossLanguageRecall(**LANGUAGES) @ 10,
    "max_rank": MaxRank(doc_lang=DOCUMENTS),
    "complete_at_10": Complete(doc_lang=DOCUMENTS) @ 10,
    "lang_ndcg_at_10": LangNDCG(**LANGUAGES) @ 10,
}


@pytest.fixture
def pipeline() -> Iterator[None]:
    """ir_measures' own state, put back afterwards."""
    providers = list(ir_measures.DefaultPipeline.providers)
    measures = dict(ir_measures.measures.registry)
    names = dict(ir_measures.providers.registry)
    yield
    ir_measures.DefaultPipeline.providers[:] = providers
    for registry, before in (
        (ir_measures.measures.registry, measures),
        (ir_measures.providers.registry, names),
    ):
        registry.clear()
        registry.update(before)


@pytest.mark.slow
@given(st.integers(0, 10_000))
def test_every_measure_agrees_with_the_library(seed):
    run = TOY.run(TOY.random_scores(seed))
    found = PROVIDER.calc_aggregate(BY_NAME.values(), TOY.qrels, run)
    report = language_bias.of_run(run, TOY.qrels, DOCUMENTS, QUERIES, items=ITEMS, resamples=0)
    for name, measure in BY_NAME.items():
        assert found[measure] == pytest.approx(report.means[name]), name


@pytest.mark.slow
@given(st.integers(0, 10_000), st.lists(st.integers(0, 27), min_size=15, max_size=15))
def test_runs_of_uneven_depth_agree_with_the_library_too(seed, lengths):
    """Means over queries here, over query languages there: they can have other numbers defined."""
    lengths[0] = max(lengths[0], 1)
    run = TOY.cut_run(TOY.random_scores(seed), lengths)
    by_query = [
        metric.query_id for metric in PROVIDER.iter_calc([BY_NAME["rank_distance"]], TOY.qrels, run)
    ]
    assert by_query == [q for q, row in TOY.qrels.items() if set(row) <= set(run.get(q, ()))]
    report = language_bias.of_run(run, TOY.qrels, DOCUMENTS, QUERIES, items=ITEMS, resamples=0)
    # The library refuses these.
    names = BY_NAME.keys() - {"rank_distance", "rank_distance_norm", "max_rank"}
    found = list(PROVIDER.iter_calc([BY_NAME[name] for name in names], TOY.qrels, run))
    for name in names:
        metrics = [metric for metric in found if metric.measure is BY_NAME[name]]
        for code in ("de", "en", "fr"):
            values = [m.value for m in metrics if QUERIES[m.query_id] == code]
            expected = pytest.approx(np.mean(values)) if values else None
            assert report.by_language[code][name] == expected, name


def test_a_trec_run_is_evaluated_by_the_default_pipeline(pipeline, tmp_path):
    adapter.register()
    adapter.register()
    assert ir_measures.DefaultPipeline.providers.count(PROVIDER) == 1
    run = tmp_path / "run"
    run.write_text("q1 Q0 d1 1 2.0 x\nq1 Q0 e1 2 1.0 x\nq2 Q0 e1 1 2.0 x\nq2 Q0 d1 2 1.0 x\n")
    qrels = tmp_path / "qrels"
    qrels.write_text("q1 0 d1 1\nq1 0 e1 1\nq2 0 d1 1\n")
    measure = LPR(doc_lang={"d1": "de", "e1": "en"}, query_lang={"q1": "de", "q2": "de"})
    metrics = list(
        ir_measures.iter_calc(
            [measure], ir_measures.read_trec_qrels(str(qrels)), ir_measures.read_trec_run(str(run))
        )
    )
    assert [(metric.query_id, metric.value) for metric in metrics] == [("q1", 1.0)]


def test_undefined_queries_have_no_metric_and_do_not_count_as_zero(pipeline):
    """The second query's relevant document is in its own language: nothing to prefer."""
    adapter.register()
    run = {"q1": {"d1": 2.0, "e1": 1.0}, "q2": {"e1": 2.0, "d1": 1.0}}
    qrels = {"q1": {"d1": 1, "e1": 1}, "q2": {"d1": 1}}
    measure = LPR(doc_lang={"d1": "de", "e1": "en"}, query_lang={"q1": "de", "q2": "de"})
    assert [m.query_id for m in measure.iter_calc(qrels, run)] == ["q1"]
    assert measure.calc_aggregate(qrels, run) == 1.0
    assert measure.calc(qrels, run).aggregated == 1.0
    # Several providers at once: ir_measures fills queries in, and must not change the mean.
    both = ir_measures.calc_aggregate([measure, ir_measures.AP], qrels, run)
    assert both[measure] == 1.0
    assert both[ir_measures.AP] == pytest.approx(0.75)


def test_a_measure_that_is_undefined_for_all_queries_has_no_mean():
    measure = LPR(doc_lang={"d1": "de"}, query_lang={"q1": "de"})
    found = PROVIDER.calc_aggregate([measure], {"q1": {"d1": 1}}, {"q1": {"d1": 1.0}})
    assert found[measure] != found[measure]


def test_rank_distance_at_a_depth_sets_what_is_not_there_right_behind_it():
    documents = {f"d{at}": "de" for at in range(20)}
    run = {"q": {f"d{at}": float(-at) for at in range(20)}}
    qrels = {"q": {"d2": 1, "d15": 1}}
    measure = RankDistance(doc_lang=documents)
    found = PROVIDER.calc_aggregate([measure, measure @ 10, measure @ 2], qrels, run)
    assert found[measure] == 13
    assert found[measure @ 10] == 11 - 3
    assert found[measure @ 2] != found[measure @ 2]  # nothing found is not the best there is


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 27))
def test_rank_distance_at_a_depth_is_never_below_its_ideal(seed, cutoff, depth):
    run = TOY.run(TOY.random_scores(seed), depth)
    measure = RankDistance(doc_lang=DOCUMENTS) @ cutoff
    found = {m.query_id: m.value for m in PROVIDER.iter_calc([measure], TOY.qrels, run)}
    for query, relevant in TOY.qrels.items():
        top = sorted(run[query], key=run[query].get, reverse=True)[:cutoff]
        ranks = [top.index(document) + 1 for document in relevant if document in top]
        assert (query in found) == bool(ranks)
        if ranks:
            lost = len(relevant) - len(ranks)
            last = cutoff + lost if lost else max(ranks)
            assert found[query] == last - min(ranks) >= len(relevant) - 1


def test_rank_distance_needs_all_relevant_documents_in_the_run():
    documents = {f"d{at}": "de" for at in range(4)}
    measure = RankDistance(doc_lang=documents)
    qrels = {"q": {"d0": 1, "d3": 1}, "r": {"d0": 1, "d1": 1}}
    run = {"q": {"d0": 2.0, "d1": 1.0}, "r": {"d0": 2.0, "d1": 1.0}}
    assert [m.query_id for m in PROVIDER.iter_calc([measure], qrels, run)] == ["r"]


def test_peer_takes_all_positive_grades_as_one_level_unless_told():
    random = np.random.default_rng(0)
    graded = {q: {d: int(random.integers(1, 4)) for d in DOCUMENTS} for q in TOY.qrels}
    one = {q: dict.fromkeys(row, 1) for q, row in graded.items()}
    run = TOY.run(TOY.random_scores(0))
    measure = PEER(**LANGUAGES) @ 20
    found = PROVIDER.calc_aggregate([measure], graded, run)[measure]
    assert found == PROVIDER.calc_aggregate([measure], one, run)[measure]
    report = language_bias.of_run(run, graded, DOCUMENTS, QUERIES, items=ITEMS, resamples=0)
    assert found == pytest.approx(report.means["peer_at_20"])
    assert measure != PEER(**LANGUAGES, weights={1: 1.0}) @ 20


def test_a_share_deeper_than_the_built_in_depths_is_exact():
    toy = Parallel.make(n_items=60, n_others=0)
    documents, queries, _ = toy.maps
    measure = SameLanguageShare(doc_lang=documents, query_lang=queries) @ 180
    found = PROVIDER.calc_aggregate([measure], toy.qrels, toy.run(toy.random_scores(0)))
    assert found[measure] == pytest.approx(1)


def test_mrc_at_a_depth():
    run = TOY.run(TOY.random_scores(0))
    measure = MRC(**LANGUAGES, query_item=ITEMS)
    found = PROVIDER.calc_aggregate([measure, measure @ 5], TOY.qrels, run)
    for depth, one in ((None, measure), (5, measure @ 5)):
        report = language_bias.of_scores(
            TOY.random_scores(0), *TOY.arguments, **TOY.keywords, mrc_depth=depth, resamples=0
        )
        assert found[one] == pytest.approx(report.means["mrc"])


def test_identity_includes_the_languages():
    other = {**DOCUMENTS, "p:de:0": "fr"}
    one, same, changed = LPR(**LANGUAGES), LPR(**LANGUAGES), LPR(doc_lang=other, query_lang=QUERIES)
    assert one == same
    assert hash(one) == hash(same)
    assert one != changed
    assert len({one, same, changed}) == 2
    assert str(LPR(**LANGUAGES)) == repr(one)
    assert len(repr(one)) < 60
    assert repr(PEER(doc_lang=DOCUMENTS, weights={1: 0.5, 2: 0.5}) @ 20).endswith("@20")
    assert PEER(doc_lang=DOCUMENTS) @ 20 != PEER(doc_lang=DOCUMENTS, unretrieved="below") @ 20


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (LPR, "LPR needs doc_lang and query_lang: LPR"),
        (LPR(doc_lang=DOCUMENTS), "LPR needs query_lang"),
        (SameLanguageShare(**LANGUAGES), "SameLanguageShare needs cutoff"),
        (PEER(doc_lang=DOCUMENTS) @ 0, "PEER: cutoff=0 makes no sense"),
        (PEER(doc_lang=DOCUMENTS) @ True, "PEER: cutoff=True makes no sense"),
        (LPR(doc_lang={7: "de", "x": "en"}, query_lang=QUERIES), "document id 7 is of type int"),
        (LPR(doc_lang={7: "de"}, query_lang=QUERIES), "document id 7 is of type int; ids are"),
        (PEER(doc_lang=DOCUMENTS, weights={1: True, 0: 0.0}) @ 5, "a weight of 0 or more"),
        (PEER(doc_lang=DOCUMENTS, unretrieved="up") @ 5, "unretrieved='up' makes no sense"),
        (RankDistance(doc_lang="documents.tsv"), "doc_lang='documents.tsv' makes no sense"),
        (RankDistanceNorm(doc_lang=DOCUMENTS) @ 5, "RankDistanceNorm: cutoff=5 makes no sense"),
        (LPR(doc_lang={"x": "de"}, query_lang=QUERIES), "has no language; doc_lang must list"),
        (LPR(doc_lang=DOCUMENTS, query_lang={"x": "de"}), "has no language; add it to query_lang,"),
        (LPR(doc_lang={**DOCUMENTS, "x": None}, query_lang=QUERIES), "'x' has the language None"),
        (PEER(doc_lang=DOCUMENTS, weights={1: 0.5, 2: 0.6}) @ 5, "they sum to 1.1"),
        (PEER(doc_lang=DOCUMENTS, weights={1: 1.5, 0: -0.5}) @ 5, "a weight of 0 or more"),
        (PEER(doc_lang=DOCUMENTS, weights={"1": 1.0}) @ 5, "a weight of 0 or more"),
        (PEER(doc_lang=DOCUMENTS, weights={}) @ 5, "they sum to 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(measure, message):
    with pytest.raises(SettingError) as caught:
        list(PROVIDER.iter_calc([measure], TOY.qrels, TOY.run(TOY.random_scores(0))))
    assert message in str(caught.value)


def test_the_provider_knows_its_own_measures_only(pipeline):
    assert all(PROVIDER.supports(measure) for measure in BY_NAME.values())
    assert not PROVIDER.supports(ir_measures.nDCG @ 10)
    with pytest.raises(ValueError, match="unsupported measure"):
        PROVIDER.evaluator([ir_measures.nDCG @ 10], TOY.qrels)
    adapter.register()
    import peer_measure  # its provider looks at measures by name

    theirs = peer_measure.PEER(lang_mapping=DOCUMENTS, weights={1: 1.0}) @ 20
    assert not PROVIDER.supports(theirs)
    run = TOY.run(TOY.random_scores(0))
    measure = PEER(**LANGUAGES) @ 27
    assert measure.calc_aggregate(TOY.qrels, run) == pytest.approx(0.3679, abs=1e-4)


@pytest.mark.slow
def test_importing_changes_nothing_in_ir_measures():
    code = (
        "import sys, ir_measures as i\n"
        "n, m = len(i.DefaultPipeline.providers), dict(i.measures.registry)\n"
        "import hybridir_mteb.adapters.ir_measures as a\n"
        "assert len(i.DefaultPipeline.providers) == n\n"
        "assert not {'mteb', 'torch'} & set(sys.modules)\n"
        "a.register(); assert len(i.DefaultPipeline.providers) == n + 1\n"
        "assert m == dict(i.measures.registry)"
    )
    succeed(sys.executable, "-c", code)
