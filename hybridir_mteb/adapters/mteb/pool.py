"""The pool of a subset: in memory, in shards, or as a table for models that only search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.corpus import Corpora
from hybridir_mteb.adapters.mteb.shards import check_room, encoded
from hybridir_mteb.collections.collection import CollectionPart, ListedPassages
from hybridir_mteb.encoders.encoder import Encoder
from hybridir_mteb.encoders.memory import Embedded
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, ScoreFunction, Similarity
from hybridir_mteb.ranking.exact import Scorer, ranks_and_top
from hybridir_mteb.ranking.judgements import Judgements
from hybridir_mteb.ranking.ranking import Ranking, tie_order
from hybridir_mteb.ranking.scorers import scorer_of
from hybridir_mteb.ranking.shards import ShardFolder, search
from hybridir_mteb.ranking.shards.joint import Search
from hybridir_mteb.ranking.shards.request import SearchOptions


class Pool(Protocol):
    """The candidates of a subset, one language after the other.

    Attributes:
        codes: Their languages.
        sizes: (n_languages,) number of candidates in each.
        label: Task and subset, for messages.
    """

    codes: tuple[str, ...]
    sizes: IntArray
    label: str

    def rows_in(self, code: str, ids: Sequence[str]) -> Mapping[str, int]:
        """Rows of those passages of one language that the pool has, by the files' ids."""
        ...

    def ids(self, rows: IntArray) -> list[str]:
        """Ids of rows in ascending order, as MTEB has them."""
        ...


class SearchedPool(Pool, Protocol):
    """A pool for models that search by themselves."""

    def rows_of(self, names: Sequence[str]) -> Mapping[str, int]:
        """Rows of those ids that the pool has, as MTEB has them."""
        ...


class EmbeddedPool(Pool, Protocol):
    """A pool whose passages are embedded."""

    def rank(self, queries: Embedded, judged: Judgements, depth: int) -> Ranking:
        """Exact ranks, and the best-ranked passages of each query."""
        ...

    def vectors(self, rows: IntArray) -> FloatMatrix:
        """(n, dimension) embeddings of rows in ascending order."""
        ...


class ListedPool:
    """Passages that are in memory.

    Args:
        parts: Language -> its passages, listed; in the order of the pool.
        prefixes: Language -> what stands before the files' ids.
    """

    def __init__(self, parts: Mapping[str, CollectionPart], prefixes: Mapping[str, str]) -> None:
        self.codes, self.label = tuple(parts), " ".join(parts)
        self._rows: dict[str, dict[str, int]] = {}
        self.names: list[str] = []
        self.texts: list[str] = []
        for code, part in parts.items():
            assert isinstance(part.passages, ListedPassages)  # noqa: S101 -- of parallel parts
            start, listed = len(self.names), part.passages.listed
            self._rows[code] = {passage.id: at for at, passage in enumerate(listed, start)}
            self.names += [prefixes[code] + passage.id for passage in listed]
            self.texts += [passage.content for passage in listed]
        self.sizes = np.array([len(rows) for rows in self._rows.values()], np.int64)

    def rows_in(self, code: str, ids: Sequence[str]) -> Mapping[str, int]:
        """Rows of those passages of one language that the pool has, by the files' ids."""
        return self._rows[code]

    def rows_of(self, names: Sequence[str]) -> Mapping[str, int]:
        """Rows of those ids that the pool has, as MTEB has them."""
        return {name: at for at, name in enumerate(self.names)}

    def ids(self, rows: IntArray) -> list[str]:
        """Ids of rows, as MTEB has them."""
        return [self.names[row] for row in rows]


class MemoryPool(ListedPool):
    """Passages that are in memory, embedded by an encoder, which it does not keep alive.

    Attributes:
        similarity: What scores are; :meth:`scored_by` says it.
    """

    similarity: Similarity | ScoreFunction

    def __init__(
        self, parts: Mapping[str, CollectionPart], prefixes: Mapping[str, str], encoder: Encoder
    ) -> None:
        super().__init__(parts, prefixes)
        languages = [code for code, rows in self._rows.items() for _ in rows]
        self._embedded = encoder.embed(self.texts, "document", languages)
        self.order = tie_order(self.names)

    def scored_by(self, similarity: Similarity | ScoreFunction) -> MemoryPool:
        """The same passages, scored by a similarity, which may be a function of the encoder's."""
        pool = copy(self)
        pool.similarity = similarity
        return pool

    def scorer(self, queries: Embedded) -> Scorer:
        """Scores of queries against the whole pool."""
        return scorer_of(self.similarity, queries.matrix, *self._embedded)

    def rank(self, queries: Embedded, judged: Judgements, depth: int) -> Ranking:
        """Exact ranks, and the best-ranked passages of each query."""
        return ranks_and_top(self.scorer(queries), judged.relevance, self.order, depth)

    def vectors(self, rows: IntArray) -> FloatMatrix:
        """(n, dimension) embeddings of rows."""
        return self._embedded.vectors[self._embedded.rows[rows]]


