"""Reader of runs, judgements and language maps: what it reads, and what it says of faults."""

import gzip
import re
from pathlib import Path

import pytest

from hybridir_mteb.collections.readers.trec import (
    LanguageMap,
    read_language_map,
    read_qrels,
    read_run,
)
from hybridir_mteb.errors import DataFormatError, DataUnavailableError

RUN = "q1 Q0 d1 1 0.9 name\nq1 Q0 d2 2 -1e-3 name\n\nq2\tQ0\td1\t1\t3\tname\n"
QRELS = "q1 0 d1 1\nq1 0 d2 0\nq2 0 d1 3\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_run_is_read(tmp_path, suffix):
    path = write(tmp_path, f"run{suffix}", RUN)
    assert read_run(path) == {"q1": {"d1": 0.9, "d2": -0.001}, "q2": {"d1": 3.0}}
    assert read_run(path, {"d1": "de", "d2": "en"}) == read_run(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_judgements_are_read(tmp_path, suffix):
    expected = {"q1": {"d1": 1, "d2": 0}, "q2": {"d1": 3}}
    assert read_qrels(write(tmp_path, f"qrels{suffix}", QRELS)) == expected


def test_numbers_are_read_as_trec_eval_reads_them(tmp_path):
    text = "q 0 d1 +3\nq 0 d2 2.0\nq 0 d3 -2\nq 0 d4 007\n"
    assert read_qrels(write(tmp_path, "qrels", text)) == {
        "q": {"d1": 3, "d2": 2, "d3": -2, "d4": 7}
    }
    text = "q Q0 d1 1 +.5 n\nq Q0 d2 2 1.e-1 n\nq Q0 d3 3 -2E2 n\n"
    assert read_run(write(tmp_path, "run", text)) == {"q": {"d1": 0.5, "d2": 0.1, "d3": -200.0}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.tsv", "d1\tde\nd 2\ten\r\n"),
        ("map.tsv.gz", "d1\tde\n\nd 2\ten\n"),
        ("map.json", '{"d1": "de", "d 2": "en"}'),
        ("map.json.gz", '{"d1": "de", "d 2": {"language": "en"}}'),
    ],
)
def test_a_language_map_is_read(tmp_path, name, text):
    found = read_language_map(write(tmp_path, name, text))
    assert found == LanguageMap({"d1": "de", "d 2": "en"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.tsv", "q1\tde\tsame\nq2\ten\tsame\n"),
        (
            "map.json",
            '{"q1": {"language": "de", "item": "same"}, "q2": {"language": "en", "item": "same"}}',
        ),
    ],
)
def test_a_language_map_may_tell_what_queries_ask(tmp_path, name, text):
    found = read_language_map(write(tmp_path, name, text))
    assert found.languages == {"q1": "de", "q2": "en"}
    assert found.items == {"q1": "same", "q2": "same"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 Q0 d1 1 0.9\n", "run:1: 5 columns, expected query Q0 document rank score name"),
        ("q1 Q0 d1 1 0.9 n\nq1 Q0 d2 2 0.9 n x\n", "run:2: 7 columns"),
        ("q1 Q0 d1 1 high n\n", "run:1: score 'high' is not a finite number"),
        ("q1 Q0 d1 1 nan n\n", "run:1: score 'nan' is not a finite number"),
        ("q1 Q0 d1 1 -inf n\n", "run:1: score '-inf' is not a finite number"),
        ("q1 Q0 d1 1 1e999 n\n", "run:1: score '1e999' is not a finite number"),
        ("q1 Q0 d1 1 1_0 n\n", "run:1: score '1_0' is not a finite number"),
        ("q1 Q0 d1 1 ٣ n\n", "run:1: score '٣' is not a finite number"),
        ("q1 Q0 d1 1 0x1p3 n\n", "run:1: score '0x1p3' is not a finite number"),
        ("qid Q0 docno rank score tag\n", "run:1: score 'score' is not a finite number"),
        ("q1 Q0 d1 1 2 n\n\nq1 Q0 d1 2 1 n\n", "run:3: document 'd1' is a result of query 'q1'"),
        (
            "q1 Q0 d3 1 2 n\n",
            "run:1: document 'd3' has no language; the map of document languages, ",
        ),
        ("", "run: the file is empty"),
        ("\n \n", "run: the file is empty"),
    ],
)
def test_a_broken_run_is_refused_with_file_line_and_remedy(tmp_path, text, message):
    path = write(tmp_path, "run", text)
    with pytest.raises(DataFormatError, match=re.escape(message)):
        read_run(path, {"d1": "de", "d2": "en"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q1 0 d1\n", "qrels:1: 3 columns, expected query iteration document grade"),
        ("q1 0 d1 1.5\n", "qrels:1: grade '1.5' is not a whole number"),
        ("q1 0 d1 1_0\n", "qrels:1: grade '1_0' is not a whole number"),
        ("q1 0 d1 ٣\n", "qrels:1: grade '٣' is not a whole number"),
        ("q1 0 d1 true\n", "qrels:1: grade 'true' is not a whole number"),
        ("q1 0 d1 1e300\n", "qrels:1: grade '1e300' is not a whole number"),
        ("qid iter docno rel\n", "qrels:1: grade 'rel' is not a whole number"),
        ("q1 0 d1 1\nq1 0 d1 2\n", "qrels:2: document 'd1' has another grade"),
        ("", "qrels: the file is empty"),
    ],
)
def test_broken_judgements_are_refused_with_file_line_and_remedy(tmp_path, text, message):
    with pytest.raises(DataFormatError, match=re.escape(message)):
        read_qrels(write(tmp_path, "qrels", text))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("map.tsv", "d1 de\n", "map.tsv:1: 1 columns, expected id, language and perhaps item"),
        ("map.tsv", "d1\tde\td\te\n", "map.tsv:1: 4 columns"),
        ("map.tsv", "d1\tde\nd1\tde\n", "map.tsv:2: id 'd1' occurs twice"),
        ("map.tsv", "d1\t \n", "map.tsv:1: an empty id, language or item"),
        ("map.tsv", "q1\tde\tx\nq2\tde\n", "map.tsv:2: some ids have an item and some have none"),
        ("map.tsv", "q1\tde\nq2\tde\tx\n", "map.tsv:2: some ids have an item and some have none"),
        ("map.tsv", "id\tlanguage\nd1\tde\n", "map.tsv:1: 'language' is no language but the head"),
        ("map.tsv", "\nqid\tlang\titem\nd1\tde\tx\n", "map.tsv:2: 'lang' is no language but"),
        ("map.tsv", "docid\tDoc_Lang\nd1\tde\n", "map.tsv:1: 'Doc_Lang' is no language but"),
        ("map.tsv", "docid\tlanguage code\n", "map.tsv:1: 'language code' is no language but"),
        ("map.tsv", "", "map.tsv: the file is empty"),
        ("map.json", "{", "map.json: not valid JSON"),
        ("map.json", "[]", "map.json: expected an object from ids to languages"),
        ("map.json", "{}", "map.json: expected an object from ids to languages"),
        ("map.json", '{"d1": 3}', "map.json: id 'd1': expected a language, or"),
        ("map.json", '{"d1": "de", "d1": "en"}', "map.json: id 'd1' occurs twice"),
        (
            "map.json",
            '{"d1": {"language": "de", "language": "en"}}',
            "map.json: id 'd1': a name occurs twice",
        ),
        ("map.json", '{"d1": [1, 2]}', "map.json: id 'd1': expected a language, or"),
        ("map.json", '{"d1":' * 100_000, "map.json: JSON nested too deeply"),
    ],
)
def test_a_broken_map_is_refused_with_file_line_and_remedy(tmp_path, name, text, message):
    with pytest.raises(DataFormatError, match=re.escape(message)):
        read_language_map(write(tmp_path, name, text))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_byte_order_mark_is_no_part_of_the_first_id(tmp_path, suffix):
    mark = "\N{ZERO WIDTH NO-BREAK SPACE}"
    assert list(read_run(write(tmp_path, f"run{suffix}", mark + RUN))) == ["q1", "q2"]
    assert list(read_qrels(write(tmp_path, f"qrels{suffix}", mark + QRELS))) == ["q1", "q2"]
    for name, text in (("map.tsv", "d1\tde\n"), ("map.json", '{"d1": "de"}')):
        found = read_language_map(write(tmp_path, f"{name}{suffix}", mark + text))
        assert found.languages == {"d1": "de"}


