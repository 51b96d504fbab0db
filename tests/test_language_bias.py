"""Language bias as a library: all ways in agree, with each other and with a plain reference."""

import doctest
import gzip
import hashlib
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from toys.bias import LANGUAGES, Parallel, write_predictions
from toys.streamed import MULTI, toy_part, toy_spec

from hybridir_mteb import language_bias
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    EmbeddingError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.report import BiasReport
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.matrices import MatrixScorer

TOY = Parallel.make()
NEEDS_EMBEDDINGS = {"language_probe_accuracy"}
NAMES = [m.name for m in LANGUAGE_BIAS]


def of_scores(scores: Any, toy: Parallel = TOY, **options: Any) -> BiasReport:
    return language_bias.of_scores(
        scores, *toy.arguments, **{**toy.keywords, "resamples": 0, **options}
    )


def of_run(run: Any, toy: Parallel = TOY, **options: Any) -> BiasReport:
    documents, queries, items = toy.maps
    given = {"qrels": toy.qrels, "doc_languages": documents, "query_languages": queries}
    return language_bias.of_run(run, **{**given, "items": items, "resamples": 0, **options})


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
        own = [order.index(c) < 10 for c in relevant if toy.passage_languages[c] == code]
        others = [order.index(c) for c in relevant if toy.passage_languages[c] != code]
        note(code, "same_language_recall_at_10", float(np.mean(own)))
        note(code, "cross_language_recall_at_10", float(np.mean(np.array(others) < 10)))
        note(code, "tlr_at_20", float(np.mean(np.array(others) < 20)))
        note(code, "max_rank", ranks[-1])
        note(code, "complete_at_10", ranks[-1] <= 10)
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
    assert of_run(TOY.run(scores)) == of_scores(scores)


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
    assert report.not_applicable[name] == "a language probe needs at least 3 items, got 2"


def test_a_probe_that_cannot_be_trained_says_why_and_stops_nothing():
    """Three items, one of them with all that is English: the other folds hold German alone."""
    name = "language_probe_accuracy"
    passages = np.random.default_rng(0).standard_normal((4, 3))
    report = language_bias.of_embeddings(
        passages[:3],
        passages,
        [[0, 1], [2], [3]],
        ["de"] * 3,
        ["de", "en", "de", "de"],
        items=["a", "b", "c"],
        resamples=0,
    )
    assert "too few items have texts in two languages" in report.not_applicable[name]
    assert report.means["lpr"] is not None


def test_sizes_are_checked_before_the_probe_is_trained():
    vectors = np.random.default_rng(0).standard_normal((27, 3))
    with pytest.raises(EmbeddingError, match="15 queries and 20 passages have scores or embed"):
        language_bias.of_embeddings(vectors[:15], vectors[:20], *TOY.arguments)
    with pytest.raises(EmbeddingError, match="27 passages have languages"):
        of_scores(TOY.random_scores(0)[:, :20])


@pytest.mark.parametrize("kind", ["bfloat16", "float32", "float64"])
def test_tensors_of_torch_are_taken(kind):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    tensors = [
        torch.tensor(random.standard_normal((n, 6))).to(getattr(torch, kind)).requires_grad_()
        for n in TOY.shape
    ]
    arrays = [tensor.detach().double().numpy() for tensor in tensors]
    options = {**TOY.keywords, "resamples": 0}
    found = language_bias.of_embeddings(*tensors, *TOY.arguments, **options)
    assert found.means == language_bias.of_embeddings(*arrays, *TOY.arguments, **options).means
    rows = [list(tensor) for tensor in tensors]  # what encode(…, convert_to_numpy=False) gives
    assert language_bias.of_embeddings(*rows, *TOY.arguments, **options).means == found.means
    scores = torch.tensor(TOY.random_scores(0)).to(getattr(torch, kind))
    assert of_scores(scores) == of_scores(scores.double().numpy())


@pytest.fixture
def pocketqa() -> tuple[Parallel, Any]:
    """The built-in collection as a toy."""
    from hybridir_mteb.collections.collection import judged_queries
    from hybridir_mteb.installed import installed_plugins
    from hybridir_mteb.plugins.settings import Setting, subsets

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


