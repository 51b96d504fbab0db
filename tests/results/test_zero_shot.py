"""Which encoders were trained on a collection's data, by what stands beside their results."""

import json
from pathlib import Path

import pytest
from toys.cli import pipe, rows, run

from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.cli.numbers import measures_of_plugins
from hybridir_mteb.encoders import trained
from hybridir_mteb.results.zero_shot import not_zero_shot, trained_on


def put(folder: Path, name: str, trained_on: list[str] | None, **more: float) -> None:
    """Metadata of a model and its result in two collections."""
    place = folder / name.replace("/", "__") / "1"
    place.mkdir(parents=True)
    meta = {"name": name, "training_datasets": trained_on}
    (place / "model_meta.json").write_text(json.dumps(meta), encoding="utf-8")
    for collection in ("XQuADR", "PocketQAR"):
        score = {"hf_subset": "de", "map": 0.5, "n_passages": 9, "rank_distance": 1.0, **more}
        content = {"scores": {"validation": [score]}}
        file = place / f"{collection}MultilingualRetrieval.json"
        file.write_text(json.dumps(content), encoding="utf-8")


def test_encoders_are_named_by_collection(tmp_path):
    put(tmp_path, "org/seen", ["SQuAD", "XQuADRetrieval"])
    put(tmp_path, "org/unseen", ["MSMARCO"])
    put(tmp_path, "org/unsaid", None)
    (tmp_path / "org__unsaid" / "2").mkdir()
    (tmp_path / "org__unsaid" / "2" / "model_meta.json").write_text("{", encoding="utf-8")
    assert trained_on(tmp_path).keys() == {"org/seen", "org/unseen"}
    encoders = ("org/seen", "org/seen (alpha_0.3)", "org/unseen", "org/unsaid")
    same = {"XQuADR": frozenset({"XQuADR", "XQuADRetrieval"})}
    pairs = [(name, encoder) for name in ("XQuADR", "Other") for encoder in encoders]
    assert not_zero_shot(tmp_path, pairs, same) == {"XQuADR": list(encoders[:2])}


def test_the_report_says_who_is_not_and_shows_measures_of_plugins(tmp_path, monkeypatch):
    pipe(monkeypatch, width=200)
    put(tmp_path, "org/seen", ["XQuADRetrieval"], worst_rank=12.25)
    put(tmp_path, "org/unseen", [])
    said = run("report", str(tmp_path))
    assert "not zero-shot: XQuADR: org/seen (trained on its data" in said
    assert said.count("not zero-shot") == 1
    page = tmp_path / "report.html"
    bias = run("report", str(tmp_path), "--bias", "--html", str(page))
    assert "not zero-shot" not in bias
    assert "Not zero-shot: XQuADR: org/seen (trained" in page.read_text(encoding="utf-8")
    assert "Measures of plugins, means" in bias
    assert ["XQuADR", "org/seen", "12.25"] in rows(bias)
    assert ["XQuADR", "org/unseen", "-"] in rows(bias)
    assert measures_of_plugins(["map", "n_queries", "rank_distance", "mine"]) == ["mine"]


def test_cards_of_the_package_claim_no_more_than_mteb_does():
    packaged = [one for one in trained.encoders() if one.place == "package"]
    models = dict(register().models.items())
    assert len(packaged) > 20
    for encoder in packaged:
        card = (encoder.path / trained.CARD).read_text(encoding="utf-8")
        tasks = ("XQuADRMonolingualRetrieval", "MIRACLMonolingualRetrieval")
        assert not any(models[encoder.name].is_zero_shot_on([task]) for task in tasks)
        assert "MTEB calls it zero-shot on neither XQuAD-R nor MIRACL" in card
        assert card.lower().count("zero-shot") == 1


@pytest.mark.parametrize("name", ["hybridir/xlmr-hybrid", "hybridir/labse-hybrid"])
def test_backbones_that_list_no_such_data_are_zero_shot(name):
    meta = dict(register().models.items())[name]
    assert meta.is_zero_shot_on(["XQuADRMonolingualRetrieval"])