@pytest.mark.parametrize("blank", ["\u00a0", "\u3000", "\u2028", "\x85", "\x1c"])
def test_white_space_that_is_not_ascii_belongs_to_ids(tmp_path, blank):
    name = f"d{blank}1"
    assert read_run(write(tmp_path, "run", f"q Q0 {name} 1 2 n\n")) == {"q": {name: 2.0}}
    assert read_qrels(write(tmp_path, "qrels", f"q 0 {name} 1\n")) == {"q": {name: 1}}
    found = read_language_map(write(tmp_path, "map.tsv", f"{name}{blank}\tde\n"))
    assert found.languages == {f"{name}{blank}": "de"}


def test_documents_of_queries_that_are_not_judged_need_no_language(tmp_path):
    """As in of_run, where such queries play no part."""
    path = write(tmp_path, "run", "q1 Q0 d1 1 2 n\nq2 Q0 d9 1 2 n\n")
    assert read_run(path, {"d1": "de"}, {"q1": {}}) == {"q1": {"d1": 2.0}, "q2": {"d9": 2.0}}
    with pytest.raises(DataFormatError, match="run:2: document 'd9' has no language"):
        read_run(path, {"d1": "de"}, {"q2": {}})


def test_a_json_map_that_is_not_there_or_cannot_be_read_is_not_called_invalid(tmp_path):
    with pytest.raises(DataUnavailableError, match=r"none\.json: no such file"):
        read_language_map(tmp_path / "none.json")
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(b'{"d1": "de"}' * 1000)[:40])
    plain = tmp_path / "plain.json.gz"
    plain.write_text('{"d1": "de"}')
    latin = tmp_path / "latin.json"
    latin.write_bytes('{"é": "de"}'.encode("latin-1"))
    for path, message in ((cut, "cannot be read"), (plain, "cannot be read"), (latin, "not UTF-8")):
        with pytest.raises(DataFormatError, match=f"{path.name}: {message}"):
            read_language_map(path)