@pytest.mark.slow
def test_predictions_of_our_tasks_need_nothing_else(pocketqa, tmp_path):
    toy, _ = pocketqa
    scores = toy.random_scores(0)
    path = write_predictions(tmp_path, "PocketQARMultilingualRetrieval", toy.run(scores))
    expected = of_scores(scores, toy, mrc_depth=0)
    for given_path in (tmp_path, path, str(path)):
        assert language_bias.of_predictions(given_path, mrc_depth=0, resamples=0) == expected
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    for given_path in (tmp_path, packed):
        assert language_bias.of_predictions(given_path, mrc_depth=0, resamples=0) == expected
    packed.unlink()
    cut = toy.run(scores, 100)
    write_predictions(tmp_path, "PocketQARMultilingualRetrieval", cut)
    assert language_bias.of_predictions(tmp_path, resamples=0) == of_run(cut, toy)


def test_predictions_of_some_languages_keep_the_whole_pool(pocketqa, tmp_path):
    toy, spec = pocketqa
    run = toy.run(toy.random_scores(0), 100)
    german = {query: results for query, results in run.items() if query.startswith("q:de:")}
    write_predictions(tmp_path, "PocketQARMultilingualRetrieval", german)
    report = language_bias.of_predictions(tmp_path, resamples=0)
    assert report.query_languages == ("de",)
    assert report.passage_languages == tuple(sorted(spec.languages))


def test_languages_that_no_run_finds_count_in_the_pool(tmp_path, monkeypatch):
    sizes = {"sw": 30, "te": 240, "yo": 30}
    parts = {code: replace(toy_part("sw", n), language=code) for code, n in sizes.items()}
    spec = toy_spec(parts)
    monkeypatch.setitem(installed_plugins().collections._items, spec.name, spec)
    run = {f"q:sw:q{at}": {"p:sw:0#0": 0.9, "p:yo:0#1": 0.8} for at in (0, 2)}
    write_predictions(tmp_path, MULTI, run)
    report = language_bias.of_predictions(tmp_path, resamples=0)
    assert report.n_passages == sizes
    assert report.means["same_language_share_at_10"] == pytest.approx(0.5 / (30 / 300))


def test_predictions_of_other_tasks_need_languages(tmp_path):
    scores = TOY.random_scores(1)
    documents, queries, items = TOY.maps
    maps = {"doc_languages": documents, "query_languages": queries}
    write_predictions(tmp_path, "Foreign", TOY.run(scores))
    with pytest.raises(SettingError, match="Foreign is no task of a registered collection"):
        language_bias.of_predictions(tmp_path)
    with pytest.raises(SettingError, match=r"mteb knows no task Foreign: give .* \(QRELS\)"):
        language_bias.of_predictions(tmp_path, **maps)
    report = language_bias.of_predictions(
        tmp_path, qrels=TOY.qrels, **maps, items=items, resamples=0
    )
    assert report == of_scores(scores)


def test_maps_for_predictions_of_our_tasks_are_refused(tmp_path):
    path = write_predictions(
        tmp_path, "PocketQARMultilingualRetrieval", TOY.run(TOY.random_scores(1))
    )
    documents, queries, items = TOY.maps
    for name, value, word in (
        ("qrels", TOY.qrels, "QRELS"),
        ("doc_languages", documents, "--doc-lang"),
        ("query_languages", queries, "--query-lang"),
        ("items", items, "third column"),
    ):
        with pytest.raises(SettingError, match=f"are known: leave out {name} .*{word}"):
            language_bias.of_predictions(path, **{name: value})


