"""The command line: what it prints, and that errors are one message."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from toys.cli import pipe, rows, run, succeed
from typer.testing import CliRunner

import hybridir_mteb
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.cli import doctor
from hybridir_mteb.cli.app import app
from hybridir_mteb.cli.version import commit_of, version_line
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace, text_key
from hybridir_mteb.errors import DataFormatError
from hybridir_mteb.paths import embedding_store_dir


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch)


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, and a download goes to a proxy that is not there."""
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")


def test_a_place_that_cannot_be_written_is_one_message(tmp_path, monkeypatch, mirror, failure):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYBRIDIR_COLLECTIONS", str(tmp_path / "file" / "collections"))
    said = failure("data", "pool", "MIRACL", "sw", "yo")
    assert said.startswith(f"error: {tmp_path / 'file'}")
    assert "Not a directory; choose another place" in said
    assert said.count("\n") == 1


def test_the_version_is_shown():
    said = run("--version")
    assert re.fullmatch(
        rf"hybridir-mteb {hybridir_mteb.__version__} \(commit [0-9a-f]{{7,}}(-dirty)?\)\n", said
    )


def test_the_commit_of_a_built_package_is_in_a_file_and_else_unknown(tmp_path):
    package = tmp_path / "hybridir_mteb"
    package.mkdir()
    assert commit_of(package) == ""
    (tmp_path / ".git").mkdir()  # git knows nothing of it
    assert commit_of(package) == ""
    (package / "_commit.txt").write_text("0123abc\n")
    assert commit_of(package) == "0123abc"


def test_the_package_runs_as_a_module():
    done = succeed(sys.executable, "-m", "hybridir_mteb", "--version")
    assert (done.stdout, done.stderr) == (f"{version_line()}\n", "")


def test_help_names_every_command():
    shown = re.sub(r"\x1b\[[0-9;]*m", "", run("--help"))  # typer decides on colours at import
    for command in ("models", "tasks", "data", "cache", "doctor", "report"):
        assert f"│ {command} " in shown


def test_models_are_listed_with_their_plugin():
    listed = rows(run("models", "list"))
    (pocket,) = [row for row in listed if row[0] == "hybridir/pocket-base"]
    name, parameters, revision, plugin = pocket
    assert (name, parameters) == ("hybridir/pocket-base", "118 M")
    assert not [row for row in listed if row[0] == "hybridir/xlmr-hybrid"]
    trainable = rows(run("models", "list", "--trainable"))
    assert [row[2] for row in trainable if row[0] == "hybridir/xlmr-hybrid"] == [
        "not on this machine"
    ]
    assert re.fullmatch("[0-9a-f]{12}", revision)
    assert plugin == "hybridir-mteb:models"


def test_tasks_are_listed_with_their_number_of_subsets():
    """Three settings of three collections, with sentences alone and in context; two of MIRACL."""
    found = {row[0]: row[1:] for row in rows(run("tasks")) if row[-1] == "hybridir-mteb:tasks"}
    expected = {}
    for collection, split, licence, counts in (
        ("PocketQAR", "test", "cc0-1.0", ("11", "110", "11")),
        ("XQuADR", "validation", "cc-by-sa-4.0", ("11", "110", "11")),
        ("MLQAR", "validation", "cc-by-nc-4.0", ("7", "42", "7")),
    ):
        for context in ("", "InContext"):
            settings = ("Monolingual", "CrossLingual", "Multilingual")
            for setting, count in zip(settings, counts, strict=True):
                name = f"{collection}{setting}{context}Retrieval"
                expected[name] = [count, split, "map", licence, "hybridir-mteb:tasks"]
    for setting in ("Monolingual", "Multilingual"):
        row = ["18", "dev", "ndcg_at_10", "apache-2.0", "hybridir-mteb:tasks"]
        expected[f"MIRACL{setting}Retrieval"] = row
    translated = {name for name in found if re.search("En(Pl|Nl)[MC]", name)}
    assert len(translated) == 6 * 2 * 3
    for name in translated:
        assert found.pop(name)[:3] == ["2", "test", "ndcg_at_10"]
    assert found == expected


def cells_joined(table: str, column: int) -> str:
    """A column's text, also where it was folded over several lines."""
    return "".join(row[column] for row in rows(table))


