"""Shards on disk: what is kept, what is refused, and what a kill leaves behind."""

import errno
import logging
import os
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from toys import TESTS
from toys.damage import unseal
from toys.shards import Encoder, Listed, folder_of, key, numbered, vector_of

from hybridir_mteb.errors import DataFormatError, EmbeddingError, SettingError, ShardError
from hybridir_mteb.files.record import read_record
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.shards import fill, shard
from hybridir_mteb.ranking.shards.fill import fill_rows
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.shard import tie_hashes


def filled(tmp_path, n=25, **options):
    folder, encoder = ShardFolder(tmp_path, key(**options)), Encoder()
    fill(folder, numbered(n), encoder)
    return folder, encoder


def expected(n, dtype="float32"):
    vectors = np.stack([vector_of(f"text {at}") for at in range(n)])
    return vectors.astype(dtype).astype(np.float32)


def names(folder):
    return sorted(path.name for path in folder.path.iterdir())


def again(folder):
    """The folder as another process opens it."""
    shard._SOUND.clear()
    return ShardFolder(folder.path.parent, folder.key)


# --- what is kept


def test_nothing_is_created_until_something_is_written(tmp_path):
    folder = ShardFolder(tmp_path / "shards", key())
    assert not folder.complete
    assert folder.present() == []
    assert not (tmp_path / "shards").exists()
    with pytest.raises(ShardError, match="not complete"):
        _ = folder.n_passages
    with pytest.raises(ShardError, match="no embeddings"):
        _ = folder.dimension


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("n", "shards"), [(25, 3), (20, 2), (9, 1), (10, 1), (1, 1)])
def test_every_passage_is_there_in_order(tmp_path, n, shards, dtype):
    folder, encoder = filled(tmp_path, n, dtype=dtype)
    assert folder.complete
    assert (folder.n_passages, folder.n_shards, folder.dimension) == (n, shards, 8)
    assert sorted(encoder.seen) == sorted(f"text {at}" for at in range(n))
    vectors = folder.vectors(np.arange(n))
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, expected(n, dtype))
    assert folder.ids(range(n)) == [f"d{at}" for at in range(n)]
    assert names(folder) == [f"{at:08d}" for at in range(shards)] + ["end.json", "manifest.json"]


def test_rows_are_given_in_any_order_and_as_often_as_asked(tmp_path):
    folder, _ = filled(tmp_path)
    rows = [24, 0, 10, 9, 24, 17]
    np.testing.assert_array_equal(folder.vectors(rows), expected(25)[rows])
    assert folder.ids(rows) == ["d24", "d0", "d10", "d9", "d24", "d17"]
    assert folder.ids([]) == []
    assert folder.vectors(np.array([], np.int64)).shape == (0, 8)
    with pytest.raises(IndexError, match="25 passages"):
        folder.ids([25])


def test_ids_with_any_characters_come_back(tmp_path):
    ids = ["", "a b\n", "größe", "日本", "x" * 1000, "a"]
    folder = ShardFolder(tmp_path, key(rows=4))
    fill(folder, Listed([(name, name) for name in ids]), Encoder())
    assert folder.ids(range(6)) == ids
    assert folder.rows_of([*ids, "nobody"]) == {name: at for at, name in enumerate(ids)}


def test_rows_of_finds_the_same_id_only_and_not_the_same_hash(tmp_path, monkeypatch):
    folder, _ = filled(tmp_path)
    assert folder.rows_of(["d3", "d24", "d25", "d3"]) == {"d3": 3, "d24": 24}
    stored = np.load(folder.path / "00000000" / "hashes.npy")
    monkeypatch.setattr("hybridir_mteb.ranking.shards.folder.tie_hashes", lambda *_: stored[[5]])
    assert folder.rows_of(["nobody"]) == {}


def test_hashes_order_passages_as_the_tie_rule_does(tmp_path):
    folder, _ = filled(tmp_path)
    order = tie_order([f"p:sw:d{at}" for at in range(25)])
    hashes = folder.hashes(range(25))
    assert np.argsort(hashes).tolist() == np.argsort(order).tolist()


def test_identical_texts_in_a_shard_are_encoded_once(tmp_path):
    source = Listed([(f"d{at}", f"text {at % 3}") for at in range(14)])
    folder, encoder = ShardFolder(tmp_path, key(rows=10)), Encoder()
    fill(folder, source, encoder)
    assert sorted(encoder.seen) == sorted(["text 0", "text 1", "text 2"] * 2)
    texts = [vector_of(f"text {at % 3}") for at in range(14)]
    np.testing.assert_array_equal(folder.vectors(range(14)), np.stack(texts))


