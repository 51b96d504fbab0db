"""Embeddings kept on disk across runs, one SQLite file for each encoder and precision.

SQLite gives atomic commits, locking between processes and recovery after a kill. A file says whose
embeddings it holds, and each row carries a checksum over key, vector and owner: a damaged row is
encoded again, a damaged file, or one of another encoder, is discarded and started anew; none is
ever trusted. Oldest files go first when the store outgrows its limit.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from hybridir_mteb.errors import DataFormatError, plain_logger
from hybridir_mteb.files.json_text import parse_json
from hybridir_mteb.ranking.arrays import are_whole

logger = plain_logger(__name__)

FORMAT = 1
SUFFIX = ".sqlite"
SEEDED = "with owner"  # in a file's table: no row without its owner in its checksum is of this file
BUSY_TIMEOUT_S = 60.0
ROW_BYTES = 1024  # generous share of keys, pages and index for one embedding
QUERY_KEYS = 500  # below SQLite's limit of 999 parameters

# Errors that say nothing against the file: locked, read-only, no space. It must not be discarded.
_ENVIRONMENT = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}

# UnicodeDecodeError: SQLite quotes a damaged file in its message.
_FAILURES = (sqlite3.DatabaseError, UnicodeDecodeError, OSError)
_FILE_NAME = re.compile(r"[0-9a-f]{32}\.sqlite")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS embedding (
    key BLOB PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL
);
"""


