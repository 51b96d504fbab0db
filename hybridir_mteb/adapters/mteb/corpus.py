"""Streamed passages as memory-mapped Arrow tables, for models that bring their own search."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, concatenate_datasets

from hybridir_mteb import paths
from hybridir_mteb.files import replacing
from hybridir_mteb.plugins.specs import StreamedPart

FORMAT = 1
BATCH = 4096  # passages in memory at a time
_SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])


class Corpora:
    """The passages of a task's languages as MTEB wants them, each built at first use.

    Tables are kept in the cache under the fingerprint of their source, and read from disk.

    Args:
        parts: Language -> queries and passages.
        prefixes: Language -> what stands before the files' ids.
    """

    def __init__(self, parts: Mapping[str, StreamedPart], prefixes: Mapping[str, str]) -> None:
        self._parts, self._prefixes = parts, prefixes
        self._tables: dict[str, Dataset] = {}

    def table(self, code: str) -> Dataset:
        """(n_passages,) rows of ``id``, ``title`` and ``text`` in one language.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A malformed line, or a language without passages.
        """
        if code not in self._tables:
            path = self._path(code)
            if not path.is_file():
                self._write(code, path)
            self._tables[code] = Dataset.from_file(str(path))
        return self._tables[code]

    def pool(self, codes: Sequence[str]) -> Dataset:
        """The passages of several languages, one after the other."""
        tables = [self.table(code) for code in codes]
        return tables[0] if len(tables) == 1 else concatenate_datasets(tables)

    def present(self, code: str, ids: Sequence[str]) -> set[str]:
        """Those of some ids that the passages of a language have."""
        wanted, found = pa.array(ids, pa.string()), set()
        for batch in self.table(code).with_format("arrow").iter(batch_size=65536):
            column = batch.column("id")
            found.update(column.filter(pc.is_in(column, wanted)).to_pylist())
        return found

    def _path(self, code: str) -> Path:
        identity = f"{FORMAT}|{self._prefixes[code]}|{self._parts[code].passages.fingerprint}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return paths.corpora_dir() / f"{name}.arrow"

    def _write(self, code: str, path: Path) -> None:
        prefix = self._prefixes[code]
        with (
            replacing(path) as temporary,
            pa.OSFile(str(temporary), "wb") as file,
            pa.ipc.new_stream(file, _SCHEMA) as stream,
        ):
            rows: list[tuple[str, str, str]] = []
            for passage in self._parts[code].passages.passages():
                rows.append((prefix + passage.id, passage.title, passage.text))
                if len(rows) == BATCH:
                    stream.write(_batch(rows))
                    rows = []
            if rows:
                stream.write(_batch(rows))


def _batch(rows: Sequence[tuple[str, str, str]]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
