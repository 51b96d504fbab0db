"""What people see: tables, files, the page, and one line where something is wrong."""

import csv
import io
import itertools
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from toys.cli import pipe, run
from toys.scaling import FAMILIES, a_family, cells_of

from hybridir_mteb.cli.scaling import Measure, Parameters
from hybridir_mteb.scaling import snapshot
from hybridir_mteb.scaling.page import page
from hybridir_mteb.scaling.plot import LOOKS, looks_of
from hybridir_mteb.scaling.present import as_csv, as_dict, as_json, sheet
from hybridir_mteb.scaling.scores import MEASURES, Cell, Facts, Scores
from hybridir_mteb.scaling.study import Options, Size, study

OPTIONS = Options(("mlqa-mono", "mlqa-gap"))
OWN = Scores(
    (*cells_of("hybridir/own", 0.6, 0.5), Cell("x/<b>", "main", "NQ", "test", "default", -1, None)),
    {"hybridir/own": Facts(parameters=10**8, trained_on=frozenset({"MLQARetrieval"}))},
    own=frozenset({"hybridir/own"}),
)


@pytest.fixture(scope="module")
def found():
    return study(a_family(noise=0.4) + OWN, FAMILIES, OPTIONS)


def test_the_table_shows_the_law_its_interval_and_both_errors(found):
    shown = sheet(found.results[0], 70e9)
    assert shown.title == "mlqa-mono: MLQA, question and passage in one language; nDCG@10"
    toy, field = shown.rows
    assert toy[:2] == ("toy", "6, 30M to 10B")
    assert re.fullmatch(r"\d\d\.\d \[\d\d\.\d, \d\d\.\d\]", toy[3])
    assert all(re.fullmatch(r"[+-]\d+\.\d / [+-]\d+\.\d", cell) for cell in toy[-2:-1])
    assert field[0] == "all models"


def test_json_holds_all_unrounded_and_csv_a_line_for_each_point(found):
    content = json.loads(as_json(found))
    assert content["settings"].keys() == set(OPTIONS.settings)
    for result in found.results:
        of = content["settings"][result.setting.name]["measures"][result.measure]
        assert of["families"]["toy"]["law"]["a"] == result.trends[0].law.a
        assert [point["score"] for point in of["points"]] == [p.score for p in result.points]
    assert content["broken"][0]["why"] == "-1 is no score from 0 to 1"
    lines = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert len(lines) == sum(len(result.points) for result in found.results)
    own = next(line for line in lines if line["model"] == "hybridir/own")
    assert (own["status"], own["trained_on"], own["size"]) == (
        "trained",
        "MLQARetrieval",
        "100000000",
    )


def test_a_score_that_is_no_number_is_null_in_json():
    nan = Scores((Cell("m/m", "r", "NQ", "test", "default", float("nan"), None),))
    (broken,) = json.loads(as_json(study(nan, FAMILIES, OPTIONS)))["broken"]
    assert broken["ndcg_at_10"] is None


