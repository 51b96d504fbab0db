"""BEIR folders: every layout reads the same, as BEIR itself reads it; errors name file and line."""

import csv
from pathlib import Path
from typing import Any

import pytest
from toys.beir import CORPUS, HEADS, QRELS, QUERIES, small_folder, write

from hybridir_mteb.collections.collection import CollectionPart, StreamedPassage
from hybridir_mteb.collections.readers.beir import beir_files, beir_splits, read_beir_folder
from hybridir_mteb.collections.readers.verify import read_through
from hybridir_mteb.errors import (
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
)


def named(qrels: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    return [dict(zip(HEADS, row, strict=True)) for row in qrels]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_folder(tmp_path / "demo")


def content(part: CollectionPart) -> tuple[Any, ...]:
    passages = list(part.passages.passages())
    return list(part.queries.items()), {k: dict(v) for k, v in part.qrels.items()}, passages


EXPECTED = (
    [("q2", "running animals"), ("q1", "sleeping animals")],
    {"q2": {"d2": 1}, "q1": {"d1": 2, "d2": 0}},
    [StreamedPassage(row["_id"], row["text"], row["title"]) for row in CORPUS],
)


def test_the_plain_layout(folder):
    part = read_beir_folder(folder, language="sv")
    assert content(part) == EXPECTED
    assert (part.language, part.passages.name) == ("sv", "demo")


@pytest.mark.parametrize("shards", ["corpus.jsonl.gz", "corpus.parquet", "two", "parts"])
@pytest.mark.parametrize("queries", ["queries.jsonl.gz", "queries/queries-00000-of-00001.parquet"])
@pytest.mark.parametrize(
    "qrels",
    ["test.tsv.gz", "test.jsonl", "test.parquet", "test-00000-of-00001.parquet", "bare", "trec"],
)
def test_all_layouts_read_the_same(tmp_path, shards, queries, qrels):
    if shards == "two":
        for at, rows in enumerate((CORPUS[:2], CORPUS[2:])):
            write(tmp_path / "corpus" / f"corpus-0000{at}-of-00002.parquet", rows)
    elif shards == "parts":
        for at, row in enumerate(CORPUS):
            write(tmp_path / "corpus" / f"{at}.jsonl.gz", [row])
    else:
        write(tmp_path / shards, CORPUS)
    write(tmp_path / queries, QUERIES)
    if qrels == "bare":
        write(tmp_path / "qrels" / "test.tsv", QRELS)
    elif qrels == "trec":
        write(tmp_path / "qrels" / "test.tsv", [(q, "Q0", d, f"{g}.0") for q, d, g in QRELS])
    else:
        rows = [HEADS, *QRELS] if ".tsv" in qrels else named(QRELS)
        write(tmp_path / "qrels" / qrels, rows)
    assert content(read_beir_folder(tmp_path)) == EXPECTED
    assert beir_splits(tmp_path) == ("test",)


def test_beir_reads_the_same(folder, data_dir):
    pytest.importorskip("beir")
    from beir.datasets.data_loader import GenericDataLoader

    for place in (folder, data_dir / "cranfield-beir"):
        part = read_beir_folder(place)
        corpus, queries, qrels = GenericDataLoader(str(place)).load("test")
        passages = {p.id: {"text": p.text, "title": p.title} for p in part.passages.passages()}
        assert passages == corpus
        nothing = {query for query, judged in qrels.items() if not any(judged.values())}
        assert nothing == ({"q4"} if place == folder else set()), "kept there, with a score of 0"
        assert part.queries == {k: text for k, text in queries.items() if k not in nothing}
        assert part.qrels == {k: judged for k, judged in qrels.items() if k not in nothing}
    assert (len(part.queries), len(passages)) == (225, 1400)


def test_numbers_are_ids_too(tmp_path):
    write(tmp_path / "corpus.jsonl", [{"_id": 7, "text": "x"}])
    write(tmp_path / "queries.jsonl", [{"_id": 1, "text": "x"}])
    write(tmp_path / "qrels" / "dev.jsonl", [{"query-id": 1, "corpus-id": 7, "score": 1}])
    assert read_beir_folder(tmp_path, "dev").qrels == {"1": {"7": 1}}


def test_the_splits_are_listed_where_one_is_missing(folder):
    write(folder / "qrels" / "dev-2.tsv.gz", QRELS)
    write(folder / "qrels" / "train-00000-of-00001.parquet", named(QRELS))
    assert beir_splits(folder) == ("dev-2", "test", "train")
    with pytest.raises(DataUnavailableError, match="the folder has the splits dev-2, test, train"):
        read_beir_folder(folder, "validation")


def test_missing_files_are_named_with_the_layouts(folder):
    with pytest.raises(DataUnavailableError, match="no such folder"):
        read_beir_folder(folder / "absent")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(DataUnavailableError, match=r"no corpus: looked for corpus\.jsonl, corpus"):
        read_beir_folder(folder)


def test_two_corpora_in_one_folder_are_refused(folder):
    write(folder / "corpus.parquet", CORPUS)
    with pytest.raises(DataFormatError, match=r"corpus\.jsonl and corpus\.parquet are both there"):
        beir_files(folder)


@pytest.mark.parametrize(
    ("lines", "at", "said"),
    [
        ("q1\td1\t1\nq1\td1\n", 2, "2 columns, expected query-id, corpus-id and score"),
        ("query-id\tcorpus-id\tscore\nq1\td1\tyes\n", 2, "grade 'yes' is not a whole number"),
        ("q1\td1\t1\nq1\td2\t0.5\n", 2, "grade '0.5' is not a whole number"),
        ("q1\td1\t0.5\nq1\td2\t1\n", 1, "grade '0.5' is not a whole number"),  # not heads
        ("q1\td1\tnan\nq1\td2\t1\n", 1, "grade 'nan' is not a whole number"),
        ("q1\td1\t1\n\nq9\td1\t1\n", 3, "query 'q9' is not in "),
        ("q1\td1\t1\nq1\td1\t0\n", 2, "passage 'd1' has another grade for query 'q1' above"),
        ("query-id\tcorpus-id\tscore\n", None, "no judgement"),
        ("q1\td1\t0\n", None, "no query has a relevant passage"),
    ],
)
def test_malformed_judgements_are_named(folder, lines, at, said):
    path = folder / "qrels" / "test.tsv"
    path.write_text(lines)
    with pytest.raises(DataFormatError) as caught:
        read_beir_folder(folder)
    assert str(caught.value).startswith(f"{path}:{at}: " if at else f"{path}: ")
    assert said in str(caught.value)


def test_ids_that_csv_quotes_are_read_as_beir_reads_them(tmp_path):
    names = ['<"Heroes">', '"whole"', "plain"]
    write(tmp_path / "corpus.jsonl", [{"_id": name, "text": "x"} for name in names])
    write(tmp_path / "queries.jsonl", [{"_id": "q1", "text": "x"}])
    (tmp_path / "qrels").mkdir()
    with (tmp_path / "qrels" / "test.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerows([("query-id", "corpus-id", "score"), *(("q1", name, 1) for name in names)])
    assert list(read_beir_folder(tmp_path).qrels["q1"]) == names
    (tmp_path / "qrels" / "test.tsv").write_text('q1\t<"Heroes">\t1\n')  # and as others write them
    assert list(read_beir_folder(tmp_path).qrels["q1"]) == names[:1]


def test_a_split_is_no_pattern(folder):
    with pytest.raises(DataUnavailableError, match=r"no te\*t: .*the folder has the splits test"):
        read_beir_folder(folder, "te*t")


@pytest.mark.parametrize("split", ["", "/dev/null", "../other/test", "a\\b", "a\0b"])
def test_a_split_is_no_path(folder, split):
    with pytest.raises(SettingError, match=r"--split\): expected the name of a file in qrels"):
        read_beir_folder(folder, split)


def test_malformed_rows_and_queries_are_named(folder):
    rows = [{"query-id": "q1", "corpus-id": "d1", "score": None}]
    (folder / "qrels" / "test.tsv").unlink()
    write(folder / "qrels" / "test.jsonl", rows)
    with pytest.raises(DataFormatError, match=r"test\.jsonl:1: grade None is not a whole number"):
        read_beir_folder(folder)
    write(folder / "qrels" / "test.jsonl", [{"query-id": "q1", "score": 1}])
    with pytest.raises(DataFormatError, match=r"test\.jsonl:1: 'corpus-id' must be a string"):
        read_beir_folder(folder)
    write(folder / "qrels" / "test.jsonl", named(QRELS))
    write(folder / "queries.jsonl", [*QUERIES, QUERIES[0]])
    with pytest.raises(DataFormatError, match=r"queries\.jsonl:5: query 'q2' occurs twice"):
        read_beir_folder(folder)
    write(folder / "queries.jsonl", [{"_id": "q2", "text": " "}, *QUERIES[1:]])
    with pytest.raises(DataFormatError, match="query 'q2' is empty"):
        read_beir_folder(folder)
    with pytest.raises(UnknownNameError, match="unknown language code 'swedish'"):
        read_beir_folder(folder, language="swedish")


def test_reading_through_counts_what_is_wrong(folder):
    write(folder / "corpus.jsonl", [*CORPUS[:1], CORPUS[0], {"_id": "d9", "text": " "}, CORPUS[0]])
    found = read_through(read_beir_folder(folder))
    assert (found.passages, found.empty) == (4, 1)
    assert (found.duplicates, found.duplicate) == (2, "d1")
    assert (found.judgements, found.relevant) == (3, 2)
    assert (found.missing, found.missing_relevant) == (2, 1)
    assert found.missing_example == ("q2", "d2")
    clean = read_through(CollectionPart("en", {}, {}, FewHashes()))
    assert (clean.passages, clean.duplicates, clean.duplicate) == (3, 0, "")


class FewHashes:
    """A source of distinct ids."""

    name, fingerprint = "few", "0"

    def passages(self, start: int = 0, stop: int | None = None) -> Any:
        return iter([StreamedPassage(f"{at}", "x") for at in range(3)][start:stop])


def test_ids_with_equal_hashes_are_no_duplicates(monkeypatch):
    monkeypatch.setattr("hybridir_mteb.collections.readers.verify.hash_of", lambda identifier: 1)
    assert read_through(CollectionPart("en", {}, {}, FewHashes())).duplicates == 0
