"""Readers of passages: all formats give the same, damage is named, memory is constant."""

import gzip
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys.cli import succeed
from toys.damage import unseen

from hybridir_mteb.collections.collection import PassageSource, StreamedPassage
from hybridir_mteb.collections.download import in_order
from hybridir_mteb.collections.readers import digests
from hybridir_mteb.collections.readers.rows import FileSource, read_rows
from hybridir_mteb.errors import DataFormatError, DataUnavailableError
from hybridir_mteb.files import sha256_of
from hybridir_mteb.files.record import read_record
from hybridir_mteb.files.stamp import settle
from hybridir_mteb.paths import digests_file

ROWS = [
    {"docid": "7#0", "title": "Nairobi", "text": "Mji mkuu wa Kenya."},
    {"docid": "7#1", "title": "", "text": "Ẹ káàbọ̀ 東京 😀"},
    {"docid": "8#0", "title": None, "text": ""},
    {"docid": "8#1", "text": "No title."},
    {"docid": "9#0", "title": "T", "text": "Last one."},
]
PASSAGES = [StreamedPassage(row["docid"], row["text"], row.get("title") or "") for row in ROWS]


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    lines = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    data = lines.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, rows: list[Any], group: int = 2) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


FORMATS: dict[str, Callable[[Path, list[Any]], Path]] = {
    "docs-0.jsonl": write_jsonl,
    "docs-0.jsonl.gz": write_jsonl,
    "docs-0.parquet": write_parquet,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_passages(tmp_path, name):
    source = FileSource("demo", (FORMATS[name](tmp_path / name, ROWS),))
    assert isinstance(source, PassageSource)
    assert list(source.passages()) == PASSAGES
    assert list(source.passages()) == PASSAGES, "each call reads anew"


@pytest.mark.parametrize("name", FORMATS)
def test_any_stretch_over_several_files_is_a_slice_of_the_whole(tmp_path, name):
    suffix = name.removeprefix("docs-0")
    files = []
    for at, rows in enumerate((ROWS[:2], ROWS[2:], ROWS[:1])):
        numbered = [{**row, "docid": f"{at}.{row['docid']}"} for row in rows]
        files.append(FORMATS[name](tmp_path / f"docs-{at}{suffix}", numbered))
    source = FileSource("demo", tuple(files))
    whole = list(source.passages())
    assert len(whole) == 6
    for start in range(8):
        for stop in (*range(8), None):
            assert list(source.passages(start, stop)) == whole[start:stop], (start, stop)


def test_the_fields_of_beir_and_of_others_are_ids_too(tmp_path):
    rows = [{"_id": "a", "text": "x"}, {"id": "b", "text": "x"}, {"_id": 31, "text": "x"}]
    path = write_jsonl(tmp_path / "corpus.jsonl", [*rows, {"_id": None, "docid": "d", "text": "x"}])
    assert [p.id for p in FileSource("demo", (path,)).passages()] == ["a", "b", "31", "d"]
    path = write_parquet(tmp_path / "corpus.parquet", [{"_id": 5, "text": "x", "emb": [0.5]}])
    assert [p.id for p in FileSource("demo", (path,)).passages()] == ["5"]


def test_blank_lines_and_a_byte_order_mark_are_no_passages(tmp_path):
    path = tmp_path / "docs-0.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "x"}\r\n\n  \n{"id": "b", "text": "y"}')
    source = FileSource("demo", (path,))
    assert [p.id for p in source.passages()] == ["a", "b"]
    assert [p.id for p in source.passages(1)] == ["b"]


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_any_text_survives(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"id": f"i{at}", "title": text, "text": text} for at, text in enumerate(texts)]
    for name, write in FORMATS.items():
        path = write(folder / name, rows)
        assert [(p.title, p.text) for p in FileSource("x", (path,)).passages()] == [
            (text, text) for text in texts
        ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"id": "b", "text": ', "not valid JSON"),
        (b'["b", "x"]', "expected a JSON object"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not valid JSON: Exceeds the limit"),
        (b'{"id": ' + b"[" * 100_000 + b"}", "JSON nested too deeply"),
        (b'{"text": "x"}', "no id: one of _id, docid, id must be a string"),
        (b'{"id": "", "text": "x"}', "no id"),
        (b'{"id": true, "text": "x"}', "got True"),
        (b'{"id": 1.5, "text": "x"}', "got 1.5"),
        (b'{"id": "b"}', """id 'b': "text" must be a string, got None; the row has id"""),
        (b'{"id": "b", "text": null}', "got None"),
        (b'{"id": "b", "text": "x", "title": 3}', '"title" must be a string or null, got 3'),
        (b'{"id": "b", "text": "\xff"}', "not UTF-8"),
        (b'{"id": "b", "text": "\\ud800 alone"}', "half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_a_malformed_line_is_named(tmp_path, suffix, line, said):
    path = tmp_path / f"docs-0{suffix}"
    data = b'{"id": "a", "text": "x"}\n\n' + line + b"\n"
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    read = FileSource("demo", (path,)).passages()
    assert next(read).id == "a"
    with pytest.raises(DataFormatError) as caught:
        next(read)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert said in str(caught.value)


def test_files_that_are_damaged_or_not_there_are_named(tmp_path):
    whole = gzip.compress(b'{"id": "a", "text": "x"}\n' * 9999)
    damages = {
        "cut.jsonl.gz": (whole[:-20], "the gzip file is cut off"),
        "damaged.jsonl.gz": (b"no gzip at all", "the gzip file is damaged"),
        "wrong.jsonl.gz": (whole[:40] + b"\0\0\0\0" + whole[44:], "the gzip file is damaged"),
        "empty.jsonl": (b"", "the file is empty"),
        "blank.jsonl.gz": (gzip.compress(b"\n\n"), "the file is empty"),
        "wrong.parquet": (b"PAR1 not", "not a Parquet file"),
    }
    for name, (content, said) in damages.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataFormatError, match=said) as caught:
            list(FileSource("demo", (path,)).passages())
        assert str(path) in str(caught.value)
    with pytest.raises(DataUnavailableError, match="no such file"):
        list(read_rows(tmp_path / "absent.jsonl"))


def test_files_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"docs-{at}.jsonl.gz" for at in range(12)]
    found = in_order([tmp_path / name for name in sorted(names)], first=0)
    assert [path.name for path in found] == names
    shards = [f"train-0000{at}-of-00003.parquet" for at in range(3)]
    assert [p.name for p in in_order([tmp_path / n for n in reversed(shards)])] == shards
    assert in_order([tmp_path / "corpus.jsonl"]) == (tmp_path / "corpus.jsonl",)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["docs-0.jsonl", "docs-2.jsonl"], "file 1 of the numbered files"),
        (["docs-1.jsonl", "docs-2.jsonl"], "file 0 of the numbered files"),
        (["docs-1.jsonl", "docs-01.jsonl"], "have the same number"),
        (["a.jsonl", "b.jsonl"], "no number in the name"),
        (["x-00000-of-00002.parquet"], "file 1 of the numbered files"),
        (["docs-0.jsonl", f"docs-{10**18}.jsonl"], "file 1 of the numbered files"),
        (["x-00000-of-99999999999999.parquet"], "file 1 of the numbered files"),
        (["docs-0.jsonl", "docs-٣.jsonl"], "no number in the name"),
    ],
)
def test_a_gap_in_the_numbers_is_refused(tmp_path, names, said):
    with pytest.raises(DataFormatError, match=said):
        in_order([tmp_path / name for name in names], first=0)


