"""Language bias as a library: all ways in agree, with each other and with a plain reference."""

from __future__ import annotations

import doctest
import hashlib
import json
from typing import Any

import numpy as np
import pytest
from bias_toys import LANGUAGES, Parallel
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from hybridir_mteb import language_bias
from hybridir_mteb.bias.tables import MatrixScorer
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.metrics.bias_report import BiasReport
from hybridir_mteb.metrics.language_bias import LANGUAGE_BIAS
from hybridir_mteb.relevance import Relevance

TOY = Parallel.make()
NEEDS_EMBEDDINGS = {"language_probe_accuracy"}
NAMES = [m.name for m in LANGUAGE_BIAS]


def of_scores(scores: Any, toy: Parallel = TOY, **options: Any) -> BiasReport:
    return language_bias.of_scores(
        scores, *toy.arguments, **{**toy.keywords, "resamples": 0, **options}
    )


# Reference, written plainly ----------------------------------------------------------------------


def ranking(row: np.ndarray, ids: list[str]) -> list[int]:
    """Columns, best first; equal scores in the order of a hash of the id."""

    def key(at: int) -> tuple[float, bytes]:
        return -row[at], hashlib.blake2b(ids[at].encode(), digest_size=8).digest()

    return sorted(range(len(row)), key=key)


def reference(scores: np.ndarray, toy: Parallel) -> dict[str, dict[str, list[float]]]:
    """Query language -> measure -> values of its queries."""
    rankings = [ranking(row, toy.passage_ids) for row in scores]
    values: dict[str, dict[str, list[float]]] = {code: {} for code in LANGUAGES}

    def note(code: str, name: str, value: float) -> None:
        values[code].setdefault(name, []).append(value)

    n_passages = scores.shape[1]
    for at, order in enumerate(rankings):
        code, relevant = toy.query_languages[at], toy.relevant[at]
        languages = [toy.passage_languages[column] for column in order]
        ranks = sorted(order.index(column) + 1 for column in relevant)
        note(code, "rank_distance", ranks[-1] - ranks[0])
        note(
            code,
            "rank_distance_norm",
            (ranks[-1] - ranks[0] - len(ranks) + 1) / (n_passages - len(ranks)),
        )
        note(code, "lpr", languages[ranks[0] - 1] == code)
        note(code, "lpr_expected", 1 / len(relevant))
        for word, is_relevant in (("relevant", True), ("nonrelevant", False)):
            for other, is_same in (("same", True), ("other", False)):
                case = (order[0] in relevant) == is_relevant and (languages[0] == code) == is_same
                note(code, f"top1_{word}_{other}", case)
        for depth in (10, 100):
            top = languages[:depth]
            share = languages.count(code) / n_passages
            note(code, f"same_language_share_at_{depth}", top.count(code) / len(top) / share)
        correlations = []
        for other_at, other in enumerate(rankings):
            if other_at != at and toy.items[other_at] == toy.items[at]:
                positions = [
                    [o.index(column) for column in range(n_passages)] for o in (order, other)
                ]
                correlations.append(spearmanr(*positions).statistic)
        note(code, "mrc", float(np.mean(correlations)))
    return values


@given(st.integers(0, 10_000), st.sampled_from([0, 2, 5]))
def test_scores_give_what_a_plain_reference_gives(seed, n_values):
    scores = TOY.random_scores(seed, n_values)
    report = of_scores(scores)
    for code, measures in reference(scores, TOY).items():
        for name, values in measures.items():
            assert report.by_language[code][name] == pytest.approx(np.mean(values)), (code, name)


# All ways in agree -------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from([0, 3]))
def test_a_run_of_full_depth_gives_exactly_what_its_scores_give(seed, n_values):
    scores = TOY.random_scores(seed, n_values)
    documents, queries, items = TOY.maps
    from_run = language_bias.of_run(
        TOY.run(scores), TOY.qrels, documents, queries, items=items, resamples=0
    )
    assert from_run == of_scores(scores)


