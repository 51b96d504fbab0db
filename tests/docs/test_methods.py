"""The comparison of all methods: what is run, and the tables that are made of its results."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import budget
import compare_methods
import numpy as np
import plot_answer
import pytest
import tune
from compare_methods import CAMPAIGNS, DEBIASERS, METHODS, REFERENCE, TESTED, summary
from markers import MarkerError, methods, render, results
from markers.compare import HELD_OUT
from members import BASE
from scipy import stats
from toys import REPOSITORY
from training_runs import Run

from hybridir_mteb.training.recipe import read_recipe

MADE_BY = json.loads((REPOSITORY / "docs/results/pocketqa-r.json").read_text())["made_by"]
# Contender -> number of seeds, and by how much it is better than the base.
GAINS = {BASE: (1, 0.0), f"{BASE}+centre": (1, 0.1), "mono": (3, 0.1), "cross": (3, 0.2)}
GAINS |= {REFERENCE: (3, 0.3), "adversarial": (2, 0.3)}


def made_up(gain: float, seed: int, more: int = 0) -> dict:
    """Scores of one seed: 40 questions, the gain above 0.2, a little noise."""
    rng = np.random.default_rng([seed, round(1000 * gain), more])
    questions = {
        key: {
            f"q{at}": (500 - 400 * gain if "distance" in key else 0.2 + gain) + noise / 100
            for at, noise in enumerate(stats.zscore(rng.normal(size=40)))  # of mean 0
        }
        for key in (*TESTED, "mono.ndcg_at_10")
    }
    means = {key: float(np.mean(list(of.values()))) for key, of in questions.items()}
    return {"means": means, "questions": questions}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Results of made-up scores, the same for all backbones."""
    scores = {
        name: [made_up(gain, at, len(name)) for at in range(seeds)]
        for name, (seeds, gain) in GAINS.items()
    }
    report: dict = {"made_by": MADE_BY, "collections": {"XQuADR": summary(scores)}}
    report["seeds"] = {"made": 3, "planned": 5}
    for backbone in methods.BACKBONES:
        (tmp_path / f"compare-methods-{backbone}.json").write_text(json.dumps(report))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    return report["collections"]["XQuADR"]


def rows(table: str) -> list[list[str]]:
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_contender_has_a_row_with_intervals_over_seeds_and_questions(tables):
    found = {row[0].strip("`"): row[1:] for row in rows(render("{{ contenders:muse XQuADR }}"))}
    assert list(found) == list(GAINS)
    assert [row[0] for row in found.values()] == ["1", "1", "3", "3", "3", "2"]
    assert found[REFERENCE][1].startswith("50.0 [49.")
    assert found[REFERENCE][4].startswith("380 [380, 380]")


def test_intervals_are_around_the_means_that_are_shown():
    questions = [{"a": 0.1, "b": 0.3, "c": 0.8}, {"a": 0.2, "b": 0.3, "c": 0.7}]
    low, high = compare_methods.around(0.9, questions)
    same = compare_methods.interval(questions)["interval"]
    assert low < 0.9 < high
    assert high - low == pytest.approx(same[1] - same[0], abs=2e-5)


def test_the_reference_stands_against_every_other_with_effect_sizes(tables):
    found = {row[0].strip("`"): row[1:] for row in rows(render("{{ hybrid-against:muse XQuADR }}"))}
    assert set(found) == set(GAINS) - {REFERENCE}
    assert found["mono"][0].startswith("**+20.0** [+19.")
    assert ", d 1" in found["mono"][0]  # 20 points at a spread of one or two
    assert found["mono"][3].startswith("**-80**")
    assert not found["adversarial"][0].startswith("**")  # no difference


def test_claims_are_judged_on_every_backbone(tables):
    found = rows(render("{{ claims-on:paper XQuADR }}"))
    assert len(found[0]) == 1 + len(methods.BACKBONES)
    assert {row[1].partition(":")[0] for row in found[:-1]} == {"holds, and better"}
    assert found[-1][1].startswith("holds: -80")
    found = rows(render("{{ claims-on:adversarial XQuADR }}"))
    assert {row[1].partition(":")[0] for row in found} == {"no difference shown"}


def test_the_papers_figures_stand_beside_ours(tables):
    found = rows(render("{{ beside-the-paper:XQuADR }}"))
    assert found[2] == ["paper", "XLM-R, `hybrid`", "79.8", "70.5", "59.3", "287"]
    assert found[-1][:3] == ["here", "gemma3-270m, `hybrid`", "50.0"]
    assert len(found) == 6 + 3 * len(methods.BACKBONES)


