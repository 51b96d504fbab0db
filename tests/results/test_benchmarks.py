"""The second table of the report: tasks scored by nDCG@10, and means of benchmarks."""

import json
from pathlib import Path
from typing import Any

import pytest

from hybridir_mteb.errors import DataFormatError, DataUnavailableError, UnknownNameError
from hybridir_mteb.plugins.settings import Setting
from hybridir_mteb.results.benchmarks import AGGREGATES, BEIR, BEIR_ACROSS, BEIR_PL, BENCHMARKS
from hybridir_mteb.results.tables import NDCG_COLUMNS, NdcgRow, summarise, summarise_ndcg
from hybridir_mteb.tasks.beir_translated import BEIR_TRANSLATED

MODEL = "org__model/0123abc"


def score(ndcg: float | None, **more: Any) -> dict[str, Any]:
    return {"ndcg_at_10": ndcg, "main_score": ndcg, "hf_subset": "default", **more}


def put(folder: Path, task: str, model: str = MODEL, **splits: list[dict[str, Any]]) -> Path:
    path = folder / model / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"task_name": task, "scores": splits or {}}), encoding="utf-8")
    return path


def put_benchmark(folder: Path, benchmark: Any, ndcg: float, mrr: float) -> None:
    for task in benchmark.tasks:
        split = benchmark.split(task)
        put(folder, task, **{split: [score(ndcg, mrr_at_10=mrr)]})


def test_the_row_of_a_task_of_mteb_is_a_percentage_and_a_dash(tmp_path):
    known = {"mrr_at_10": 0.51234, "recall_at_100": 0.9, "map_at_1000": 0.3, "map_at_10": 0.1}
    put(tmp_path, "NFCorpus", test=[score(0.34567, **known)])
    row, mean = summarise_ndcg(tmp_path)
    assert NDCG_COLUMNS == ("task", "encoder", "nDCG@10", "MRR@10", "Recall@100", "mAP", "subsets")
    assert row.cells() == ["NFCorpus", "org/model", "34.6", "51.2", "90.0", "30.0", "1"]
    assert row.value("nDCG@10") == 0.34567
    assert mean.cells() == ["HybridIR-BEIR", "org/model", *["-"] * 4, "1 of 15"]


def test_a_benchmark_has_a_mean_only_when_all_its_tasks_are_there(tmp_path):
    put_benchmark(tmp_path, BEIR, 0.25, 0.5)
    put(tmp_path, "SciFact", test=[score(0.85)])  # no MRR: none in the mean, either
    rows = summarise_ndcg(tmp_path)
    assert [row.collection for row in rows] == [*BEIR.tasks, "HybridIR-BEIR"]
    assert rows[-1].value("nDCG@10") == pytest.approx((14 * 0.25 + 0.85) / 15)
    assert rows[-1].value("MRR@10") is None
    assert rows[-1].subsets == "15 of 15"


def test_a_benchmark_in_three_settings_has_a_mean_of_each(tmp_path):
    put_benchmark(tmp_path, BEIR_ACROSS, 0.25, 0.5)
    one = BEIR_ACROSS.groups["multilingual"][0]
    put(tmp_path, one, test=[score(0.85, mrr_at_10=0.5)])
    (tmp_path / MODEL / f"{BEIR_ACROSS.groups['cross-lingual'][0]}.json").unlink()
    rows = {row.collection: row for row in summarise_ndcg(tmp_path)}
    mono, cross, multi = (rows[f"{BEIR_ACROSS.name}, {label}"] for label in BEIR_ACROSS.groups)
    assert (mono.value("nDCG@10"), mono.subsets) == (0.25, "12 of 12")
    assert (cross.value("nDCG@10"), cross.subsets) == (None, "11 of 12")
    assert multi.value("nDCG@10") == pytest.approx((11 * 0.25 + 0.85) / 12)
    assert len(rows) == 35 + 3