@given(st.integers(0, 10_000), st.sampled_from(["cosine", "dot"]))
def test_embeddings_give_what_their_scores_give(seed, similarity):
    random = np.random.default_rng(seed)
    queries = random.standard_normal((TOY.shape[0], 6)).astype(np.float32)
    passages = random.standard_normal((TOY.shape[1], 6)).astype(np.float32)
    passages[7] = passages[3]
    left, right = queries.astype(float), passages.astype(float)
    if similarity == "cosine":
        left /= np.linalg.norm(left, axis=1, keepdims=True)
        right /= np.linalg.norm(right, axis=1, keepdims=True)
    scores = left @ right.T
    scores[:, 7] = scores[:, 3]
    names = [name for name in NAMES if name not in NEEDS_EMBEDDINGS]
    found = language_bias.of_embeddings(
        queries,
        passages,
        *TOY.arguments,
        **TOY.keywords,
        similarity=similarity,
        measures=names,
        resamples=0,
    )
    expected = of_scores(scores, measures=names)
    for name in names:
        assert found.means[name] == pytest.approx(expected.means[name]), name
    assert found.query_languages == expected.query_languages
    assert found.matrices["mean_rank"] == expected.matrices["mean_rank"]


def test_embeddings_have_their_language_probed():
    random = np.random.default_rng(0)
    passages = random.standard_normal((TOY.shape[1], 4))
    for at, code in enumerate(TOY.passage_languages):
        passages[at, LANGUAGES.index(code)] += 9
    queries = random.standard_normal((TOY.shape[0], 4))
    name = "language_probe_accuracy"
    report = language_bias.of_embeddings(
        queries, passages, *TOY.arguments, items=TOY.items, measures=[name], resamples=0
    )
    assert report.means[name] > 0.8
    assert not report.not_applicable
    few = Parallel.make(n_items=2)
    report = language_bias.of_embeddings(
        queries[:6], passages[: few.shape[1]], *few.arguments, items=few.items, measures=[name]
    )
    assert report.means[name] is None
    assert "fewer than 3 items" in report.not_applicable[name]


@pytest.fixture
def pocketqa() -> tuple[Parallel, Any]:
    """The built-in collection as a toy."""
    from hybridir_mteb.plugins import installed_plugins
    from hybridir_mteb.settings import Setting, judged_queries, subsets

    spec = installed_plugins().collections["PocketQAR"]
    collection = spec.load(spec.languages)
    passage_ids = [
        part.passage_id(at)
        for part in map(collection.part, sorted(spec.languages))
        for at in range(len(part.passages))
    ]
    column = {identifier: at for at, identifier in enumerate(passage_ids)}
    queries = [
        (part.query_id(at), [column[passage] for passage in relevant])
        for subset in subsets(spec.languages, Setting.MULTILINGUAL)
        for part in [collection.part(subset.query_language)]
        for at, relevant in judged_queries(collection, subset)
    ]
    ids = [query for query, _ in queries]
    toy = Parallel(
        ids,
        passage_ids,
        [query.split(":")[1] for query in ids],
        [passage.split(":")[1] for passage in passage_ids],
        [query.split(":", 2)[2] for query in ids],
        [relevant for _, relevant in queries],
    )
    return toy, spec


def write_predictions(folder: Any, task: str, run: dict[str, dict[str, float]]) -> Any:
    """As AbsTask._save_task_predictions writes them."""
    content: dict[str, Any] = {"mteb_model_meta": {"model_name": "m/n", "revision": "1"}}
    for query, results in run.items():
        content.setdefault(query.split(":")[1], {"test": {}})["test"][query] = results
    path = folder / f"{task}_predictions.json"
    path.write_text(json.dumps(content))
    return path


def test_predictions_of_our_tasks_need_nothing_else(pocketqa, tmp_path):
    toy, _ = pocketqa
    scores = toy.random_scores(0)
    path = write_predictions(tmp_path, "PocketQARMultilingualRetrieval", toy.run(scores))
    expected = of_scores(scores, toy, mrc_depth=0)
    for given_path in (tmp_path, path, str(path)):
        assert language_bias.of_predictions(given_path, mrc_depth=0, resamples=0) == expected
    cut = toy.run(scores, 100)
    write_predictions(tmp_path, "PocketQARMultilingualRetrieval", cut)
    documents, queries, items = toy.maps
    assert language_bias.of_predictions(tmp_path, resamples=0) == language_bias.of_run(
        cut, toy.qrels, documents, queries, items=items, resamples=0
    )


def test_predictions_of_some_languages_keep_the_whole_pool(pocketqa, tmp_path):
    toy, spec = pocketqa
    run = toy.run(toy.random_scores(0), 100)
    german = {query: results for query, results in run.items() if query.startswith("q:de:")}
    write_predictions(tmp_path, "PocketQARMultilingualRetrieval", german)
    report = language_bias.of_predictions(tmp_path, resamples=0)
    assert report.query_languages == ("de",)
    assert report.passage_languages == tuple(sorted(spec.languages))


