"""No damage to shards and their records gives another result: it is found, and made good."""

import logging
import os
import shutil

import numpy as np
import pytest
from toys.damage import unseal, unseen
from toys.shards import Encoder, folder_of, key, numbered, vector_of

from hybridir_mteb.errors import ShardError
from hybridir_mteb.files.record import read_record
from hybridir_mteb.ranking.shards import fill, search, shard
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.listing import shard_files

N, KEY = 12, key(rows=2)  # 12 less a digit ends with a shard, too


def build(parent, name=KEY, n=N):
    folder = ShardFolder(parent, name)
    fill(folder, numbered(n), Encoder())
    return folder


def as_of_0_1(folder):
    """The records as version 0.1 wrote them."""
    for record in (folder.path / "end.json", folder.path / "manifest.json"):
        unseal(record)
    for record in folder.path.glob("0*/shard.json"):
        unseal(record, digests="sha256")


def opened(parent, name=KEY):
    """The folder as another process opens it."""
    shard._SOUND.clear()
    return ShardFolder(parent, name)


def held(folder):
    """All that a search sees of a folder."""
    rows = range(folder.n_passages)
    return folder.ids(rows), folder.vectors(rows).tolist(), folder.hashes(rows).tolist()


@pytest.fixture
def quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["now", "0.1"])
@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("end.json", 7),
        ("manifest.json", 40),
        ("00000001/shard.json", 70),
        ("00000005/shard.json", 70),
        ("00000001/vectors.npy", 40),
        ("00000001/ids.utf8", 1),
        ("00000001/id_ends.npy", 40),
        ("00000001/hashes.npy", 40),
    ],
)
def test_whatever_byte_is_damaged_the_result_is_the_same(tmp_path, quiet, version, name, step):
    folder = build(tmp_path / "kept")
    right = held(folder)
    if version == "0.1":
        as_of_0_1(folder)

    def result():
        shutil.copytree(tmp_path / "kept", tmp_path / "used")
        try:
            try:
                seen = held(opened(tmp_path / "used"))
            except ShardError:  # one that only reads is told so
                seen = right
            again = opened(tmp_path / "used")
            fill(again, numbered(N), Encoder())
            return seen, held(again), shard_files(tmp_path / "used")[0].passages
        finally:
            shutil.rmtree(tmp_path / "used")

    tried, wrong = unseen(folder.path / name, result, (right, right, N), step)
    assert tried > 20
    assert wrong == []


@pytest.mark.parametrize("n_passages", [1, 2, 10, 11, 14, 120, -2, 0])
@pytest.mark.parametrize("form", ['{{"n_passages": {}}}', '{{"n_passages": {}.0}}', "[{}]"])
def test_an_end_that_the_shards_contradict_is_marked_again(tmp_path, caplog, n_passages, form):
    """0.1 searched a tenth of the passages, or blamed the source for having too few."""
    folder = build(tmp_path)
    as_of_0_1(folder)
    (folder.path / "end.json").write_text(form.format(n_passages))
    with pytest.raises(ShardError, match="not complete"):
        _ = opened(tmp_path).n_passages
    assert f"{folder.path / 'end.json'}" in caplog.text
    encoder, again = Encoder(), opened(tmp_path)
    fill(again, numbered(N), encoder)
    assert encoder.seen == []
    assert again.n_passages == N
    assert read_record(folder.path / "end.json") == {"n_passages": N, "key": KEY.digest}


def test_what_0_1_stored_is_used_and_sealed(tmp_path):
    folder = build(tmp_path)
    right = held(folder)
    as_of_0_1(folder)
    again = opened(tmp_path)
    assert again.complete
    assert held(again) == right
    read_record(folder.path / "end.json")
    assert read_record(folder.path / "00000003" / "shard.json")["key"] == KEY.digest


@pytest.mark.parametrize("mixed_up", ["quantised", "truncated"])
def test_what_0_1_stored_of_an_experiment_is_encoded_again(tmp_path, quiet, mixed_up):
    right, encode = build(tmp_path / "right"), Encoder()

    def experiment(texts):
        for at, vectors in encode(texts):
            yield at, np.rint(vectors * 40) if mixed_up == "quantised" else vectors[:, :2]

    folder = ShardFolder(tmp_path, KEY)
    fill(folder, numbered(N), experiment)
    as_of_0_1(folder)
    shard._SOUND.clear()
    again = ShardFolder(tmp_path, KEY, right.dimension)
    assert not again.complete
    fill(again, numbered(N), Encoder())
    assert held(again) == held(right)