def test_a_backbone_that_is_not_compared_yet_is_left_out(tables):
    (results.RESULTS / "compare-methods-pocket.json").unlink()
    assert len(rows(render("{{ claims-on:paper XQuADR }}"))[0]) == len(methods.BACKBONES)
    assert not any("pocket" in row[1] for row in rows(render("{{ beside-the-paper:XQuADR }}")))
    assert "pocket" not in render("{{ answered-on }}")


def test_every_contender_has_a_mark_of_its_own(tables, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    import plot_methods

    monkeypatch.setattr(plot_methods, "RESULTS", tmp_path)
    assert plot_methods.backbones() == sorted(methods.BACKBONES)
    figure = plot_methods.draw("muse")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(GAINS)
    combined = [f"{one}+{debiaser}" for one in (BASE, REFERENCE) for debiaser in DEBIASERS]
    looks = [str(plot_methods.look_of(name)) for name in (BASE, *METHODS, *combined)]
    assert len(set(looks)) == len(looks)


def test_tables_say_where_else_encoders_were_measured(tables, tmp_path):
    assert "encoders also on" not in render("{{ contenders:muse XQuADR }}")
    path = tmp_path / "compare-methods-muse.json"
    here, there = MADE_BY["machine"], {"processor": "Some CPU", "cores": 16, "gpu": "Some GPU"}
    members = [{"machine": machine} for machine in (here, there, there)]
    path.write_text(json.dumps({**json.loads(path.read_text()), "members_made_by": members}))
    assert "; encoders also on Some CPU, 16 cores, Some GPU<" in render(
        "{{ contenders:muse XQuADR }}"
    )


def test_targets_are_of_the_best_method_by_held_out_text_and_of_hybrid(tables, tmp_path):
    path = tmp_path / "compare-methods-pocket.json"
    content = json.loads(path.read_text())
    of = content["collections"]["XQuADR"]["contenders"]
    for name, (mono, multi, distance) in {
        BASE: (0.9, 0.9, 9.0),
        f"{BASE}+centre": (0.9, 0.95, 9.0),
        "cross": (0.789, 0.66, 260.0),
        REFERENCE: (0.8, 0.6, 300.0),
    }.items():
        new = {"mono.map": mono, "multi.map": multi, "multi.rank_distance": distance}
        of[name]["mean"] |= new
    of["adversarial"]["mean"]["multi.map"] = 0.99  # on an evaluation set, which must not choose
    content["held_out"] = {
        name: [{"criterion": value} for value in values]
        for name, values in {"adversarial": (0.9, 0.1), "cross": (0.6, 0.7)}.items()
    }
    path.write_text(json.dumps(content))
    (tmp_path / "compare-methods-gemma3-270m.json").unlink()
    found = rows(render("{{ targets }}"))
    assert [row[1] for row in found] == ["`cross`, best by held-out text"] * 3 + ["`hybrid`"]
    assert [row[3:] for row in found] == [
        ["at least 66.0", "66.0", "yes"],
        ["at least 79.0", "78.9", "no"],
        ["at most 260", "260", "yes"],
        ["at least 61.0", "60.0", "no"],
    ]


def test_missing_results_name_their_target(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(MarkerError, match="make compare-methods writes it"):
        render("{{ contenders:muse XQuADR }}")
    with pytest.raises(MarkerError, match="make tune writes it"):
        render("{{ tuned:muse }}")


def test_trials_are_equally_many_and_the_best_is_marked(tmp_path, monkeypatch):
    held = {"criterion": 0.5, "standard_error": 0.02, "language_probe": 0.25}
    report: dict = {"made_by": MADE_BY, "methods": {}}
    for method, runs in tune.trials("muse").items():
        trials = [{**tune.values_of(run), "held_out": held} for run in runs]
        report["methods"][method] = {"chosen": tune.values_of(runs[1]), "trials": trials}
    (tmp_path / "tuned.json").write_text(json.dumps({"muse": report}))
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    found = rows(render("{{ tuned:muse }}"))
    assert [row[4] for row in found].count("yes") == 2
    assert found[1] == ["`hybrid`", "alpha 0.5, learning_rate 7.5e-05", "50.0 ± 2.0", "25.0", "yes"]
    assert len([row for row in found if row[0] == "`adversarial`"]) * 2 == len(found)


def test_a_larger_budget_is_told_beside_the_recipe_and_stands_in_the_table(tmp_path, monkeypatch):
    held = {key: 0.5 for key, _, _ in HELD_OUT.values()}
    told: list = []

    def trained(runs):
        told.extend(runs)
        record = {"selection": {"encoder": held}, "machine": {"seconds": 1.0}}
        return {run: SimpleNamespace(record=record) for run in told}

    monkeypatch.setattr(budget, "train_all", trained)
    monkeypatch.setattr(budget, "OUTPUT", tmp_path / "budget.json")
    monkeypatch.setattr("sys.argv", ["budget.py", "pocket"])
    (tmp_path / "budget.json").write_text('{"muse": "of another process"}')
    budget.main()
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    assert results.load("budget")["muse"] == "of another process"
    assert told[0] == Run("pocket-hybrid", "hybrid") == compare_methods.members("pocket")[3].run
    found = [row[:3] for row in rows(render("{{ budget:pocket }}"))]
    recipe = read_recipe(Path("pocket-hybrid"), method="hybrid")
    assert found[0] == [f"{recipe.steps}", f"{recipe.batch_size}", f"{recipe.learning_rate:g}"]
    assert [f"{3 * recipe.steps}", f"{recipe.batch_size}", found[0][2]] in found
    assert [f"{recipe.steps}", f"{4 * recipe.batch_size}", found[0][2]] in found


@pytest.mark.parametrize("backbone", tune.GRIDS)
def test_both_methods_are_tuned_by_as_many_different_trials(backbone):
    trials = tune.trials(backbone)
    assert set(trials) == set(tune.OPTIONS)
    numbers = {len({str(run) for run in runs}) for runs in trials.values()}
    assert numbers == {len(trials["hybrid"])}


def test_recipes_say_what_was_chosen():
    found = json.loads((REPOSITORY / "docs/results/tuned.json").read_text())
    assert found
    for backbone, of in found.items():
        for method, option in tune.OPTIONS.items():
            chosen = of["methods"][method]["chosen"]
            recipe = tune.Run(f"{backbone}-{method}", method).wanted
            assert recipe.learning_rate == chosen["learning_rate"]
            assert recipe.method_options[option] == chosen[option]
            if "hybrid-adversarial" in CAMPAIGNS[backbone].methods:
                both = tune.Run(f"{backbone}-hybrid-adversarial", "hybrid-adversarial").wanted
                assert both.method_options[option] == chosen[option]


def test_backbones_that_are_tuned_at_the_same_time_both_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "OUTPUT", tmp_path / "tuned.json")
    monkeypatch.setattr("sys.argv", ["tune.py", "pocket"])

    def judged(runs):
        (tmp_path / "tuned.json").write_text(json.dumps({"muse": "of another process"}))
        trial = {"learning_rate": 1.0, "alpha": 0.5, "strength": 0.5}
        return {method: [{**trial, "held_out": {"criterion": 0.5}}] for method in runs}

    monkeypatch.setattr(tune, "judged", judged)
    tune.main()
    found = json.loads((tmp_path / "tuned.json").read_text())
    assert found["muse"] == "of another process"
    assert found["pocket"]["methods"]["hybrid"]["chosen"] == {"alpha": 0.5, "learning_rate": 1.0}


def test_what_is_chosen_goes_into_the_recipes(tmp_path, monkeypatch):
    for name in ("muse", "muse-hybrid", "muse-adversarial", "muse-hybrid-adversarial"):
        shutil.copy(tune.RECIPES / f"{name}.yaml", tmp_path)
    shared = read_recipe(tmp_path / "muse.yaml")
    monkeypatch.setattr(tune, "RECIPES", tmp_path)
    chosen = {
        "hybrid": {"alpha": 0.75, "learning_rate": 6e-4},
        "adversarial": {"strength": 0.3, "learning_rate": 7.5e-5},
    }
    for _ in range(2):  # a second time nothing is there twice
        tune.write_recipes("muse", {name: {"chosen": of} for name, of in chosen.items()})
        found = {path.stem: read_recipe(path) for path in tmp_path.glob("*.yaml")}
        assert found["muse"] == shared.model_copy(update={"learning_rate": 6e-4})
        assert found["muse-hybrid"].method_options == {"alpha": 0.75}
        assert found["muse-hybrid"].learning_rate == 6e-4
        assert found["muse-adversarial"].method_options == {"strength": 0.3}
        assert found["muse-adversarial"].learning_rate == 7.5e-5
        assert found["muse-hybrid-adversarial"].learning_rate == 6e-4
        assert found["muse-hybrid-adversarial"].method_options == {"alpha": 0.75, "strength": 0.3}
        assert all(path.read_text().count("learning_rate") <= 1 for path in tmp_path.iterdir())


@pytest.mark.parametrize("backbone", CAMPAIGNS)
def test_every_run_of_the_comparison_has_a_recipe(backbone):
    runs = CAMPAIGNS[backbone].runs(backbone)
    for method, of_method in runs.items():
        assert [run.wanted.seed for run in of_method] == list(range(CAMPAIGNS[backbone].seeds))
        assert of_method[0].wanted.method == method
    languages = runs[REFERENCE][0].wanted.languages
    rooms = compare_methods.rooms(backbone, languages)
    assert (backbone == "muse") == any(room.title == compare_methods.UNSEEN for room in rooms)
    assert set(METHODS) >= set(runs)
    ordered = compare_methods.members(backbone)
    assert ordered[0].method == BASE
    assert len({member.path for member in ordered}) == len(ordered)
    assert {member.seed for member in ordered[1 : 1 + len(runs)]} == {0}
    debiased = {member.method for member in ordered if member.debiasers}
    assert debiased == {BASE, REFERENCE}


def test_the_first_picture_has_the_seeds_of_every_method(tables, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    import plot_methods

    monkeypatch.setattr(plot_methods, "RESULTS", tmp_path)
    monkeypatch.setattr(plot_answer, "METHODS", (REFERENCE, "adversarial", BASE))
    drawn = plot_answer.drawn({"muse": plot_methods.compared("muse")["XQuADR"]})
    seeds = {name: len(of["multi.map"]["seeds"]) for name, of in drawn["muse"].items()}
    assert seeds == {REFERENCE: 3, "adversarial": 2, BASE: 1}
    figure = plot_answer.draw(drawn)
    assert [axes.get_ylabel() for axes in figure.axes] == ["muse", ""]


@pytest.mark.usefixtures("tables")
def test_the_first_picture_is_of_the_backbones_that_its_caption_names():
    assert plot_answer.BACKBONES == methods.BACKBONES
    named = ", ".join(f"`{backbone}` (3 of 5)" for backbone in methods.BACKBONES)
    assert render("{{ answered-on }}") == named
    path = results.RESULTS / "compare-methods-muse.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seeds": {"made": 5, "planned": 5}}))
    assert render("{{ answered-on }}") == named.replace("`muse` (3 of 5)", "`muse` (5)")