def test_data_list_has_a_line_for_each_collection(mirror, monkeypatch):
    shown = {row[0]: row[1:] for row in rows(run("data", "list"))}
    assert len(shown) == 1 + 16
    assert shown["XQuADR"] == ["11", "11 of 11", "-", str(mirror / "xquad-r")]
    assert shown["MIRACL"][2:] == ["0 of 18 languages", "hybridir data fetch MIRACL --language ar"]
    assert shown["PocketQAR"][1:3] == ["-", "-"]
    assert shown["SciFactEnPl"][3] == "hybridir data fetch SciFactEnPl"


def test_data_list_shows_where_each_file_is(mirror):
    shown = run("data", "list", "--files")
    assert cells_joined(shown, 0).count("XQuADR") == 11
    assert cells_joined(shown, 0).count("MLQAR") == 7
    for path in ("xquad-r/th.json", "mlqa-r/vi.json"):
        assert path in cells_joined(shown, 1)
        assert str(mirror / path) in cells_joined(shown, 2)
    assert "hybridir data fetch XQuADR" not in cells_joined(shown, 2)
    assert "hybridir data fetch MLQAR" not in cells_joined(shown, 2)


def test_data_list_says_how_to_get_what_is_not_here(no_network):
    shown = run("data", "list", "--files")
    assert cells_joined(shown, 2).count("hybridir data fetch XQuADR") == 11
    assert cells_joined(shown, 2).count("hybridir data fetch MLQAR") == 7


def test_data_fetch_names_each_file_and_where_it_is(mirror):
    shown = run("data", "fetch", "MLQAR", "PocketQAR")
    for code in ("ar", "de", "en", "es", "hi", "vi", "zh"):
        assert f"mlqa-r/{code}.json: {mirror}/mlqa-r/{code}.json" in shown
    assert "PocketQAR is on this machine: nothing to fetch" in shown


def test_data_verify_counts_what_is_there(mirror):
    lines = run("data", "verify").splitlines()
    assert len(lines) == 11 + 11 + 7 + 18
    assert "PocketQAR th: 48 queries, 144 passages" in lines
    assert "XQuADR th: 1190 queries, 852 passages" in lines
    assert "MLQAR en: 1148 queries, 6264 passages" in lines
    assert "MIRACL sw: 482 queries, 5092 judgements; its passages are not here" in lines


def test_data_verify_refuses_a_wrong_file(mirror, tmp_path, monkeypatch, failure):
    for source in mirror.glob("xquad-r/*.json"):
        target = tmp_path / "xquad-r" / source.name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(source)
    (tmp_path / "xquad-r" / "th.json").unlink()
    (tmp_path / "xquad-r" / "th.json").write_text("{}")
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path))
    said = failure("data", "verify", "XQuADR")
    assert "XQuADR: xquad-r/th.json missing or with a wrong checksum" in said
    assert "hybridir data fetch XQuADR" in " ".join(said.split())


def test_data_verify_goes_on_behind_a_bad_collection(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path))  # nothing there
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(tmp_path / "cache"))
    done = CliRunner().invoke(app, ["data", "verify"])
    lines = done.output.splitlines()
    assert isinstance(done.exception, DataFormatError)
    assert "PocketQAR th: 48 queries, 144 passages" in lines
    bad = [line for line in lines if line.startswith("problem: ")]
    assert [line.split(":")[1] for line in bad] + [str(done.exception).split(":")[0]] == [
        " XQuADR",
        " MLQAR",
        "MIRACL",
    ]


def fill_store(label: str, n_texts: int) -> EmbeddingStore:
    store = EmbeddingStore(embedding_store_dir(), Namespace("f" * 8, 512, "float32", label), 10**9)
    vector = np.arange(4, dtype=np.float32)
    store.put([(text_key("", f"text {at}"), vector) for at in range(n_texts)])
    return store


def test_cache_info_shows_encoders_and_their_embeddings():
    store = fill_store("org/model", 3)
    shown = run("cache", "info")
    (row,) = [row for row in rows(shown) if row[0] == "org/model"]
    assert row[1] == "3"
    assert store.path.name.startswith(row[3])
    assert "of 10.000 GB" in " ".join(shown.split())  # the path before it may fill the line


def test_cache_clear_empties_the_store():
    store = fill_store("org/model", 3)
    assert run("cache", "clear").startswith("freed 0.000 GB")
    assert not store.path.exists()
    assert rows(run("cache", "info"))[1:] == []


@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_store_that_was_never_used_is_empty(command):
    assert not embedding_store_dir().exists()
    assert "0.000 GB" in run("cache", command)


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> doctor.Report:
    """What the doctor finds; a test may add to it."""
    report = doctor.Report([("Versions", [("Python", "3.11.7")])])
    monkeypatch.setattr(doctor, "examine", lambda names: report)
    return report