def test_predictions_of_other_tasks_need_languages(tmp_path):
    scores = TOY.random_scores(1)
    documents, queries, items = TOY.maps
    write_predictions(tmp_path, "Foreign", TOY.run(scores))
    with pytest.raises(SettingError, match="Foreign is no task of a registered collection"):
        language_bias.of_predictions(tmp_path)
    report = language_bias.of_predictions(
        tmp_path,
        qrels=TOY.qrels,
        doc_languages=documents,
        query_languages=queries,
        items=items,
        resamples=0,
    )
    assert report == of_scores(scores)


def test_predictions_that_say_nothing_are_refused(tmp_path):
    with pytest.raises(DataUnavailableError, match="mteb run"):
        language_bias.of_predictions(tmp_path)
    run = TOY.run(TOY.random_scores(1), 3)
    write_predictions(tmp_path, "PocketQARCrossLingualRetrieval", run)
    with pytest.raises(SettingError, match="run PocketQARMultilingualRetrieval"):
        language_bias.of_predictions(tmp_path)
    write_predictions(tmp_path, "PocketQARMonolingualRetrieval", run)
    with pytest.raises(SettingError, match="name one of the files: PocketQARCross"):
        language_bias.of_predictions(tmp_path)
    write_predictions(tmp_path, "PocketQARMultilingualRetrieval", run)
    with pytest.raises(SettingError, match="none of the 96 judged queries"):
        language_bias.of_predictions(tmp_path)  # takes the multilingual one
    broken = tmp_path / "X_predictions.json"
    for text in ("{", "[]", '{"de": 3}', '{"de": {"test": [1]}}', '{"de": {}}'):
        broken.write_text(text)
        with pytest.raises(DataFormatError, match=r"X_predictions\.json"):
            language_bias.of_predictions(broken)
    broken.write_text('{"de": {"test": {"q": {"d": 1}}}, "en": {"test": {"q": {"d": 1}}}}')
    with pytest.raises(DataFormatError, match="query 'q' is in several subsets"):
        language_bias.of_predictions(broken)
    other = tmp_path / "scores.json"
    other.write_text("{}")
    with pytest.raises(DataFormatError, match="expected a file named"):
        language_bias.of_predictions(other)


# Properties --------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.permutations(LANGUAGES))
def test_the_names_of_languages_do_not_matter(seed, names):
    scores = TOY.random_scores(seed, 4)
    new = dict(zip(LANGUAGES, names, strict=True))
    report = of_scores(scores)
    renamed = language_bias.of_scores(
        scores,
        TOY.relevant,
        [new[code] for code in TOY.query_languages],
        [new[code] for code in TOY.passage_languages],
        **TOY.keywords,
        resamples=0,
    )
    for code in LANGUAGES:
        for name, value in report.by_language[code].items():
            assert renamed.by_language[new[code]][name] == pytest.approx(value), name


@given(st.integers(0, 10_000), st.randoms())
def test_the_order_of_queries_and_passages_does_not_matter(seed, random):
    scores = TOY.random_scores(seed, 4)
    rows = random.sample(range(TOY.shape[0]), TOY.shape[0])
    columns = random.sample(range(TOY.shape[1]), TOY.shape[1])
    place = {column: at for at, column in enumerate(columns)}
    moved = Parallel(
        [TOY.query_ids[at] for at in rows],
        [TOY.passage_ids[at] for at in columns],
        [TOY.query_languages[at] for at in rows],
        [TOY.passage_languages[at] for at in columns],
        [TOY.items[at] for at in rows],
        [[place[column] for column in TOY.relevant[at]] for at in rows],
    )
    report, other = of_scores(scores), of_scores(scores[np.ix_(rows, columns)], moved)
    for code in LANGUAGES:
        for name, value in report.by_language[code].items():
            assert other.by_language[code][name] == pytest.approx(value), name


def test_a_ranking_that_is_blind_to_languages_is_unbiased():
    toy = Parallel.make(n_items=400, n_others=100)
    report = of_scores(toy.random_scores(0), toy, measures=None, mrc_depth=0)
    assert report.means["lpr_expected"] == pytest.approx(1 / 3)
    assert report.means["lpr"] == pytest.approx(1 / 3, abs=0.04)
    assert report.means["same_language_share_at_10"] == pytest.approx(1, abs=0.05)
    assert report.means["same_language_share_at_100"] == pytest.approx(1, abs=0.03)
    # Expected range of three of N ranks drawn at random: (N + 1) / 2.
    assert report.means["rank_distance"] == pytest.approx(1501 / 2, rel=0.05)


