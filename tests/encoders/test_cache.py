"""The on-disk store: what it keeps, what it refuses, and what it survives."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridir_mteb.encoders import cache as embedding_store
from hybridir_mteb.encoders.cache import (
    EmbeddingStore,
    Namespace,
    clear_store,
    store_files,
    text_key,
)

BASE = Namespace("weights-a", 512, "float32", "toy/model")
ROOMY = 10**9
DIMENSION = 384


def row(at: int, dimension: int = DIMENSION) -> np.ndarray:
    """A vector that tells its number."""
    return np.random.default_rng(at).standard_normal(dimension).astype(np.float32)


def rows(start: int, stop: int, dimension: int = DIMENSION) -> dict[bytes, np.ndarray]:
    return {text_key("query: ", str(at)): row(at, dimension) for at in range(start, stop)}


def assert_holds(found: dict[bytes, np.ndarray], expected: dict[bytes, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for key, vector in expected.items():
        np.testing.assert_array_equal(found[key], vector)


def stored(folder: Path, items: dict[bytes, np.ndarray], namespace: Namespace = BASE) -> Path:
    """A store that holds the items and no other; its file."""
    store = EmbeddingStore(folder, namespace, ROOMY)
    store.put(items.items())
    return store.path


def disk_usage(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


# What is kept ------------------------------------------------------------------------------------


def test_vectors_come_back_to_the_bit_in_another_store_object(tmp_path):
    items = rows(0, 1200)  # more than one query's worth of keys
    stored(tmp_path, items)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


def test_unknown_keys_are_absent(tmp_path):
    stored(tmp_path, rows(0, 2))
    wanted = list(rows(1, 4))
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(wanted), rows(1, 2))


def test_an_unused_store_is_empty_and_writes_no_file(tmp_path):
    assert EmbeddingStore(tmp_path / "new", BASE, ROOMY).get(list(rows(0, 3))) == {}
    assert store_files(tmp_path / "new") == []


def test_a_second_vector_for_a_key_replaces_the_first(tmp_path):
    key = text_key("", "text")
    stored(tmp_path, {key: row(1)})
    stored(tmp_path, {key: row(2)})
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get([key]), {key: row(2)})


@pytest.mark.parametrize(
    "other", [{"fingerprint": "weights-b"}, {"max_length": 256}, {"dtype": "bfloat16"}]
)
def test_another_namespace_shares_nothing(tmp_path, other):
    items = rows(0, 3)
    mine = stored(tmp_path, items)
    store = EmbeddingStore(tmp_path, replace(BASE, **other), ROOMY)
    assert store.path != mine
    assert store.get(list(items)) == {}


def test_a_renamed_model_with_the_same_weights_shares_everything(tmp_path):
    items = rows(0, 3)
    stored(tmp_path, items)
    renamed = replace(BASE, label="toy/other-name")
    assert_holds(EmbeddingStore(tmp_path, renamed, ROOMY).get(list(items)), items)


def test_another_prompt_shares_nothing(tmp_path):
    stored(tmp_path, {text_key("query: ", "text"): row(0)})
    assert EmbeddingStore(tmp_path, BASE, ROOMY).get([text_key("passage: ", "text")]) == {}


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_pairs_of_prompt_and_text_never_share_a_key(one, two):
    assert (text_key(*one) == text_key(*two)) == (one == two)


@given(st.text(min_size=1), st.integers(0))
def test_moving_the_border_between_prompt_and_text_changes_the_key(whole, at):
    at %= len(whole)
    assert text_key(whole[:at], whole[at:]) != text_key(whole, "")


# Damage ------------------------------------------------------------------------------------------


def flip(path: Path, at: int, bits: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bits
    path.write_bytes(data)


def test_only_the_row_with_a_flipped_byte_is_absent(tmp_path, caplog):
    items = rows(0, 20, dimension=16)
    path = stored(tmp_path, items)
    damaged = list(items)[7]
    flip(path, path.read_bytes().index(items[damaged].tobytes()) + 5)
    found = EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items))
    assert_holds(found, {key: vector for key, vector in items.items() if key != damaged})
    assert "1 damaged embeddings" in caplog.text
    assert path.name in caplog.text


def test_a_damaged_row_can_be_stored_again(tmp_path):
    items = rows(0, 5, dimension=16)
    path = stored(tmp_path, items)
    flip(path, path.read_bytes().index(row(3, 16).tobytes()))
    stored(tmp_path, rows(3, 4, dimension=16))
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "one page": lambda data: data[:5000],
    "half a header": lambda data: data[:50],
    "garbage": lambda data: b"PK\x03\x04 not a database at all" * 300,
    "garbage after the header": lambda data: data[:100] + b"\xa5" * (len(data) - 100),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_reported_discarded_and_rebuilt(tmp_path, caplog, damage):
    items = rows(0, 200)
    path = stored(tmp_path, items)
    path.write_bytes(damage(path.read_bytes()))
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    assert store.get(list(items)) == {}
    assert "damaged" in caplog.text
    assert path.name in caplog.text
    store.put(items.items())
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000], ids=["empty", "damaged"])
def test_a_file_found_empty_or_damaged_while_writing_is_filled(tmp_path, content):
    items = rows(0, 5)
    (tmp_path / BASE.file_name).write_bytes(content)
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    assert content or store.get(list(items)) == {}
    store.put(items.items())
    store.put(items.items())
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


def test_a_damaged_schema_is_discarded_and_rebuilt(tmp_path, caplog):
    items = rows(0, 5)
    path = stored(tmp_path, items)
    # SQLite quotes the schema in its error; Python then fails to decode that message.
    flip(path, path.read_bytes().index(b"CREATE TABLE embedding") + 5, 0x80)
    (file,) = store_files(tmp_path)
    assert (file.label, file.entries) == ("(damaged)", 0)
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    assert store.get(list(items)) == {}
    assert "is damaged" in caplog.text
    store.put(items.items())
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


@pytest.fixture(scope="module")
def sound_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a store with two kinds of pages and 30 rows."""
    return stored(tmp_path_factory.mktemp("sound"), rows(0, 30, dimension=64)).read_bytes()


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(position=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
def test_no_single_damaged_byte_ends_the_run_or_gives_a_wrong_vector(
    tmp_path_factory, sound_file, position, bits
):
    items = rows(0, 30, dimension=64)
    folder = tmp_path_factory.mktemp("flipped")
    path = folder / BASE.file_name
    path.write_bytes(sound_file)
    flip(path, int(position * len(sound_file)), bits)
    for _ in range(2):
        store = EmbeddingStore(folder, BASE, ROOMY)
        found = store.get(list(items))
        assert_holds(found, {key: items[key] for key in found})
        store.put((key, vector) for key, vector in items.items() if key not in found)


@pytest.mark.parametrize("value", ["'text'", "7", "2.5", "zeroblob(256)", "''"])
def test_a_row_of_a_wrong_type_counts_as_damaged(tmp_path, caplog, value):
    items = rows(0, 3)
    path = stored(tmp_path, items)
    first = next(iter(items))
    execute(path, f"UPDATE embedding SET vector = {value} WHERE key = X'{first.hex()}'")
    found = EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items))
    assert first not in found
    assert_holds(found, {key: items[key] for key in found})
    assert "damaged" in caplog.text