def test_predictions_of_other_peoples_tasks_take_the_judgements_of_mteb(tmp_path, monkeypatch):
    import mteb

    documents, queries, items = TOY.maps
    by_language: dict[str, Any] = {}
    for query, grades in TOY.qrels.items():
        split = by_language.setdefault(queries[query], {"test": {"relevant_docs": {}}})
        split["test"]["relevant_docs"][query] = grades
    task = SimpleNamespace(dataset=by_language, load_data=lambda: None)
    monkeypatch.setattr(mteb, "get_task", lambda name: task)
    path = write_predictions(tmp_path, "Foreign", TOY.run(TOY.random_scores(1)))
    maps = {"doc_languages": documents, "query_languages": queries, "items": items}
    report = language_bias.of_predictions(path, **maps, resamples=0)
    assert report == of_scores(TOY.random_scores(1))
    del by_language["fr"]
    with pytest.raises(SettingError, match=r"Foreign of mteb has no subset fr: .*QRELS"):
        language_bias.of_predictions(path, **maps)

    def offline() -> None:
        raise ConnectionError("no route")

    task.load_data = offline
    with pytest.raises(DataUnavailableError, match=r"cannot load the data of Foreign.*QRELS"):
        language_bias.of_predictions(path, **maps)


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
    twice = '{"de": {"test": {"q": {"d": 1}, "q": {"d": 2}}}}'
    for text in (
        *("{", "[]", '{"de": 3}', '{"de": {"test": [1]}}', '{"de": {}}', "[" * 100_000, twice),
        *('{"de": {"test": {"q": []}}}', '{"de": {"test": {"q": [["d", 1]]}}}'),
    ):
        broken.write_text(text)
        with pytest.raises(DataFormatError, match=r"X_predictions\.json"):
            language_bias.of_predictions(broken)
    for score in ("NaN", "1e999", "Infinity", '"high"', "null", "[1]", "true", "9" * 400):
        broken.write_text(f'{{"de": {{"test": {{"q": {{"d": {score}}}}}}}}}')
        message = r"X_predictions\.json: the score .* of document 'd' for query 'q' is not a finite"
        with pytest.raises(DataFormatError, match=message):
            language_bias.of_predictions(broken)
    packed = tmp_path / "X_predictions.json.gz"
    packed.write_text("{}")
    with pytest.raises(DataFormatError, match=r"X_predictions\.json\.gz: .* gzip file is damaged"):
        language_bias.of_predictions(packed)
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
    languages = [[new[c] for c in codes] for codes in TOY.arguments[1:]]
    renamed = language_bias.of_scores(scores, TOY.relevant, *languages, **TOY.keywords, resamples=0)
    for code in LANGUAGES:
        for name, value in report.by_language[code].items():
            assert renamed.by_language[new[code]][name] == pytest.approx(value), name


@given(st.integers(0, 10_000), st.randoms())
def test_the_order_of_queries_and_passages_does_not_matter(seed, random):
    scores = TOY.random_scores(seed, 4)
    rows = random.sample(range(TOY.shape[0]), TOY.shape[0])
    columns = random.sample(range(TOY.shape[1]), TOY.shape[1])
    moved = TOY.taken(rows, columns)
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
    report = of_scores(scores[two] * signs[:, None], TOY.taken(two))
    assert report.means["mrc"] == pytest.approx(-1)


# Runs that are cut -------------------------------------------------------------------------------


TREC_EVAL = {
    "map": "map",
    "mrr": "recip_rank",
    "ndcg_at_10": "ndcg_cut_10",
    "recall_at_10": "recall_10",
    "recall_at_100": "recall_100",
}


@st.composite
def lengths_of_runs(draw: st.DrawFn) -> list[int]:
    """Where the ranking of each query of the toy ends; at least one does not at once."""
    n_queries, n_passages = TOY.shape
    number = st.sampled_from([0, 1, 2, 9, 10, 12, n_passages - 1, n_passages])
    lengths = draw(st.lists(number, min_size=n_queries, max_size=n_queries))
    return lengths if any(lengths) else [*lengths[:-1], 1]


@given(st.integers(0, 10_000), lengths_of_runs())
def test_what_a_run_does_not_return_is_not_found_as_in_trec_eval(seed, lengths):
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(float(TOY.shape[1])), (TOY.shape[0], 1)), axis=1)
    run = TOY.cut_run(scores, lengths)
    qrels = {q: {d: int(random.integers(0, 4)) for d in row} for q, row in TOY.qrels.items()}
    qrels = {q: grades for q, grades in qrels.items() if any(grades.values())}
    if not set(run) & set(qrels):
        return
    report = of_run(run, qrels=qrels, items=None, measures=list(TREC_EVAL))
    queries = TOY.maps[1]
    theirs = pytrec_eval.RelevanceEvaluator(
        qrels, {"map", "recip_rank", "ndcg_cut.10", "recall.10,100"}
    ).evaluate(run)
    for code in report.query_languages:
        own = [query for query in qrels if queries[query] == code]
        for name, key in TREC_EVAL.items():
            values = [theirs[query][key] if query in theirs else 0.0 for query in own]
            assert report.by_language[code][name] == pytest.approx(np.mean(values)), name


