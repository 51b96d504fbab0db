"""``mteb run`` on a made-up MIRACL corpus: official ids, shards, predictions, language bias."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from miracl_corpus import make_corpus
from toys import TESTS
from toys.cli import copied

from hybridir_mteb import language_bias
from hybridir_mteb.adapters.mteb.register import owner_of
from hybridir_mteb.bias.predictions import read_predictions
from hybridir_mteb.collections.own import add_pool
from hybridir_mteb.collections.readers.trec import read_qrels
from hybridir_mteb.errors import SettingError
from hybridir_mteb.installed import installed_plugins

PASSAGES = 200
PLUGIN = """
from hybridir_mteb.plugins.hookspecs import hookimpl

def load(model_name, revision=None, device=None, **kwargs):
    from toys.encoders import HashEncoder
    return HashEncoder()

@hookimpl
def register_models(register):
    from mteb.models.model_meta import ModelMeta, ScoringFunction
    meta = ModelMeta.create_empty(
        {"name": "test/quick", "revision": "1", "similarity_fn_name": ScoringFunction.COSINE}
    )
    register(meta.model_copy(update={"loader": load}))
"""


@pytest.fixture
def place(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a mirror of Swahili and Yoruba in the official format."""
    for code in ("sw", "yo"):
        make_corpus(tmp_path / "mirror", code, PASSAGES)
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "mirror"))
    monkeypatch.setenv("HYBRIDIR_COLLECTIONS", str(tmp_path / "collections"))
    return tmp_path


@pytest.mark.slow
def test_mteb_run_on_miracl(place, monkeypatch):
    pool = add_pool(installed_plugins().collections["MIRACL"], ("sw", "yo"), taken=owner_of)
    assert pool.name == "MIRACLSwYo"
    # This process has loaded its plugins already.
    monkeypatch.setitem(installed_plugins().collections._items, pool.name, pool)
    info = place / "site" / "quick-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: quick\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hybridir_mteb]\nquick = quick_plugin\n")
    (place / "site" / "quick_plugin.py").write_text(PLUGIN)
    path = os.pathsep.join([str(place / "site"), str(TESTS)])
    mono, multi = "MIRACLMonolingualRetrieval", "MIRACLSwYoMultilingualRetrieval"
    command = [sys.executable, "-m", "mteb", "run", "-m", "test/quick", "-t", mono, multi]
    command += ["-l", "swa", "yor", "--output-folder", str(place / "results")]
    command += ["--prediction-folder", str(place / "predictions")]
    copied(*command, PYTHONPATH=path)
    results = {
        name: {
            score["hf_subset"]: score
            for score in json.loads(next(place.rglob(f"{name}.json")).read_text())["scores"]["dev"]
        }
        for name in (mono, multi)
    }
    for code in ("sw", "yo"):
        score = results[mono][code]
        assert score["n_passages"] == PASSAGES
        check_official_qrels(place, code, score)
        assert results[multi][code]["n_passages"] == 2 * PASSAGES
        assert results[multi][code]["ndcg_at_10"] <= score["ndcg_at_10"] + 1e-9
    check_bias(place / "predictions", multi, mono, results[multi])


def check_official_qrels(place: Path, code: str, score: dict[str, float]) -> None:
    """The predictions have the files' own ids: trec_eval scores them with the official qrels."""
    folder = place / "mirror" / "miracl" / f"miracl-v1.0-{code}" / "qrels"
    qrels = read_qrels(folder / f"qrels.miracl-v1.0-{code}-dev.tsv")
    saved = json.loads(
        (place / "predictions" / "MIRACLMonolingualRetrieval_predictions.json").read_text()
    )
    run = {
        query: {p: -float(rank) for rank, p in enumerate(ranking)}
        for query, ranking in saved[code]["dev"].items()
    }
    measures = {"ndcg_cut_10", "recall_100"}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    assert len(found) == score["n_queries"] == len(qrels)
    for ours, theirs in (("ndcg_at_10", "ndcg_cut_10"), ("recall_at_100", "recall_100")):
        mean = np.mean([values[theirs] for values in found.values()])
        assert score[ours] == pytest.approx(mean, abs=1e-5)


def check_bias(folder: Path, multi: str, mono: str, scores: dict[str, dict[str, float]]) -> None:
    """The predictions give the language bias that the task reported."""
    file = folder / f"{multi}_predictions.json"
    found = read_predictions(file)
    assert found.n_passages == {"sw": PASSAGES, "yo": PASSAGES}
    report = language_bias.of_predictions(file, resamples=0)
    for code in ("sw", "yo"):
        for name in (
            "top1_relevant_same",
            "same_language_share_at_10",
            "same_language_share_at_100",
        ):
            assert report.by_language[code][name] == pytest.approx(scores[code][name], abs=1e-5)
    assert report.n_passages == {"sw": PASSAGES, "yo": PASSAGES}
    assert {"rank_distance", "lpr", "mrc"} <= set(report.not_applicable)
    with pytest.raises(SettingError, match=f"{mono} is monolingual.*hybridir data pool"):
        read_predictions(folder / f"{mono}_predictions.json")