# Several processes -------------------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from hybridir_mteb.encoders.cache import EmbeddingStore, Namespace, text_key

folder, name = Path(sys.argv[1]), sys.argv[2]
transactions, size = int(sys.argv[3]), int(sys.argv[4])
store = EmbeddingStore(folder, Namespace("weights-a", 512, "float32", "toy/model"), 10**9)
print("ready", flush=True)
while not (folder / "go").exists():
    time.sleep(0.001)
for at in range(transactions):
    store.put(
        (text_key(name, f"{at}.{i}"), np.full(384, at + i / 1000, np.float32)) for i in range(size)
    )
    print(at, flush=True)
"""


def writer(folder: Path, name: str, transactions: int, size: int) -> subprocess.Popen[str]:
    """A process that puts one transaction after the other and prints each finished one's number."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(transactions), str(size)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def transaction(name: str, at: int, size: int) -> dict[bytes, np.ndarray]:
    return {
        text_key(name, f"{at}.{i}"): np.full(384, at + i / 1000, np.float32) for i in range(size)
    }


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    processes = {name: writer(tmp_path, name, 25, 20) for name in ("one", "two")}
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    for process in processes.values():
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    for name in processes:
        for at in range(25):
            expected = transaction(name, at, 20)
            assert_holds(store.get(list(expected)), expected)