def test_vectors_of_rows_fill_the_shards_that_are_missing(tmp_path):
    below, _ = filled(tmp_path)
    folder, asked = ShardFolder(tmp_path, key(rows=7, source="half")), []

    def halved(rows):
        asked.append(list(rows))
        return below.vectors(rows) / 2

    def fill_again():
        asked.clear()
        fill_rows(folder, 25, below.ids, halved)
        np.testing.assert_array_equal(folder.vectors(range(25)), expected(25) / 2)
        assert folder.ids(range(25)) == below.ids(range(25))
        return asked

    assert fill_again() == [list(range(at, min(at + 7, 25))) for at in range(0, 25, 7)]
    (folder.path / "00000002").rename(tmp_path / "gone")
    folder = again(folder)
    assert fill_again() == [list(range(14, 21))]
    with pytest.raises(EmbeddingError, match=r"'d0' .* NaN or infinity"):
        fill_rows(
            ShardFolder(tmp_path, key(source="b")), 3, below.ids, lambda _: np.full((3, 2), np.nan)
        )


def test_title_and_text_are_encoded(tmp_path):
    class Titled(Listed):
        def passages(self, start=0, stop=None):
            for passage in super().passages(start, stop):
                yield replace(passage, title="Title")

    encoder = Encoder()
    fill(ShardFolder(tmp_path, key()), Titled([("a", " text ")]), encoder)
    assert encoder.seen == ["Title  text"]


def test_each_field_of_the_key_has_another_folder():
    other = {"rows": 11, "dtype": "float16"}
    first = key()
    for field in fields(first):
        changed = replace(first, **{field.name: other.get(field.name, "other")})
        assert changed.folder != first.folder, field.name
    assert first.folder.startswith("Toy-sw-toy-encoder-")
    assert "/" not in replace(first, encoder="hybridir/pocket-base", source="../x").folder


def test_a_key_that_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match=r"float32, float16"):
        key(dtype="int8")
    with pytest.raises(SettingError, match="at least 1"):
        key(rows=0)


# --- resuming and sharing


def test_nothing_is_encoded_again(tmp_path):
    folder, _ = filled(tmp_path)
    encoder, source = Encoder(), numbered(25)
    fill(again(folder), source, encoder)
    assert encoder.seen == []
    assert source.read == []


@pytest.mark.parametrize("n", [20, 25])
def test_workers_fill_ranges_and_anybody_marks_the_end(tmp_path, n):
    folder = ShardFolder(tmp_path, key())
    for shards in (range(2, 9), range(1), range(5, 7)):
        fill(folder, numbered(n), Encoder(), shards=shards)
        assert not folder.complete
    with pytest.raises(ShardError, match="shard 1 is missing"):
        folder.finish(n)
    encoder = Encoder()
    fill(folder, numbered(n), encoder)
    assert sorted(encoder.seen) == [f"text {at}" for at in range(10, 20)]
    assert folder.complete
    np.testing.assert_array_equal(folder.vectors(range(n)), expected(n))


def filling(arguments):
    """A process that fills a folder."""
    code = "from toys.shards import *\nfrom hybridir_mteb.ranking.shards import fill\n"
    command = [sys.executable, "-c", f"{code}fill({arguments})"]  # toys.shards has Path, too
    return subprocess.Popen(command, cwd=TESTS, stderr=subprocess.PIPE)


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    process = filling(
        f"ShardFolder(Path({str(tmp_path)!r}), key()), numbered(45), Encoder(die_after=27)"
    )
    _, errors = process.communicate()
    assert process.returncode == -9, errors.decode()
    folder, encoder = ShardFolder(tmp_path, key()), Encoder()
    assert folder.present() == [0, 1]
    fill(folder, numbered(45), encoder)
    assert sorted(encoder.seen) == sorted(f"text {at}" for at in range(20, 45))
    np.testing.assert_array_equal(folder.vectors(range(45)), expected(45))