def test_the_fingerprint_is_of_names_and_content(tmp_path):
    one, two = (write_jsonl(tmp_path / f"docs-{at}.jsonl", ROWS[at:]) for at in (0, 1))
    fingerprint = FileSource("demo", (one, two)).fingerprint
    assert fingerprint == FileSource("other name", (one, two)).fingerprint
    assert fingerprint != FileSource("demo", (two, one)).fingerprint
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    copies = tuple((moved / path.name) for path in (one, two))
    for path, copy in zip((one, two), copies, strict=True):
        copy.write_bytes(path.read_bytes())
    assert FileSource("demo", copies).fingerprint == fingerprint
    write_jsonl(two, ROWS[2:])
    assert FileSource("demo", (one, two)).fingerprint != fingerprint


def digest_of(path: Path) -> str:
    """Of one file."""
    (found,) = digests.digests_of([path])
    return found


def test_checksums_are_computed_once_for_each_content(tmp_path, monkeypatch):
    computed = []
    monkeypatch.setattr(digests, "sha256_of", lambda path: computed.append(path) or "ab" * 32)
    path = write_jsonl(tmp_path / "docs-0.jsonl", ROWS)
    settle(path)
    assert digest_of(path) == digest_of(path) == "ab" * 32
    assert len(computed) == 1
    stat = path.stat()
    former = [stat.st_size, stat.st_mtime_ns, "00"]  # as version 0.1 had it
    for damaged in ("{", "[]", f'{{"{path}": [1]}}', f'{{"{path}": {json.dumps(former)}}}'):
        digests_file().write_text(damaged)
        assert digest_of(path) == "ab" * 32
    assert len(computed) == 5
    os.utime(path, ns=(1, 1))
    digest_of(path)
    assert len(computed) == 6
    path.unlink()
    with pytest.raises(DataUnavailableError, match=r"docs-0\.jsonl: no such file"):
        digest_of(path)


