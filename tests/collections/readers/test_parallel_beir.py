"""BEIR folders that share their ids: which rules hold, and what is refused with which words."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from toys.beir import HEADS, write
from toys.translated import translated, write_pair

from hybridir_mteb.collections.readers.parallel_beir import ParallelFolders
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, UnknownNameError
from hybridir_mteb.plugins.settings import Subset

CORPUS = [
    {"_id": "d1", "title": "Cats", "text": "A cat sleeps."},
    {"_id": "d2", "title": "", "text": "A dog runs."},
    {"_id": "d3", "title": "Birds", "text": "They sing."},
]
QUERIES = [{"_id": "q1", "text": "sleeping animals"}, {"_id": "q2", "text": "running animals"}]
QRELS = [("q1", "d1", 2), ("q1", "d2", 1), ("q2", "d2", 1), ("q2", "d3", 0)]
Folders = dict[str, Path]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return write_pair(tmp_path, CORPUS, QUERIES, QRELS)


def judged(folders: Folders, asked: str, *pool: str) -> dict[str, list[tuple[str, str, int]]]:
    """Query -> language, passage and grade of its judgements in a pool."""
    found = ParallelFolders("Two", folders).read(tuple(folders))
    subset = Subset("", asked, pool)
    return {query: [tuple(one) for one in grades] for query, grades in found.judged(subset).items()}


def test_texts_and_grades_are_those_of_the_folders(folders):
    found = ParallelFolders("Two", folders).read(("en", "pl"))
    assert found.parts["pl"].queries["q1"] == translated("sleeping animals")
    (first, *_) = found.parts["pl"].passages.passages()
    assert (first.id, first.title, first.text) == ("d1", "staCę", "Aę tacę .speelsę")
    assert judged(folders, "pl", "en", "pl") == {
        "q1": [("en", "d1", 2), ("en", "d2", 1), ("pl", "d1", 2), ("pl", "d2", 1)],
        "q2": [("en", "d2", 1), ("en", "d3", 0), ("pl", "d2", 1), ("pl", "d3", 0)],
    }


def test_a_judgement_of_one_language_holds_in_the_other(folders):
    write(folders["en"] / "qrels" / "test.tsv", [HEADS, QRELS[0], QRELS[2]])
    write(folders["pl"] / "qrels" / "test.tsv", [HEADS, *QRELS[1:]])
    assert judged(folders, "en", "en")["q1"] == [("en", "d1", 2), ("en", "d2", 1)]
    assert judged(folders, "en", "pl")["q1"] == [("pl", "d1", 2), ("pl", "d2", 1)]


def test_a_passage_without_translation_is_a_candidate_where_it_is(folders):
    write(folders["en"] / "corpus.jsonl", [*CORPUS, {"_id": "d4", "text": "Only here."}])
    write(folders["pl"] / "corpus.jsonl", CORPUS[1:])
    found = ParallelFolders("Two", folders).read(("en", "pl"))
    sizes = {code: len(list(part.passages.passages())) for code, part in found.parts.items()}
    assert sizes == {"en": 4, "pl": 2}
    assert judged(folders, "pl", "en", "pl")["q1"] == [
        *[("en", "d1", 2), ("en", "d2", 1)],
        ("pl", "d2", 1),
    ]


def test_a_query_without_translation_is_asked_in_its_language_of_all_passages(folders):
    write(folders["pl"] / "queries.jsonl", QUERIES[:1])
    assert list(judged(folders, "pl", "en", "pl")) == ["q1"]
    assert judged(folders, "en", "pl")["q2"] == [("pl", "d2", 1), ("pl", "d3", 0)]


def test_one_language_alone_is_as_among_the_others(folders):
    write(folders["pl"] / "qrels" / "test.tsv", [HEADS, *QRELS[1:]])
    write(folders["en"] / "qrels" / "test.tsv", [HEADS, QRELS[0]])
    alone = ParallelFolders("Two", folders).read(("en",))
    both = ParallelFolders("Two", folders).read(("en", "pl"))
    assert alone.parts["en"] == both.parts["en"]


def change(name: str, rows: list[object], code: str = "pl") -> Callable[[Folders], None]:
    """Writes other rows to a file of one language."""
    return lambda folders: write(folders[code] / name, rows)


def cut(folders: Folders) -> None:
    (folders["pl"] / "corpus.jsonl").open("a").write('{"_id": "d4", ')


BAD: dict[str, tuple[Callable[[Folders], object], str]] = {
    "no query in common": (
        lambda folders: (
            change("queries.jsonl", [{"_id": "pl-1", "text": "x"}])(folders),
            change("qrels/test.tsv", [HEADS, ("pl-1", "d1", 1)])(folders),
        ),
        "{en} and {pl}: their judged queries have no id in common (the first ids are 'q1' and "
        "'pl-1')",
    ),
    "no passage in common": (
        change("corpus.jsonl", [{"_id": "pl-1", "text": "x"}]),
        "{en} and {pl}: their passages have no id in common (the first ids are 'd1' and 'pl-1')",
    ),
    "nothing relevant in common": (
        change("corpus.jsonl", [CORPUS[2]]),
        "{en}: no query has a relevant passage in {pl}, so en-pl has nothing to score",
    ),
    "two grades in two languages": (
        change("qrels/test.tsv", [HEADS, ("q1", "d1", 2), ("q1", "d2", 3)]),
        "{pl}/qrels/test.tsv:3: passage 'd2' has grade 3 for query 'q1', and 1 at "
        "{en}/qrels/test.tsv:3",
    ),
    "two grades in one language": (
        change("qrels/test.tsv", [HEADS, ("q1", "d1", 2), ("q1", "d1", 1)]),
        "{pl}/qrels/test.tsv:3: passage 'd1' has grade 1 for query 'q1', and 2 at "
        "{en}/qrels/test.tsv:2",
    ),
    "a query without text": (
        change("qrels/test.tsv", [HEADS, *QRELS, ("q9", "d1", 1)]),
        "{pl}/qrels/test.tsv:6: query 'q9' is in none of {en}/queries.jsonl, {pl}/queries.jsonl",
    ),
    "an empty query": (
        change("queries.jsonl", [{"_id": "q1", "text": " "}]),
        "{pl}/queries.jsonl: query 'q1' is empty",
    ),
    "a malformed passage": (cut, "{pl}/corpus.jsonl:4: "),
    "a malformed query": (
        change("queries.jsonl", [{"_id": "q1"}]),
        "{pl}/queries.jsonl:1: id 'q1': \"text\" must be a string",
    ),
    "a malformed judgement": (
        change("qrels/test.tsv", [HEADS, ("q1", "d1", "much")]),
        "{pl}/qrels/test.tsv:2: grade 'much' is not a whole number",
    ),
    "nothing relevant": (
        lambda folders: [
            change("qrels/test.tsv", [HEADS, ("q1", "d1", 0)], code)(folders) for code in folders
        ],
        "{en}/qrels/test.tsv, {pl}/qrels/test.tsv: no query has a relevant passage",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_what_is_wrong_is_one_line_that_names_the_files(fault, folders):
    harm, said = BAD[fault]
    harm(folders)
    with pytest.raises(DataFormatError, match=re.escape(said.format(**folders))) as caught:
        ParallelFolders("Two", folders).read(("en", "pl"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_file_that_is_missing_names_the_folder(name, folders):
    (folders["pl"] / name).unlink()
    with pytest.raises(DataUnavailableError, match=re.escape(str(folders["pl"]))):
        ParallelFolders("Two", folders)
    with pytest.raises(UnknownNameError, match="unknown language code 'xx'"):
        ParallelFolders("Two", {"en": folders["en"], "xx": folders["pl"]})
