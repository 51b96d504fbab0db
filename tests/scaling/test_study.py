"""Settings, families and zero-shot: what counts, what is left out, and known figures."""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.plugins import point
from toys.scaling import FAMILIES, SIZES, TASK, a_family, cells_of, law

from hybridir_mteb.errors import DataFormatError, SettingError, UnknownNameError
from hybridir_mteb.plugins.hookspecs import hookimpl
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.specs import Family
from hybridir_mteb.results.benchmarks import BEIR
from hybridir_mteb.scaling.beside import comparable, public_beside
from hybridir_mteb.scaling.families import read_families
from hybridir_mteb.scaling.scores import Cell, Facts, Scores, csv_of, read_csv
from hybridir_mteb.scaling.settings import SETTINGS, one_language, setting
from hybridir_mteb.scaling.study import Options, Size, Status, study

NAMES = ("mlqa-mono", "mlqa-cross", "mlqa-gap")
F2LLM = "F2LLM-v2"
# What was read off the public results, in percent, from 80M to 14B.
KNOWN = {
    "miracl-hard": (49.0, 52.2, 57.9, 59.6, 62.8, 63.8, 64.9, 64.9),
    "mlqa-mono": (55.6, 59.0, 63.2, 64.5, 67.2, 69.3, 70.2, 71.1),
    "mlqa-cross": (51.4, 55.8, 61.8, 65.0, 69.0, 71.0, 72.1, 73.1),
    "belebele-same": (60.5, 65.1, 71.6, 72.5, 76.8, 80.1, 82.1, 83.0),
    "belebele-other": (56.3, 61.8, 69.1, 72.8, 78.7, 81.6, 84.3, 85.5),
}


def test_public_models_stand_beside_tasks_that_are_the_same_there():
    cells = [Cell("a/b", "main", "SciFact", "test", "default", 0.5, 0.4)]
    cells += [Cell("a/c", "main", "SciFact", "test", "default", 0.25, 0.4)]
    cells += [Cell("a/d", "main", "SciFact", "test", "default", 7.0, 0.4)]  # no score
    facts = {f"a/{name}": Facts(parameters=10**8, trained_on=frozenset()) for name in "bd"}
    facts["a/c"] = Facts(parameters=10**9, trained_on=frozenset({"SciFact"}))
    names = ["SciFact", "XQuADR", "MIRACLMonolingualRetrieval", "HybridIR-BEIR", "NFCorpus"]
    found = public_beside(names, Scores(tuple(cells), facts, ("here",)))
    assert found.origin == "here"
    assert found.tasks == {
        "SciFact": [("a/b", 10**8, 0.5, "zero-shot"), ("a/c", 10**9, 0.25, "trained")]
    }
    assert set(comparable(names)) == {"SciFact", "NFCorpus", "HybridIR-BEIR"}
    assert comparable(["HybridIR-BEIR"])["HybridIR-BEIR"].tasks == BEIR.tasks


def result_of(found, name, measure="ndcg_at_10"):
    return next(r for r in found.results if (r.setting.name, r.measure) == (name, measure))


def trend_of(found, name, family, measure="ndcg_at_10"):
    return next(t for t in result_of(found, name, measure).trends if t.name == family)


@pytest.mark.parametrize("name", KNOWN)
def test_published_figures_come_out_of_the_snapshot(public, name):
    trend = trend_of(public, name, F2LLM)
    assert [round(point.score, 1) for point in trend.points] == list(KNOWN[name])
    assert 0.2 < trend.law.residual < 0.7
    assert 1.1 < trend.line.residual < 2.1
    assert 1.0 <= abs(trend.far.law) <= 2.4
    assert 4.9 <= abs(trend.far.line) <= 10


def test_published_laws_come_out_of_the_snapshot(public):
    hard, cross = (trend_of(public, n, F2LLM).law for n in ("miracl-hard", "mlqa-cross"))
    assert (hard.a, hard.c) == pytest.approx((67.1, 0.447), abs=0.06)
    assert hard.c_interval == pytest.approx((0.31, 0.59), abs=0.02)
    assert (hard.there, *hard.there_interval) == pytest.approx((66.2, 64.9, 67.6), abs=0.2)
    assert (cross.a, cross.c) == pytest.approx((77.0, 0.372), abs=0.12)
    assert (cross.there, *cross.there_interval) == pytest.approx((74.9, 73.6, 76.1), abs=0.2)


def test_the_language_gap_closes_with_size(public):
    gaps = [p.score for p in trend_of(public, "mlqa-gap", F2LLM).points]
    assert [round(gap, 1) for gap in (gaps[0], gaps[-1])] == [4.2, -2.0]
    e5 = [round(p.score, 1) for p in trend_of(public, "mlqa-gap", "multilingual-e5").points]
    assert e5 == [13.0, 7.7, 3.3]