class ShardPool:
    """Passages that are embedded on disk, and searched in bounded memory.

    Args:
        parts: Language -> its passages; in the order of the pool.
        prefixes: Language -> what stands before the files' ids.
        encoder: Embeds them.
        dimension: Of the embeddings, to foresee the room that they take.
        dtype: Number format on disk; None takes what the environment says.

    Attributes:
        device: Where to search; None takes a GPU if there is one.
        search: Finds the best passages and the ranks: here, on a cluster, or approximately.
        notes: What scores say of how they were found.

    Raises:
        SettingError: The disk has no room for the embeddings.
    """

    def __init__(
        self,
        parts: Mapping[str, CollectionPart],
        prefixes: Mapping[str, str],
        encoder: Encoder,
        dimension: int,
        dtype: str | None = None,
    ) -> None:
        self.codes, self.dtype = tuple(parts), dtype or paths.shard_dtype()
        self._prefixes, self._encoder = prefixes, encoder
        self.device: str | None = None
        self.search: Search = search
        self.notes: dict[str, Any] = {"shard_dtype": self.dtype}
        self.label = " ".join(parts)
        check_room(encoder, list(parts.values()), self.dtype, dimension)
        self._folders: dict[str, ShardFolder] = {
            code: encoded(encoder, part, self.dtype, dimension) for code, part in parts.items()
        }
        self.sizes = np.array([folder.n_passages for folder in self._folders.values()], np.int64)
        self._starts = dict(zip(self.codes, np.cumsum(self.sizes) - self.sizes, strict=True))

    def rows_in(self, code: str, ids: Sequence[str]) -> Mapping[str, int]:
        """Rows of those passages of one language that the pool has, by the files' ids."""
        start, known = int(self._starts[code]), self._folders[code].rows_of(ids)
        return {identifier: start + row for identifier, row in known.items()}

    def ids(self, rows: IntArray) -> list[str]:
        """Ids of rows in ascending order, as MTEB has them."""
        return [
            self._prefixes[code] + identifier
            for code, folder in self._folders.items()
            for identifier in folder.ids(self._own(code, rows))
        ]

    def _own(self, code: str, rows: IntArray) -> IntArray:
        """Rows of one language, counted from its first."""
        own: IntArray = rows - self._starts[code]
        return own[(own >= 0) & (own < self._folders[code].n_passages)]

    def rank(
        self, queries: Embedded, judged: Judgements, depth: int, by: Search | None = None
    ) -> Ranking:
        """Ranks, and the best-ranked passages of each query; by default by the pool's search."""
        hits = (by or self.search)(
            queries.matrix,
            list(self._folders.values()),
            depth,
            relevance=judged.present.relevance,
            similarity=self._encoder.similarity,
            options=SearchOptions(self.device, label=self.label),
        )
        self.notes |= hits.notes
        return Ranking(hits.ranks, hits.rows, hits.scores).of_judged(judged)

    def vectors(self, rows: IntArray) -> FloatMatrix:
        """(n, dimension) embeddings of rows in ascending order."""
        parts = [one.vectors(self._own(code, rows)) for code, one in self._folders.items()]
        return np.concatenate(parts).astype(np.float32, copy=False)


class TablePool:
    """Streamed passages as tables, for models that search by themselves.

    Args:
        corpora: The tables.
        codes: Languages, in the order of the pool.
        prefixes: Language -> what stands before the files' ids.
        label: Task and subset, for messages.
    """

    def __init__(
        self, corpora: Corpora, codes: tuple[str, ...], prefixes: Mapping[str, str], label: str
    ) -> None:
        self.codes, self.label = codes, label
        self._corpora, self._prefixes = corpora, prefixes
        self.sizes = corpora.sizes(codes)

    def rows_in(self, code: str, ids: Sequence[str]) -> Mapping[str, int]:
        """Rows of those passages of one language that the pool has, by the files' ids."""
        prefix, at = self._prefixes[code], self.codes.index(code)
        start = int(self.sizes[:at].sum())
        known = self._corpora.rows_of((code,), [prefix + identifier for identifier in ids])
        return {name.removeprefix(prefix): start + row for name, row in known.items()}

    def rows_of(self, names: Sequence[str]) -> Mapping[str, int]:
        """Rows of those ids that the pool has, as MTEB has them."""
        return self._corpora.rows_of(self.codes, names)

    def ids(self, rows: IntArray) -> list[str]:
        """Ids of rows, as MTEB has them."""
        names: list[str] = self._corpora.pool(self.codes).select_columns("id")[rows]["id"]
        return names