def test_msmarco_counts_by_its_dev_split(tmp_path):
    path = put(tmp_path, "MSMARCO", test=[score(0.7)], dev=[score(0.25)])
    assert summarise_ndcg(tmp_path)[0].value("nDCG@10") == 0.25
    put(tmp_path, path.stem, test=[score(0.7)])
    assert summarise_ndcg(tmp_path) == []


@pytest.mark.parametrize("whole", ["CQADupstackRetrieval", "CQADupstackRetrieval-PL"])
def test_the_forums_give_what_mteb_does_not_aggregate(tmp_path, whole):
    for at, part in enumerate(AGGREGATES[whole]):
        put(tmp_path, part, test=[score(at / 100, mrr_at_10=at / 10)])
    row, _ = summarise_ndcg(tmp_path)
    assert (row.collection, row.subsets) == (whole, "12")
    assert row.value("nDCG@10") == pytest.approx(0.055)
    assert row.value("MRR@10") == pytest.approx(0.55)
    put(tmp_path, whole, test=[score(0.5)])
    row, _ = summarise_ndcg(tmp_path)
    assert row.value("nDCG@10") == 0.5  # as mteb wrote it
    assert row.value("MRR@10") == pytest.approx(0.55)
    put(tmp_path, whole, test=[score(None)])  # what mteb writes while forums are missing
    assert summarise_ndcg(tmp_path)[0].value("nDCG@10") == pytest.approx(0.055)


def test_eleven_forums_are_no_row(tmp_path):
    for part in AGGREGATES["CQADupstackRetrieval"][1:]:
        put(tmp_path, part, test=[score(0.5)])
    assert summarise_ndcg(tmp_path) == []


def test_streamed_collections_are_in_this_table_and_not_in_the_other(tmp_path):
    streamed = {"n_passages": 9, "n_missing_passages": 0, "map": 0.125, "recall_at_100": 1.0}
    subsets = [score(value, **streamed) for value in (0.25, 0.75)]
    put(tmp_path, "MIRACLMonolingualRetrieval", dev=subsets)
    put(tmp_path, "MIRACLSwYoMultilingualRetrieval", dev=subsets)
    put(tmp_path, "cranfield", test=subsets[:1])
    rows = {row.collection: row.cells() for row in summarise_ndcg(tmp_path)}
    cells = ["org/model", "50.0", "-", "100.0", "12.5", "2"]
    assert rows["MIRACLMonolingualRetrieval"][1:] == cells
    assert rows["MIRACLSwYoMultilingualRetrieval"][1:] == cells
    assert rows["cranfield"][2] == "25.0"
    assert len(rows) == 3  # a benchmark of one task needs no mean
    with pytest.raises(DataUnavailableError):
        summarise(tmp_path)


def test_other_files_play_no_part(tmp_path):
    path = put(tmp_path, "SciFact", test=[score(0.5)])
    put(tmp_path, "Banking77Classification", test=[{"accuracy": 0.5}])
    put(tmp_path, "XQuADRMultilingualRetrieval", test=[score(0.5, n_passages=3)])
    path.with_name("model_meta.json").write_text("{")
    path.with_name("notes.json").write_text("[1]")
    path.with_name("SciFact_predictions.json").write_text("{")
    assert [row.collection for row in summarise_ndcg(tmp_path)] == ["SciFact", "HybridIR-BEIR"]
    path.write_text("{")
    with pytest.raises(DataFormatError, match=r"SciFact\.json: not an MTEB result file"):
        summarise_ndcg(tmp_path)


def test_one_benchmark_or_one_task_can_be_chosen(tmp_path):
    put_benchmark(tmp_path, BEIR_PL, 0.25, 0.5)
    put(tmp_path, "SciFact", test=[score(0.5)])
    chosen = summarise_ndcg(tmp_path, benchmark="HybridIR-BEIR-PL")
    assert [row.collection for row in chosen] == [*BEIR_PL.tasks, "HybridIR-BEIR-PL"]
    assert chosen[-1].cells()[2:4] == ["25.0", "50.0"]
    assert [row.collection for row in summarise_ndcg(tmp_path, "SciFact")] == ["SciFact"]
    with pytest.raises(UnknownNameError, match="no benchmark 'HybridIR-BIER'"):
        summarise_ndcg(tmp_path, benchmark="HybridIR-BIER")


