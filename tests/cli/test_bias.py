"""``hybridir bias``: formats, files, predictions, and what it says of faults."""

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from toys import cli
from toys.bias import Parallel, write_predictions
from toys.cli import pipe, rows, succeed

from hybridir_mteb import language_bias
from hybridir_mteb.bias.present import as_latex, sheets, words
from hybridir_mteb.measures.report import MATRICES, BiasReport

TOY = Parallel.make()
SCORES = TOY.random_scores(0)


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch)


def run(*arguments: str) -> str:
    return cli.run("bias", *arguments)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Arguments of the command: run, judgements and maps of the toy."""
    documents, queries, items = TOY.maps
    lines = {
        "run.trec": [
            f"{query} Q0 {passage} {at + 1} {score!r} toy"
            for query, results in TOY.run(SCORES).items()
            for at, (passage, score) in enumerate(results.items())
        ],
        "qrels": [f"{q} 0 {p} {grade}" for q, row in TOY.qrels.items() for p, grade in row.items()],
        "documents.tsv": [f"{passage}\t{code}" for passage, code in documents.items()],
        "queries.tsv": [f"{query}\t{code}\t{items[query]}" for query, code in queries.items()],
    }
    for name, content in lines.items():
        (tmp_path / name).write_text("\n".join(content) + "\n")
    paths = {name: str(tmp_path / name) for name in lines}
    return [
        paths["run.trec"],
        paths["qrels"],
        "--doc-lang",
        paths["documents.tsv"],
        "--query-lang",
        paths["queries.tsv"],
    ]


def expected(**options: Any) -> BiasReport:
    return language_bias.of_scores(SCORES, *TOY.arguments, **TOY.keywords, **options)


def test_json_is_the_report(files):
    assert json.loads(run(*files, "--format", "json")) == json.loads(
        json.dumps(expected().as_dict())
    )


@pytest.mark.slow
def test_the_module_runs_as_a_process_and_prints_json_alone(files):
    command = (sys.executable, "-m", "hybridir_mteb", "bias", *files, "--format", "json")
    done = succeed(*command)
    assert done.stderr == ""
    assert json.loads(done.stdout)["means"]["lpr"] == expected().means["lpr"]


def test_a_table_has_a_row_for_each_language_the_mean_and_its_interval(files):
    shown = run(*files, "--measures", "rank_distance,lpr")
    report = expected()
    low, high = report.intervals["lpr"]
    assert rows(shown) == [
        ["query", "rank_distance", "lpr"],
        *(
            [code, f"{values['rank_distance']:.1f}", f"{values['lpr']:.3f}"]
            for code, values in report.by_language.items()
        ),
        ["mean", f"{report.means['rank_distance']:.1f}", f"{report.means['lpr']:.3f}"],
        [
            "95% interval",
            "[{:.1f}, {:.1f}]".format(*report.intervals["rank_distance"]),
            f"[{low:.3f}, {high:.3f}]",
        ],
    ]


def test_tables_of_all_measures_fit_and_tell_what_does_not_apply(files):
    shown = run(*files, "--resamples", "0")
    assert max(map(len, shown.splitlines())) <= 120
    assert "95% interval" not in shown
    assert "language_probe_accuracy: not applicable, it needs embeddings" in shown
    assert "peer_at_20, peer_at_100: a query has at most one relevant passage" in shown


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_is_shown_on_demand(files, name):
    shown = run(*files, "--measures", "lpr", "--matrix", name)
    table = rows(shown)[-4:]
    assert table[0] == ["query", "de", "en", "fr"]
    assert [row[0] for row in table[1:]] == ["de", "en", "fr"]
    digits = 0 if name == "mean_rank" else 2
    assert table[1][1] == f"{expected().matrices[name][0][0]:.{digits}f}"


def test_latex_is_a_booktabs_tabular_with_escapes(files):
    shown = run(*files, "--measures", "rank_distance,lpr", "--format", "latex")
    lines = shown.splitlines()
    assert lines[:4] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"query & rank\_distance & lpr \\",
        r"\midrule",
    ]
    assert any(line.startswith(r"95\% interval & [") for line in lines)
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert not re.search(r"(?<!\\)[_%]", shown)


def test_latex_with_a_matrix_and_words_as_comments():
    report = expected(resamples=0)
    shown = as_latex(report, "mean_rank")
    assert shown.count(r"\begin{tabular}") == 2
    comments = [line for line in shown.splitlines() if line.startswith("% ")]
    assert comments == [f"% {line}" for line in words(report)]
    assert len(sheets(report)) == 6


def test_tables_show_what_has_two_names_once():
    report = expected(resamples=0)
    heads = [head for sheet in sheets(report) for head in sheet.columns if head != "query"]
    assert len(heads) == len(set(heads))
    assert set(report.means) - set(report.not_applicable) - set(heads) == {"tlr_at_100"}
    asked = sheets(expected(resamples=0, measures=["tlr_at_100"]))
    assert [sheet.columns for sheet in asked] == [("query", "tlr_at_100")]


def test_options_reach_the_library(files):
    shown = json.loads(run(*files, "--format", "json", "--mrc-depth", "5", "--no-parallel"))
    report = expected(mrc_depth=5, parallel=False)
    assert shown["means"]["mrc"] == report.means["mrc"]
    assert set(shown["not_applicable"]) == set(report.not_applicable)
    assert "rank_distance" in shown["not_applicable"]


def test_files_may_be_compressed_and_maps_json(files, tmp_path):
    packed = tmp_path / "run.gz"
    packed.write_bytes(gzip.compress(Path(files[0]).read_bytes()))
    documents = tmp_path / "documents.json"
    documents.write_text(json.dumps(TOY.maps[0]))
    changed = [str(packed), files[1], "--doc-lang", str(documents), *files[4:], "--format", "json"]
    assert run(*changed) == run(*files, "--format", "json")


def test_predictions_need_no_run(files, tmp_path):
    folder = tmp_path / "predictions"
    folder.mkdir()
    path = write_predictions(folder, "Foreign", TOY.run(SCORES))
    full = run(*files, "--format", "json")
    packed = tmp_path / f"{path.name}.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for given in (folder, path, packed):
        assert run(str(given), *files[1:], "--format", "json") == full


def test_queries_that_are_not_judged_play_no_part_in_files_either(files):
    full = run(*files, "--format", "json")
    path = Path(files[0])
    path.write_text(path.read_text() + "stranger Q0 unknown 1 1.0 toy\n")
    assert run(*files, "--format", "json") == full


def test_a_plot_is_written(files, tmp_path):
    pytest.importorskip("hybridir_mteb.bias.plot.draw")
    target = tmp_path / "bias.html"
    run(*files, "--plot", str(target), "--resamples", "0")
    assert "run.trec" in target.read_text(encoding="utf-8")


def test_faults_are_one_message(files, tmp_path, failure):
    def said(*arguments: str) -> str:
        return failure("bias", *arguments)

    assert "a run needs QRELS, --doc-lang, --query-lang too" in said(files[0])
    assert "a run needs --query-lang too" in said(*files[:4])
    assert "no such file or folder" in said(str(tmp_path / "none"))
    assert "Did you mean lpr" in said(*files, "--measures", "lprr")
    assert "Did you mean mean_rank" in said(*files, "--matrix", "mean_ranks")
    assert "(--mrc-depth): give 0 or more" in said(*files, "--mrc-depth", "-1")
    assert "bias.pdf" in said(*files, "--plot", str(tmp_path / "bias.pdf"))
    broken = tmp_path / "broken"
    broken.write_text("q1 Q0 d1 1 x\n")
    assert f"{broken}:1: 5 columns" in said(str(broken), *files[1:])
    stranger = tmp_path / "stranger"
    stranger.write_text("q:de:0 Q0 d1 1 1.0 x\n")
    assert f"{stranger}:1: document 'd1' has no language" in said(str(stranger), *files[1:])
    header = tmp_path / "header.tsv"
    header.write_text("id\tlanguage\n" + Path(files[3]).read_text())
    assert f"{header}:1: 'language' is no language" in said(*files[:3], str(header), *files[4:])
    missing = tmp_path / "none.json"
    assert f"{missing}: no such file" in said(*files[:3], str(missing), *files[4:])
    few = tmp_path / "few.tsv"
    few.write_text("q:de:0\tde\n")
    assert "add it to query_languages (--query-lang)" in said(*files[:5], str(few))
    foreign = str(write_predictions(tmp_path, "Foreign", TOY.run(SCORES)))
    assert "mteb knows no task Foreign: give its judgements" in said(foreign, *files[2:])
    assert "(--doc-lang) and query_languages (--query-lang)" in said(foreign)
    name = "PocketQARMultilingualRetrieval"
    ours = str(write_predictions(tmp_path, name, TOY.run(SCORES)))
    assert "leave out qrels (QRELS), doc_languages" in said(ours, *files[1:])
    Path(foreign).write_text('{"de": {"test": {"q:de:0": {"p:de:0": NaN}}}}')
    assert f"{foreign}: the score nan" in said(foreign, *files[1:])
    folder = tmp_path / "empty"
    folder.mkdir()
    assert "--prediction-folder" in said(str(folder))