def without_the_last(
    toy: Parallel, scores: np.ndarray, n_queries: int
) -> dict[str, dict[str, float]]:
    """A full run, but the first queries lack their last relevant passage and all behind it."""
    n = scores.shape[1]
    ends = [
        min(max(ranking(row, toy.passage_ids).index(c) for c in toy.relevant[at]), n)
        if at < n_queries
        else n
        for at, row in enumerate(scores)
    ]
    return toy.cut_run(scores, ends)


def test_rank_distance_is_that_of_complete_queries_if_nearly_all_are():
    toy = Parallel.make(n_items=7)
    scores = toy.random_scores(1)
    full = of_scores(scores, toy)
    one = of_run(without_the_last(toy, scores, 1), toy)
    assert one.rank_distances["de"] == full.rank_distances["de"][1:]
    assert one.means["rank_distance"] is not None
    words = "of the 20 of 21 queries (95.2%) that have all their relevant passages in the run"
    assert one.remarks["rank_distance"] == one.remarks["rank_distance_norm"] == words
    assert one.remarks["max_rank"] == words
    assert one.remarks["mean_rank"].startswith("1 of 21 queries lack a relevant passage")
    assert sum(value is None for value in one.matrices["mean_rank"][0]) == 1
    assert not {"map", "mrr", "mean_rank"} & set(one.not_applicable)
    two = of_run(without_the_last(toy, scores, 2), toy)
    reason = two.not_applicable["rank_distance"]
    assert reason.startswith("2 of 21 queries with two or more relevant passages lack one")
    assert "a full ranking or a deeper run" in reason
    assert two.not_applicable["rank_distance_norm"] == reason
    assert two.not_applicable["max_rank"].startswith("2 of 21 queries lack a relevant passage")
    assert two.means["rank_distance"] is None
    assert two.rank_distances == {}
    assert "rank_distance" not in two.remarks
    assert not full.remarks.keys() & {"mean_rank", "rank_distance", "lpr", "max_rank"}


def test_pictures_get_no_distances_and_the_reason_whatever_was_asked_for():
    toy = Parallel.make(n_items=7)
    run = without_the_last(toy, toy.random_scores(1), 2)
    cut = of_run(run, toy, measures=["lpr"], resamples=50)
    other = language_bias.of_scores(**miracl(), measures=["top1_relevant_same"], resamples=0)
    for report, name in ((cut, "lpr"), (other, "top1_relevant_same")):
        assert report.rank_distances == {}
        assert set(report.not_applicable) == {"rank_distance"}
        assert set(report.means) == {name}
        assert all(set(row) == {name} for row in report.by_language.values())
    applies = of_scores(TOY.random_scores(0), measures=["lpr"])
    assert applies.rank_distances == of_scores(TOY.random_scores(0)).rank_distances
    assert not applies.not_applicable


@given(st.integers(0, 10_000), lengths_of_runs(), st.sampled_from([None, 1, 5, 100]))
def test_mrc_ties_what_is_behind_the_end_of_each_ranking(seed, lengths, depth):
    scores = TOY.random_scores(seed)
    report = of_run(TOY.cut_run(scores, lengths), measures=["mrc"], mrc_depth=depth)
    n = TOY.shape[1]
    positions = []
    for row, length in zip(scores, lengths, strict=True):
        cut = min(length, depth or n)
        place = {c: at for at, c in enumerate(ranking(row, TOY.passage_ids)[:cut])}
        positions.append([place.get(column, n) for column in range(n)])
    for code in LANGUAGES:
        values = []
        for at, spoken in enumerate(TOY.query_languages):
            if spoken != code or not lengths[at]:
                continue
            others = [
                spearmanr(positions[at], positions[other]).statistic
                for other in range(TOY.shape[0])
                if other != at and TOY.items[other] == TOY.items[at] and lengths[other]
            ]
            if others:
                values.append(np.mean(others))
        expected = pytest.approx(np.mean(values)) if values else None
        assert report.by_language[code]["mrc"] == expected
    undefined = report.means["mrc"] is None
    assert undefined == ("mrc" in report.not_applicable)