def test_a_ranking_that_puts_the_querys_language_first_is_the_worst():
    scores = TOY.random_scores(0)
    same = np.array(TOY.query_languages)[:, None] == np.array(TOY.passage_languages)
    report = of_scores(scores + 100 * same)
    assert report.means["lpr"] == 1
    assert report.means["top1_relevant_other"] == report.means["top1_nonrelevant_other"] == 0
    assert report.means["same_language_share_at_10"] == pytest.approx(9 / 10 * 3)


def test_rankings_that_agree_correlate_and_opposite_ones_do_the_reverse():
    scores = np.tile(np.random.default_rng(0).standard_normal(TOY.shape[1]), (TOY.shape[0], 1))
    assert of_scores(scores).means["mrc"] == pytest.approx(1)
    two = [at for at, code in enumerate(TOY.query_languages) if code != "fr"]
    signs = np.array([1 if TOY.query_languages[at] == "de" else -1 for at in two])
    report = language_bias.of_scores(
        scores[two] * signs[:, None],
        [TOY.relevant[at] for at in two],
        [TOY.query_languages[at] for at in two],
        TOY.passage_languages,
        items=[TOY.items[at] for at in two],
        resamples=0,
    )
    assert report.means["mrc"] == pytest.approx(-1)


# Runs that are cut -------------------------------------------------------------------------------


def test_a_run_that_is_cut_ranks_the_rest_behind_it():
    scores = TOY.random_scores(3)
    documents, queries, items = TOY.maps
    full = of_scores(scores)
    cut = language_bias.of_run(
        TOY.run(scores, 12), TOY.qrels, documents, queries, items=items, resamples=0
    )
    assert cut.means["same_language_share_at_10"] == full.means["same_language_share_at_10"]
    assert cut.means["top1_relevant_same"] == full.means["top1_relevant_same"]
    assert cut.means["mrc"] == of_scores(scores, mrc_depth=12).means["mrc"]
    assert cut.remarks["mrc"].startswith("of the first 12 passages")
    assert "relevant passages are not in the run" in cut.remarks["rank_distance"]
    assert "rank_distance" not in full.remarks
    assert cut.matrices["share_at_100"] == of_scores_shares(scores, 12)


def of_scores_shares(scores: np.ndarray, depth: int) -> list[list[float]]:
    rows = []
    for code in LANGUAGES:
        shares = []
        for at, row in enumerate(scores):
            if TOY.query_languages[at] == code:
                top = [TOY.passage_languages[c] for c in ranking(row, TOY.passage_ids)[:depth]]
                shares.append([top.count(other) / depth for other in LANGUAGES])
        rows.append(np.mean(shares, axis=0).tolist())
    return [[pytest.approx(value) for value in row] for row in rows]


def test_a_query_without_results_has_an_empty_ranking():
    scores = TOY.random_scores(3)
    documents, queries, items = TOY.maps
    run = TOY.run(scores)
    del run["q:de:0"]
    report = language_bias.of_run(run, TOY.qrels, documents, queries, items=items, resamples=0)
    assert report.n_queries["de"] == 5
    assert "1 of 15 queries have no relevant passage in the run" in report.remarks["lpr"]
    kept = [at for at in range(TOY.shape[0]) if at != 0]
    others = language_bias.of_scores(
        scores[kept],
        [TOY.relevant[at] for at in kept],
        [TOY.query_languages[at] for at in kept],
        TOY.passage_languages,
        passage_ids=TOY.passage_ids,
        items=[TOY.items[at] for at in kept],
        resamples=0,
    )
    for name in ("top1_relevant_same", "same_language_share_at_10", "mrc"):
        assert report.means[name] == pytest.approx(others.means[name]), name


def test_queries_that_are_not_judged_play_no_part():
    scores = TOY.random_scores(3)
    documents, queries, items = TOY.maps
    run = {**TOY.run(scores), "stranger": {"p:de:0": 1.0}}
    report = language_bias.of_run(run, TOY.qrels, documents, queries, items=items, resamples=0)
    assert report == of_scores(scores)


# What applies ------------------------------------------------------------------------------------


