"""Passages as MTEB wants them, for its own layout and for models that bring their own search."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, concatenate_datasets

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.collections.collection import CollectionPart, ListedPassages
from hybridir_mteb.collections.readers.digests import build_unless_sound
from hybridir_mteb.ranking.arrays import IntArray

FORMAT = 1
BATCH = 4096  # passages in memory at a time
_SCHEMA = pa.schema([("id", pa.string()), ("title", pa.string()), ("text", pa.string())])


class Corpora:
    """The passages of a task's languages as MTEB wants them, each built at first use.

    Tables of streamed passages are kept in the cache under the fingerprint of their source, with a
    record of their digest, and read by memory mapping. One that is damaged is built again.

    Args:
        parts: Language -> queries and passages.
        prefixes: Language -> what stands before the files' ids.
    """

    def __init__(self, parts: Mapping[str, CollectionPart], prefixes: Mapping[str, str]) -> None:
        self._parts, self._prefixes = parts, prefixes
        self._tables: dict[str, Dataset] = {}
        self._pools: dict[tuple[str, ...], Dataset] = {}

    def table(self, code: str) -> Dataset:
        """(n_passages,) rows of ``id``, ``text`` and, unless none has one, ``title``.

        Raises:
            DataUnavailableError: A file is missing.
            DataFormatError: A malformed line, or a language without passages.
        """
        if code not in self._tables:
            source = self._parts[code].passages
            if isinstance(source, ListedPassages):
                self._tables[code] = self._listed(source, self._prefixes[code])
            else:
                name = hashlib.sha256(self._identity(code).encode()).hexdigest()[:32]
                path = paths.corpora_dir() / f"{name}.arrow"
                build_unless_sound(path, self._identity(code), lambda to: self._write(code, to))
                self._tables[code] = Dataset.from_file(str(path))
        return self._tables[code]

    def _listed(self, source: ListedPassages, prefix: str) -> Dataset:
        ids = [prefix + passage.id for passage in source.listed]
        columns = {"id": ids, "text": [p.text for p in source.listed]}
        if self._titled:
            columns["title"] = [p.title for p in source.listed]
        return Dataset.from_dict(columns)

    @cached_property
    def _titled(self) -> bool:
        """Whether a listed passage has a title: tables of one pool have the same columns."""
        sources = (part.passages for part in self._parts.values())
        listed = (source.listed for source in sources if isinstance(source, ListedPassages))
        return any(passage.title for passages in listed for passage in passages)

    def pool(self, codes: Sequence[str]) -> Dataset:
        """The passages of several languages, one language after the other."""
        key = tuple(codes)
        if key not in self._pools:
            tables = [self.table(code) for code in codes]
            self._pools[key] = tables[0] if len(tables) == 1 else concatenate_datasets(tables)
        return self._pools[key]

    def sizes(self, codes: Sequence[str]) -> IntArray:
        """(n_languages,) number of passages in each language."""
        return np.array([len(self.table(code)) for code in codes], np.int64)

    def rows_of(self, codes: Sequence[str], ids: Sequence[str]) -> dict[str, int]:
        """Row in the pool of several languages of those ids that it has."""
        wanted, start = pa.array(ids, pa.string()), 0
        found: dict[str, int] = {}
        for code in codes:  # each column at once: Arrow hashes what is wanted at every call
            column = self.table(code).select_columns("id").with_format("arrow")[:].column("id")
            rows = np.flatnonzero(pc.is_in(column, wanted).to_numpy())
            names = column.take(pa.array(rows)).to_pylist()
            found.update(zip(names, (start + rows).tolist(), strict=True))
            start += len(column)
        return found

    def _identity(self, code: str) -> str:
        return f"{FORMAT}|{self._prefixes[code]}|{self._parts[code].passages.fingerprint}"

    def _write(self, code: str, path: Path) -> None:
        prefix, source = self._prefixes[code], self._parts[code].passages
        check_passage_ids(source)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, _SCHEMA) as stream:
            rows = ((prefix + one.id, one.title, one.text) for one in source.passages())
            while batch := list(islice(rows, BATCH)):
                stream.write(_batch(batch))


def _batch(rows: Sequence[tuple[str, str, str]]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
