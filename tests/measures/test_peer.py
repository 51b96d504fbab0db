"""PEER against the package peer-measure 0.0.1, where that runs, and its faults by name."""

from collections.abc import Iterator, Mapping
from typing import Any

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kruskal as scipy_kruskal

from hybridir_mteb.adapters.ir_measures import PEER, PROVIDER
from hybridir_mteb.errors import SettingError
from hybridir_mteb.measures.measure import RankTable
from hybridir_mteb.measures.peer import peer

LANGUAGES = ("de", "en", "zh")


@pytest.fixture(scope="module")
def package() -> Iterator[Any]:
    """peer-measure, given the one function of ir_measures that it needs and that is gone."""
    pipeline = list(ir_measures.DefaultPipeline.providers)
    registry = dict(ir_measures.measures.registry)
    import peer_measure

    patch = pytest.MonkeyPatch()
    patch.setattr(ir_measures.util, "flatten_measures", lambda measures: measures, raising=False)
    yield peer_measure
    patch.undo()  # and importing the package has edited the default pipeline
    ir_measures.DefaultPipeline.providers[:] = pipeline
    ir_measures.measures.registry.clear()
    ir_measures.measures.registry.update(registry)


Rows = Mapping[str, Mapping[str, Any]]


def theirs(
    package: Any, run: Rows, qrels: Rows, languages: Mapping[str, str], k: int, weights: dict
) -> dict[str, float]:
    measure = package.PEER(lang_mapping=languages, weights=weights) @ k
    metrics = package._provider.iter_calc([measure], qrels, run)
    return {metric.query_id: metric.value for metric in metrics}


def ours(
    run: Rows, qrels: Rows, languages: Mapping[str, str], k: int, weights: dict, **options: str
) -> dict[str, float]:
    measure = PEER(doc_lang=languages, weights=weights, **options) @ k
    metrics = PROVIDER.iter_calc([measure], qrels, run)
    return {metric.query_id: metric.value for metric in metrics}


@st.composite
def evaluations(draw: st.DrawFn) -> tuple[Rows, Rows, dict[str, str], int, dict[int, float]]:
    """Untied runs of random depth; every document of a run is judged, as the package needs."""
    n = draw(st.integers(4, 30))
    documents = [f"d{at}" for at in range(n)]
    languages = {d: draw(st.sampled_from(LANGUAGES)) for d in documents}
    grades = draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 1, 2, 3)]))
    run, qrels = {}, {}
    for query in ("q1", "q2"):
        ranking = draw(st.permutations(documents))[: draw(st.integers(1, n))]
        run[query] = {d: float(n - at) for at, d in enumerate(ranking)}
        judged = {d: draw(st.sampled_from(grades)) for d in documents}
        judged.update(zip(draw(st.permutations(documents)), grades, strict=False))  # each occurs
        qrels[query] = judged
    shares = draw(st.lists(st.integers(0, 4), min_size=len(grades), max_size=len(grades)))
    total = sum(shares) or 1
    weights = {grade: share / total for grade, share in zip(grades, shares, strict=True)}
    if not any(shares):
        weights[1] = 1.0
    return run, qrels, languages, draw(st.integers(1, 35)), weights


@given(evaluations())
def test_peer_equals_the_package(package, evaluation):
    run, qrels, languages, k, weights = evaluation
    with np.errstate(invalid="ignore"):
        expected = theirs(package, run, qrels, languages, k, weights)
    found = ours(run, qrels, languages, k, weights)
    assert set(found) == set(expected)
    for query, value in expected.items():
        if not np.isnan(value):  # see the fault of equal ranks
            assert found[query] == pytest.approx(value, abs=1e-12)


def test_fault_of_the_package_equal_ranks_are_no_number(package):
    """One found at rank 3, and one not found that it puts at (2 * 2 + 1 + 1) / 2 = 3 as well."""
    languages = {"x": "zh", "y": "zh", "a": "de", "b": "en"}
    run = {"q": {"x": 3.0, "y": 2.0, "a": 1.0}}
    qrels = {"q": {"x": 0, "y": 0, "a": 1, "b": 1}}
    with np.errstate(invalid="ignore"):
        assert np.isnan(theirs(package, run, qrels, languages, 3, {1: 1.0})["q"])
    assert ours(run, qrels, languages, 3, {1: 1.0}) == {"q": 1.0}