@dataclass(frozen=True)
class Namespace:
    """What all embeddings in one file have in common; any difference is another file.

    Attributes:
        fingerprint: Fingerprint of the weights.
        max_length: Longest input in tokens; 0 if unknown.
        dtype: Type of the weights, such as ``float32``.
        variant: Whatever else changes embeddings: precision, truncation, encode arguments.
        label: Name of the model, for people; not part of the identity.
    """

    fingerprint: str
    max_length: int
    dtype: str
    label: str = ""
    variant: str = ""

    @property
    def identity(self) -> str:
        """All that tells it from others, as JSON."""
        return dumps([FORMAT, self.fingerprint, self.max_length, self.dtype, self.variant])

    @property
    def file_name(self) -> str:
        """File name of the namespace."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:32] + SUFFIX


class _NotOursError(sqlite3.DatabaseError):
    """A sound file, but of another namespace."""

    sqlite_errorcode = sqlite3.SQLITE_NOTADB


def text_key(prompt: str, text: str) -> bytes:
    """Key of one text under one prompt (the prompt stands for role and instruction)."""
    digest = hashlib.blake2b(digest_size=20)
    digest.update(len(prompt).to_bytes(4, "little") + prompt.encode())
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


@dataclass(frozen=True)
class StoreFile:
    """One file of the store, as ``hybridir cache info`` shows it."""

    path: Path
    label: str
    entries: int
    bytes: int
    used: float


class EmbeddingStore:
    """The embeddings of one namespace.

    Args:
        folder: The store; made if missing.
        namespace: Whose embeddings.
        limit_bytes: Largest size of the whole store.
        width: Of embeddings that are not quantised; None if it is not known.
    """

    def __init__(
        self, folder: Path, namespace: Namespace, limit_bytes: int, width: int | None = None
    ) -> None:
        self.path = folder / namespace.file_name
        self._namespace, self._limit, self._width = namespace, limit_bytes, width
        self._seed = zlib.crc32(namespace.identity.encode())
        self._no_writing = self._no_reading = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                self.path.touch()  # most recently used goes last when space is needed
        except OSError as error:
            self._no_reading = True
            self._give_up(error)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, npt.NDArray[np.float32]]:
        """Stored vectors by key; missing and damaged ones are absent."""
        if self._no_reading or not self.path.exists():
            return {}
        found: dict[bytes, npt.NDArray[np.float32]] = {}
        damaged = 0
        try:
            with self._lock(), self._connect() as connection:
                seeds = self._seeds(connection)
                for key, vector, checksum in self._rows(connection, keys):
                    if isinstance(vector, bytes) and self._is_sound(key, vector, checksum, seeds):
                        found[key] = np.frombuffer(vector, "<f4")
                    else:
                        damaged += 1
        except _FAILURES as error:
            self._handle(error)
            self._no_reading = self._no_writing
            return {}
        if damaged:
            logger.warning("%s: %d damaged embeddings are encoded again", self.path, damaged)
        return found

    def _is_sound(self, key: bytes, vector: bytes, checksum: int, seeds: set[int]) -> bool:
        """Whether a row is as it was written, and of this namespace."""
        if checksum == zlib.crc32(key + vector, self._seed):
            return True
        if 0 not in seeds or checksum != zlib.crc32(key + vector):
            return False
        # Version 0.1 stored quantised and truncated vectors under the name of a plain run: whole
        # numbers, or of another width.
        found = np.frombuffer(vector, "<f4")
        return self._width is None or (self._width == len(found) and not are_whole(found))

    @staticmethod
    def _rows(
        connection: sqlite3.Connection, keys: Sequence[bytes]
    ) -> Iterator[tuple[bytes, bytes, int]]:
        for start in range(0, len(keys), QUERY_KEYS):
            part = keys[start : start + QUERY_KEYS]
            marks = ",".join("?" * len(part))
            yield from connection.execute(
                f"SELECT key, vector, checksum FROM embedding WHERE key IN ({marks})",  # noqa: S608 -- only question marks
                part,
            )

    def put(self, items: Iterable[tuple[bytes, npt.NDArray[np.float32]]]) -> None:
        """Add vectors in one transaction; a kill leaves all of them or none."""
        if self._no_writing:
            return
        rows = []
        for key, vector in items:
            data = np.ascontiguousarray(vector, "<f4").tobytes()
            rows.append((key, data, zlib.crc32(key + data, self._seed)))
        try:
            with self._lock():
                self._make_room(sum(2 * len(data) + ROW_BYTES for _, data, _ in rows))
                if not self._no_writing:
                    self._insert(rows)
        except _FAILURES as error:
            self._handle(error)

    def _insert(self, rows: list[tuple[bytes, bytes, int]]) -> None:
        with self._connect() as connection, connection:
            connection.executemany("INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)", rows)

    def _lock(self) -> FileLock:
        """One process at a time: no file is deleted that another process has open."""
        return FileLock(self.path.parent / "store.lock", timeout=BUSY_TIMEOUT_S)

    def _handle(self, error: Exception) -> None:
        """Keep a sound file that cannot be used now; discard a damaged one."""
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_FULL)
        if isinstance(error, UnicodeDecodeError) or code & 0xFF not in _ENVIRONMENT:
            self._recover(error)
        else:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._no_writing = True  # a full disk or a read-only folder must not end the run
        logger.warning(
            "%s cannot be used (%s): embeddings are kept in memory only. Free some space, "
            "or set HYBRIDIR_CACHE_DIR to another folder",
            self.path,
            error,
        )

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.text_factory = bytes
            # A batch is kept when the system has it: a kill does not undo that. Waiting for a disk
            # takes 3 to 15 ms a batch; what a power failure damages, checksums of rows tell.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            self._check_owner(connection)
            yield connection

    def _check_owner(self, connection: sqlite3.Connection) -> None:
        """Claim an empty file; refuse one of others, or one that does not say whose it is."""
        said = connection.execute("SELECT value FROM meta WHERE key = 'namespace'").fetchone()
        if said is None and not connection.execute("SELECT 1 FROM embedding LIMIT 1").fetchone():
            rows = [("namespace", dumps(asdict(self._namespace))), ("checksums", SEEDED)]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", rows)
            connection.commit()
            return
        owner = _namespace_of(said[0] if said else b"")
        if owner is None or owner.identity != self._namespace.identity:
            whose = "nobody knows whom" if owner is None else owner.label or "another encoder"
            raise _NotOursError(f"it holds embeddings of {whose}, not of {self._namespace.label}")

    def _seeds(self, connection: sqlite3.Connection) -> set[int]:
        """Where checksums begin: with the owner; in files of version 0.1 also with nothing."""
        (row,) = connection.execute("SELECT COUNT(*) FROM meta WHERE key = 'checksums'")
        return {self._seed} if row[0] else {self._seed, 0}

    def _recover(self, error: Exception) -> None:
        logger.warning(
            "%s is %s (%s): it is discarded and its embeddings are encoded again",
            self.path,
            "of another encoder" if isinstance(error, _NotOursError) else "damaged",
            error,
        )
        try:
            with self._lock():
                _delete(self.path)
        except OSError as refused:
            self._give_up(refused)

    def _make_room(self, n_bytes: int) -> None:
        files = sorted(_files(self.path.parent), key=lambda file: file[1].st_mtime)
        total = sum(stat.st_size for _, stat in files) + n_bytes
        for path, stat in files:
            if total <= self._limit:
                return
            if path != self.path:
                total -= stat.st_size
                logger.info("the embedding store is over its limit: %s is removed", path)
                _delete(path)
        if total > self._limit:
            self._no_writing = True
            logger.warning(
                "the embedding store is full (%.1f GB): further embeddings are kept in memory "
                "only. Raise HYBRIDIR_EMBEDDING_STORE_GB or run: hybridir cache clear",
                self._limit / 1e9,
            )


def _namespace_of(text: bytes) -> Namespace | None:
    """The namespace that a file names; None if it names none."""
    try:
        return Namespace(**parse_json(text, "the file"))
    except (DataFormatError, TypeError):
        return None


def _files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(FileNotFoundError):  # another process makes room meanwhile
            if _FILE_NAME.fullmatch(path.name):  # nobody else's file is ever deleted
                found.append((path, path.stat()))
    return found


def _delete(path: Path) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def store_files(folder: Path) -> list[StoreFile]:
    """Every file of a store, most recently used first; a damaged one has no entries."""
    found = []
    for path, stat in _files(folder):
        label, entries = "(damaged)", 0
        try:
            place = f"{path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(place, uri=True)) as connection:
                (entries,) = connection.execute("SELECT COUNT(*) FROM embedding").fetchone()
                (label,) = connection.execute(
                    "SELECT json_extract(value, '$.label') FROM meta WHERE key = 'namespace'"
                ).fetchone()
        except (*_FAILURES, TypeError):
            logger.warning("%s cannot be read", path)
        found.append(StoreFile(path, label or "?", entries, stat.st_size, stat.st_mtime))
    return sorted(found, key=lambda file: -file.used)


def clear_store(folder: Path) -> int:
    """Delete every file of a store.

    Returns:
        Bytes freed.
    """
    files = _files(folder)
    for path, _ in files:
        _delete(path)
    return sum(stat.st_size for _, stat in files)