def test_mrc_says_where_rankings_end():
    def remark(lengths: list[int], **options: Any) -> str | None:
        run = TOY.cut_run(TOY.random_scores(0), lengths)
        return of_run(run, **options).remarks.get("mrc")

    assert remark([12] * 15) == "of the first 12 passages; the others tie behind them"
    assert remark([12] * 15, mrc_depth=5) == "of the first 5 passages; the others tie behind them"
    assert remark([0, 3, *[12] * 13]) == "of the first 3 to 12; the others tie behind them"
    assert remark([27] * 15) is None


def test_a_run_that_is_cut_ranks_nothing_behind_it():
    scores = TOY.random_scores(3)
    full, cut = of_scores(scores), of_run(TOY.run(scores, 12))
    assert cut.means["same_language_share_at_10"] == full.means["same_language_share_at_10"]
    assert cut.means["top1_relevant_same"] == full.means["top1_relevant_same"]
    assert cut.means["mrc"] == of_scores(scores, mrc_depth=12).means["mrc"]
    assert cut.remarks["mrc"].startswith("of the first 12 passages")
    assert "relevant passages lack one in the run" in cut.not_applicable["rank_distance"]
    assert "mean_rank" not in full.remarks
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
    run = TOY.run(scores)
    del run["q:de:0"]
    report = of_run(run)
    assert report.n_queries["de"] == 5
    words = "1 of 15 queries have no relevant passage in the run, and do not count"
    assert report.remarks["lpr"] == report.remarks["lpr_expected"] == words
    kept = [at for at in range(TOY.shape[0]) if at != 0]
    others = of_scores(scores[kept], TOY.taken(kept))
    for name in ("top1_relevant_same", "same_language_share_at_10", "mrc", "lpr", "lpr_expected"):
        assert report.means[name] == pytest.approx(others.means[name]), name
    nothing = of_run({"q:de:0": {"p:fr:8": 1.0}}, items=None)
    assert nothing.not_applicable["lpr"] == "no query has a relevant passage in the run"


def test_queries_that_are_not_judged_play_no_part():
    scores = TOY.random_scores(3)
    assert of_run({**TOY.run(scores), "stranger": {"p:de:0": 1.0}}) == of_scores(scores)


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
    assert applicable(report) == starting("top1_", "same_language_")
    reasons = report.not_applicable
    assert (
        "seem not to be translations of one another (--parallel or parallel=True overrules that)"
        in reasons["rank_distance"]
    )
    assert (
        reasons["lpr"] == "no query has relevant passages both in its own language and in another"
    )
    assert reasons["peer_at_20"] == "no query has relevant passages in two languages"
    assert reasons["max_rank"] == reasons["complete_at_10"] == reasons["peer_at_20"]
    assert reasons["tlr_at_20"] == "no query has a relevant passage in another language"
    assert reasons["lang_ndcg_at_10"].endswith("so it would be ndcg_at_10")
    assert "give items" in reasons["mrc"]
    assert report.rank_distances == {}


def test_a_pool_like_neuclirs_gets_peer_and_what_is_found_in_other_languages():
    report = language_bias.of_scores(**neuclir(), resamples=0)
    assert applicable(report) == starting("peer_", "tlr_", "cross_", "max_rank", "complete_")
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
    assert "are not translations" in told.not_applicable["rank_distance"]
    forced = language_bias.of_scores(**miracl(), parallel=True, resamples=0)
    assert forced.means["rank_distance"] is not None