def test_peer_of_a_level_is_the_kruskal_wallis_test_of_scipy():
    languages = {f"d{at}": LANGUAGES[at % 3] for at in range(9)}
    order = ["d0", "d3", "d1", "d6", "d2", "d4", "d5", "d8", "d7"]
    run = {"q": {d: float(-at) for at, d in enumerate(order)}}
    qrels = {"q": dict.fromkeys(languages, 1)}
    groups = [[order.index(d) + 1 for d in order if languages[d] == code] for code in LANGUAGES]
    found = ours(run, qrels, languages, 9, {1: 1.0})
    assert found["q"] == pytest.approx(scipy_kruskal(*groups).pvalue, abs=1e-12)


def test_fault_of_the_package_unretrieved_passages_may_beat_retrieved_ones(package):
    """``isnan(…).all() is None`` is never true, so the branch with the last rank found is dead.

    Two retrieved at ranks 9 and 10, two not retrieved: the package puts these at
    (2 * 4 + 2 + 1) / 2 = 5.5, before the others. Behind rank 10 the order is the other way round.
    """
    run = {"q": {f"x{at}": float(-at) for at in range(8)} | {"a": -8.0, "b": -9.0}}
    qrels = {
        "q": {"a": 1, "b": 1, "c": 1, "d": 1, **dict.fromkeys([f"x{at}" for at in range(8)], 0)}
    }
    languages = {"a": "de", "b": "en", "c": "en", "d": "en", **{f"x{at}": "zh" for at in range(8)}}
    weights = {1: 1.0}
    assert package.kruskal([9], [10, np.nan, np.nan])[1] == pytest.approx(
        package.kruskal([9], [10, 5.5, 5.5])[1]
    )
    as_package = ours(run, qrels, languages, 10, weights)
    below = ours(run, qrels, languages, 10, weights, unretrieved="below")
    assert as_package == pytest.approx(theirs(package, run, qrels, languages, 10, weights))
    assert below["q"] == pytest.approx(package.kruskal([9], [10, 11.5, 11.5])[1])
    assert below["q"] != pytest.approx(as_package["q"], abs=1e-3)


def test_fault_of_the_package_ties_are_broken_by_id(package):
    """With ids that name the language, all ties favour the same one; the hash favours none."""
    documents = {f"{code}:{at}": code for at in range(40) for code in ("de", "zh")}
    run = {"q": dict.fromkeys(documents, 1.0)}
    qrels = {"q": {**dict.fromkeys(documents, 1), "de:0": 0}}
    weights = {1: 1.0}
    assert theirs(package, run, qrels, documents, 80, weights)["q"] < 1e-12
    assert ours(run, qrels, documents, 80, weights)["q"] > 0.01


def test_fault_of_the_package_the_identity_ignores_the_languages(package):
    weights = {1: 1.0}
    one, other = {"a": "de", "b": "en"}, {"a": "en", "b": "en"}
    assert package.PEER(lang_mapping=one, weights=weights) @ 2 == (
        package.PEER(lang_mapping=other, weights=weights) @ 2
    )
    assert PEER(doc_lang=one) @ 2 != PEER(doc_lang=other) @ 2
    assert hash(PEER(doc_lang=one) @ 2) != hash(PEER(doc_lang=other) @ 2)


@pytest.mark.parametrize(
    "weights", [{}, {1: 0.5}, {1: 2.0}, {1: 1.5, 0: -0.5}, {1: float("nan")}, {1: "all"}]
)
def test_weights_that_give_no_mean_are_refused(weights):
    table = RankTable(np.array([0, 1]), np.array([1]), 4, np.ones(1))
    with pytest.raises(SettingError, match="weights="):
        peer(table, 20, weights=weights)


def test_a_grade_that_a_query_lacks_adds_nothing_as_in_the_package(package):
    languages = {"a": "de", "b": "en", "c": "de"}
    run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
    qrels = {"q": {"a": 1, "b": 1, "c": 0}}
    weights = {1: 0.5, 2: 0.5}
    expected = theirs(package, run, qrels, languages, 3, weights)
    assert ours(run, qrels, languages, 3, weights) == pytest.approx(expected)
