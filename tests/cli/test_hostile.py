"""Every command with hostile paths and names: no traceback, no control characters, one line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from toys.beir import small_folder
from toys.cli import pipe
from toys.hostile import FILE_NAME, TEXT
from toys.stored import put
from typer.testing import CliRunner

from hybridir_mteb import cli
from hybridir_mteb.cli import console
from hybridir_mteb.cli.app import app
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace, text_key
from hybridir_mteb.errors import quoted
from hybridir_mteb.paths import collections_dir, embedding_store_dir

NAME = FILE_NAME.replace("/", "|")  # markup, escapes, a new line and signs of LaTeX


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a hostile path, in which the package has all its places."""
    pipe(monkeypatch)
    root = tmp_path / FILE_NAME  # with its slash: "[" and "] …" are folders
    root.mkdir(parents=True)
    for variable in ("CACHE_DIR", "MODEL_STORE", "COLLECTIONS", "DATA_DIR", "SHARD_DIR"):
        monkeypatch.setenv(f"HYBRIDIR_{variable}", str(root / variable.lower()))
    (root / "data_dir").mkdir()
    (root / "file").write_text(TEXT[:-1])
    (root / "folder").mkdir()
    return root


@pytest.fixture
def filled(root: Path) -> Path:
    """Embeddings, an encoder, a collection and results, all with hostile names."""
    space = Namespace("f" * 8, 512, "float32", f"label{TEXT}")
    store = EmbeddingStore(embedding_store_dir(), space, 10**9)
    store.put([(text_key("", "text"), np.arange(4, dtype=np.float32))])
    put("xlmr-hybrid", "0123")
    put(NAME, NAME)
    collections_dir().mkdir()
    (collections_dir() / f"{NAME}.json").write_text("{}")
    small_folder(root / "beir")
    result = (
        root
        / "results"
        / f"org__{NAME}"
        / NAME
        / "experiments"
        / NAME
        / "XQuADRMonolingualRetrieval.json"
    )
    result.parent.mkdir(parents=True)
    score = {"map": 0.5, "n_queries": 1, "n_passages": 2, "hf_subset": "de"}
    result.write_text(json.dumps({"scores": {"validation": [score]}}))
    (root / "run.trec").write_text("q 0 d 1 0.5 x\n")
    (root / "qrels").write_text("q 0 d 1\n")
    (root / "map.json").write_text(json.dumps({"d": f"de{TEXT[:-1]}", "q": f"en{TEXT[:-1]}"}))
    return root


GOOD = (
    "cache info",
    "cache clear",
    "cache clear --shards",
    "models list --trainable",
    "models show hybridir/xlmr-hybrid",
    "models rm hybridir/xlmr-hybrid",
    "models rm hybridir/{name}",
    "models export hybridir/xlmr-hybrid {root}/out.zip",
    "data list",
    "data add Mine {root}/beir",
    "data remove {name}",
    "tasks",
    "debias methods",
    "report {root}/results",
    "report {root}/results --bias",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json "
    "--format latex --matrix mean_rank",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json "
    "--format json --plot {root}/{name}.html",
    "export trec PocketQARMonolingualRetrieval {root}/out --subset de",
)
BAD = (
    "models show hybridir/{name}x",
    "models show {root}",
    "models rm {root}",
    "models export hybridir/pocket-mono {root}/file",
    "models import {root}/file",
    "models import {root}/folder",
    "models import {root}/nowhere",
    "models push hybridir/{name} --to {name}",
    "data fetch {name}",
    "data verify {name}",
    "data add {name} {root}/beir",
    "data add Mine {root}/nowhere",
    "data add Mine {root}/beir --split {name}",
    "data add Mine {root}/beir --language {name}",
    "data add Mine {root}/beir --licence {name}",
    "data pool {name} de en",
    "data pool MIRACL de {name}",
    "data remove {name}x",
    "report {root}/nowhere",
    "report {root}/results --benchmark {name}",
    "report {root}/results --collection {name}",
    "bias {root}/nowhere {root}/qrels",
    "bias {root}/file {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/file --query-lang {root}/map.json",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json "
    "--matrix {name}",
    "bias {root}/run.trec {root}/qrels --doc-lang {root}/map.json --query-lang {root}/map.json "
    "--measures {name}",
    "bias {root}/run.trec {root}/qrels --plot {root}/{name}",
    "export {name} PocketQARMonolingualRetrieval {root}/out",
    "export trec {name} {root}/out",
    "export trec PocketQARMonolingualRetrieval {root}/out --subset {name}",
    "export trec PocketQARMonolingualRetrieval {root}/file",
    "search hybridir/{name} PocketQARMonolingualRetrieval --output {root}/out",
    "search {root}/nowhere PocketQARMonolingualRetrieval --output {root}/out",
    "search hybridir/pocket-base {name} --output {root}/out",
    "search hybridir/pocket-base PocketQARMonolingualRetrieval --output {root}/out --subset {name}",
    "search hybridir/pocket-base MIRACLMonolingualRetrieval --output {root}/out --dtype {name}",
    "train {root}/file",
    "train {root}/nowhere",
    "train --backbone {name} --method {name}",
    "train --backbone pocket --method {name} --dry-run",
    "train --backbone pocket --method hybrid --option {name} --dry-run",
    "train --backbone pocket --method hybrid --precision {name} --dry-run",
    "train --backbone pocket --method hybrid --data {root}/nowhere --dry-run",
    "plan {root}/file",
    "plan llm-7b --machine {name}",
    "plan llm-7b --machine l4 --machines {root}/file",
    "plan llm-7b --weights {root}/nowhere",
    "plan --backbone {name}",
    "plan --backbone pocket --machine l4 --tasks {name}",
    "debias fit --model hybridir/{name} --method centre --text de={root}/file",
    "debias fit --model {root}/nowhere --method centre {texts}",
    "debias fit --model hybridir/pocket-base --method {name} {texts}",
    "debias fit --model hybridir/pocket-base --method centre --option {name} {texts}",
    "debias fit --model hybridir/pocket-base --method centre --text {name}",
    "debias fit --model hybridir/pocket-base --method centre --languages {name}",
)
USAGE = (
    "{name}",
    "models {name}",
    "models list {name}",
    "--{name}",
    "cache info --{name}",
    "search --depth {name} a b --output c",
    "bias a --format {name}",
)