def test_topics_in_several_languages_do_not_make_documents_parallel():
    given = neuclir()
    report = language_bias.of_scores(
        np.concatenate([given["scores"]] * 2),
        [*given["relevant"]] * 2,
        ["eng"] * 6 + ["zho"] * 6,
        given["passage_languages"],
        items=[str(at) for at in range(6)] * 2,
        resamples=0,
    )
    assert "seem not to be translations" in report.not_applicable["rank_distance"]
    assert report.means["mrc"] == pytest.approx(1)


def test_nearly_all_judgements_even_make_a_collection_parallel():
    toy = Parallel.make(n_items=7)  # 21 queries
    scores = toy.random_scores(0)

    def distance(n_uneven: int, **options: Any) -> float | None:
        relevant = [row[:1] if at < n_uneven else row for at, row in enumerate(toy.relevant)]
        return language_bias.of_scores(
            scores,
            relevant,
            toy.query_languages,
            toy.passage_languages,
            **{"items": toy.items, "resamples": 0, **options},
        ).means["rank_distance"]

    assert distance(1) is not None
    assert distance(2) is None
    assert distance(1, items=None) is not None
    assert distance(0, items=toy.query_ids) is None  # queries in three languages, none translated
    german = language_bias.of_scores(
        scores[:7], toy.relevant[:7], ["de"] * 7, toy.passage_languages, items=toy.items[:7]
    )
    assert german.means["rank_distance"] is not None  # of one language: nothing to say on queries


def test_a_pool_of_relevant_passages_alone_has_no_distance_to_scale():
    report = language_bias.of_scores([[1.0, 2.0]], [[0, 1]], ["de"], ["de", "en"], resamples=0)
    assert report.means["rank_distance"] == 1
    assert "holds nothing but" in report.not_applicable["rank_distance_norm"]


def test_own_answers_in_no_query_leave_their_recall_out():
    report = language_bias.of_scores(np.eye(2), [[1]] * 2, ["de"] * 2, ["de", "en"], resamples=0)
    reason = report.not_applicable["same_language_recall_at_10"]
    assert reason == "no query has a relevant passage in its language"
    assert report.means["cross_language_recall_at_10"] == 1


def test_more_relevant_passages_than_a_depth_are_remarked_on():
    languages = ["de", "en"] * 6
    relevant = [[*range(11)], [0, 1]]
    report = language_bias.of_scores(np.eye(2, 12), relevant, ["de"] * 2, languages, resamples=0)
    words = "1 of 2 queries have more than 10 relevant passages, which is 0 whatever the ranks are"
    assert report.remarks["complete_at_10"] == words
    assert "complete_at_100" not in report.remarks


def test_a_pool_of_one_language_has_no_bias_to_measure():
    report = language_bias.of_scores(
        np.eye(3), [[0], [1], [2]], ["de"] * 3, ["de"] * 3, resamples=0
    )
    assert applicable(report) == set()
    assert report.not_applicable["top1_relevant_same"] == "all candidates are in one language, de"