def test_the_page_is_whole_and_loads_nothing(found):
    text = page(found)
    half = replace(found, results=found.results[:2])
    (again,) = re.findall("<svg .*</svg>", page(half), re.DOTALL)
    assert again in text  # the same bytes
    assert text.count("<svg ") == len(OPTIONS.settings)
    assert "that column is an extrapolation" in text
    assert "x/&lt;b&gt;, NQ (all)" in text
    assert "<script" not in text
    assert not re.findall(r'(?:src|href)="(?!#)', text.replace("xlink:", ""))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_families_keep_their_colours_and_no_two_look_alike(public):
    looks = looks_of(public.results)
    assert list(looks) == ["F2LLM-v2", "multilingual-e5"]
    shapes = {shape for _, shape in LOOKS}
    assert len(shapes) == len(LOOKS)  # in grey print and to any eye
    greys = sorted(float(np.dot((0.2, 0.7, 0.1), to_rgb(colour))) for colour, _ in LOOKS)
    assert min(b - a for a, b in itertools.pairwise(greys)) > 0.005


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A made-up snapshot in place of the packaged one, and piped output."""
    about = {"source": "made up", "commit": "0123456789", "date": "2026-01-01", "licence": "CC0"}
    snapshot.write_snapshot(a_family(noise=0.4), about, tmp_path / "snapshot")
    read = snapshot.read_snapshot
    monkeypatch.setattr(snapshot, "read_snapshot", lambda: read(tmp_path / "snapshot"))
    pipe(monkeypatch)
    families = tmp_path / "families.toml"
    families.write_text('[families.toy]\nmodels = ["made/up-*"]\n')
    return families


def test_the_command_prints_tables_and_writes_files(small, tmp_path):
    places = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "html")}
    files = [part for kind, path in places.items() for part in (f"--{kind}", str(path))]
    said = run("scaling", "--setting", "mlqa-gap", "--families", str(small), *files)
    assert "mlqa-gap: MLQA: one language less two; nDCG@10" in said
    assert "6, 30M to 10B" in said
    assert "Nobody measured a model of 70B" in said
    assert "made up, commit 0123456 of 2026-01-01, licence CC0" in said
    content = json.loads(places["json"].read_text())
    assert content["settings"]["mlqa-gap"]["measures"].keys() == set(MEASURES)
    assert len(places["csv"].read_text().splitlines()) == 1 + 2 * 6
    assert places["html"].read_text().count("<svg ") == 1
    nobody = run("scaling", "--setting", "mlqa-gap", "--measure", "mrr_at_10", "--zero-shot-only")
    assert "toy" not in nobody
    assert "MRR@10" in nobody


def test_results_of_ones_own_stand_beside_the_public_ones(small, tmp_path, failure):
    folder = tmp_path / "own" / "results" / "me__mine" / "rev"
    folder.mkdir(parents=True)
    scores = [
        {"hf_subset": c.subset, "languages": ["eng-Latn"], "main_score": c.ndcg_at_10}
        | {"ndcg_at_10": c.ndcg_at_10, "mrr_at_10": c.mrr_at_10}
        for c in cells_of("me/mine", 0.6, 0.5)
    ]
    result = {"task_name": "MLQARetrieval", "mteb_version": "2.0.0", "scores": {"test": scores}}
    result |= {"dataset_revision": "397ed406c1a7902140303e7faf60fff35b58d285"}
    result |= {"evaluation_time": 1.0, "kg_co2_emissions": None}
    (folder / "MLQARetrieval.json").write_text(json.dumps(result))
    meta = {"name": "me/mine", "n_parameters": 270_000_000, "training_datasets": ["MLQARetrieval"]}
    (folder / "model_meta.json").write_text(json.dumps(meta))
    out = tmp_path / "out.json"
    run("scaling", str(tmp_path / "own"), "--setting", "mlqa-cross", "--json", str(out))
    points = json.loads(out.read_text())["settings"]["mlqa-cross"]["measures"]["mrr_at_10"]
    mine = next(point for point in points["points"] if point["model"] == "me/mine")
    assert (mine["size"], mine["score"], mine["status"]) == (270_000_000, 50.0, "trained")
    assert mine["own"] is True
    assert len(points["points"]) == 7
    (folder / "MLQARetrieval.json").write_text("{}")
    said = failure("scaling", str(tmp_path / "own"))
    assert "MLQARetrieval.json: not an MTEB result file (" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--setting", "mlqa"), "no setting 'mlqa'. Did you mean"),
        (("--family", "F2"), "no family 'F2'"),
        (("nowhere",), "nowhere: no such folder"),
        ((".",), "no results of MTEB in the tasks that are compared"),
        (("--families", "no.toml"), "no.toml: no such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(small, tmp_path, monkeypatch, failure, options, why):
    monkeypatch.chdir(tmp_path)
    said = failure("scaling", *options)
    assert why in said
    assert said.count("\n") == 1


def test_the_choices_of_the_command_are_those_of_the_room():
    assert [one.value for one in Parameters] == [one.value for one in Size]
    assert [one.value for one in Measure] == list(MEASURES)
    assert as_dict(study(Scores(()), FAMILIES, OPTIONS))["broken"] == []