@pytest.mark.parametrize("delay_ms", [0, 4, 11])
def test_a_killed_writer_leaves_whole_transactions(tmp_path, caplog, delay_ms):
    size = 300
    (tmp_path / "go").touch()
    process = writer(tmp_path, "one", 10**6, size)
    assert process.stdout is not None
    for _ in range(3):  # "ready", and two finished transactions
        process.stdout.readline()
    try:
        process.wait(delay_ms / 1000)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    finished = 2 + len(process.communicate(timeout=60)[0].splitlines())
    assert process.returncode == -signal.SIGKILL
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    for at in range(finished):
        expected = transaction("one", at, size)
        assert_holds(store.get(list(expected)), expected)
    for at in (finished, finished + 1):  # one was under way, at most
        expected = transaction("one", at, size)
        assert len(store.get(list(expected))) in (0, size)
    assert "damaged" not in caplog.text
    store.put(rows(0, 3).items())
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(rows(0, 3))), rows(0, 3))


def test_a_lock_held_by_another_process_does_not_discard_its_file(tmp_path, monkeypatch):
    items = rows(0, 5)
    path = stored(tmp_path, items)
    monkeypatch.setattr(embedding_store, "BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    found = EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items))
    other.execute("COMMIT")
    other.close()
    assert_holds(found, {key: items[key] for key in found})
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)


def test_a_file_that_vanishes_meanwhile_ends_nothing(tmp_path):
    (tmp_path / f"vanished{embedding_store.SUFFIX}").symlink_to(tmp_path / "nowhere")
    items = rows(0, 3)
    stored(tmp_path, items)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)
    assert BASE.label in [file.label for file in store_files(tmp_path)]
    clear_store(tmp_path)
    assert store_files(tmp_path) == []


# Size --------------------------------------------------------------------------------------------


def used_at(path: Path, seconds: int) -> None:
    os.utime(path, (seconds, seconds))


def test_the_least_recently_used_file_goes_first(tmp_path):
    names = [Namespace(letter, 512, "float32") for letter in "abc"]
    paths = [stored(tmp_path, rows(0, 100), namespace) for namespace in names]
    for path, seconds in zip(paths, (2000, 1000, 3000), strict=True):
        used_at(path, seconds)
    newcomer = EmbeddingStore(tmp_path, BASE, disk_usage(tmp_path) + 1000)
    newcomer.put(rows(0, 10).items())
    assert [path.exists() for path in paths] == [True, False, True]
    assert_holds(newcomer.get(list(rows(0, 10))), rows(0, 10))


def test_opening_a_file_makes_it_recently_used(tmp_path):
    names = [Namespace(letter, 512, "float32") for letter in "ab"]
    paths = [stored(tmp_path, rows(0, 100), namespace) for namespace in names]
    used_at(paths[0], 1000)
    used_at(paths[1], 2000)
    EmbeddingStore(tmp_path, names[0], ROOMY).get(list(rows(0, 1)))
    EmbeddingStore(tmp_path, BASE, disk_usage(tmp_path) + 1000).put(rows(0, 10).items())
    assert [path.exists() for path in paths] == [True, False]