def test_query_languages_without_candidates_are_remarked_on():
    scores = TOY.random_scores(0)
    kept = [at for at, code in enumerate(TOY.passage_languages) if code != "fr"]
    toy = TOY.taken(range(TOY.shape[0]), kept)
    report = of_scores(scores[:, kept], toy, items=None)
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
    found = of_scores(MatrixScorer(scores), replace(TOY, relevant=relevance))
    assert found == of_scores(scores)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_languages": ["de"]}, "query_languages has 1 entries for 15 queries"),
        ({"items": ["a"]}, "items has 1 entries for 15 queries"),
        ({"items": ["a"] * 15}, "queries 0 and 1 have the same item and language, 'a' and 'de'"),
        ({"items": [None] * 15}, "query 0 has no item"),
        ({"query_languages": [None] * 15}, "query_languages: entry 0 is None"),
        ({"passage_languages": ["de"] * 26 + [None]}, "passage_languages: entry 26 is None"),
        ({"passage_ids": list(range(27))}, "passage_ids: entry 0 is 0"),
        ({"relevant": [[0, 27]] * 15}, "relevant passage 27 lies outside the pool of 27"),
        ({"relevant": [[-1]] * 15}, "relevant passage -1 lies outside the pool of 27"),
        ({"relevant": [["p:de:0"]] * 15}, "relevant: expected the columns of the relevant"),
        ({"scores": [[1.0, 2.0], [3.0]]}, "scores: not a matrix of numbers"),
        ({"scores": [["a"]]}, "scores: expected numbers"),
        ({"scores": [[1.0, None]]}, "scores: expected numbers"),
        ({"passage_ids": ["a"]}, "passage_ids has 1 entries for 27"),
        ({"passage_ids": ["a"] * 27}, "passage id 'a' is given twice"),
        ({"relevant": [[0, 0]] * 15}, "the same relevant passage twice"),
        ({"relevant": []}, "needs queries and passages, got 0 and 27"),
        ({"scores": np.zeros(3)}, "scores have shape (3,)"),
        ({"mrc_depth": -1}, "mrc_depth=-1 (--mrc-depth): give 0 or more"),
        ({"resamples": -1}, "resamples=-1 (--resamples): give 0 or more"),
        ({"query_languages": 7}, "query_languages: expected a list, got 7"),
        ({"query_languages": "deendeendeende!"}, "query_languages: expected a list, got 'deen"),
        ({"passage_languages": {"de": 1}}, "passage_languages: expected a list, got {'de': 1}"),
        ({"passage_ids": set("abc")}, "passage_ids: expected a list"),
        ({"passage_ids": np.array(3)}, "passage_ids: expected a list"),
        ({"items": 1.5}, "items: expected a list, got 1.5"),
        ({"measures": 3}, "measures=3: give a list of names"),
        ({"measures": [3]}, "measures: 3 is no name"),
        ({"mrc_depth": 2**70}, "give 0 or more, and less than 2**31"),
        ({"parallel": "false"}, "parallel='false': give True, False or None"),
        ({"parallel": 0}, "parallel=0: give True, False or None"),
        ({"measures": "lpr"}, "measures='lpr': give a list of names"),
        ({"resamples": True}, "resamples=True (--resamples): give 0 or more"),
        ({"resamples": 2.5}, "resamples=2.5 (--resamples): give 0 or more"),
        ({"resamples": None}, "resamples=None (--resamples): give 0 or more"),
        ({"mrc_depth": "3"}, "mrc_depth='3' (--mrc-depth): give 0 or more"),
        ({"mrc_depth": float("nan")}, "mrc_depth=nan (--mrc-depth): give 0 or more"),
        ({"items": list(range(15))}, "items: entry 0 is 0; give a string for each"),
        ({"relevant": [[1.7]] * 15}, "relevant: expected the columns of the relevant"),
        ({"relevant": [[True]] * 15}, "(True is no column)"),
        ({"relevant": [["1"]] * 15}, "('1' is no column)"),
        ({"relevant": [[2**63]] * 15}, "is no column)"),
        ({"relevant": [3] * 15}, "relevant: expected the columns of the relevant"),
        ({"relevant": 3}, "relevant: expected the columns of the relevant"),
        ({"scores": np.ones((15, 27), bool)}, "scores: expected numbers, got bool"),
        ({"scores": np.full((15, 27), 2**53 + 1)}, "scores: whole numbers beyond 2**53"),
        ({"passage_ids": [f"\ud800{at}" for at in range(27)]}, "half of a surrogate pair"),
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
    for wrong in (vectors[0], np.array(1.0), vectors[None]):
        with pytest.raises(
            SettingError, match=r"passages have shape .*; expected \(n, dimension\)"
        ):
            language_bias.of_embeddings(vectors[:15], wrong, *TOY.arguments)
    with pytest.raises(SettingError, match=r"similarity \[\]: choose from"):
        language_bias.of_embeddings(vectors, vectors, *TOY.arguments, similarity=[])
    with pytest.raises(SettingError, match="similarity 'euclidean'"):
        language_bias.of_embeddings(vectors, vectors, *TOY.arguments, similarity="euclidean")


