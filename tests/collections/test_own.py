"""Collections that users add: by command and by function, from the folder to MTEB's registry."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toys.beir import CORPUS, QRELS, small_folder, write
from toys.cli import pipe, run, succeed
from toys.damage import unseal, unseen

from hybridir_mteb.adapters.mteb.register import licences, owner_of
from hybridir_mteb.collections import own as added
from hybridir_mteb.collections.own import AddedFolder, AddedPool, read_record
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.paths import collections_dir
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.registry import Plugins
from hybridir_mteb.tasks.miracl import MIRACL
from hybridir_mteb.tasks.xquad_r import XQUAD_R
from hybridir_mteb.training.leak import evaluation_texts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder(tmp_path / "beir")


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, width=200)


def add_folder(name: str, folder: Path, **options: Any) -> None:
    """Add a folder as the command does."""
    added.add_folder(
        name, folder, added.FolderOptions(**options), taken=owner_of, licences=licences()
    )


def add_pool(name: str, languages: tuple[str, ...]) -> None:
    """Add a pool as the command does."""
    added.add_pool(installed_plugins().collections[name], languages, taken=owner_of)


def registered() -> Plugins:
    """What a new process would register, without the installed plugins."""
    plugins = load_plugins([])
    plugins.collections.add("MIRACL", MIRACL, "tasks")
    plugins.collections.add("XQuADR", XQUAD_R, "tasks")
    added.register_added(plugins)
    return plugins


def test_a_folder_is_added_by_command(folder):
    shown = run("data", "add", "My.Collection-1", str(folder), "--language", "sv")
    assert shown.splitlines() == [
        "My.Collection-1: 2 queries, 3 passages, 3 judgements (2 relevant)",
        "evaluate on it: mteb run -m hybridir/pocket-base -t My.Collection-1",
    ]
    record = read_record(collections_dir() / "My.Collection-1.json")
    assert isinstance(record, AddedFolder)
    assert (record.folder, record.split, record.language) == (str(folder), "test", "sv")
    assert set(record.files) == {"corpus.jsonl", "queries.jsonl", "qrels/test.tsv"}
    listed = run("data", "list")
    assert str(folder) in listed
    assert "2 queries, 3 passages in sv" in listed


def test_an_added_folder_is_registered_as_a_plugins_collection(folder):
    add_folder("Mine", folder, language="sv", query_language="en", licence="cc-by-4.0")
    plugins = registered()
    assert plugins.problems == []
    assert plugins.collections.owner("Mine") == "hybridir data add"
    spec = plugins.collections["Mine"]
    assert not spec.parallel
    assert (spec.task, spec.languages, spec.query_languages) == ("Mine", ("sv",), ("en",))
    assert spec.card.license == "cc-by-4.0"
    part = spec.load("sv")
    assert [passage.id for passage in part.passages.passages()] == ["d1", "d2", "d3"]
    before = spec.card.revision
    write(folder / "qrels" / "test.tsv", QRELS[:1])
    add_folder("Mine", folder)
    again = registered().collections["Mine"]
    assert again.card.revision != before
    assert again.card.license == "not specified"


@pytest.mark.slow
def test_mteb_knows_the_task_in_the_next_process(folder):
    add_folder("Mine", folder, language="sv")
    add_pool("MIRACL", ("yo", "sw"))
    (collections_dir() / "Broken.json").write_text("{")
    code = (
        "import mteb; t = mteb.get_task('Mine').metadata; print(t.eval_langs, t.main_score);"
        "print(mteb.get_task('MIRACLSwYoMultilingualRetrieval').metadata.hf_subsets)"
    )
    done = succeed(sys.executable, "-c", code)
    assert done.stdout.splitlines() == ["['swe-Latn'] ndcg_at_10", "['sw', 'yo']"]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("hybridir-mteb:")]
    assert "Broken.json: not a collection that was added: the record is damaged" in line
    assert "hybridir data remove Broken" in line


def test_a_damaged_record_is_one_problem_and_stops_nothing(folder):
    add_folder("Mine", folder)
    good = json.loads((collections_dir() / "Mine.json").read_text())
    del good["sha256"]  # as of version 0.1
    damages = {
        "A": "{",
        "B": "[1]",
        "C": json.dumps({**good, "format": 9}),
        "D": json.dumps({**good, "kind": "other"}),
        "E": json.dumps(good),
        "F": json.dumps({**good, "collection": {"name": "F"}}),
        "G": json.dumps(
            {
                "format": 1,
                "kind": "pool",
                "collection": {"name": "G", "collection": "Gone", "languages": ["sw", "yo"]},
            }
        ),
    }
    for name, text in damages.items():
        (collections_dir() / f"{name}.json").write_text(text)
    plugins = registered()
    assert sorted(plugins.collections) == ["MIRACL", "Mine", "XQuADR"]
    assert len(plugins.problems) == len(damages)
    for name, problem in zip(damages, plugins.problems, strict=True):
        assert f"{name}.json: " in problem
        assert f"hybridir data remove {name}" in problem
    assert "another version" in plugins.problems[2]
    assert "it was renamed" in plugins.problems[4]
    assert "unknown collection 'Gone'" in plugins.problems[6]
    for name in damages:
        added.remove(name)
    assert registered().problems == []


def test_no_damage_to_a_record_changes_the_collection(folder):
    def result():
        plugins = registered()
        if plugins.problems:
            raise DataFormatError(plugins.problems[0])
        return replace(plugins.collections["Mine"], load=None)

    add_folder("Mine", folder, language="sv", query_language="da")
    tried, wrong = unseen(collections_dir() / "Mine.json", result, result(), step=23)
    assert tried > 100
    assert wrong == []


def test_a_record_of_0_1_is_sealed_once_its_folder_was_found_unchanged(folder):
    add_folder("Mine", folder)
    record = collections_dir() / "Mine.json"
    sealed = record.read_text()
    unseal(record)
    registered().collections["Mine"].load("en")
    assert record.read_text() == sealed
    unseal(record)
    record.write_text(record.read_text().replace("queries.jsonl", "querieS.jsonl"))
    assert "its revision is not of its files" in registered().problems[0]


@pytest.mark.parametrize("file", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_folder_that_changed_is_refused_until_it_is_added_again(folder, file):
    add_folder("Mine", folder)
    spec = registered().collections["Mine"]
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content)  # a new time, the same content
    spec.load("en")
    (folder / file).write_bytes(content + b"\n")
    with pytest.raises(DataFormatError) as caught:
        spec.load("en")
    assert f"Mine: {folder / file} is not what it was" in str(caught.value)
    assert str(caught.value).endswith(f"hybridir data add Mine {folder}")
    add_folder("Mine", folder)
    registered().collections["Mine"].load("en")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(DataUnavailableError, match="no corpus"):
        registered().collections["Mine"].load("en")


def test_the_advice_for_a_changed_folder_keeps_its_options(folder):
    options = ("--language", "pl", "--query-language", "en", "--licence", "cc-by-4.0")
    run("data", "add", "Mine", str(folder), *options)
    with (folder / "queries.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(DataFormatError) as caught:
        registered().collections["Mine"].load("pl")
    command = str(caught.value).partition("run: hybridir ")[2]
    assert command == f"data add Mine {folder} {' '.join(options)}"
    assert "Mine had other content before: delete its old results" in run(*command.split())
    assert "other content" not in run(*command.split())
    folder.rename(folder.with_name("moved"))
    with pytest.raises(DataUnavailableError, match=r"moved, run: .* Mine <folder> --language pl"):
        registered().collections["Mine"].load("pl")


def test_the_number_of_passages_is_known_before_they_are_encoded(folder):
    add_folder("Mine", folder)
    assert registered().collections["Mine"].load("en").passages.expected == 3  # type: ignore[attr-defined]


def test_what_is_wrong_with_a_folder_is_refused_with_numbers(folder):
    write(folder / "corpus.jsonl", CORPUS[:1])
    with pytest.raises(DataFormatError) as caught:
        run("data", "add", "Mine", str(folder))
    assert "2 of 3 judgements are of passages" in str(caught.value)
    assert "(1 of them relevant), the first is passage 'd2' of query 'q2'" in str(caught.value)
    shown = run("data", "add", "Mine", str(folder), "--allow-missing")
    assert "2 judgements are of missing passages: nothing can find these" in shown
    write(folder / "corpus.jsonl", [*CORPUS, CORPUS[1]])
    with pytest.raises(
        DataFormatError, match="1 of 4 passages have an id that occurs before, the "
    ):
        add_folder("Mine", folder, allow_missing=True)
    assert sorted(p.name for p in collections_dir().glob("*")) == ["Mine.json"], "the old one stays"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b", "use letters"),
        ("../x", "use letters"),
        (".hidden", "use letters"),
        ("end.", "use letters"),
        ("", "use letters"),
        ("SciFact", "is taken: mteb has it"),
        ("XQuADR", "is taken: hybridir-mteb:tasks has it"),
        ("MIRACLMonolingualRetrieval", "is taken: hybridir-mteb:tasks has it"),
        ("MINE", "'Mine' was added before"),
    ],
)
def test_a_name_must_be_valid_and_free(folder, name, said):
    add_folder("Mine", folder)
    with pytest.raises(SettingError, match=said):
        add_folder(name, folder)


def test_languages_and_licences_are_those_of_mteb(folder):
    with pytest.raises(UnknownNameError, match="unknown language code 'xx'"):
        add_folder("Mine", folder, query_language="xx")
    with pytest.raises(SettingError, match=r"licence 'CC' is not known to MTEB.*cc-by-4\.0"):
        add_folder("Mine", folder, licence="CC")
    add_folder("Mine", folder, licence="https://example.org/licence")


def test_a_pool_is_added_and_removed():
    shown = run("data", "pool", "MIRACL", "yo", "sw")
    assert shown.endswith("-t MIRACLSwYoMultilingualRetrieval\n")
    record = read_record(collections_dir() / "MIRACLSwYo.json")
    assert record == AddedPool("MIRACLSwYo", "MIRACL", ("sw", "yo"))
    spec = registered().collections["MIRACLSwYo"]
    assert spec.languages == ("sw", "yo")
    assert run("data", "remove", "MIRACLSwYo") == "MIRACLSwYo is no longer a collection\n"
    assert "MIRACLSwYo" not in registered().collections


def test_what_cannot_be_pooled_or_removed_is_said():
    with pytest.raises(SettingError, match="XQuADR is parallel or in one language"):
        add_pool("XQuADR", ("de", "en"))
    with pytest.raises(UnknownNameError, match="needs at least two of ar, bn"):
        add_pool("MIRACL", ("sw",))
    add_pool("MIRACL", ("sw", "yo"))
    with pytest.raises(UnknownNameError, match="Did you mean MIRACLSwYo"):
        added.remove("MIRACLSwY")
    with pytest.raises(UnknownNameError, match=r"no collection '\.\./x' was added"):
        added.remove("../x")


def test_training_data_are_compared_with_added_folders(folder, monkeypatch):
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    rows = [*CORPUS[:2], {"_id": "d3", "text": "The pine marten hides its winter food in hollows."}]
    write(folder / "corpus.jsonl", rows)
    add_folder("Mine", folder)
    known = evaluation_texts()
    assert "Mine" in known.checked
    assert known.find("the pine marten hides its winter food in hollows") == "Mine"
    (folder / "corpus.jsonl").unlink()
    assert "Mine" in evaluation_texts().not_at_hand


BAD_FILES: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_text("[" * 100_000),
    "no object": lambda path: path.write_text("[]"),
    "no UTF-8": lambda path: path.write_bytes(b"\xff"),
    "a folder": lambda path: (path / "within").mkdir(parents=True),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "huge": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 65 << 20),
}


@pytest.mark.parametrize("name", ["Bad", "[bad] \x1b[31m\u202e\n ü"])
@pytest.mark.parametrize("fault", BAD_FILES)
def test_one_bad_file_is_one_line_and_every_other_collection_is_there(fault, name, folder, capsys):
    add_folder("Mine", folder)
    path = collections_dir() / f"{name}.json"
    BAD_FILES[fault](path)
    plugins = load_plugins([])
    added.register_added(plugins)
    assert list(plugins.collections) == ["Mine"]
    assert [record.name for record in added.added_folders()] == ["Mine"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "hybridir data remove" in line
    added.remove(name)
    assert [path.name for path in collections_dir().iterdir()] == ["Mine.json"]
