"""How commands end: a line, a status that is not 0, and nothing left behind."""

import errno
import signal
import subprocess
import sys
import time

import pytest
from toys.cli import left_by_a_killed_process, pipe, run

from hybridir_mteb import paths
from hybridir_mteb.cli.ending import message_of
from hybridir_mteb.errors import SettingError
from hybridir_mteb.training.runs import runs_dir

WAITS = """
import sys, time
from hybridir_mteb import cli
from hybridir_mteb.encoders import trained
def waits(*_, **__):
    print("started", flush=True)
    time.sleep(60)
trained.get = waits
sys.argv = ["hybridir", "models", "show", "hybridir/a-b"]
cli.main()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_interrupted_ends_with_one_line(number, status):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "started\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert said == (
        "error: models was interrupted: nothing was changed, or all of it; run the command again\n"
    )


def command(*arguments: str, shell: str) -> subprocess.CompletedProcess[str]:
    line = f'"{sys.executable}" -m hybridir_mteb {" ".join(arguments)} {shell}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_output_that_cannot_be_written_is_no_traceback():
    closed = command("cache", "info", shell=">&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    full = command("cache", "info", shell=">/dev/full")
    assert full.returncode == 1
    assert full.stderr.startswith("error: No space left on device")
    assert full.stderr.count("\n") == 1
    broken = command("data", "list", shell="| true")
    assert "Traceback" not in broken.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SettingError("said"), "said"),
        (PermissionError(errno.EACCES, "Permission denied", "/a"), "/a: Permission denied; choose"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device: free some"),
        (OSError("somehow\nfailed"), "somehow failed"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "n" * 5000), "nnn"),
    ],
)
def test_what_the_system_reports_is_one_line(error, message):
    said = message_of(error)
    assert said.startswith(message)
    assert "\n" not in said
    assert len(said) < 400


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "hybridir/pocket-base", "PocketQARMonolingualRetrieval", "--output", "{file}/a"),
        ("bias", "{file}/run"),
        ("bias", "{file}", "{file}", "--doc-lang", "{file}", "--query-lang", "{folder}"),
        ("export", "beir", "PocketQARMonolingualRetrieval", "{file}/a"),
        ("models", "import", "{folder}"),
        ("models", "import", "{file}"),
        ("models", "export", "hybridir/pocket-hybrid", "{file}/a.zip"),
        ("models", "export", "hybridir/pocket-hybrid", "{folder}"),
        ("data", "add", "Mine", "{file}"),
        ("data", "add", "Mine", "{long}"),
        ("report", "{file}"),
        ("report", "{long}"),
        ("train", "{folder}"),
        ("train", "{long}"),
        ("train", "{utf16}"),
        ("search", "{long}", "PocketQARMonolingualRetrieval", "--output", "{folder}"),
        ("search", "~nobody-at-all/x", "PocketQARMonolingualRetrieval", "--output", "{folder}"),
        ("data", "add", "Mine", "~nobody-at-all/x"),
        ("debias", "fit", "--model", "~nobody-at-all/x", "--method", "centre"),
    ],
)
def test_places_that_cannot_be_are_one_message(arguments, tmp_path, failure):
    places = {"file": tmp_path / "file", "folder": tmp_path / "folder", "long": "n" * 5000}
    places["utf16"] = tmp_path / "recipe.yaml"
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "recipe.yaml").write_bytes("backbone: pocket\nmethod: hybrid\n".encode("utf-16"))
    said = failure(*(argument.format(**places) for argument in arguments))
    assert said.count("\n") == 1
    assert len(said) < 1000


@pytest.mark.parametrize(
    "variable",
    ["HYBRIDIR_DATA_DIR", "HYBRIDIR_CACHE_DIR", "HYBRIDIR_MODEL_STORE", "HYBRIDIR_SHARD_DIR"],
)
def test_a_home_that_nobody_knows_is_named_with_its_variable(variable, monkeypatch):
    monkeypatch.setenv(variable, "~nobody-at-all/x")
    asked = {
        "HYBRIDIR_DATA_DIR": paths.mirror_dir,
        "HYBRIDIR_CACHE_DIR": paths.cache_dir,
        "HYBRIDIR_MODEL_STORE": paths.model_store_dir,
        "HYBRIDIR_SHARD_DIR": paths.shard_dir,
    }
    with pytest.raises(SettingError, match=f"{variable}=~nobody-at-all/x: the home folder that ~"):
        asked[variable]()


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path):
    from hybridir_mteb.training.recipe import read_recipe

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("backbone: pocket\nmethod: hybrid\n", encoding="utf-8-sig")
    assert read_recipe(recipe).name == "hybridir/pocket-hybrid"
    recipe.write_bytes("backbone: pöcket\n".encode("latin-1"))
    with pytest.raises(SettingError, match="not UTF-8"):
        read_recipe(recipe)


def test_what_killed_processes_left_is_shown_and_cleared(tmp_path, monkeypatch):
    pipe(monkeypatch, 300)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    places = [
        paths.model_store_dir() / "pocket-hybrid" / "encoder",
        paths.model_store_dir() / "pocket-hybrid" / "0123" / "README.md",  # stored again
        paths.shard_dir() / "0123" / "00000001",
        paths.cache_dir() / "digests.json",
        tmp_path / "hybridir",
    ]
    left = []
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        left.append(left_by_a_killed_process(place))
    unfinished = runs_dir() / "pocket-hybrid-0123"
    unfinished.mkdir(parents=True)
    (unfinished / "weights").write_bytes(bytes(2_000_000))
    shown = run("cache", "info")
    assert all(path.name in shown for path in (*left, unfinished))
    assert "0.002 GB" in shown
    run("cache", "clear")
    assert not any(path.exists() for path in left)
    assert unfinished.exists(), "the same training goes on from it"
    assert "freed 0.002 GB" in run("cache", "clear", "--runs")
    assert not unfinished.exists()
    assert "Left by processes" not in run("cache", "info")


def test_the_status_of_a_closed_standard_input_does_not_matter():
    done = command("--version", shell="<&-")
    assert (done.returncode, done.stderr) == (0, "")


def test_tables_are_cleared_whatever_lies_beside_them():
    place = paths.corpora_dir()
    place.mkdir(parents=True)
    (place / "folder.arrow").mkdir()
    (place / "gone.arrow").symlink_to("nowhere")
    (place / "itself.arrow.json").symlink_to("itself.arrow.json")
    (place / "whole.arrow").write_bytes(bytes(2_000_000))
    assert run("cache", "clear", "--shards").startswith("freed 0.002 GB")
    network = paths.backbones_dir() / "some" / "model.safetensors"
    network.parent.mkdir(parents=True)
    network.write_bytes(bytes(2_000_000))
    assert "0.002 GB of unpacked networks" in run("cache", "info")
    assert run("cache", "clear").startswith("freed 0.000 GB")
    assert network.exists()
    assert run("cache", "clear", "--backbones").startswith("freed 0.002 GB")
    assert not network.exists()
    assert [path.name for path in place.iterdir()] == ["folder.arrow"]