def test_the_seed_that_ships_is_marked_in_the_held_out_scores(tables, tmp_path):
    scores = {"mono_map": 0.9, "cross_map": 0.8, "multi_map": 0.7, "rank_distance": 70.2}
    scores |= {"language_probe": 0.55, "criterion": 0.8}
    seeds = {"0": scores, "1": {**scores, "cross_map": 0.6}}
    of = {"mono": {"shipped_seed": 1, "held_out": seeds}}
    content = {"made_by": MADE_BY, "backbone": scores, "methods": of}
    (tmp_path / "train-pocket.json").write_text(json.dumps(content))
    assert rows(render("{{ shipped-seeds }}")) == [
        ["`base`", "", "90.0", "80.0", "70.0", "80.0", "70", "0.55", ""],
        ["`mono`", "0", "90.0", "80.0", "70.0", "80.0", "70", "0.55", ""],
        ["`mono`", "1", "90.0", "60.0", "70.0", "80.0", "70", "0.55", "yes"],
    ]


def test_training_stands_against_the_best_debiaser_of_its_backbone(tables):
    found = rows(render("{{ debias-verdict:XQuADR }}"))
    assert [row[0] for row in found] == [
        f"`{name}`" for name in methods.BACKBONES for _ in range(4)
    ]
    assert [row[2:] for row in found[:4]] == [
        *[[f"`{BASE}+centre`", "+20.0", "training"]] * 3,
        [f"`{BASE}+centre`", "-80", "training"],
    ]
    shown = rows(render(f"{{{{ debias-effect:muse XQuADR {BASE} }}}}"))
    assert [row[0] for row in shown] == [f"`{BASE}`", f"`{BASE}+centre`"]


def test_what_a_debiaser_adds_to_training_has_its_own_sign(tables, tmp_path):
    both = f"{REFERENCE}+centre"
    scores = {name: [made_up(0.3, at) for at in range(3)] for name in (REFERENCE, both)}
    for of in scores[both]:
        of["questions"] = {
            key: {one: value + 0.02 for one, value in values.items()}
            for key, values in of["questions"].items()
        }
    path = tmp_path / "compare-methods-muse.json"
    report = json.loads(path.read_text())
    path.write_text(json.dumps({**report, "collections": {"XQuADR": summary(scores)}}))
    ((name, mono, *_, distance),) = rows(render("{{ debias-both:muse XQuADR }}"))
    assert name == f"`{both}`"
    assert mono == "**+2.0** [+2.0, +2.0]"
    assert distance.startswith("**+0**")
