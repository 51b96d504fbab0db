"""Shards on a URL: put there whole, fetched and checked, whoever dies and whatever is damaged."""

import numpy as np
import pytest
from fsspec.core import url_to_fs
from fsspec.registry import known_implementations
from toys.cluster import contents
from toys.shards import Encoder, key, numbered, vector_of

from hybridir_mteb.errors import DataUnavailableError, SettingError, ShardError
from hybridir_mteb.ranking.shards import ShardFolder, fill, search
from hybridir_mteb.ranking.shards.fill import of_texts
from hybridir_mteb.ranking.shards.maker import Filling, ShardMaker
from hybridir_mteb.ranking.shards.object_store import ObjectStore

N = 25
QUERIES = np.stack([vector_of(f"query {at}") for at in range(3)])


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    """A place in a store that is empty before and after."""
    found = ObjectStore(f"{request.param}://{tmp_path}/far")
    yield found
    files, place = url_to_fs(found.url)
    if files.exists(place):
        files.rm(place, recursive=True)


@pytest.fixture
def machine(tmp_path, store):
    """Gives the folder as a machine with a disk of its own sees it."""
    return lambda name: ShardFolder(tmp_path / name, key(), store=store)


def far(store, pattern):
    """The store, and paths in it."""
    files, place = url_to_fs(store.url)
    files.invalidate_cache()
    return files, sorted(files.glob(f"{place}/{key().folder}/{pattern}"))


def refilled(folder):
    """What is encoded when the shards are filled."""
    encoder = Encoder()
    fill(folder, numbered(N), encoder)
    return encoder.seen


def test_what_one_machine_made_another_finds(machine, tmp_path):
    fill(machine("one"), numbered(N), Encoder())
    two = machine("two")
    assert two.present() == [0, 1, 2]
    assert two.complete
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    three = machine("three")
    assert refilled(three) == []
    hits = [search(QUERIES, [folder], 5) for folder in (machine("one"), three)]
    np.testing.assert_array_equal(hits[0].rows, hits[1].rows)
    np.testing.assert_array_equal(hits[0].scores, hits[1].scores)


def test_machines_without_a_common_disk_share_the_work(machine, tmp_path):
    encoders = Encoder(), Encoder()
    makers = [
        ShardMaker(machine(f"worker {at}"), of_texts(numbered(N), encoder))
        for at, encoder in enumerate(encoders)
    ]
    driver = machine("driver")
    filling = Filling(driver)
    for number in filling.numbers():
        made = makers[number % 2](number)
        assert not made.passages or driver.is_there(number)
        filling.take(number, made)
    filling.finish()
    assert [len(encoder.seen) for encoder in encoders] == [15, 10]
    fill(ShardFolder(tmp_path / "alone", key()), numbered(N), Encoder())
    for who in ("driver", "elsewhere"):
        assert machine(who).complete
        assert contents(tmp_path / who) == contents(tmp_path / "alone")


def test_a_shard_without_its_record_is_none(machine, store):
    fill(machine("one"), numbered(N), Encoder())
    files, records = far(store, "*/shard.json")
    files.rm_file(records[1])  # as if its writer had died before
    two = machine("two")
    assert (two.present(), two.is_there(1), two.complete) == ([0, 2], False, False)
    assert len(refilled(two)) == 10
    assert machine("three").complete


@pytest.mark.parametrize("which", ["vectors.npy.*", "ids.utf8.*", "shard.json"])
def test_a_damaged_object_is_made_anew_and_put_there_again(machine, store, caplog, which):
    fill(machine("one"), numbered(N), Encoder())
    files, (_, damaged, _) = far(store, f"*/{which}")
    content = bytearray(files.cat_file(damaged))
    content[len(content) // 2] ^= 1
    files.pipe_file(damaged, bytes(content))
    two = machine("two")
    assert not two.complete
    assert "it is made anew" in caplog.text
    assert len(refilled(two)) == 10
    assert machine("three").complete
    assert machine("three").n_passages == N


def test_what_was_made_before_there_was_a_store_is_put_there(machine, store, tmp_path):
    fill(ShardFolder(tmp_path / "one", key()), numbered(N), Encoder())
    assert machine("one").complete
    assert len(far(store, "*/shard.json")[1]) == 3
    assert machine("two").complete


def test_a_protocol_without_its_package_names_what_to_install(tmp_path, monkeypatch):
    missing = {"class": "no_such_package.Files", "err": "Install absentfs to access it"}
    monkeypatch.setitem(known_implementations, "absent", missing)
    for url, said in (("absent://b/c", "Install absentfs to access it"), ("odd://b", "odd")):
        folder = ShardFolder(tmp_path, key(), store=ObjectStore(url))
        with pytest.raises(SettingError, match=f"HYBRIDIR_SHARD_DIR={url}/.*{said}.* or give a"):
            folder.present()


def test_a_store_that_fails_is_one_line_and_no_end_of_the_shards(machine, monkeypatch):
    fill(machine("one"), numbered(N), Encoder())
    files, _ = url_to_fs(machine("one").store.url)

    def broken(*_, **__):
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(type(files), "cat_file", broken)
    with pytest.raises(DataUnavailableError, match=r"cannot be read: .*reset by peer.* or give a"):
        machine("two").known_end  # noqa: B018
    with pytest.raises(DataUnavailableError, match="reset by peer"):
        machine("two").shard(0)
    monkeypatch.undo()
    with pytest.raises(ShardError, match="shard 7 is missing"):
        machine("two").shard(7)