def test_a_run_and_maps_that_do_not_fit_are_refused():
    items = TOY.maps[2]

    def refused(message: str, **change: Any) -> None:
        with pytest.raises(SettingError, match=message):
            of_run(**{"run": TOY.run(TOY.random_scores(0), 3), **change})

    refused("results for none of the 15 judged queries", run={"x": {"p:de:0": 1.0}})
    refused("document 'y', found for query 'q:de:0'", run={"q:de:0": {"y": 1.0}})
    refused("document 'y', relevant to query 'x'", qrels={"x": {"y": 1}})
    refused(r"no language; doc_languages \(--doc-lang\)", qrels={"x": {"y": 1}})
    refused("query 'q:de:0' of the judgements has no language", query_languages={})
    refused(r"add it to query_languages \(--query-lang\)", query_languages={"q:de:0": None})
    refused("query 'q:de:0' of the judgements has no item", items={})
    refused(r"add it to items \(the third column of --query-lang\)", items={})
    refused("document 'p:de:0' has the language None", doc_languages={"p:de:0": None})
    same = dict.fromkeys(items, "capital")
    refused("queries 'q:de:0' and 'q:de:1' have the same item and language", items=same)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"qrels": {1: {"p:de:0": 1}}}, "query id 1 is of type int; ids are strings"),
        ({"qrels": {"q:de:0": {7: 1}}}, "document id 7 is of type int; ids are strings"),
        ({"qrels": {"q:de:0": ["p:de:0"]}}, "judgements: expected a mapping from queries"),
        ({"qrels": [("q", "d", 1)]}, "judgements: expected a mapping from queries"),
        ({"qrels": {"q:de:0": {"p:de:0": True}}}, "the grade True of document 'p:de:0'"),
        ({"qrels": {"q:de:0": {"p:de:0": "1"}}}, "the grade '1' of document 'p:de:0'"),
        ({"qrels": {"q:de:0": {"p:de:0": 0.5}}}, "the grade 0.5 of document 'p:de:0'"),
        ({"qrels": {"q:de:0": {"p:de:0": float("nan")}}}, "the grade nan of document"),
        ({"qrels": {"q:de:0": {"p:de:0": 1e300}}}, "the grade 1e+300 of document"),
        ({"run": {1: {"p:de:0": 1.0}}}, "query id 1 is of type int; ids are strings"),
        ({"run": {"q:de:0": {b"d": 1.0}}}, "document id b'd' is of type bytes; ids are strings"),
        ({"run": {"q:de:0": [("p:de:0", 1.0)]}}, "the run: expected a mapping from queries"),
        ({"doc_languages": ["d"]}, "doc_languages (--doc-lang): expected a mapping from ids"),
        ({"query_languages": 3}, "query_languages (--query-lang): expected a mapping from ids"),
        ({"items": ["a"]}, "items (the third column of --query-lang): expected a mapping"),
        ({"doc_languages": {7: "de"}}, "document id 7 is of type int; ids are strings"),
        ({"doc_languages": {"\udc00": "de"}}, "half of a surrogate pair"),
    ],
)
def test_ids_are_strings_and_grades_whole_numbers_everywhere(change, message):
    with pytest.raises(SettingError) as caught:
        of_run(**{"run": TOY.run(TOY.random_scores(0), 3), **change})
    assert message in str(caught.value)


@pytest.mark.parametrize("score", [True, "1", None, float("inf"), 10**400, 2**53 + 1, np.True_, 1j])
def test_scores_of_a_run_are_finite_numbers(score):
    with pytest.raises(EmbeddingError, match=r"the score of 'p:de:0' is .*, no finite number"):
        of_run({"q:de:0": {"p:de:0": score, "p:de:1": 0.5}})


def test_numbers_of_numpy_are_numbers():
    run = TOY.run(TOY.random_scores(0), 3)
    other = {q: {d: np.float64(s) for d, s in found.items()} for q, found in run.items()}
    qrels = {q: {d: np.int64(g) for d, g in found.items()} for q, found in TOY.qrels.items()}
    assert of_run(other, qrels=qrels) == of_run(run)
    whole = {q: {d: float(g) for d, g in found.items()} for q, found in TOY.qrels.items()}
    assert of_run(run, qrels=whole) == of_run(run)


def test_the_example_in_the_documentation_runs():
    assert doctest.testmod(language_bias).failed == 0
    assert doctest.testmod(language_bias).attempted >= 3