@pytest.mark.parametrize("dimension", [16, 384, 1024])
@pytest.mark.parametrize("batch", [7, 20])
def test_the_store_never_outgrows_its_limit(tmp_path, dimension, batch):
    limit = 20_000 + 100 * (4 * dimension + 60)
    store = EmbeddingStore(tmp_path, BASE, limit)
    for start in range(0, 400, batch):
        store.put(rows(start, start + batch, dimension).items())
        assert disk_usage(tmp_path) <= limit
    first = rows(0, batch, dimension)
    assert_holds(EmbeddingStore(tmp_path, BASE, limit).get(list(first)), first)


def test_a_full_store_says_so_once_and_stays_readable(tmp_path, caplog):
    items = rows(0, 20)
    path = stored(tmp_path, items)
    store = EmbeddingStore(tmp_path, BASE, path.stat().st_size)
    for start in (100, 200, 300):
        store.put(rows(start, start + 100).items())
    assert len(caplog.messages) == 1
    assert "HYBRIDIR_EMBEDDING_STORE_GB" in caplog.messages[0]
    assert_holds(store.get(list(items)), items)


def test_a_vector_costs_little_more_than_its_bytes(tmp_path):
    path = stored(tmp_path, rows(0, 500))
    assert path.stat().st_size < 1.6 * 500 * DIMENSION * 4


# A disk that refuses -----------------------------------------------------------------------------


