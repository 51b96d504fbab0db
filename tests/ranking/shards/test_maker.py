"""Shards made one by one, by any number of workers in any order: those of one pass."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.cluster import contents
from toys.shards import Encoder, Listed, key, numbered

from hybridir_mteb.errors import DataFormatError, EmbeddingError
from hybridir_mteb.ranking.shards import fill, shard
from hybridir_mteb.ranking.shards.fill import of_texts
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.maker import Filling, ShardMaker


def maker(parent: Path, source: Listed, encoder: Encoder) -> ShardMaker:
    """A worker with a folder of its own eyes."""
    return ShardMaker(ShardFolder(parent, key()), of_texts(source, encoder))


def fill_by(parent: Path, n: int, workers: int, chance: random.Random) -> list[Encoder]:
    """Several workers, each of which has a shard in hand; they end in any order."""
    filling = Filling(ShardFolder(parent, key()))
    encoders = [Encoder() for _ in range(workers)]
    makers = [maker(parent, numbered(n), encoder) for encoder in encoders]
    numbers, in_hand = filling.numbers(), {}
    while True:
        for at in range(workers):
            if at not in in_hand and (number := next(numbers, None)) is not None:
                in_hand[at] = number
        if not in_hand:
            break
        at = chance.choice(sorted(in_hand))
        number = in_hand.pop(at)
        filling.take(number, makers[at](number))
    filling.finish()
    return encoders


@settings(max_examples=15)
@given(
    n=st.sampled_from([1, 9, 10, 11, 30, 47]),
    workers=st.integers(1, 4),
    seed=st.integers(0, 99),
    there=st.sets(st.integers(0, 4)),
)
def test_any_order_and_any_number_of_workers_make_the_same_files(n, workers, seed, there):
    with TemporaryDirectory() as home:
        one, many = Path(home) / "one", Path(home) / "many"
        fill(ShardFolder(one, key()), numbered(n), Encoder())
        for number in there:
            fill(ShardFolder(many, key()), numbered(n), Encoder(), shards=range(number, number + 1))
        encoders = fill_by(many, n, workers, random.Random(seed))
        assert contents(many) == contents(one)
        kept = sum(len(range(n)[number * 10 : (number + 1) * 10]) for number in there)
        assert sum(len(encoder.seen) for encoder in encoders) == n - kept


def test_the_passages_are_read_once_as_long_as_numbers_grow(tmp_path):
    source = numbered(50)
    make = maker(tmp_path, source, Encoder())
    for number in (0, 2, 4, 1, 3):
        assert make(number).encoded == 10
    assert source.read == [(0, None), (10, None)]
    assert make(5).passages == make(7).passages == 0


def test_what_another_has_checked_is_not_read_again(tmp_path, monkeypatch):
    fill(ShardFolder(tmp_path, key()), numbered(30), Encoder())
    made = [maker(tmp_path, numbered(30), Encoder())(number) for number in range(3)]
    monkeypatch.setattr(shard, "_SOUND", {})  # a new process
    monkeypatch.setattr(shard, "sha256_of", lambda path: pytest.fail(f"{path} is read"))
    filling = Filling(ShardFolder(tmp_path, key()))
    for number, one in enumerate(made):
        assert not one.encoded
        filling.take(number, one)
    filling.finish()


def test_a_damaged_shard_is_made_anew(tmp_path, caplog):
    fill(ShardFolder(tmp_path, key()), numbered(30), Encoder())
    before = contents(tmp_path)
    damaged = ShardFolder(tmp_path, key()).path / "00000001" / "vectors.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    (encoder,) = fill_by(tmp_path, 30, 1, random.Random(0))
    assert contents(tmp_path) == before
    assert sorted(encoder.seen) == [f"text {at}" for at in range(10, 20)]
    assert "sha256 of vectors.npy differs" in caplog.text


def test_a_poisoned_passage_is_named(tmp_path):
    encoder = Encoder(replace={"text 13": np.full(8, np.nan, np.float32)})
    make = maker(tmp_path, numbered(30), encoder)
    assert make(0).encoded == 10
    with pytest.raises(EmbeddingError, match=r"passage 'd13' of Toy sw: .* NaN"):
        make(1)
    assert make(2).encoded == 10  # and where the passages were is known again


def test_a_source_that_has_become_shorter_is_refused(tmp_path):
    fill(ShardFolder(tmp_path, key()), numbered(30), Encoder())
    shard.discard(ShardFolder(tmp_path, key()).path / "00000002")
    with pytest.raises(DataFormatError, match="has only 22 passages, but had 30"):
        fill_by(tmp_path, 22, 2, random.Random(0))
