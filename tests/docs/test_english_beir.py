"""English BEIR sets: the published figure beside ours, and whole runs on two small folders."""

import json

import english_beir
import pytest

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
    found = english_beir.evaluated("pocket-base", "fp32", "code")
    assert found["scores"]["SciFact"] == {"ndcg_at_10": 1.0, "mrr_at_10": 1.0}
    of_wrong = 2 * found["scores"]["Cranfield"]["mrr_at_10"] - 1  # the other question has 1
    assert of_wrong in (pytest.approx(1 / 2), pytest.approx(1 / 3))
    kept = list((paths.cache_dir() / "english-beir").glob("pocket-base-*.json"))
    assert [json.loads(path.read_text()) for path in kept] == [found["scores"]]


def test_the_published_figure_is_that_of_mtebs_results(mirror):
    found = english_beir.published()
    assert found["ndcg_at_10"] == 0.67585
    assert found["mrr_at_10"] == 0.64358
