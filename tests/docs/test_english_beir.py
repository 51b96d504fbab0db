"""English BEIR sets: the published figure beside ours, and whole runs on two small folders."""

import json
from types import SimpleNamespace

import english_beir
import numpy as np
import pytest
from markers import MarkerError, render, results
from toys import REPOSITORY

from hybridir_mteb import paths

TEXTS = {
    "d1": "Amber is fossilised resin of trees.",
    "d2": "The axolotl lives in lakes near Mexico City.",
    "d3": "Bronze is an alloy of copper and tin.",
}
QUESTIONS = {"q1": ("What is amber made of?", "d1"), "q2": ("Where do axolotls live?", "d2")}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two collections; in the second, one question has the wrong passage as its relevant one."""
    for name, wrong in zip(english_beir.COLLECTIONS.values(), ({}, {"q2": "d3"}), strict=True):
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        corpus = [{"_id": key, "title": "", "text": text} for key, text in TEXTS.items()]
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)))
        queries = [{"_id": key, "text": text} for key, (text, _) in QUESTIONS.items()]
        (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
        rows = [f"{key}\t{wrong.get(key, doc)}\t1" for key, (_, doc) in QUESTIONS.items()]
        (folder / "qrels/test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    monkeypatch.setattr(english_beir, "data", lambda: tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("small", "pocket_weights")
def test_an_encoder_is_scored_on_both_and_kept():
    pytest.importorskip("beir")
    base = english_beir.Contender("base", "pocket-base")
    found = english_beir.evaluated(base, "fp32", "code")
    assert found["questions"]["SciFact"] == {
        "ndcg_at_10": {"q1": 1.0, "q2": 1.0},
        "mrr_at_10": {"q1": 1.0, "q2": 1.0},
    }
    first = found["questions"]["Cranfield"]["mrr_at_10"]
    assert first["q1"] == 1.0
    assert first["q2"] in (1 / 2, 1 / 3)  # the wrong passage is the relevant one
    kept = list((paths.cache_dir() / "english-beir").glob("pocket-base-*.json"))
    assert [json.loads(path.read_text()) for path in kept] == [found["questions"]]


def test_the_first_relevant_passage_counts_and_only_among_the_best_ten():
    scores = {f"d{at}": -at for at in range(20)}
    assert english_beir.reciprocal_rank({"d0": 1, "d3": 1}, scores) == 1
    assert english_beir.reciprocal_rank({"d0": 0, "d3": 2}, scores) == 1 / 4
    assert english_beir.reciprocal_rank({"d9": 1}, scores) == 1 / 10
    assert english_beir.reciprocal_rank({"d10": 1}, scores) == 0


def test_hybrid_is_tested_against_every_other_method():
    rng = np.random.default_rng(0)

    def values(gain: float) -> dict:
        of = {f"q{at}": gain + value for at, value in enumerate(rng.normal(size=30) / 100)}
        return dict.fromkeys(english_beir.MEASURES, of)

    gains = {"base": [0.3], "mono": [0.5, 0.5], "hybrid": [0.6, 0.6]}
    found = english_beir.summary({name: list(map(values, of)) for name, of in gains.items()})
    assert found["contenders"]["mono"]["ndcg_at_10"]["mean"] == pytest.approx(0.5, abs=0.01)
    rows = found["tests"]["mrr_at_10"]
    assert [row["methods"] for row in rows] == [["hybrid", "base"], ["hybrid", "mono"]]
    assert [row["difference"] for row in rows] == pytest.approx([0.3, 0.1], abs=0.01)
    assert all(row["p_holm"] < 0.05 for row in rows)


@pytest.mark.parametrize("backbone", english_beir.CAMPAIGNS)
def test_the_backbone_and_the_first_seeds_of_every_method_are_asked(backbone, monkeypatch):
    def stored(runs):
        return {
            run: SimpleNamespace(name=f"hybridir/{run.recipe}", fingerprint=f"{run.seed}")
            for run in runs
        }

    monkeypatch.setattr(english_beir, "train_all", stored)
    first, *found = english_beir.contenders(backbone, 2)
    assert first == english_beir.Contender("base", f"{backbone}-base")
    methods = english_beir.CAMPAIGNS[backbone].methods
    assert [one.method for one in found] == [name for name in methods for _ in range(2)]
    assert {one.revision for one in found} == {"0", "1"}
    fewer = english_beir.contenders(backbone, 1, ("mono", "hybrid"))
    assert [one.method for one in fewer] == ["base", "mono", "hybrid"]


def test_the_published_figure_is_that_of_mtebs_results(mirror):
    found = english_beir.published(english_beir.PUBLISHED["pocket"])
    assert found["ndcg_at_10"] == 0.67585
    assert found["mrr_at_10"] == 0.64358


def test_tables_have_every_method_and_say_what_is_significant(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    spread = {f"q{at}": value / 100 for at, value in enumerate(rng.normal(size=30))}

    def seeds(*gains: float) -> list:
        return [
            {key: {q: gain + noise for q, noise in spread.items()} for key in english_beir.MEASURES}
            for gain in gains
        ]

    found = english_beir.summary(
        {"base": seeds(0.3), "mono": seeds(0.55, 0.65), "hybrid": seeds(0.6, 0.6)}
    )
    made_by = json.loads((REPOSITORY / "docs/results/pocketqa-r.json").read_text())["made_by"]
    content = {"made_by": made_by, "collections": dict.fromkeys(english_beir.COLLECTIONS, found)}
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    with pytest.raises(MarkerError, match="make bench-beir writes it"):
        render("{{ english:muse }}")
    (tmp_path / "beir-english-muse.json").write_text(json.dumps(content))
    lines = [line for line in render("{{ english:muse }}").splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == ["base", "mono", "hybrid"]
    assert lines[2].count("| 2 |") == 1
    assert lines[2].count(" 60.") == 4
    rows = render("{{ english-against:muse }}").splitlines()
    assert rows[2].count("**+30.0** [") == 4
    assert "**" not in rows[3]  # between its seeds mono differs more than from hybrid
