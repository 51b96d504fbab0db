"""The file of scores by query: round trip, damage, and limits."""

import gzip
import json
from pathlib import Path

import pytest

from hybridir_mteb.errors import DataFormatError, NoSpaceError
from hybridir_mteb.results import by_query
from hybridir_mteb.results.by_query import QueryScores, add_beside, beside, read_by_query


def of(subset: str, value: float = 0.123456789) -> QueryScores:
    place = ("Task", "rev", "test", subset, "de", "map")
    return QueryScores(*place, ["q:1", "q:2"], ["é", "2"], {"map": [value, None]})


@pytest.fixture
def result(tmp_path: Path) -> Path:
    return tmp_path / "A.B-v1.json"


def test_what_is_written_is_read_and_others_can_read_it(result):
    kept = {("test", "de"), ("test", "en")}
    for subset in ("en", "de"):
        add_beside(result, of(subset), kept)
    path = beside(result)
    assert path.name == "A.B-v1.by-query.jsonl.gz"
    assert [one.subset for one in read_by_query(path)] == ["de", "en"]
    assert read_by_query(path)[0].scores == {"map": [0.123457, None]}
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert [line["format"] for line in lines] == ["hybridir-scores-by-query"] * 2
    assert lines[0]["units"] == ["é", "2"]


def test_order_and_time_do_not_change_the_bytes(result, tmp_path):
    other = tmp_path / "other.json"
    kept = {("test", "de"), ("test", "en")}
    for path, order in ((result, ("de", "en")), (other, ("en", "de", "en"))):
        for subset in order:
            add_beside(path, of(subset), kept)
    assert beside(result).read_bytes() == beside(other).read_bytes()


def test_a_subset_that_the_result_lacks_goes(result):
    add_beside(result, of("de"), {("test", "de")})
    add_beside(result, of("en"), {("test", "en")})
    assert [one.subset for one in read_by_query(beside(result))] == ["en"]


def test_a_run_reads_no_file_that_it_wrote_and_every_one_that_another_wrote(result, monkeypatch):
    kept = {("test", subset) for subset in ("de", "en", "fr")}
    read = []
    members = by_query._members
    monkeypatch.setattr(by_query, "_members", lambda path: read.append(path) or members(path))
    for subset in ("de", "en"):
        add_beside(result, of(subset), kept)
    assert read == []
    other = result.with_name("other.json")
    add_beside(other, of("fr"), kept)
    beside(other).replace(beside(result))  # as another run would, which has other subsets
    add_beside(result, of("de"), kept)
    assert read == [beside(result)]
    assert [one.subset for one in read_by_query(beside(result))] == ["de", "fr"]


def test_any_damage_is_found(result):
    add_beside(result, of("de"), {("test", "de")})
    path = beside(result)
    sound = path.read_bytes()
    for damaged in (b"", sound[:-1], sound[: len(sound) // 2], sound + b"x", b"{}", sound[1:]):
        path.write_bytes(damaged)
        with pytest.raises(DataFormatError, match="remove it and run the task again"):
            read_by_query(path)
    unseen = 0
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        try:
            unseen += read_by_query(path) != [of("de", 0.123457)]
        except DataFormatError:
            continue
    assert unseen == 0


def changed(result: Path, **changes: object) -> None:
    """A file that was sealed anew after a change."""
    content = json.loads(of("de").line())
    content |= changes
    content.pop("sha256")
    line = json.dumps({**content, "sha256": by_query.seal_of(content)}).encode()
    beside(result).write_bytes(gzip.compress(line))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "version 2, and this package reads version 1"),
        ({"format": "other"}, "no scores by query"),
        ({"units": ["1"]}, "do not fit"),
        ({"scores": {"map": [1, 2, 3]}}, "do not fit"),
        ({"scores": {"map": [True, 1]}}, "do not fit"),
        ({"queries": "ab"}, "do not fit"),
        ({"subset": 7}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(result, changes, said):
    changed(result, **changes)
    with pytest.raises(DataFormatError, match=said):
        read_by_query(beside(result))


def test_sizes_are_limited(result, monkeypatch):
    add_beside(result, of("de"), {("test", "de")})
    before = beside(result).read_bytes()
    monkeypatch.setattr(by_query, "TEXT_LIMIT", 50)
    with pytest.raises(DataFormatError, match="too large"):
        read_by_query(beside(result))
    monkeypatch.undo()
    monkeypatch.setattr(by_query, "LIMIT", len(before) + 10)
    with pytest.raises(NoSpaceError, match="more than the limit"):
        add_beside(result, of("en"), {("test", "de"), ("test", "en")})
    assert beside(result).read_bytes() == before