def test_the_doctor_shows_versions_plugins_places_and_machine(mirror):
    titles = {title: dict(found) for title, found in doctor.examine(names=True).sections}
    assert list(titles) == ["Versions", "Plugins", "Data and caches", "Machine"]
    assert titles["Versions"]["hybridir-mteb"] == hybridir_mteb.__version__
    assert "XQuADR" in titles["Plugins"]["collections"]
    assert titles["Data and caches"]["HYBRIDIR_DATA_DIR"] == str(mirror)
    assert int(titles["Machine"]["torch threads"]) >= 1


def test_the_doctor_finds_nothing_wrong_here(mirror):
    shown = run("doctor")
    assert shown.endswith("\nall well\n")
    assert len(shown.splitlines()) <= 40
    found = {row[1]: row[2] for row in rows(shown)}
    assert found["collections"] == "16 (hybridir data list)"
    places = ("COLLECTIONS", "MODEL_STORE", "CACHE_DIR")
    names = ("added collections", "trained encoders", "shards")
    for variable, name in zip(places, names, strict=True):
        assert os.environ[f"HYBRIDIR_{variable}"] in cells_joined(shown, 2), name


def test_the_doctor_finds_a_missing_mirror(tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "absent"))
    assert f"names {tmp_path / 'absent'}, which is no folder" in doctor.examine().problems[0]


def test_the_doctor_finds_a_missing_package(monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("mteb", "no-such-package", "nor-this"))
    monkeypatch.setattr(doctor, "REQUIRED", frozenset({"mteb", "no-such-package"}))
    report = doctor.examine()
    assert dict(report.sections[0][1])["optional"] == "nor-this not installed"
    assert [one for one in report.problems if "is missing" in one] == [
        "no-such-package is missing: pip install no-such-package"
    ]


def test_the_doctor_fails_where_something_is_wrong(examined):
    examined.problems += ["the roof leaks: mend it", *map(str, range(9))]
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert said[-7:-2] == [f"problem: {number}" for number in range(5)]
    assert said[-2:] == [
        "problem: 4 more: hybridir doctor --all",
        "first thing to do: the roof leaks: mend it",
    ]
    assert "problem: 8\n" in CliRunner().invoke(app, ["doctor", "--all"]).stdout


def test_square_brackets_in_a_problem_are_shown(examined):
    """Rich would take them for markup."""
    examined.problems.append('pip install "hybridir-mteb[embedded]"')
    result = CliRunner().invoke(app, ["doctor"])
    assert 'pip install "hybridir-mteb[embedded]"' in result.stdout


def put_result(folder: Path) -> Path:
    path = folder / "org__model" / "0123abc" / "XQuADRMonolingualRetrieval.json"
    path.parent.mkdir(parents=True)
    score = {"map": 0.8766, "n_queries": 1, "n_passages": 2, "hf_subset": "de"}
    path.write_text(json.dumps({"scores": {"validation": [score]}}))
    return path


def test_a_report_has_a_row_for_each_encoder(tmp_path):
    put_result(tmp_path)
    shown = rows(run("report", str(tmp_path)))
    assert shown[1:] == [["XQuADR", "org/model", "87.7", "-", "-", "-", "-", "1/0/0"]]


def test_a_report_shows_language_bias_on_request(tmp_path):
    put_result(tmp_path)
    shown = run("report", str(tmp_path), "--bias")
    assert shown.startswith("Language bias in the multilingual setting")
    assert rows(shown)[1:] == [["XQuADR", "org/model", *["-"] * 9]]
    assert shown.splitlines()[-1].startswith("no result is of the multilingual setting")


def test_a_report_has_the_encoders_of_a_collection_together(tmp_path):
    for encoder in ("a__one", "b__two"):
        for collection in ("XQuADR", "MLQAR"):
            path = put_result(tmp_path / encoder)
            target = tmp_path / encoder / "0123abc" / path.name.replace("XQuADR", collection)
            target.parent.mkdir(exist_ok=True)
            path.rename(target)
            shutil.rmtree(tmp_path / encoder / "org__model")
    shown = run("report", str(tmp_path))
    assert [row[:2] for row in rows(shown)[1:]] == [
        ["MLQAR", "a/one"],
        ["MLQAR", "b/two"],
        ["XQuADR", "a/one"],
        ["XQuADR", "b/two"],
    ]
    assert [line[0] for line in shown.splitlines()[-6:]] == list("││├││└")


