"""Shards in an object store: finished ones are put there, and fetched where they are missing.

An object store has no rename. The files of a shard get names that hold their own sha256, so those
of two writers never mix, and its record, which names them, comes last: it makes the shard exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybridir_mteb import paths
from hybridir_mteb.errors import DataFormatError, SettingError, one_line, plain_logger, printable
from hybridir_mteb.files import folder_beside, move_in, replacing, sha256_of
from hybridir_mteb.files.record import read_record
from hybridir_mteb.files.remote import reached
from hybridir_mteb.files.stamp import settle
from hybridir_mteb.ranking.shards.shard import FILES, RECORD, Shard

logger = plain_logger(__name__)

OF_DIGEST = 16  # characters of it in a name
_OWN_FOLDERS = {"file", "local"}  # protocols that have folders, which must be there


@dataclass(frozen=True)
class ObjectStore:
    """A place in an object store; whatever is read is checked by its sha256.

    Attributes:
        url: Such as ``s3://bucket/shards``, of a protocol that fsspec knows.
    """

    url: str

    @staticmethod
    def chosen() -> ObjectStore | None:
        """That which the environment names, if it names one."""
        url = paths.shard_url()
        return None if url is None else ObjectStore(url)

    def of(self, folder: str) -> ObjectStore:
        """A place below."""
        return ObjectStore(f"{self.url}/{folder}")

    def numbers(self) -> set[int]:
        """Numbers of the shards that are there.

        Raises:
            SettingError: A protocol whose package is missing.
            DataUnavailableError: The store cannot be reached.
        """
        with self._reached("listed") as (store, place):
            names = [str(path).split("/")[-2] for path in store.glob(f"{place}/*/{RECORD}")]
        return {int(name) for name in names if name.isdecimal()}

    def has(self, name: str) -> bool:
        """Whether there is a file, or a shard by the name of its folder; errors as above."""
        with self._reached("read") as (store, place):
            return bool(store.exists(f"{place}/{_file(name)}"))

    def push(self, shard: Shard) -> None:
        """Put a sound shard there, unless it is there; errors as above."""
        if self.has(shard.folder.name):
            return
        with self._reached("written to") as (store, place):
            home = f"{place}/{shard.folder.name}"
            for name in FILES:
                store.put_file(str(shard.folder / name), f"{home}/{_named(name, shard.digests)}")
            store.pipe_file(f"{home}/{RECORD}", (shard.folder / RECORD).read_bytes())

    def push_file(self, path: Path) -> None:
        """Put a small file there; errors as above."""
        with self._reached("written to") as (store, place):
            store.pipe_file(f"{place}/{path.name}", path.read_bytes())

    def pull_file(self, path: Path) -> None:
        """Fetch a small file, if it is there; errors as above."""
        with self._reached("read") as (store, place):
            try:
                content = store.cat_file(f"{place}/{path.name}")
            except FileNotFoundError:
                return
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def pull(self, target: Path) -> bool:
        """Fetch a shard, if it is there; one that is damaged is taken away, to be made anew.

        Args:
            target: Its folder, which is not there.

        Raises:
            NoSpaceError: The disk is full.
            SettingError: As above.
            DataUnavailableError: As above.
        """
        with self._reached("read") as (store, place):
            home = f"{place}/{target.name}"
            try:
                record = store.cat_file(f"{home}/{RECORD}")
            except FileNotFoundError:
                return False
            try:
                with folder_beside(target) as temporary:
                    (temporary / RECORD).write_bytes(record)
                    _fetch(store, home, temporary)
                    move_in(temporary, target)
            except (DataFormatError, FileNotFoundError, KeyError, TypeError) as error:
                logger.warning("%s/%s: %s; it is made anew", self.url, target.name, one_line(error))
                with suppress(FileNotFoundError):
                    store.rm_file(f"{home}/{RECORD}")
                return False
        return True

    @contextmanager
    def _reached(self, what: str) -> Iterator[tuple[Any, str]]:
        """The store and the path in it, around whatever is done there."""
        from fsspec.core import url_to_fs

        protocol = self.url.partition("://")[0]
        options = {"auto_mkdir": True} if protocol in _OWN_FOLDERS else {}
        try:
            store, place = url_to_fs(self.url, **options)
        except (ImportError, ValueError) as error:
            raise SettingError(
                f"{paths.SHARD_DIR_VARIABLE}={printable(self.url)}: {one_line(error, 200)}: "
                "install the package of this protocol, such as s3fs or gcsfs, on all machines, or "
                "give a folder"
            ) from error
        store.invalidate_cache()  # others write there, too
        with reached(
            f"{printable(self.url)} ({paths.SHARD_DIR_VARIABLE}) cannot be {what}",
            "give a folder",
            "check the URL, and how its package is to find your credentials",
        ):
            yield store, place.rstrip("/")


def _fetch(store: Any, home: str, folder: Path) -> None:
    """Fetch the files that the record in a folder names.

    Raises:
        DataFormatError: The record, or one of them, is damaged.
        FileNotFoundError: One is missing.
    """
    digests = read_record(folder / RECORD)["digests"]
    for name in FILES:
        far, file = f"{home}/{_named(name, digests)}", folder / name
        store.get_file(far, str(file))
        if sha256_of(file) != digests[name]:
            raise DataFormatError(f"the sha256 of {far} differs")
        settle(file)


def _file(name: str) -> str:
    return f"{name}/{RECORD}" if name.isdecimal() else name


def _named(name: str, digests: Any) -> str:
    return f"{name}.{digests[name][:OF_DIGEST]}"
