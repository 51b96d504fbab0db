"""The comparison of methods: tests per question, Holm's correction, and the tables of the page."""

import json

import pytest
from markers import compare as tables
from measured import Job
from per_query import BIAS, MEASURES, by_question, means
from scipy.stats import ttest_rel
from significance import against, pairwise_tests
from toys import REPOSITORY
from training_runs import median_seed

from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.installed import installed_plugins

DOCS = REPOSITORY / "docs"


def test_questions_are_paired_seeds_averaged_and_p_values_corrected():
    one = [{"q1": 0.1, "q2": 0.2, "q3": 0.5}, {"q1": 0.3, "q2": 0.2, "q3": 0.5}]
    two = [{"q1": 0.4, "q2": 0.5, "q3": 0.9}]
    three = [{"q1": 0.2, "q2": 0.2, "q3": 0.6, "q4": 1.0}]
    found = pairwise_tests({"a": one, "b": two, "c": three})
    first = found[0]
    assert (first["methods"], first["questions"]) == (["a", "b"], 3)
    assert first["difference"] == pytest.approx(0.3, abs=1e-6)
    means = [0.2, 0.2, 0.5]
    assert first["p"] == pytest.approx(ttest_rel(means, [0.4, 0.5, 0.9]).pvalue)
    smallest = min(found, key=lambda row: row["p"])
    assert smallest["p_holm"] == pytest.approx(3 * smallest["p"])  # the smallest of three
    assert all(row["p_holm"] >= row["p"] for row in found)


def test_a_reference_stands_against_each_other_method():
    seeds = [{"q1": 0.5, "q2": 0.7, "q3": 0.9}, {"q1": 0.6, "q2": 0.7, "q3": 0.8}]
    base = [{"q1": 0.1, "q2": 0.2, "q3": 0.3, "q4": 0.0}]
    more = [{name: value - 0.01 for name, value in of.items()} for of in (*seeds, seeds[0])]
    found = against({"hybrid": seeds, "base": base, "mono": more}, "hybrid", ["base", "mono"])
    assert [row["methods"] for row in found] == [["hybrid", "base"], ["hybrid", "mono"]]
    assert [row["difference"] for row in found] == pytest.approx([0.5, 0.01])
    assert [(row["seeds"], row["questions"]) for row in found] == [(2, 3), (2, 3)]
    smallest = min(found, key=lambda row: row["p"])
    assert smallest["p_holm"] == pytest.approx(2 * smallest["p"])


def test_means_weigh_subsets_equally():
    values = {"mono.map": {"de": {"q1": 1.0, "q2": 0.0}, "en": {"q1": 1.0}}}
    assert means(values) == {"mono.map": 0.75}
    assert by_question(values["mono.map"]) == {"q1": 1.0, "q2": 0.0}


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
def test_the_comparison_scores_as_the_tasks_do():
    """In bf16, against the committed fp32 scores of ``mteb run``."""
    languages = installed_plugins().collections["PocketQAR"].languages
    found = Job("pocket", None, "PocketQAR", languages, Precision.BF16).measure()["means"]
    committed = json.loads((DOCS / "results/pocketqa-r.json").read_text())["settings"]
    assert len(found) == 3 * len(MEASURES) + len(BIAS)
    compared = 0
    for key, value in found.items():
        setting, _, measure = key.partition(".")
        if measure in committed[setting]:  # the file is older than some measures
            tolerance = 2.0 if measure == "rank_distance" else 5e-3
            assert value == pytest.approx(committed[setting][measure], abs=tolerance), key
            compared += 1
    assert compared == 10


def collection(gain: float, p: float) -> dict:
    methods = ["base", "mono", "cross", "hybrid", "adversarial"]
    pairs = [(a, b) for at, a in enumerate(methods) for b in methods[at + 1 :]]
    tests = [
        {"methods": [a, b], "difference": gain if b == "hybrid" else -gain, "p_holm": p}
        for a, b in pairs
    ]
    keys = ("mono.map", "cross.map", "multi.map", "multi.rank_distance")
    return {"tests": dict.fromkeys(keys, tests)}


@pytest.mark.parametrize(
    ("sign", "said", "at_least"),
    [
        (1, "holds", "holds, and better"),
        (-1, "the reverse holds", "fails: worse"),
        (0, "no difference shown", "holds"),
    ],
)
def test_a_verdict_on_a_difference(sign, said, at_least):
    assert tables.verdict(sign) == said
    assert tables.verdict(sign, at_least=True) == at_least


def test_differences_are_found_in_both_orders_and_bold_where_significant():
    found = collection(0.05, 0.01)
    assert tables.tested(found, "multi.map", "hybrid", "base") == (0.05, 0.01)
    assert tables.tested(found, "multi.map", "base", "hybrid") == (-0.05, 0.01)
    assert tables.bold_if_significant(-0.05, 0.01, "multi.map") == "**-5.0**"
    assert tables.bold_if_significant(0.05, 0.06, "multi.map") == "+5.0"


def test_distances_are_in_ranks():
    assert tables.bold_if_significant(-41.4, 0.5, "multi.rank_distance") == "-41"
    assert tables.bold_if_significant(41.4, 0.01, "multi.rank_distance") == "**+41**"


def test_the_seed_that_ships_is_the_median_one_and_of_two_in_the_middle_the_better():
    assert median_seed([{"criterion": value} for value in (0.8, 0.7, 0.9)]) == 0
    assert median_seed([{"criterion": value} for value in (0.8, 0.7, 0.9, 0.85)]) == 3
    assert median_seed([{"criterion": value} for value in (0.5, 0.3, 0.4, 0.2, 0.1)]) == 1
