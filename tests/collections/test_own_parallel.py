"""Parallel collections that users add: by command, from the folders to MTEB's registry."""

from pathlib import Path

import pytest
from toys.beir import HEADS, write
from toys.cli import pipe, run
from toys.mteb import measures
from toys.translated import write_pair

from hybridir_mteb.adapters.mteb.register import check_task
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.own import AddedParallel, read_record, register_added
from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.paths import collections_dir
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.registry import Plugins
from hybridir_mteb.training.leak import evaluation_texts

TEXT = "The pine marten hides its winter food in hollows."
CORPUS = [{"_id": "d1", "title": "Martens", "text": TEXT}, {"_id": "d2", "text": "A dog runs."}]
QUERIES = [{"_id": "q1", "text": "where do martens hide food"}]
QRELS = [("q1", "d1", 2), ("q1", "d2", 1)]
TASKS = [f"Two{setting}Retrieval" for setting in ("Monolingual", "CrossLingual", "Multilingual")]


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, width=400)


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    """What is typed for the folders; Polish comes first."""
    places = write_pair(tmp_path, CORPUS, QUERIES, QRELS)
    return [f"{code}={places[code]}" for code in ("pl", "en")]


def registered() -> Plugins:
    plugins = load_plugins([])
    register_added(plugins)
    return plugins


def folder(given: list[str], code: str) -> Path:
    return Path(next(one for one in given if one.startswith(code)).partition("=")[2])


def test_folders_become_the_three_tasks_of_a_parallel_collection(given):
    shown = run("data", "add", "Two", "--parallel", *given, "--licence", "cc-by-4.0")
    assert shown.splitlines() == [
        "Two en: 1 queries, 2 passages, 2 judgements (2 relevant)",
        "Two pl: 1 queries, 2 passages, 2 judgements (2 relevant)",
        f"evaluate on it: mteb run -m hybridir/pocket-base -t {' '.join(TASKS)}",
    ]
    record = read_record(collections_dir() / "Two.json")
    assert isinstance(record, AddedParallel)
    plugins = registered()
    assert plugins.problems == []
    spec = plugins.collections["Two"]
    assert (spec.languages, spec.parallel, spec.main_score) == (("en", "pl"), True, "ndcg_at_10")
    assert (spec.card.revision, spec.card.license) == (record.revision, "cc-by-4.0")
    tasks = make_tasks(spec, measures())
    assert [task.metadata.name for task in tasks] == TASKS
    for task in tasks:
        check_task(task)
        assert task.metadata.main_score == "ndcg_at_10"
        assert "sentence" not in task.metadata.description


def test_it_is_listed_verified_and_removed(given, monkeypatch):
    run("data", "add", "Two", "--parallel", *given)
    assert f"{given[1]} {given[0]}, split test" in run("data", "list")
    assert "1 queries, 4 passages in en pl" in run("data", "list")
    monkeypatch.setattr("hybridir_mteb.installed.installed_plugins", registered)
    assert run("data", "verify", "Two").splitlines() == [
        "Two en: 1 queries, 2 passages, 2 judgements (2 relevant)",
        "Two pl: 1 queries, 2 passages, 2 judgements (2 relevant)",
    ]
    run("data", "remove", "Two")
    assert list(registered().collections) == []


def test_folders_that_changed_or_moved_are_refused_until_they_are_added_again(given):
    options = ("--split", "dev", "--licence", "cc-by-4.0")
    for one in ("en", "pl"):
        write(folder(given, one) / "qrels" / "dev.tsv", [HEADS, *QRELS])
    run("data", "add", "Two", "--parallel", *given, *options)
    spec = registered().collections["Two"]
    assert spec.read(["en"])["en"].qrels["q1"] == {"d1": 2, "d2": 1}
    place = folder(given, "pl")
    write(place / "qrels" / "dev.tsv", [HEADS, *QRELS[:1]])
    with pytest.raises(DataFormatError) as caught:
        spec.load(["en"])  # what is judged in Polish holds in English
    assert f"Two: {place / 'qrels' / 'dev.tsv'} is not what it was" in str(caught.value)
    command = str(caught.value).partition("run: hybridir ")[2]
    assert command == f"data add Two --parallel {given[1]} {given[0]} {' '.join(options)}"
    assert "Two had other content before: delete its old results" in run(*command.split())
    registered().collections["Two"].load(["en"])
    place.rename(place.with_name("moved"))
    with pytest.raises(DataUnavailableError, match=r"moved, run: .* pl=<folder> --split dev"):
        registered().collections["Two"].load(["en"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{en}"], "1 folders: with --parallel give one folder for each of two or more languages"),
        (["{en}", "{en}"], "en is given twice"),
        (["{en}", "pl"], "'pl': with --parallel give one folder"),
        (["{en}", "xx=x"], "unknown language code 'xx'"),
        (["{en}", "{pl}", "--language", "pl"], "--language: of a single folder"),
        (["{en}", "{pl}", "--allow-missing"], "--allow-missing: of a single folder"),
        (["{en}", "{pl}", "--split", "dev"], "no dev: looked for"),
        (["{en}", "{pl}", "--licence", "CC"], "licence 'CC' is not known to MTEB"),
        (["{en}", "de=nowhere"], "no such folder"),
    ],
)
def test_wrong_arguments_are_one_message(arguments, said, given, failure):
    known = {"en": given[1], "pl": given[0]}
    words = [word.format(**known) for word in arguments]
    assert said in failure("data", "add", "Two", "--parallel", *words)
    assert list(collections_dir().glob("*")) == []


def test_other_mistakes_are_one_message_too(given, failure):
    assert "2 folders: give one, or one for each language" in failure("data", "add", "Two", *given)
    wrong = "name 'XQuADR' is taken: hybridir-mteb:tasks has it"
    assert wrong in failure("data", "add", "XQuADR", "--parallel", *given)
    for code in ("en", "pl"):
        write(folder(given, code) / "corpus.jsonl", CORPUS[:1])
    said = failure("data", "add", "Two", "--parallel", *given)
    assert "1 judgements are of passages that no corpus has, the first is passage 'd2'" in said
    write(folder(given, "pl") / "corpus.jsonl", [*CORPUS, CORPUS[1]])
    said = failure("data", "add", "Two", "--parallel", *given)
    assert f"{folder(given, 'pl')}: 1 of 3 passages have an id that occurs before" in said


def test_training_data_are_compared_with_them(given, monkeypatch):
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    run("data", "add", "Two", "--parallel", *given)
    monkeypatch.setattr("hybridir_mteb.training.leak.installed_plugins", registered)
    assert evaluation_texts().find(TEXT) == "Two"
    (folder(given, "en") / "corpus.jsonl").unlink()
    known = evaluation_texts()
    assert (known.find(TEXT), known.not_at_hand) == (None, ["Two"])