def test_a_shard_without_its_record_does_not_exist(tmp_path, monkeypatch):
    """A kill while files are written leaves a temporary folder, which nobody reads."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shard, "move_in", killed)
        patch.setattr(shard.shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            filled(tmp_path)
    folder = ShardFolder(tmp_path, key())
    (left,) = folder.path.glob(".*.tmp")
    assert folder.present() == []
    other = left.with_name(left.name.replace(f".{os.getpid()}.", f".{os.getppid()}."))
    other.mkdir()
    fill(folder, numbered(25), Encoder())
    assert folder.complete
    assert other.exists(), "another process is at work"
    assert not left.exists(), "it is this process's, which does not write it any more"


@pytest.mark.slow
def test_two_processes_fill_one_folder(tmp_path):
    arguments = f"ShardFolder(Path({str(tmp_path)!r}), key(rows=4)), numbered(203), Encoder()"
    for run in [filling(arguments) for _ in range(2)]:
        _, errors = run.communicate()
        assert run.returncode == 0, errors.decode()
    folder = ShardFolder(tmp_path, key(rows=4))
    assert folder.complete
    np.testing.assert_array_equal(folder.vectors(range(203)), expected(203))
    assert list(folder.path.glob(".*")) == []


def test_of_two_writers_the_first_wins(tmp_path):
    folder = ShardFolder(tmp_path, key())
    folder.write(0, ["a", "b"], np.zeros((2, 3), np.float32))
    folder.write(0, ["a", "b"], np.ones((2, 3), np.float32))
    folder.finish(2)
    assert folder.vectors([0, 1]).sum() == 0
    assert list(folder.path.glob(".*")) == []


# --- damage


def flip(path, at=-3):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


DAMAGES = {
    "a bit of a vector": lambda path: flip(path / "vectors.npy"),
    "a bit of an id": lambda path: flip(path / "ids.utf8"),
    "a bit of a hash": lambda path: flip(path / "hashes.npy"),
    "a bit of an end": lambda path: flip(path / "id_ends.npy"),
    "a truncated file": lambda path: os.truncate(path / "vectors.npy", 200),
    "a missing file": lambda path: (path / "hashes.npy").unlink(),
    "a record without its checksum": lambda path: unseal(path / "shard.json"),
    "a truncated record": lambda path: os.truncate(path / "shard.json", 40),
    "an empty record": lambda path: os.truncate(path / "shard.json", 0),
    "a missing record": lambda path: (path / "shard.json").unlink(),
    "a record that is no object": lambda path: (path / "shard.json").write_text("[]"),
    "another row": lambda path: (path / "shard.json").write_text(
        (path / "shard.json").read_text().replace('"start": 10', '"start": 0')
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_found_and_encoded_again(tmp_path, caplog, damage):
    folder, _ = filled(tmp_path)
    DAMAGES[damage](folder.path / "00000001")
    folder = again(folder)
    with pytest.raises(ShardError, match=r"damaged embeddings: .*00000001.* Encode again"):
        folder.vectors([12])
    encoder = Encoder()
    with caplog.at_level(logging.WARNING):
        assert not folder.complete
        fill(again(folder), numbered(25), encoder)
    assert "damaged" in caplog.text
    assert sorted(encoder.seen) == [f"text {at}" for at in range(10, 20)]
    assert folder.complete
    np.testing.assert_array_equal(folder.vectors(range(25)), expected(25))
    assert list(folder.path.glob(".*")) == []


def test_contents_are_checked_once_per_process(tmp_path, monkeypatch):
    folder, _ = filled(tmp_path)
    folder = again(folder)
    hashed = []
    real = shard.sha256_of
    monkeypatch.setattr(shard, "sha256_of", lambda path: hashed.append(path) or real(path))
    assert folder.complete
    assert len(hashed) == 3 * 4
    assert folder.complete
    assert ShardFolder(tmp_path, key()).complete
    assert len(hashed) == 3 * 4


def test_a_damaged_end_is_marked_anew(tmp_path, caplog):
    folder, _ = filled(tmp_path)
    (folder.path / "end.json").write_text("{")
    assert not again(folder).complete
    assert "damaged" in caplog.text
    encoder = Encoder()
    fill(folder, numbered(25), encoder)
    assert encoder.seen == []
    assert read_record(folder.path / "end.json") == {"n_passages": 25, "key": key().digest}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_message_and_finished_shards_are_kept(tmp_path, monkeypatch, code):
    real, written = np.save, []

    def save(path, *arguments, **options):
        written.append(path)
        if len(written) > 4:  # in the second shard
            raise OSError(code, os.strerror(code))
        real(path, *arguments, **options)

    folder = ShardFolder(tmp_path, key())
    with monkeypatch.context() as patch:
        patch.setattr(shard.np, "save", save)
        with pytest.raises(ShardError, match=r"shard 1 cannot be written .* Free some space"):
            fill(folder, numbered(25), Encoder())
    assert names(folder) == ["00000000", "manifest.json"]
    encoder = Encoder()
    fill(folder, numbered(25), encoder)
    assert len(encoder.seen) == 15
    assert folder.complete


# --- sources and embeddings that are refused


@pytest.mark.parametrize(("first", "second"), [(3, 7), (3, 24), (0, 10)])
@pytest.mark.parametrize("at_once", [4, 1 << 22])
def test_an_id_that_occurs_twice_is_named(tmp_path, monkeypatch, first, second, at_once):
    monkeypatch.setattr("hybridir_mteb.files.repeats.AT_ONCE", at_once)
    source = numbered(25)
    source.pairs[second] = (f"d{first}", "other text")
    folder = ShardFolder(tmp_path, key())
    with pytest.raises(DataFormatError, match=f"'d{first}' occurs twice"):
        fill(folder, source, Encoder())
    assert not folder.complete


def test_equal_hashes_of_other_ids_are_no_duplicates(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "hybridir_mteb.ranking.shards.folder.tie_hashes",
        lambda _, ids: np.zeros(len(ids), np.uint64),
    )
    folder, _ = filled(tmp_path)
    assert folder.complete


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_embedding_that_is_no_number_names_its_passage(tmp_path, value):
    encoder = Encoder(replace={"text 13": np.full(8, value, np.float32)})
    folder = ShardFolder(tmp_path, key())
    with pytest.raises(EmbeddingError, match=r"passage 'd13' of Toy sw: .* NaN or infinity"):
        fill(folder, numbered(25), encoder)
    assert folder.present() == [0]


def test_a_value_too_large_for_float16_is_refused(tmp_path):
    encoder = Encoder(replace={"text 3": np.full(8, 70000, np.float32)})
    with pytest.raises(EmbeddingError, match=r"'d3' .* too large for float16: use float32"):
        fill(ShardFolder(tmp_path, key(dtype="float16")), numbered(5), encoder)
    fill(ShardFolder(tmp_path, key()), numbered(5), encoder)


def test_another_width_is_refused_within_a_shard_and_between_runs(tmp_path):
    folder = ShardFolder(tmp_path, key())

    def wide(texts):
        yield list(range(len(texts))), np.zeros((len(texts), 9), np.float32)

    fill(folder, numbered(25), Encoder(), shards=range(1))
    with pytest.raises(EmbeddingError, match=r"'d10' .* shape \(10, 9\), not \(10, 8\)"):
        fill(folder, numbered(25), wide)


def test_a_text_without_an_embedding_is_named(tmp_path):
    def lossy(texts):
        yield list(range(len(texts) - 1)), np.zeros((len(texts) - 1, 9), np.float32)

    with pytest.raises(EmbeddingError, match=r"'d4' .* no embedding"):
        fill(ShardFolder(tmp_path, key()), numbered(5), lossy)


def test_a_source_without_passages_is_refused(tmp_path):
    with pytest.raises(DataFormatError, match="no passages"):
        fill(ShardFolder(tmp_path, key()), numbered(0), Encoder())


def test_an_id_that_is_no_unicode_is_refused(tmp_path):
    with pytest.raises(DataFormatError, match="not valid Unicode"):
        fill(ShardFolder(tmp_path, key()), Listed([("\ud800", "a")]), Encoder())


def test_a_source_that_has_become_shorter_is_refused(tmp_path):
    folder, _ = filled(tmp_path)
    (folder.path / "00000002").rename(tmp_path / "gone")
    with pytest.raises(DataFormatError, match="only 22 passages, but had 25"):
        fill(again(folder), numbered(22), Encoder())


def test_dimension_one(tmp_path):
    folder = folder_of(tmp_path, np.arange(12, dtype=np.float32)[:, None], list("abcdefghijkl"))
    assert folder.vectors([11, 0]).tolist() == [[11.0], [0.0]]


def test_a_hash_is_that_of_prefix_and_id():
    """blake2b with an 8-byte digest, big-endian: the value of Python's own hashlib."""
    import hashlib

    digest = hashlib.blake2b(b"p:sw:d1", digest_size=8).hexdigest()
    assert int(tie_hashes("p:sw:", ["d1"])[0]) == int(digest, 16)