def words(command: str, root: Path) -> list[str]:
    command = command.replace("{texts}", "--text de={root}/file --text en={root}/file")
    return [word.format(root=root, name=NAME) for word in command.split(" ")]


def plain(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("command", GOOD)
def test_what_works_prints_text(command, filled):
    done = CliRunner().invoke(app, words(command, filled), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert plain(done.output)
    assert done.output


@pytest.mark.parametrize("command", BAD)
def test_what_fails_is_one_line(command, filled, failure):
    said = failure(*words(command, filled))
    assert plain(said)
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "models export hybridir/pocket-mono ~nouser/x.zip",
        "models import ~nouser/x.zip",
        "report ~nouser/x",
        "bias ~nouser/x",
        "bias {root}/run.trec ~nouser/x",
        "bias {root}/run.trec {root}/qrels --doc-lang ~nouser/x --query-lang {root}/map.json",
        "bias {root}/run.trec {root}/qrels --plot ~nouser/x.svg",
        "export trec PocketQARMonolingualRetrieval ~nouser/x --subset de",
        "search hybridir/pocket-base PocketQARMonolingualRetrieval --output ~nouser/x",
        "train ~nouser/x.yaml",
        "train --backbone pocket --method hybrid --data ~nouser/x --dry-run",
        "data add Mine ~nouser/x",
    ],
)
def test_a_home_of_nobody_is_no_folder_of_that_name(command, filled, failure, monkeypatch):
    monkeypatch.chdir(filled)
    assert "~nouser/x" in failure(*words(command, filled))
    assert not (filled / "~nouser").exists()


@pytest.mark.parametrize("name", ["[/]", "a/b/c", "x\x1b[31m"])
def test_a_name_that_no_model_can_have_is_one_line(name, filled, failure):
    said = failure("search", name, "PocketQARMonolingualRetrieval", "--output", f"{filled}/out")
    assert said.startswith(f"error: {quoted(name)}: no folder, not known to mteb")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", USAGE)
def test_usage_errors_are_text(command, root, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hybridir", *words(command, root)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert plain(capsys.readouterr().err)


def test_the_doctor_shows_hostile_places(filled):
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code in {0, 1}
    assert plain(done.stdout)
    assert "cache_dir" in "".join(done.stdout.split())


def test_a_picture_and_its_page_hold_no_control_characters(filled):
    maps = [f"--{of}-lang={filled}/map.json" for of in ("doc", "query")]
    for suffix in (".html", ".svg", ".png"):
        target = filled / f"{NAME}{suffix}"
        arguments = [str(filled / "run.trec"), str(filled / "qrels"), *maps, "--plot", str(target)]
        done = CliRunner().invoke(app, ["bias", *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        if suffix != ".png":
            assert plain(target.read_text().replace("\xa0", ""))


def on_terminal(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> str:
    """What a terminal receives, with rich's own escapes."""
    screen = Console(force_terminal=True, width=200, color_system="standard", record=True)
    monkeypatch.setattr(console, "console", screen)
    with screen.capture() as capture:
        act()
    return capture.get()


def test_markup_and_emoji_are_text_on_a_terminal(monkeypatch):
    said = on_terminal(monkeypatch, lambda: console.say("[/] [red]x[/red] :smile: \\[a]"))
    assert said == "[/] [red]x[/red] :smile: \\[a]\n"

    def table() -> None:
        console.print_table("[/] :smile: t", ["name", "[/]"], [["[/] :smile:", "a\x1b[2J"]])

    said = on_terminal(monkeypatch, table)
    assert said.count("[/]") == 3
    assert said.count(":smile:") == 2
    assert "a\\x1b[2J" in said
    assert "\x1b[2J" not in said


def test_an_error_is_text_in_one_line(capsys):
    console.fail(f"a\nb [/] :smile: {TEXT[:-1]}")
    said = capsys.readouterr().err
    assert said.startswith(
        "error: a b [/] :smile: [/] [bold] [/bold] :smile: [link=x]y[/link]\\x1b"
    )
    assert plain(said)
    assert said.count("\n") == 1


def test_a_very_long_word_is_cut(capsys):
    console.fail(f"no such name {'y' * 5000}: give another")
    assert capsys.readouterr().err == f"error: no such name {'y' * 299}… give another\n"


def test_one_row_that_fails_is_named(monkeypatch):
    rows = console.rows_of([("a", 1), ("b", 0)], lambda name, item: [(name, 1 // item)])
    assert list(rows) == [
        ("a", 1),
        ("b", "cannot be shown: ZeroDivisionError: integer division or modulo by zero"),
    ]