def miracl() -> dict[str, Any]:
    """Queries of three languages, one pool; what is relevant is in the query's language."""
    queries = [code for code in LANGUAGES for _ in range(4)]
    passages = [code for code in LANGUAGES for _ in range(10)]
    relevant = [
        [10 * LANGUAGES.index(code) + at % 4 + k for k in range(1 + at % 3)]
        for at, code in enumerate(queries)
    ]
    return {
        "relevant": relevant,
        "query_languages": queries,
        "passage_languages": passages,
        "scores": np.random.default_rng(0).standard_normal((12, 30)),
    }


def neuclir() -> dict[str, Any]:
    """English queries; relevant documents in three other languages, as many as there are."""
    passages = [code for code in ("fas", "rus", "zho") for _ in range(10)]
    relevant = [[at, at + 1, 10 + at, 20 + at, 21 + at, 22 + at] for at in range(6)]
    return {
        "relevant": relevant,
        "query_languages": ["eng"] * 6,
        "passage_languages": passages,
        "scores": np.random.default_rng(0).standard_normal((6, 30)),
    }


def applicable(report: BiasReport) -> set[str]:
    assert set(report.not_applicable) <= set(NAMES)
    for name, reason in report.not_applicable.items():
        assert report.means[name] is None
        assert reason
        assert not reason.endswith(".")
    for name in set(NAMES) - set(report.not_applicable):
        assert report.means[name] is not None, name
    return set(NAMES) - set(report.not_applicable)


def starting(*starts: str) -> set[str]:
    return {name for name in NAMES if name.startswith(starts)}


def test_a_pool_like_miracls_gets_the_measures_that_look_at_the_top():
    report = language_bias.of_scores(**miracl(), resamples=0)
    assert applicable(report) == starting("top1_", "same_language_share_")
    reasons = report.not_applicable
    assert "not translations of one another" in reasons["rank_distance"]
    assert (
        reasons["lpr"] == "no query has relevant passages both in its own language and in another"
    )
    assert reasons["peer_at_20"] == "no query has relevant passages in two languages"
    assert "give items" in reasons["mrc"]
    assert report.rank_distances == {}


def test_a_pool_like_neuclirs_gets_peer():
    report = language_bias.of_scores(**neuclir(), resamples=0)
    assert applicable(report) == starting("peer_")
    reason = report.not_applicable["top1_relevant_same"]
    assert reason == (
        "no candidate is in a query's language: queries are in eng, passages in fas, rus, zho"
    )
    assert not report.remarks  # peer says something here


def test_a_parallel_collection_gets_everything_that_scores_can_give():
    report = of_scores(TOY.random_scores(0))
    assert applicable(report) == set(NAMES) - NEEDS_EMBEDDINGS
    assert "needs embeddings" in report.not_applicable["language_probe_accuracy"]
    assert "(0.37 for 3 languages" in report.remarks["peer_at_20"]
    assert report.means["peer_at_100"] == pytest.approx(0.3679, abs=1e-4)


def test_items_make_translations_known_and_no_items_leave_mrc_out():
    without = of_scores(TOY.random_scores(0), items=None)
    assert applicable(without) == set(NAMES) - NEEDS_EMBEDDINGS - {"mrc"}  # judgements are even
    alone = of_scores(TOY.random_scores(0), items=TOY.query_ids)
    assert alone.not_applicable["mrc"] == "no query has a translation"


def test_parallel_can_be_told():
    told = of_scores(TOY.random_scores(0), parallel=False)
    assert {"rank_distance", "rank_distance_norm"} <= set(told.not_applicable)
    forced = language_bias.of_scores(**miracl(), parallel=True, resamples=0)
    assert forced.means["rank_distance"] is not None


def test_a_pool_of_one_language_has_no_bias_to_measure():
    report = language_bias.of_scores(
        np.eye(3), [[0], [1], [2]], ["de"] * 3, ["de"] * 3, resamples=0
    )
    assert applicable(report) == set()
    assert report.not_applicable["top1_relevant_same"] == "all candidates are in one language, de"


def test_query_languages_without_candidates_are_remarked_on():
    scores = TOY.random_scores(0)
    kept = [at for at, code in enumerate(TOY.passage_languages) if code != "fr"]
    place = {column: at for at, column in enumerate(kept)}
    report = language_bias.of_scores(
        scores[:, kept],
        [[place[column] for column in row if column in place] for row in TOY.relevant],
        TOY.query_languages,
        [TOY.passage_languages[at] for at in kept],
        resamples=0,
    )
    assert report.remarks["same_language_share_at_10"] == (
        "queries in fr have no candidate in their language"
    )
    assert report.by_language["fr"]["same_language_share_at_10"] is None
    assert report.by_language["fr"]["lpr"] is None


