"""What a model finds for the queries of one subset of a streamed task, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from mteb.models import EncoderProtocol, SearchProtocol
from mteb.types import PromptType

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb import embed as mteb_embed
from hybridir_mteb.adapters.mteb.evaluation import column_of, own_search
from hybridir_mteb.adapters.mteb.shards import encoded
from hybridir_mteb.collections.collection import language_of, passage_id
from hybridir_mteb.errors import EmbeddingError
from hybridir_mteb.measures.view import TOP_DEPTH
from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance
from hybridir_mteb.ranking.exact import NOT_RETRIEVED, tie_order
from hybridir_mteb.ranking.shards import SearchOptions, ShardFolder, search

Run = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Judged:
    """What is relevant, whether the pool has it or not.

    Attributes:
        relevance: Numbers of passages, from 0 in order of appearance.
        ids: (n_distinct,) their ids in the files.
        gains: (n_entries,) grades.
    """

    relevance: Relevance
    ids: tuple[str, ...]
    gains: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """What a system found.

    Attributes:
        ranks: (n_entries,) of what is relevant; ``NOT_RETRIEVED`` for what the pool lacks.
        missing: Number of relevant passages that the pool lacks.
        top: (n_queries, depth) pool number of the best-ranked passages; -1 behind the end.
        run: Query -> passage -> score, best first.
        n_passages: (n_pools,) candidates in each language.
        embeddings: Whether the system gave embeddings.
    """

    ranks: IntArray
    missing: int
    top: IntArray
    run: Run = field(repr=False)
    n_passages: IntArray
    embeddings: bool


class SubsetSearch:
    """The queries of one subset, and the pool that they are searched in.

    Args:
        task: A :class:`~hybridir_mteb.adapters.mteb.streamed.StreamedTask` whose data are loaded.
        data_split: MTEB's queries and relevance.
        split: Name of the split.
        subset: Name of the subset.
        encode_kwargs: MTEB's.
    """

    def __init__(
        self,
        task: Any,
        data_split: Any,
        split: str,
        subset: str,
        encode_kwargs: Mapping[str, Any],
    ) -> None:
        self.task, self._data = task, data_split
        self.call = mteb_embed.EncodeCall(task.metadata, split, subset, encode_kwargs)
        chosen = task.subset(subset)
        self._language: str = chosen.query_language
        self.codes: tuple[str, ...] = chosen.passage_languages
        self._prefixes = [task.prefixes(code)[1] for code in self.codes]
        self.query_ids: list[str] = column_of(data_split["queries"], "id")
        self.language_number = self.codes.index(self._language)
        self.judged = self._read_judged()

    def _read_judged(self) -> Judged:
        prefix = self.task.prefixes(self._language)[1]
        judged: Mapping[str, Mapping[str, int]] = self._data["relevant_docs"]
        numbers: dict[str, int] = {}
        rows, gains = [], []
        for query in self.query_ids:
            relevant = [(p, grade) for p, grade in judged[query].items() if grade > 0]
            rows.append([numbers.setdefault(p, len(numbers)) for p, _ in relevant])
            gains += [float(grade) for _, grade in relevant]
        ids = tuple(passage.removeprefix(prefix) for passage in numbers)
        return Judged(Relevance.from_lists(rows), ids, np.array(gains, np.float64))

    def prepare(self, model: Any, num_proc: int | None) -> Callable[[int], Found]:
        """Encode queries and passages, or build the model's own index.

        Returns:
            What searches to a depth.

        Raises:
            TypeError: The model is neither an encoder nor a search model.
            SettingError: The disk has no room for the passages' embeddings.
        """
        if isinstance(model, SearchProtocol):
            run = own_search(model, self._data, self.call, num_proc)
            return lambda depth: self._read_run(run, depth)
        if not isinstance(model, EncoderProtocol):
            raise TypeError(
                f"{self.task.metadata.name} needs an encoder or a search model, got "
                f"{type(model).__name__}"
            )
        texts = column_of(self._data["queries"], "text")
        languages = [self.task.query_language(self._language)] * len(texts)
        matrix, rows = mteb_embed.embed(model, texts, PromptType.query, self.call, languages)
        queries = matrix[rows]
        pools = self.pools(model, queries.shape[1])
        return lambda depth: self._search_shards(model, queries, pools, depth)

    def pools(self, model: Any, dimension: int = 0) -> list[ShardFolder]:
        """The encoded passages of each language; the dimension helps to foresee their size."""
        parts = [self.task.parts[code] for code in self.codes]
        return [encoded(model, part, self.call, self.dtype, dimension) for part in parts]

    @property
    def dtype(self) -> str:
        """Number format of the encoded passages."""
        return self.task.shard_dtype or paths.shard_dtype()

    def _search_shards(
        self, model: Any, queries: FloatMatrix, pools: Sequence[ShardFolder], depth: int
    ) -> Found:
        sizes = np.array([pool.n_passages for pool in pools], np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        at = self.language_number
        known = pools[at].rows_of(self.judged.ids)
        place = np.array([known.get(i, -1 - starts[at]) for i in self.judged.ids]) + starts[at]
        relevance, entries = self._present(place)
        hits = search(
            queries,
            pools,
            max(depth, TOP_DEPTH),
            relevance=relevance,
            similarity=mteb_embed.similarity_of(model),
            options=SearchOptions(
                device=self.task.device, label=f"{self.task.metadata.name} {self.call.subset}"
            ),
        )
        ranks = np.full(len(self.judged.relevance.passages), NOT_RETRIEVED)
        ranks[entries] = hits.ranks
        top = np.searchsorted(starts, hits.rows, side="right") - 1  # -1 behind the end
        width = min(depth, int(starts[-1]))
        names = self._names(pools, starts, hits.rows[:, :width])
        scores = hits.scores[:, :width].tolist()
        run = {
            query: dict(zip(row, values, strict=True))
            for query, row, values in zip(self.query_ids, names, scores, strict=True)
        }
        return Found(ranks, int((place < 0).sum()), top, run, sizes, embeddings=True)

    def _present(self, place: IntArray) -> tuple[Relevance, IntArray]:
        """Relevant passages that the pool has, by row, and which entries they are."""
        relevance = self.judged.relevance
        rows = place[relevance.passages]
        entries = np.flatnonzero(rows >= 0)
        counts = np.bincount(relevance.query_of_entry[entries], minlength=relevance.n_queries)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Relevance(indptr, rows[entries]), entries

    def _names(
        self, pools: Sequence[ShardFolder], starts: IntArray, rows: IntArray
    ) -> list[list[str]]:
        """Ids of the best-ranked passages, each read once."""
        distinct, inverse = np.unique(rows, return_inverse=True)
        names: list[str] = []
        for pool, prefix, start, stop in zip(
            pools, self._prefixes, starts[:-1], starts[1:], strict=True
        ):
            own = distinct[(distinct >= start) & (distinct < stop)] - start
            names += [prefix + identifier for identifier in pool.ids(own)]
        numbers: Any = inverse.reshape(rows.shape).tolist()
        return [[names[at] for at in row] for row in numbers]

    def _read_run(self, run: Mapping[str, Mapping[str, float]], depth: int) -> Found:
        corpora, codes = self.task.corpora, self.codes
        sizes = np.array([len(corpora.table(code)) for code in codes], np.int64)
        prefix = self.task.prefixes(self._language)[1]
        wanted = [prefix + identifier for identifier in self.judged.ids]
        place = {identifier: at for at, identifier in enumerate(wanted)}
        ranks_of = np.full(len(self.judged.relevance.passages), NOT_RETRIEVED)
        top = np.full((len(self.query_ids), TOP_DEPTH), -1)
        ranked: Run = {}
        bounds = self.judged.relevance.indptr
        for at, query in enumerate(self.query_ids):
            ids, scores = self._ordered(query, run.get(query, {}))
            entries = slice(bounds[at], bounds[at + 1])
            ranks = {place[i]: rank for rank, i in enumerate(ids, 1) if i in place}
            ranks_of[entries] = [
                ranks.get(number, NOT_RETRIEVED)
                for number in self.judged.relevance.passages[entries].tolist()
            ]
            spoken = [self._pool_number(identifier) for identifier in ids[:TOP_DEPTH]]
            top[at, : len(spoken)] = spoken
            ranked[query] = dict(zip(ids[:depth], scores[:depth], strict=True))
        missing = len(wanted) - len(corpora.present(self._language, wanted))
        return Found(ranks_of, missing, top, ranked, sizes, embeddings=False)

    def _ordered(self, query: str, results: Mapping[str, float]) -> tuple[list[str], list[float]]:
        """Ids and scores, best first, equal scores by the tie rule."""
        ids = list(results)
        scores = np.array([results[i] for i in ids], np.float64)
        if not np.isfinite(scores).all():
            raise EmbeddingError(f"query {query}: the search returned a score that is not finite")
        if len(self.codes) > 1:
            hashed = ids
        else:
            hashed = [passage_id(self.codes[0], identifier) for identifier in ids]
        order = np.lexsort((tie_order(hashed), -scores))
        return [ids[at] for at in order], scores[order].tolist()

    def _pool_number(self, identifier: str) -> int:
        if len(self.codes) == 1:
            return 0
        return self.codes.index(language_of(identifier))