def test_eight_small_sets_in_english_and_polish_are_as_published(public):
    known = {
        "ndcg_at_10": (41.3, 43.4, 48.0, 49.5, 53.4, 56.6, 57.0, 57.3),
        "mrr_at_10": (50.5, 52.5, 56.1, 58.0, 62.5, 65.2, 66.2, 66.9),
    }
    for measure, expected in known.items():
        parts = (trend_of(public, name, F2LLM, measure) for name in ("beir-small", "beir-pl"))
        english, polish = (np.array([point.score for point in t.points]) for t in parts)
        found = (6 * english + 2 * polish) / 8
        assert found == pytest.approx(expected, abs=0.06)


def test_who_was_trained_on_a_task_is_not_zero_shot(public):
    status = {p.model: p.status for p in result_of(public, "miracl-hard").points}
    assert status["codefuse-ai/F2LLM-v2-14B"] is Status.TRAINED
    assert status["sentence-transformers/LaBSE"] is Status.ZERO_SHOT
    assert status["Alibaba-NLP/gte-Qwen2-7B-instruct"] is Status.UNDECLARED
    of_mlqa = {p.model: p.status for p in result_of(public, "mlqa-cross").points}
    assert of_mlqa["codefuse-ai/F2LLM-v2-14B"] is Status.ZERO_SHOT  # by task, not by model


def test_zero_shot_only_leaves_out_the_trained_and_the_silent():
    scores = a_family()
    told = {
        f"made/up-{size}M": Facts(parameters=size * 10**6, trained_on=seen)
        for size, seen in ((30, frozenset({TASK})), (100, None), (300, frozenset({"NQ"})))
    }
    scores = replace(scores, facts={**scores.facts, **told})
    options = Options(("mlqa-cross",))
    result = result_of(study(scores, FAMILIES, options), "mlqa-cross")
    assert [p.status for p in result.points][:3] == ["trained", "undeclared", "zero-shot"]
    assert result.points[0].trained_on == (TASK,)
    only = result_of(study(scores, FAMILIES, replace(options, zero_shot_only=True)), "mlqa-cross")
    assert {p.model for p in only.points} == {p.model for p in result.points[2:]}
    assert only.left_out == {"not zero-shot: trained": 1, "not zero-shot: undeclared": 1}


@pytest.mark.parametrize("seed", range(3))
def test_a_made_up_family_with_a_known_law_is_recovered_within_its_interval(seed):
    found = study(a_family(noise=0.4, seed=seed), FAMILIES, Options(NAMES))
    trend = trend_of(found, "mlqa-mono", "toy")
    assert [point.size for point in trend.points] == list(SIZES)
    low, high = trend.law.there_interval
    assert low <= law(70e9, 70, 10, 0.4) <= high
    assert trend.law.c_interval[0] <= 0.4 <= trend.law.c_interval[1]
    assert [p.score for p in trend_of(found, "mlqa-gap", "toy").points] == pytest.approx([5] * 6)


def test_a_model_that_lacks_a_subset_has_no_score():
    scores = a_family()
    short = tuple(c for c in scores.cells if (c.model, c.subset) != ("made/up-30M", "deu-ara"))
    result = result_of(study(replace(scores, cells=short), FAMILIES, Options(NAMES)), "mlqa-cross")
    assert "made/up-30M" not in {point.model for point in result.points}
    assert result.left_out == {"not all subsets, or not sound": 1}


def test_of_two_revisions_the_one_with_more_counts_then_the_registered_one():
    model, facts = "made/up-30M", Facts(parameters=30, revision="b", trained_on=frozenset())
    revisions = {
        name: [replace(cell, revision=name) for cell in cells_of(model, score, score)]
        for name, score in (("a", 0.5), ("b", 0.6), ("z", 0.7))
    }
    for cells, expected in (
        ([*revisions["a"], *revisions["b"], *revisions["z"]], 60),
        ([*revisions["a"], *revisions["b"][:-1]], 50),
    ):
        found = study(Scores(tuple(cells), {model: facts}), FAMILIES, Options(("mlqa-mono",)))
        (point,) = result_of(found, "mlqa-mono").points
        assert point.score == pytest.approx(expected)


def test_parameters_are_counted_as_asked():
    experts = Facts(parameters=58, embedding_parameters=3, active_parameters=13)
    dense = replace(experts, active_parameters=None)
    assert [Size.TOTAL.of(experts), Size.ACTIVE.of(experts), Size.ACTIVE.of(dense)] == [58, 13, 55]
    assert Size.ACTIVE.of(Facts()) is None