# Options and refusals ----------------------------------------------------------------------------


def test_measures_are_chosen_by_name_effectiveness_included():
    report = of_scores(TOY.random_scores(0), measures=["map", "lpr", "lpr"])
    assert list(report.means) == ["map", "lpr"]
    with pytest.raises(UnknownNameError, match="Did you mean lpr"):
        of_scores(TOY.random_scores(0), measures=["lprr"])


def test_mrc_can_be_cut_or_left_out():
    scores = TOY.random_scores(0)
    assert "mrc" not in of_scores(scores, mrc_depth=0).means
    assert of_scores(scores, mrc_depth=100).means == of_scores(scores).means
    assert of_scores(scores, mrc_depth=5).means["mrc"] != of_scores(scores).means["mrc"]


def test_intervals_hold_the_mean():
    report = of_scores(TOY.random_scores(0), resamples=100)
    low, high = report.intervals["lpr"]
    assert low <= report.means["lpr"] <= high


def test_a_scorer_is_asked_in_blocks_and_a_relevance_is_taken_as_it_is():
    scores = TOY.random_scores(0)
    relevance = Relevance.from_lists(TOY.relevant)
    found = language_bias.of_scores(
        MatrixScorer(scores),
        relevance,
        TOY.query_languages,
        TOY.passage_languages,
        **TOY.keywords,
        resamples=0,
    )
    assert found == of_scores(scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_languages": ["de"]}, "query_languages has 1 entries for 15 queries"),
        ({"items": ["a"]}, "items has 1 entries for 15 queries"),
        ({"items": ["a"] * 15}, "item and language ('a', 'de') have two queries"),
        ({"passage_ids": ["a"]}, "passage_ids has 1 entries for 27"),
        ({"passage_ids": ["a"] * 27}, "passage id 'a' is given twice"),
        ({"relevant": [[0, 0]] * 15}, "the same relevant passage twice"),
        ({"relevant": []}, "needs queries and passages, got 0 and 27"),
        ({"scores": np.zeros(3)}, "scores have shape (3,)"),
        ({"mrc_depth": -1}, "mrc_depth=-1: give 0 or more"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, message):
    given = {
        "scores": TOY.random_scores(0),
        "relevant": TOY.relevant,
        "query_languages": TOY.query_languages,
        "passage_languages": TOY.passage_languages,
        **TOY.keywords,
        **change,
    }
    with pytest.raises(SettingError) as caught:
        language_bias.of_scores(**given)
    assert message in str(caught.value)


def test_scores_and_embeddings_that_cannot_be_ranked_are_refused():
    scores = TOY.random_scores(0)
    scores[3, 2] = np.nan
    with pytest.raises(EmbeddingError, match="query 3 are NaN"):
        of_scores(scores)
    with pytest.raises(EmbeddingError, match="15 queries"):
        of_scores(TOY.random_scores(0)[:4])
    vectors = np.ones((27, 2))
    with pytest.raises(EmbeddingError, match="4 queries"):
        language_bias.of_embeddings(vectors[:4], vectors, *TOY.arguments)
    with pytest.raises(SettingError, match="similarity 'euclidean'"):
        language_bias.of_embeddings(vectors, vectors, *TOY.arguments, similarity="euclidean")


def test_a_run_and_maps_that_do_not_fit_are_refused():
    documents, queries, items = TOY.maps
    run = TOY.run(TOY.random_scores(0), 3)

    def refused(message: str, **change: Any) -> None:
        given = {
            "run": run,
            "qrels": TOY.qrels,
            "doc_languages": documents,
            "query_languages": queries,
            "items": items,
            **change,
        }
        with pytest.raises(SettingError, match=message):
            language_bias.of_run(**given)

    refused("results for none of the 15 judged queries", run={"x": {"p:de:0": 1.0}})
    refused("document 'y', found for query 'q:de:0'", run={"q:de:0": {"y": 1.0}})
    refused("document 'y', relevant to query 'x'", qrels={"x": {"y": 1}})
    refused("query 'q:de:0' of the judgements has no language", query_languages={})
    refused("query 'q:de:0' of the judgements has no item", items={})


def test_the_example_in_the_documentation_runs():
    assert doctest.testmod(language_bias).failed == 0
    assert doctest.testmod(language_bias).attempted >= 3