def test_a_damaged_archive_is_named(tmp_path):
    """Damage behind the head is an error of zlib, which is no OSError."""
    packed = bytearray(gzip.compress(RUN.encode()))
    packed[10] = 0xFF  # no such kind of block
    path = tmp_path / "bad.gz"
    path.write_bytes(packed)
    with pytest.raises(DataFormatError, match=r"bad\.gz: cannot be read"):
        read_run(path)


@pytest.mark.parametrize("read", [read_run, read_qrels, read_language_map])
def test_utf_16_without_a_mark_is_no_utf_8(tmp_path, read):
    path = tmp_path / "wide"
    path.write_bytes("q1\tde\n".encode("utf-16-be"))
    with pytest.raises(DataFormatError, match=r"wide:1: a NUL character; is the file in UTF-16\?"):
        read(path)


@pytest.mark.parametrize("read", [read_run, read_qrels, read_language_map])
def test_files_that_cannot_be_read_are_named(tmp_path, read):
    with pytest.raises(DataUnavailableError, match=r"none\.txt: no such file"):
        read(tmp_path / "none.txt")
    latin = tmp_path / "latin"
    latin.write_bytes("é 0 d 1\n".encode("latin-1"))
    with pytest.raises(DataFormatError, match="latin:1: not UTF-8"):
        read(latin)
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(RUN.encode() * 1000)[:50])
    with pytest.raises(DataFormatError, match=r"cut\.gz: cannot be read"):
        read(cut)
