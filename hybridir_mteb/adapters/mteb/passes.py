"""One pass over the shards of a pool finds what all subsets of a run ask for.

The pass of the first subset takes the queries of the others along. What they find, some numbers
for each query, is kept in memory until they are asked for; a run that is interrupted makes the pass
again for those that it has not saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb
from hybridir_mteb.adapters.mteb.pool import ShardPool
from hybridir_mteb.adapters.mteb.subset import SubsetView
from hybridir_mteb.encoders.encoder import Encoder, ways
from hybridir_mteb.errors import EmbeddingError, described, one_line, plain_logger
from hybridir_mteb.ranking.arrays import FloatMatrix, Relevance, ScoreFunction, Similarity
from hybridir_mteb.ranking.shards import Hits, SearchOptions, ShardFolder
from hybridir_mteb.ranking.shards.approximate import ApproximateSearch
from hybridir_mteb.ranking.shards.joint import Search, Wanted, search_jointly
from hybridir_mteb.ranking.shards.search import DEFAULTS, prepared

if TYPE_CHECKING:
    from hybridir_mteb.adapters.mteb.evaluation import Asked
    from hybridir_mteb.adapters.mteb.task import CollectionTask

logger = plain_logger(__name__)

PASS_MIB = 1024  # for queries that a pass takes along, and for what is kept of them

# Names that are not wanted -> what the other subsets of a run search for in the same pool.
Others = Callable[[Collection[str]], Iterator[tuple[str, Wanted]]]


class Passes:
    """What passes over a pool have found for subsets that are still to be asked for."""

    def __init__(self) -> None:
        self.together = True  # until it has failed once
        self._kept: dict[str, tuple[str, Hits]] = {}

    def take(self, name: str, digest: str) -> Hits | None:
        """What was found for a subset, if this very search was made."""
        made, hits = self._kept.pop(name, ("", None))
        return hits if made == digest else None

    def keep(self, name: str, digest: str, hits: Hits) -> None:
        """Keep what a pass has found for a subset that it took along."""
        self._kept[name] = digest, hits

    def along(self, own: Wanted, others: Others, depth: int) -> dict[str, Wanted]:
        """Other subsets whose queries fit into memory beside those of the one that is asked for."""
        found: dict[str, Wanted] = {}
        kept = sum(hits.rows.nbytes + hits.scores.nbytes for _, hits in self._kept.values())
        room = (PASS_MIB << 20) - kept - own.bytes_at(depth)
        for name, one in others(self._kept) if self.together else ():
            room -= one.bytes_at(depth)
            if room < 0:
                break
            if one.queries.shape[1] == own.queries.shape[1]:
                found[name] = one
        return found


@dataclass(frozen=True)
class SharedSearch:
    """A search for one subset, whose pass takes along the queries of others.

    Attributes:
        name: The subset that is asked for.
        passes: What former passes have found, and where this one keeps what it finds.
        others: Gives what other subsets want.
        by: Makes the pass, here or on a cluster.
    """

    name: str
    passes: Passes
    others: Others
    by: Search

    def __call__(
        self,
        queries: FloatMatrix,
        pools: Sequence[ShardFolder],
        depth: int,
        *,
        relevance: Relevance | None = None,
        similarity: Similarity | ScoreFunction = Similarity.COSINE,
        options: SearchOptions = DEFAULTS,
    ) -> Hits:
        """Search; see :func:`~hybridir_mteb.ranking.shards.search.search`.

        A function's scores depend on the queries that it sees together: those are searched alone.
        """
        own = Wanted(*prepared(queries, relevance))
        how: dict[str, Any] = {"similarity": similarity, "options": options}
        if not isinstance(similarity, Similarity):
            return search_jointly([own], pools, depth, self.by, **how)[0]
        known = self.passes.take(self.name, own.digest(pools, depth, similarity))
        if known is not None:
            return known
        more = self.passes.along(own, self.others, depth)
        if not more:
            return search_jointly([own], pools, depth, self.by, **how)[0]
        label = f"{options.label} and {len(more)} more"
        joint = {**how, "options": replace(options, label=label)}
        try:
            found, *rest = search_jointly([own, *more.values()], pools, depth, self.by, **joint)
        except (EmbeddingError, MemoryError, torch.OutOfMemoryError) as error:
            said = "%s cannot be searched in one pass (%s): each subset is searched by itself"
            logger.warning(said, label, one_line(error, 200))
            self.passes.together = False
            return search_jointly([own], pools, depth, self.by, **how)[0]
        for (name, one), hits in zip(more.items(), rest, strict=True):
            self.passes.keep(name, one.digest(pools, depth, similarity), hits)
        return found


def shared_search(task: CollectionTask, encoder: Encoder, pool: ShardPool, asked: Asked) -> Search:
    """The search of a subset's pool, which serves the subsets that are asked for next, too.

    Args:
        task: The task, its data loaded.
        encoder: The model, as the subset that is asked for uses it.
        pool: The subset's pool.
        asked: What is asked of the subset's evaluation.
    """
    following, by = task.turns.take(asked.subset), pool.search
    exactly = by.wanted_exactly if isinstance(by, ApproximateSearch) else None
    passes = task.memory.get(encoder.host, ways(encoder), Passes, "passes")

    def others(known: Collection[str]) -> Iterator[tuple[str, Wanted]]:
        for name in following:
            same = task.subset(name).passage_languages == pool.codes
            if not same or name in known or name not in task.dataset:
                continue
            try:
                one = _wanted(task, encoder, pool, replace(asked, subset=name), exactly)
            except Exception as error:  # noqa: BLE001 -- it is raised when that subset is asked for
                logger.debug("%s is not searched ahead: %s", name, described(error))
                continue
            if one is not None:
                yield name, one

    if isinstance(by, ApproximateSearch):  # an index is not passed over: what recall is told by is
        return replace(by, exact=SharedSearch(asked.subset, passes, others, by.exact))
    return SharedSearch(asked.subset, passes, others, by)


def _wanted(
    task: CollectionTask,
    encoder: Encoder,
    pool: ShardPool,
    asked: Asked,
    exactly: Callable[[FloatMatrix], Wanted] | None,
) -> Wanted | None:
    """What another subset searches for; None if the model works in another way there."""
    subset = task.subset(asked.subset)
    call = EncodeCall(task.metadata, asked.split, subset.name, asked.encode_kwargs)
    other = of_mteb(encoder.host, call)
    if ways(other) != ways(encoder):
        return None
    view = SubsetView(task, subset, task.dataset[subset.name][asked.split])
    queries = other.embed(view.query_texts, "query", view.query_languages).matrix
    if exactly is not None:
        return exactly(queries)
    return Wanted(*prepared(queries, view.judgements(pool).present.relevance))
