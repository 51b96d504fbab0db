"""One subset of a task: its queries, its pool, and what is relevant, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.pool import (
    EmbeddedPool,
    ListedPool,
    MemoryPool,
    Pool,
    SearchedPool,
    ShardPool,
    TablePool,
)
from hybridir_mteb.adapters.mteb.shards import check_parts, check_room, known_dimension
from hybridir_mteb.collections.collection import Grade, passage_id
from hybridir_mteb.encoders.encoder import Encoder, ways
from hybridir_mteb.encoders.memory import Embedded
from hybridir_mteb.plugins.settings import Setting, Subset
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.judgements import NO_ROW, Judgements

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.task import CollectionTask


T = TypeVar("T")


class SubsetView:
    """The queries of one subset, and the pool that they are searched in.

    Args:
        task: The task, its data loaded.
        subset: The subset.
        data: The subset as MTEB lays it out; who takes queries out there does not want them asked.
    """

    def __init__(self, task: CollectionTask, subset: Subset, data: Any) -> None:
        self._task, self._subset = task, subset
        self._language = subset.query_language
        self._parts = {code: task.collection.parts[code] for code in subset.passage_languages}
        self._query_prefix = task.prefixes(self._language)[0]
        self._asked = set(data["queries"]["id"][:])  # at once, not row by row
        self._prefixes = {code: task.prefixes(code)[1] for code in subset.passage_languages}

    @cached_property
    def judged(self) -> Mapping[str, Sequence[Grade]]:
        """Query id of the files -> its judgements in the pool."""
        judged, prefix = self._task.collection.judged(self._subset), self._query_prefix
        return {query: grades for query, grades in judged.items() if prefix + query in self._asked}

    @property
    def query_texts(self) -> list[str]:
        """(n_queries,) texts."""
        texts = self._task.collection.parts[self._language].queries
        return [texts[query] for query in self.judged]

    @property
    def query_languages(self) -> list[str | None]:
        """(n_queries,) ISO 639-1 codes."""
        return [self._task.query_language(self._language)] * len(self.judged)

    @property
    def tie_prefix(self) -> str:
        """Stands before an id where the tie rule hashes it: the rule knows whole ids."""
        (code, prefix), *more = self._prefixes.items()
        return "" if prefix or more else passage_id(code, "")

    def _shared(self, encoder: Encoder, name: str, make: Callable[[], T], *more: str) -> T:
        """What other subsets have in memory, too, made once; else made for this one."""
        if not self._task.spec.parallel or self._task.setting is Setting.MONOLINGUAL:
            return make()
        found: T = self._task.memory.get(encoder.host, (*ways(encoder), *more), make, name)
        return found

    def embedded_queries(self, encoder: Encoder) -> Embedded:
        """The queries, embedded."""
        return self._shared(
            encoder,
            f"queries {self._language}",
            lambda: encoder.embed(self.query_texts, "query", self.query_languages),
            *self.judged,
        )

    def embedded(self, encoder: Encoder, dimension: int) -> EmbeddedPool:
        """The pool, its passages embedded in memory or in shards, for which room is foreseen."""
        if self._task.spec.parallel:
            name = " ".join(("pool", *self._parts))
            made = partial(MemoryPool, self._parts, self._prefixes, encoder)
            return self._shared(encoder, name, made).scored_by(encoder.similarity)
        shards = ShardPool(self._parts, self._prefixes, encoder, dimension, self._task.shard_dtype)
        shards.device, shards.label = self._task.device, self._label
        shards.search = self._task.search or shards.search
        return shards

    def check(self, encoder: Encoder, *, plain: bool) -> None:
        """Refuse passages that cannot be kept in shards, before anything is encoded.

        Raises:
            DataFormatError: An id that occurs twice.
            SettingError: The disk is too small, if the dimension is known.
        """
        if self._task.spec.parallel:
            return
        parts, dtype = list(self._parts.values()), self._task.shard_dtype or paths.shard_dtype()
        check_parts(encoder, parts, dtype)
        dimension = known_dimension(encoder) if plain else None
        if dimension is not None:
            check_room(encoder, parts, dtype, dimension)

    def unembedded(self) -> SearchedPool:
        """The pool for a model that searches by itself."""
        if self._task.spec.parallel:
            return ListedPool(self._parts, self._prefixes)
        return TablePool(self._task.corpora, tuple(self._parts), self._prefixes, self._label)

    @property
    def _label(self) -> str:
        return f"{self._task.metadata.name} {self._subset.name}"

    def judgements(self, pool: Pool) -> Judgements:
        """What is relevant, by rows of the pool."""
        names = [self._query_prefix + query for query in self.judged]
        items = list(self.judged) if self._task.spec.parallel else names
        queries = [(self._language, grades) for grades in self.judged.values()]
        return judgements_of(pool, queries, items, names)


def judgements_of(
    pool: Pool,
    queries: Sequence[tuple[str, Sequence[Grade]]],
    items: Sequence[str],
    query_ids: Sequence[str],
) -> Judgements:
    """Judgements as arrays, from the places that passages have in a pool.

    Args:
        pool: The pool.
        queries: Language and judgements of each query.
        items: (n_queries,) what each query asks, which translations share.
        query_ids: (n_queries,) unique.
    """
    codes = tuple(dict.fromkeys([*pool.codes, *(language for language, _ in queries)]))
    number = {code: at for at, code in enumerate(codes)}
    relevant = [[one for one in grades if one.grade > 0] for _, grades in queries]
    wanted: dict[str, dict[str, int]] = {}
    for one in (one for grades in relevant for one in grades):
        wanted.setdefault(one.language, {})[one.passage] = NO_ROW
    for code, rows in wanted.items():
        known = pool.rows_in(code, list(rows))
        rows.update((passage, known[passage]) for passage in rows if passage in known)
    sizes = np.zeros(len(codes), np.int64)
    sizes[: len(pool.codes)] = pool.sizes
    flat = [one for grades in relevant for one in grades]
    return Judgements(
        Relevance.from_lists([[wanted[g.language][g.passage] for g in row] for row in relevant]),
        codes,
        queries=np.array([number[language] for language, _ in queries], np.int64),
        entries=np.array([number[one.language] for one in flat], np.int64),
        pool=sizes,
        items=items,
        gains=np.array([one.grade for one in flat], np.float64),
        query_ids=query_ids,
        missing=sum(row == NO_ROW for rows in wanted.values() for row in rows.values()),
    )