def test_a_report_writes_a_page_with_sizes_from_the_models_record(tmp_path):
    path = put_result(tmp_path)
    (path.parent / "model_meta.json").write_text('{"n_parameters": 12345678}')
    page = tmp_path / "report.html"
    shown = run("report", str(tmp_path), "--html", str(page))
    assert shown.splitlines()[-1] == f"written to {page}: open it in a browser"
    assert rows(shown)[1][:3] == ["XQuADR", "org/model", "87.7"]
    text = page.read_text(encoding="utf-8")
    assert '"name":"org/model","parameters":12345678' in text
    assert '"mono":{"map":0.8766}' in text


def test_a_page_is_not_written_over_a_folder(failure, tmp_path):
    put_result(tmp_path)
    assert "is a folder" in failure("report", str(tmp_path), "--html", str(tmp_path))


def test_a_report_shows_square_brackets_in_an_experiments_name(tmp_path):
    path = put_result(tmp_path)
    target = path.parent / "experiments" / "dims_[small]" / path.name
    target.parent.mkdir(parents=True)
    path.rename(target)
    assert "org/model (dims_[small])" in run("report", str(tmp_path))


LONG = "x" * 100


@pytest.mark.parametrize(
    ("arguments", "mentioned"),
    [
        ("data fetch XQuAD", ("unknown collection 'XQuAD'", "Did you mean XQuADR")),
        ("data fetch MIRACL --language german", ("no language 'german'", "Did you mean de?")),
        ("train pocket-hybird", ("pocket-hybird: no such recipe", "Did you mean pocket-hybrid")),
        ("models rm hybridir/pocket", ("holds no 'hybridir/pocket'",)),
        ("report {folder}/results[old]", ("{folder}/results[old]",)),
        ("report {folder}/results[/old]", ("{folder}/results[/old]",)),
        (f"report {{folder}}/{LONG}", (f"{{folder}}/{LONG} holds no results", "mteb run")),
    ],
)
def test_an_error_is_one_message_in_one_piece_to_be_copied(failure, tmp_path, arguments, mentioned):
    folder = tmp_path / "a folder"
    said = failure(*(part.replace("{folder}", str(folder)) for part in arguments.split()))
    for text in mentioned:
        assert text.replace("{folder}", str(folder)) in said


def test_a_report_of_an_unknown_collection_says_which_there_are(failure, tmp_path):
    put_result(tmp_path)
    for more in ([], ["--bias"]):
        said = failure("report", str(tmp_path), "--collection", "XQuAD", *more)
        assert "has no results of 'XQuAD', only of XQuADR. Did you mean XQuADR?" in said


LISTS = """
import sys
from hybridir_mteb.cli.app import app
for command in (["tasks"], ["models", "list"], ["data", "list"]):
    app(command, standalone_mode=False)
heavy = {"torch", "transformers", "sentence_transformers", "mteb", "datasets", "scipy", "ray"}
heavy |= {"pandas"}
print("loaded:", sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_lists_load_neither_torch_nor_mteb_and_say_what_mteb_would(mirror):
    """In a process that has loaded nothing; here, what was registered with mteb is listed."""
    done = succeed(sys.executable, "-c", LISTS)
    register()
    expected = run("tasks") + run("models", "list") + run("data", "list")
    assert done.stdout == f"{expected}loaded: []\n"


def test_a_broken_result_is_an_error_that_names_it(failure, tmp_path):
    path = put_result(tmp_path)
    path.write_text("{")
    assert str(path) in failure("report", str(tmp_path))


def test_data_that_cannot_be_had_are_an_error_with_both_ways_out(failure, no_network):
    said = failure("data", "fetch", "XQuADR")
    assert "xquad-r/ar.json is needed and not here" in said
    assert "check the proxy that the environment names" in said
    assert "HYBRIDIR_DATA_DIR=<folder>" in said


@pytest.mark.parametrize("limit", ["much", "0", "-1", "nan", "inf"])
def test_a_store_limit_that_is_no_number_is_an_error_that_names_the_variable(
    failure, monkeypatch, limit
):
    monkeypatch.setenv("HYBRIDIR_EMBEDDING_STORE_GB", limit)
    assert f"HYBRIDIR_EMBEDDING_STORE_GB='{limit}'" in failure("cache", "info")


def test_an_unknown_command_is_a_usage_error():
    done = CliRunner().invoke(app, ["frobnicate"])
    assert done.exit_code == 2
    assert "frobnicate" in done.stderr
    assert "Traceback" not in done.stderr