class FullDisk(sqlite3.Connection):
    """Whatever is written raises SQLite's own error for a full disk."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.execute("PRAGMA max_page_count = 1")


def connect_with(
    monkeypatch: pytest.MonkeyPatch, wrap: Callable[..., sqlite3.Connection]
) -> Callable[..., sqlite3.Connection]:
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kw: wrap(real, *args, **kw))
    return real


def full_disk(real: Callable[..., sqlite3.Connection], *args, **kwargs) -> sqlite3.Connection:
    return real(*args, **{**kwargs, "factory": FullDisk})


def read_only(real: Callable[..., sqlite3.Connection], path, **kwargs) -> sqlite3.Connection:
    return real(f"file:{path}?mode=ro", **{**kwargs, "uri": True})


@pytest.mark.parametrize("refusal", [full_disk, read_only])
def test_a_disk_that_refuses_is_reported_once_and_the_run_goes_on(
    tmp_path, monkeypatch, caplog, refusal
):
    path = stored(tmp_path, rows(0, 5))
    before = path.read_bytes()
    connect_with(monkeypatch, refusal)
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    for start in (100, 200, 300):
        store.put(rows(start, start + 100).items())
    assert path.read_bytes() == before
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be used" in caplog.text
    assert "HYBRIDIR_CACHE_DIR" in caplog.text


@pytest.mark.parametrize("refusal", [full_disk, read_only])
def test_reading_from_a_disk_that_refuses_writes_loses_nothing(tmp_path, monkeypatch, refusal):
    items = rows(0, 5)
    path = stored(tmp_path, items)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        connect_with(patch, refusal)
        found = EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items))
    assert_holds(found, {key: items[key] for key in found})
    assert path.read_bytes() == before


def test_an_error_of_the_disk_while_reading_discards_nothing(tmp_path, monkeypatch):
    class Failing(sqlite3.Connection):
        def execute(self, *args: object) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    path = stored(tmp_path, rows(0, 5))
    before = path.read_bytes()
    connect_with(monkeypatch, lambda real, *args, **kw: real(*args, **{**kw, "factory": Failing}))
    assert EmbeddingStore(tmp_path, BASE, ROOMY).get(list(rows(0, 5))) == {}
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_reported_and_the_run_goes_on(tmp_path, caplog):
    (tmp_path / "file").touch()
    store = EmbeddingStore(tmp_path / "file" / "embeddings", BASE, ROOMY)
    store.put(rows(0, 3).items())
    assert store.get(list(rows(0, 3))) == {}
    assert "HYBRIDIR_CACHE_DIR" in caplog.text


# Looking and clearing ----------------------------------------------------------------------------


def test_store_files_lists_the_most_recently_used_first(tmp_path):
    first = stored(tmp_path, rows(0, 4), Namespace("a", 512, "float32", "toy/a"))
    second = stored(tmp_path, rows(0, 7), Namespace("b", 512, "float32", "toy/b"))
    used_at(first, 2000)
    used_at(second, 1000)
    files = store_files(tmp_path)
    assert [(file.path, file.label, file.entries, file.used) for file in files] == [
        (first, "toy/a", 4, 2000.0),
        (second, "toy/b", 7, 1000.0),
    ]
    assert [file.bytes for file in files] == [first.stat().st_size, second.stat().st_size]


def test_store_files_shows_a_damaged_file_as_such(tmp_path):
    path = tmp_path / f"{'0' * 32}{embedding_store.SUFFIX}"
    path.write_bytes(b"no database" * 500)
    (file,) = store_files(tmp_path)
    assert (file.path, file.label, file.entries) == (path, "(damaged)", 0)


@pytest.mark.parametrize("name", ["with space", "50%20", "what?", "#1", "día"])
def test_store_files_reads_folders_of_any_name(tmp_path, name):
    stored(tmp_path / name, rows(0, 2))
    (file,) = store_files(tmp_path / name)
    assert (file.label, file.entries) == ("toy/model", 2)


def test_store_files_of_a_missing_folder_is_empty(tmp_path):
    assert store_files(tmp_path / "nowhere") == []


def test_clear_store_deletes_all_files_and_says_how_much(tmp_path):
    for letter in "ab":
        stored(tmp_path, rows(0, 3), Namespace(letter, 512, "float32"))
    (tmp_path / "notes.txt").write_text("not the store's")
    size = sum(file.bytes for file in store_files(tmp_path))
    assert size > 0
    assert clear_store(tmp_path) == size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "store.lock"]
    assert clear_store(tmp_path) == 0


def test_files_of_others_in_the_folder_are_left_alone(tmp_path):
    foreign = tmp_path / "mine.sqlite"
    foreign.write_bytes(b"precious")
    assert clear_store(tmp_path) == 0
    assert store_files(tmp_path) == []
    assert foreign.read_bytes() == b"precious"


def test_a_file_that_cannot_be_deleted_ends_no_run(tmp_path, monkeypatch, caplog):
    store = EmbeddingStore(tmp_path, Namespace("a", 1, "float32"), 10**9)
    store.path.write_bytes(b"not a database" * 100)

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert store.get([text_key("", "x")]) == {}
    assert "kept in memory only" in caplog.text


# Whose a file is ---------------------------------------------------------------------------------

OTHER = Namespace("weights-b", 512, "float32", "toy/other")


def test_a_file_copied_over_another_encoders_is_not_believed(tmp_path, caplog):
    mine, others = rows(0, 5, dimension=16), rows(0, 5, dimension=16)
    theirs = stored(tmp_path, {key: vector + 1 for key, vector in others.items()}, OTHER)
    path = stored(tmp_path, mine)
    path.write_bytes(theirs.read_bytes())
    store = EmbeddingStore(tmp_path, BASE, ROOMY)
    assert store.get(list(mine)) == {}
    assert f"{path} is of another encoder" in caplog.text
    assert "toy/other" in caplog.text
    store.put(mine.items())
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(mine)), mine)
    kept = EmbeddingStore(tmp_path, OTHER, ROOMY).get(list(others))
    assert_holds(kept, {key: vector + 1 for key, vector in others.items()})


def test_nothing_is_added_to_a_file_of_another_encoder(tmp_path):
    theirs = stored(tmp_path, rows(0, 5, dimension=16), OTHER)
    path = tmp_path / BASE.file_name
    path.write_bytes(theirs.read_bytes())
    EmbeddingStore(tmp_path, BASE, ROOMY).put(rows(7, 9, dimension=16).items())
    assert not path.exists()
    stored(tmp_path, rows(7, 9, dimension=16))
    assert EmbeddingStore(tmp_path, BASE, ROOMY).get(list(rows(0, 5))) == {}


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM meta",
        "UPDATE meta SET value = '[]' WHERE key = 'namespace'",
        "UPDATE meta SET value = replace(value, '512', '513') WHERE key = 'namespace'",
    ],
)
def test_a_file_that_does_not_say_whose_it_is_is_not_believed(tmp_path, caplog, statement):
    path = stored(tmp_path, rows(0, 3))
    execute(path, statement)
    assert EmbeddingStore(tmp_path, BASE, ROOMY).get(list(rows(0, 3))) == {}
    assert path.name in caplog.text


def test_rows_moved_in_from_another_encoders_file_are_damaged_ones(tmp_path, caplog):
    """As a journal of another file can do, whatever the file says of itself."""
    mine, theirs = rows(0, 2, dimension=16), rows(2, 4, dimension=16)
    path = stored(tmp_path, mine)
    source = stored(tmp_path, theirs, OTHER)
    execute(
        path, f"ATTACH '{source}' AS other", "INSERT INTO embedding SELECT * FROM other.embedding"
    )
    found = EmbeddingStore(tmp_path, BASE, ROOMY).get([*mine, *theirs])
    assert_holds(found, mine)
    assert "2 damaged embeddings" in caplog.text


def as_of_0_1(path: Path, items: dict[bytes, np.ndarray]) -> None:
    """Its checksums are of key and vector alone, and its table says nothing of checksums."""
    execute(path, "DELETE FROM meta WHERE key = 'checksums'")
    for key, vector in items.items():
        old = zlib.crc32(key + vector.tobytes())
        execute(path, f"UPDATE embedding SET checksum = {old} WHERE key = X'{key.hex()}'")


def test_a_file_of_version_0_1_is_found_and_goes_on_in_the_new_way(tmp_path):
    items = rows(0, 3, dimension=16)
    as_of_0_1(stored(tmp_path, items), items)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)
    stored(tmp_path, rows(3, 5, dimension=16))
    more = rows(0, 5, dimension=16)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(more)), more)


@pytest.mark.parametrize("mixed_up", ["int8", "binary", "truncated"])
def test_what_version_0_1_stored_of_an_experiment_is_not_taken_for_a_plain_run(tmp_path, mixed_up):
    """It stored under the name of the plain run whatever precision or width was asked for."""
    items = rows(0, 3, dimension=16)
    of_experiment = {
        "int8": {key: np.rint(vector * 40) for key, vector in items.items()},
        "binary": {key: (vector > 0).astype(np.float32) for key, vector in items.items()},
        "truncated": {key: vector[:8] for key, vector in items.items()},
    }[mixed_up]
    plain = rows(3, 5, dimension=16)
    as_of_0_1(stored(tmp_path, of_experiment | plain), of_experiment | plain)
    store = EmbeddingStore(tmp_path, BASE, ROOMY, 16)
    assert_holds(store.get([*items, *plain]), plain)
    store.put(items.items())  # encoded again
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY, 16).get(list(items)), items)


def test_what_is_stored_now_may_be_whole_numbers(tmp_path):
    """Of a plugin's encoder that counts words, or of an experiment under its own name."""
    items = {key: np.rint(vector * 40) for key, vector in rows(0, 3, dimension=16).items()}
    path = stored(tmp_path, items)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY, 16).get(list(items)), items)
    as_of_0_1(path, items)
    assert_holds(EmbeddingStore(tmp_path, BASE, ROOMY).get(list(items)), items)  # of a plugin's