def test_no_damage_to_remembered_checksums_gives_another_one(tmp_path):
    path = write_jsonl(tmp_path / "docs-0.jsonl", ROWS)
    settle(path)
    right = digest_of(path)
    assert read_record(digests_file())["files"].keys() == {str(path)}
    tried, wrong = unseen(digests_file(), lambda: digest_of(path), right, step=5)
    assert tried > 300
    assert wrong == []


def test_an_edit_of_equal_size_is_seen(tmp_path):
    path = write_jsonl(tmp_path / "docs-0.jsonl", ROWS)
    first = digest_of(path)  # at once, within a tick of the file system's clock
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"#" + content[-3:])
    second = digest_of(path)
    assert second != first
    settle(path)
    assert digest_of(path) == second
    stat = path.stat()
    time.sleep(0.02)
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as cp -p does
    assert digest_of(path) == first


def test_a_cache_that_cannot_be_written_does_not_stop_reading(tmp_path, monkeypatch, caplog):
    path = write_jsonl(tmp_path / "docs-0.jsonl", ROWS)
    settle(path)
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(path / "cache"))
    assert digest_of(path) == sha256_of(path)
    assert "cannot be written" in caplog.text


PEAK = r"""
import re, sys
from pathlib import Path
from hybridir_mteb.collections.readers.rows import FileSource
count = sum(1 for _ in FileSource("x", (Path(sys.argv[1]),)).passages())
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent before exec
print(count, re.search(r"VmHWM:\s+(\d+)", status)[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("suffix", [".jsonl.gz", ".parquet"])
def test_memory_does_not_grow_with_the_number_of_passages(tmp_path, suffix):
    peaks = {}
    for count in (20_000, 200_000):
        rows = [{"id": str(at), "title": "t", "text": f"{at} " * 40} for at in range(count)]
        path = tmp_path / f"docs-{count}{suffix}"
        if suffix == ".parquet":
            write_parquet(path, rows, group=5000)
        else:
            data = "".join(f"{json.dumps(row)}\n" for row in rows)
            path.write_bytes(gzip.compress(data.encode(), 1))
        found, peak = map(int, succeed(sys.executable, "-c", PEAK, path).stdout.split())
        assert found == count
        peaks[count] = peak / 1024
    # Megabytes. All passages together take 100; Arrow's allocator keeps up to 25.
    assert peaks[200_000] < peaks[20_000] + 35, peaks