def test_sparse_models_and_those_of_unknown_size_are_counted_as_left_out(public):
    left_out = result_of(public, "beir").left_out
    assert left_out["not a dense encoder"] > 5
    assert left_out["number of parameters unknown"] > 5


def test_the_frontier_rises_with_size(public):
    for result in public.results:
        best = result.frontier
        assert [p.size for p in best] == sorted({p.size for p in best})
        assert [p.score for p in best] == sorted({p.score for p in best})


def test_pairs_of_languages_are_counted_by_the_names_of_subsets(published):
    for task, same, other in (("MLQARetrieval", 7, 42), ("BelebeleRetrieval", 122, 254)):
        subsets = {cell.subset for cell in published.cells if cell.task == task}
        assert Counter(map(one_language, subsets)) == {True: same, False: other}
    with pytest.raises(UnknownNameError, match=r"no setting 'mlqa'. Did you mean mlqa-"):
        setting("mlqa")
    assert all(one.minus is not None for name, one in SETTINGS.items() if name.endswith("-gap"))


def test_families_name_models_that_there_are_and_no_model_is_in_two(published):
    families, models = read_families(), {cell.model for cell in published.cells}
    for family in families.known:
        members = {model for model in models if family.holds(model)}
        assert len(members) > 1 or family.name.startswith("hybridir")
        assert not [m for m in members for f in families.known if f.holds(m) and f != family]


def test_a_family_of_ones_own_takes_the_place_of_ours(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[families.harrier]\nmodels = ["me/a-*"]\n[families.new]\nmodels = ["b/c"]\n')
    families = read_families(path)
    assert [one.name for one in families.known][:2] == ["harrier", "new"]
    assert families.of("me/a-1B").name == "harrier"
    assert families.of("microsoft/harrier-oss-v1-27b") is None
    with pytest.raises(UnknownNameError, match="no family 'nwe'"):
        families.named(["nwe"])


def test_a_plugins_family_stands_between_the_users_and_ours(tmp_path):
    plugins = load_plugins([point(SimpleNamespace(register_families=hookimpl(add_families)))])
    (said,) = plugins.problems
    assert "'bad': models must be names" in said
    path = tmp_path / "mine.toml"
    path.write_text('[families.harrier]\nmodels = ["me/a-*"]\n')
    families = read_families(path, [one for _, one in plugins.families.items()])
    assert [one.models for one in families.known][:2] == [("me/a-*",), ("they/e5-*",)]
    assert families.of("they/e5-1B").name == "e5"
    assert families.of("intfloat/e5-base") is None
    with pytest.raises(SettingError, match="models must be names"):
        Family("one", "me/demo-*")


def add_families(register):
    """Two families, by the names of ours, then something that is none."""
    register(Family("harrier", ("they/b-*",)))
    register(Family("e5", ("they/e5-*",)))
    register(Family("bad", ()))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("families = 3", r'expected tables \[families."name"\]'),
        ("[families.a]\nmodels = []", "family 'a': models must be names"),
        ("[families.a]\nmodel = ['x']", "family 'a': expected models and note"),
        ("[families.a]\nmodels = ['x']\nnote = 3", "family 'a': note must be text"),
        ("[families.a", "no TOML"),
    ],
)
def test_a_table_that_is_none_gives_one_line(tmp_path, text, why):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(DataFormatError, match=why) as caught:
        read_families(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@settings(max_examples=30)
@given(
    st.integers(0, 100_000), st.none() | st.integers(0, 100_000), st.text('aé,"\n-_', max_size=8)
)
def test_cells_come_back_from_csv_as_they_were(ndcg, mrr, name):
    (cell,) = cells_of("m/m", ndcg / 1e5, 0)[:1]
    cell = replace(cell, revision=name, mrr_at_10=None if mrr is None else mrr / 1e5)
    assert read_csv(csv_of([cell]), "x.csv") == (cell,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "x.csv:1: no column model, revision"),
        ("model,revision,task,split,subset,mrr_at_10\n", "x.csv:1: no column ndcg_at_10"),
        (csv_of([]) + "a,b\n", "x.csv:2: 2 cells where the first line has 7"),
        (csv_of([]) + "a,b,c,d,e,high,\n", "x.csv:2: 'high' is no score"),
        (csv_of([]) + "a,b,c,d,e,0.5,nan\n", "x.csv:2: 'nan' is no score"),
    ],
)
def test_a_table_of_scores_that_is_none_gives_one_line(text, why):
    with pytest.raises(DataFormatError, match=why) as caught:
        read_csv(text, "x.csv")
    assert "\n" not in str(caught.value)