def test_what_0_1_stored_can_be_used_where_nothing_can_be_written(tmp_path, monkeypatch):
    folder = build(tmp_path)
    right = held(folder)
    as_of_0_1(folder)

    def refused(*_, **__):
        raise PermissionError("read-only")

    for room in ("shard", "folder"):
        monkeypatch.setattr(f"hybridir_mteb.ranking.shards.{room}.write_record", refused)
    again = opened(tmp_path)
    assert again.complete
    assert held(again) == right


# --- what belongs elsewhere


def swap(one, other, aside):
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def replaced(place, by):
    shutil.rmtree(place)
    shutil.copytree(by, place)


def other_vectors(parent, name):
    """The same passages by another encoder."""
    vectors = np.stack([vector_of(f"other {at}") for at in range(N)])
    return folder_of(parent, vectors, [f"d{at}" for at in range(N)], name=name)


@pytest.mark.parametrize("version", ["now", "0.1"])
@pytest.mark.parametrize(
    "change",
    [
        lambda a, b: swap(a.path / "00000002", a.path / "00000004", a.path / "aside"),
        lambda a, b: replaced(a.path / "00000004", a.path / "00000002"),
        lambda a, b: shutil.copytree(a.path / "00000002", a.path / "00000006"),
        lambda a, b: replaced(a.path, b.path),
        lambda a, b: swap(a.path, b.path, a.path.with_name("aside")),
    ],
    ids=["swapped shards", "a shard twice", "a shard too many", "a copied folder", "swapped"],
)
def test_what_is_in_another_place_is_not_taken_for_what_belongs_there(
    tmp_path, quiet, version, change
):
    folder, other = build(tmp_path), other_vectors(tmp_path, key(rows=2, source="other"))
    right = held(folder)
    if version == "0.1":
        as_of_0_1(folder)
        as_of_0_1(other)
    change(folder, other)
    again = opened(tmp_path)
    fill(again, numbered(N), Encoder())
    assert held(again) == right


@pytest.mark.parametrize("what", ["00000003", "end.json"])
def test_a_part_of_another_encoders_folder_is_refused(tmp_path, quiet, what):
    folder, other = build(tmp_path), other_vectors(tmp_path, key(rows=2, source="other"))
    right = held(folder)
    if what == "end.json":
        other = build(tmp_path, key(rows=2, source="shorter"), n=10)
        shutil.copy(other.path / what, folder.path / what)
    else:
        replaced(folder.path / what, other.path / what)
    with pytest.raises(ShardError):
        held(opened(tmp_path))
    again = opened(tmp_path)
    fill(again, numbered(N), Encoder())
    assert held(again) == right


def test_a_shard_that_changes_while_a_process_runs_is_seen_at_the_next_search(tmp_path, quiet):
    """Even at once, by an edit that keeps size and time, or by one within a tick of the clock."""
    folder = build(tmp_path)
    assert folder.complete
    file = folder.path / "00000005" / "vectors.npy"
    raw = bytearray(file.read_bytes())
    raw[-3] ^= 1
    file.write_bytes(bytes(raw))
    assert not folder.complete
    fill(folder, numbered(N), Encoder())
    assert folder.complete
    stat = file.stat()
    file.unlink()
    file.write_bytes(bytes(raw))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not ShardFolder(tmp_path, KEY).complete


def test_damage_never_makes_a_pool_smaller(tmp_path, quiet):
    folder = build(tmp_path)
    queries = np.stack([vector_of("text 11")])
    for damaged in ("00000005", "end.json", "00000005/shard.json"):
        path = folder.path / damaged
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        with pytest.raises(ShardError):
            search(queries, [opened(tmp_path)], 1)
        again = opened(tmp_path)
        fill(again, numbered(N), Encoder())
        assert search(queries, [again], 1).rows.tolist() == [[11]]


def test_a_damaged_manifest_is_named_and_written_again(tmp_path, caplog):
    folder = build(tmp_path)
    manifest = folder.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("toy encoder", "toy encodes"))
    assert shard_files(tmp_path) == []
    assert str(manifest) in caplog.text
    assert opened(tmp_path).complete
    assert [files.encoder for files in shard_files(tmp_path)] == ["toy encoder"]
