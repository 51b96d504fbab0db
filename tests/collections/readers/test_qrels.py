"""Judgement files of BEIR folders: heads by known names, grades by their grammar."""

import gzip

import pytest
from toys.beir import write

from hybridir_mteb.collections.readers.qrels import read_judgements
from hybridir_mteb.errors import DataFormatError, DataUnavailableError

EXPECTED = [("q1", "d1", 2), ("q2", "d2", 0)]


def found(path):
    return [(one.query, one.passage, one.grade) for one in read_judgements(path)]


def refusal(path) -> str:
    with pytest.raises(DataFormatError) as caught:
        found(path)
    assert str(caught.value).startswith(f"{path}:")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}:")


@pytest.mark.parametrize(
    "text",
    [
        "q1\td1\t2\nq2\td2\t0\n",
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t0\n",
        "corpus-id\tquery-id\tscore\nd1\tq1\t2\nd2\tq2\t0\n",
        "score\tcorpus-id\tquery-id\n2\td1\tq1\n0\td2\tq2\n",
        "Query_ID\tDocID\tRelevance\nq1\td1\t2\nq2\td2\t0\n",
        "qid iter docno rel\nq1 0 d1 2\nq2 0 d2 0\n",
        "rel docno iteration topic\n2 d1 0 q1\n0 d2 Q0 q2\n",
        "\n\ufeffquery id\tcorpus id\tscore\r\n\r\nq1\td1\t2\r\nq2\td2\t0\r\n",
        'query-id\tcorpus-id\tscore\n"q1"\t"d1"\t"2"\nq2\td2\t+0\n',
        "q1\t0\td1\t2.0\nq2\t0\td2\t0.\n",
        "q1 d1 2\n\x0c\nq2  d2\v0",
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_columns_are_known_by_their_heads(tmp_path, text, suffix):
    path = tmp_path / f"test.tsv{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())
    assert found(path) == EXPECTED


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("q0\td1\tyes", "1: grade 'yes' is not a whole number"),
        ("q0\td1\t1_0", "1: grade '1_0' is not"),
        ("q0\td1\t٣", "1: grade '٣' is not"),
        ("q0\td1\ttrue", "1: grade 'true' is not"),
        ("q0\td1\t1e300", "1: grade '1e300' is not"),
        ("q0\td1\t\u00a03", "1: grade '\\xa03' is not"),
        ("q0\td1\t99999999999", "1: grade '99999999999' is not"),
        ("question\tcorpus-id\tscore", "1: grade 'score' is not"),
        ("query-id\tcorpus-id\tvalue", "1: grade 'value' is not"),
        ("query-id\tqid\tscore", "1: the heads 'query-id qid score' name not each of"),
        ("query-id\titer\tcorpus-id\titeration", "1: the heads "),
        ("q0\t0\td1\t1", "2: 3 columns, expected"),
        ("\td1\t1", "1: an empty id"),
        ("q0\t \t1", "1: an empty id"),
    ],
)
def test_a_first_line_that_is_neither_heads_nor_a_judgement_is_named(tmp_path, first, said):
    """It was passed over as heads, and its query vanished."""
    path = tmp_path / "test.tsv"
    path.write_text(f"{first}\nq1\td1\t1\n", encoding="utf-8")
    assert refusal(path).startswith(said)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('q\t"a\tb"\t1', ("q", "a\tb", 1)),
        ('q\t"a ""b"""\t1', ("q", 'a "b"', 1)),
        ('q\ta"b"\t1', ("q", 'a"b"', 1)),
        ("q\ta\u2028b\x85\t1", ("q", "a\u2028b\x85", 1)),
        ("q a\u00a0b\u3000 1", ("q", "a\u00a0b\u3000", 1)),
    ],
)
def test_ids_with_quotes_and_odd_blanks_are_whole(tmp_path, line, expected):
    path = tmp_path / "test.tsv"
    path.write_text(f"{line}\n", encoding="utf-8", newline="\n")
    assert found(path) == [expected]


@pytest.mark.parametrize("column", ['"a', '"a"b', '"a"" '])
def test_quotes_that_csv_would_read_across_lines_are_refused(tmp_path, column):
    path = tmp_path / "test.tsv"
    path.write_text(f'q1\td1\t1\nq2\t{column}\t1\nq3\t"d3"\t1\n')
    assert refusal(path).startswith("2: quotes in a column")


@pytest.mark.parametrize("name", ["test.jsonl", "test.jsonl.gz", "test.parquet"])
@pytest.mark.parametrize("grade", [True, 0.5, 1e300, 2**40, "1_0", "", [1], "yes"])
def test_grades_of_rows_are_whole_numbers(tmp_path, name, grade):
    path = tmp_path / name
    write(path, [{"query-id": "q", "corpus-id": "d", "score": grade}])
    assert refusal(path).startswith("1: grade ")


@pytest.mark.parametrize("grade", [2, 2.0, "2", "2.0"])
@pytest.mark.parametrize("name", ["test.jsonl", "test.parquet"])
def test_grades_of_rows_may_be_floats_or_text(tmp_path, name, grade):
    path = tmp_path / name
    write(path, [{"query-id": 1, "corpus-id": "d", "score": grade}])
    assert found(path) == [("1", "d", 2)]


@pytest.mark.parametrize("name", ["test.jsonl", "test.parquet"])
@pytest.mark.parametrize("value", [True, 1.5, ""])
def test_ids_of_rows_are_text_or_whole_numbers(tmp_path, name, value):
    path = tmp_path / name
    write(path, [{"query-id": "q", "corpus-id": value, "score": 1}])
    assert refusal(path).startswith("1: 'corpus-id' must be a string or a whole number, got ")


def test_files_that_are_none_are_named(tmp_path):
    (tmp_path / "folder.tsv").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("none.tsv", "folder.tsv", "file/in.tsv", "none.parquet", "folder.tsv/x.jsonl"):
        with pytest.raises(DataUnavailableError, match=name):
            found(tmp_path / name)
    path = tmp_path / "latin.tsv"
    path.write_bytes("q1\td1\t1\né\td1\t1\n".encode("latin-1"))
    assert refusal(path).startswith("2: not UTF-8 at byte 1")
    path.write_text("query-id\tcorpus-id\tscore\n")
    assert "no judgement" in refusal(path)