def test_revisions_and_experiments_have_rows_of_their_own(tmp_path):
    for at, model in enumerate(("org__m/old", "org__m/new", "org__m/new/experiments/bf16")):
        put(tmp_path, "SciFact", model, test=[score(at / 4)])
    rows = [row for row in summarise_ndcg(tmp_path) if row.collection == "SciFact"]
    found = {row.encoder: row.value("nDCG@10") for row in rows}
    assert found == {"org/m @old": 0.0, "org/m @new": 0.25, "org/m (bf16)": 0.5}


def test_a_row_without_anything_is_dashes():
    assert NdcgRow("T", "org/m").cells() == ["T", "org/m", "-", "-", "-", "-", ""]


def test_the_command_shows_both_tables_or_the_benchmark_asked_for(tmp_path, capsys):
    from hybridir_mteb.cli.report import report

    put(tmp_path, "SciFact", test=[score(0.5)])
    parallel = {"map": 0.75, "n_passages": 3, "hf_subset": "de"}
    put(tmp_path, "XQuADRMonolingualRetrieval", test=[parallel])
    put(tmp_path, "PocketQARMonolingualRetrieval", test=[parallel])
    shown = {}
    for benchmark in (None, "HybridIR", "HybridIR-BEIR"):
        report(tmp_path, benchmark=benchmark)
        shown[benchmark] = capsys.readouterr().out
    assert all(word in shown[None] for word in ("SciFact", "XQuADR", "PocketQAR", "1 of 15"))
    assert "XQuADR" in shown["HybridIR"]
    assert not any(word in shown["HybridIR"] for word in ("SciFact", "PocketQAR"))
    assert "SciFact" in shown["HybridIR-BEIR"]
    assert "XQuADR" not in shown["HybridIR-BEIR"]
    with pytest.raises(DataUnavailableError, match="-b HybridIR-BEIR-PL"):
        report(tmp_path, benchmark="HybridIR-BEIR-PL")


def test_mteb_resolves_the_benchmarks():
    import mteb

    from hybridir_mteb.adapters.mteb.benchmark import add_benchmarks
    from hybridir_mteb.adapters.mteb.register import register

    register()
    add_benchmarks()
    theirs = {task.metadata.name for task in mteb.get_benchmark("BEIR").tasks}
    for name in ("HybridIR-BEIR", "HybridIR-BEIR-PL"):
        tasks = mteb.get_benchmark(name).tasks
        assert tuple(task.metadata.name for task in tasks) == BENCHMARKS[name].tasks
        for task in tasks:
            assert list(task.eval_splits) == [BENCHMARKS[name].split(task.metadata.name)]
            assert task.metadata.main_score == "ndcg_at_10"
            parts = [part.metadata.name for part in getattr(task, "tasks", ())]
            assert set(parts) == set(AGGREGATES.get(task.metadata.name, ()))
    assert set(BEIR.tasks) == theirs
    with pytest.raises(KeyError):  # mteb defines it and does not export it: hence ours
        mteb.get_benchmark("BEIR-PL")
    across = mteb.get_benchmark("HybridIR-BEIR-CrossLingual")
    for group in across.aggregations[-1].groups:  # MTEB's means, by setting
        names = tuple(task.metadata.name for task in group.tasks)
        assert names == BEIR_ACROSS.groups[group.label.lower()]
        assert len(names) == 2 * 6
    assert {task.metadata.name for task in across.tasks} == {
        spec.task_name(setting) for spec in BEIR_TRANSLATED for setting in Setting
    }
    (miracl,) = mteb.get_benchmark("HybridIR-MIRACL").tasks
    assert (miracl.metadata.name, len(miracl.hf_subsets)) == ("MIRACLMonolingualRetrieval", 18)
