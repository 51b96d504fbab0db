"""Exact search behind BEIR's interface, from texts or from saved embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hybridir_mteb import paths
from hybridir_mteb.adapters.beir.saved import Row, Saved, SavesEmbeddings, read, read_corpus
from hybridir_mteb.errors import EmbeddingError, SettingError, from_extra, quoted
from hybridir_mteb.files.numbers import whole
from hybridir_mteb.files.room import check_room
from hybridir_mteb.files.temporary import TemporaryFolder
from hybridir_mteb.ranking.arrays import FloatMatrix, Similarity
from hybridir_mteb.ranking.given import check_ids, check_mapping
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey, fill_rows, search
from hybridir_mteb.ranking.shards.listing import TEMPORARY

with from_extra("beir", "search behind BEIR's interface"):
    from beir.retrieval.search import BaseSearch

Results = dict[str, dict[str, float]]
SCORE_FUNCTIONS = {"cos_sim": Similarity.COSINE, "dot": Similarity.DOT}


def similarity_of(score_function: str) -> Similarity:
    """BEIR's name of a similarity as ours.

    Raises:
        SettingError: There is none of the name.
    """
    if not isinstance(score_function, str) or score_function not in SCORE_FUNCTIONS:
        raise SettingError(
            f"score_function {quoted(score_function, 80)}: choose from {', '.join(SCORE_FUNCTIONS)}"
        )
    return SCORE_FUNCTIONS[score_function]


def check_depth(top_k: object) -> None:
    """Refuse a number of passages of each query that is none.

    Raises:
        SettingError: It is not a whole number from 1.
    """
    found = None if isinstance(top_k, float) else whole(top_k)
    if found is None or found < 1:
        raise SettingError(f"top_k={quoted(top_k, 80)}: give 1 or more")


class ExactSearch(SavesEmbeddings, BaseSearch):  # type: ignore[misc]  # BEIR has no types
    """Exact search for BEIR's ``EvaluateRetrieval``, on all cores or a GPU.

    Embeddings lie in shards on disk while they are searched, in the folder of
    ``HYBRIDIR_SHARD_DIR``. Scores are exact in float64 and ties broken by a hash of the passage
    id, so results depend neither on chunks nor on the machine. One query works, NaN is an error,
    and saved embeddings are no pickles.

    Args:
        model: Has ``encode_queries`` and ``encode_corpus``, as
            :class:`~hybridir_mteb.adapters.beir.encoder.BeirEncoder` or any of BEIR's models.
        batch_size: Passed to the model.
        corpus_chunk_size: Passages whose embeddings are held at a time.
        score_function: ``cos_sim`` or ``dot``, where BEIR passes none: ``search_from_files``.
        ignore_identical_ids: Leave out a passage whose id equals the query's, as BEIR does.
        show_progress_bar: Passed to the model.

    Raises:
        SettingError: An unknown score function.
    """

    def __init__(
        self,
        model: Any,
        batch_size: int = 128,
        corpus_chunk_size: int = 8192,
        *,
        score_function: str = "cos_sim",
        ignore_identical_ids: bool = True,
        show_progress_bar: bool = True,
    ) -> None:
        similarity_of(score_function)
        self.model, self.batch_size = model, batch_size
        self.corpus_chunk_size, self.score_function = corpus_chunk_size, score_function
        self.ignore_identical_ids = ignore_identical_ids
        self.show_progress_bar = show_progress_bar

    def search(
        self,
        corpus: Mapping[str, Row],
        queries: Mapping[str, str],
        top_k: int,
        score_function: str | None = None,
        **options: Any,
    ) -> Results:
        """Encode and search.

        Args:
            corpus: Passage id -> row with ``text`` and perhaps ``title``.
            queries: Query id -> text.
            top_k: How many passages of each query.
            score_function: ``cos_sim`` or ``dot``.
            **options: BEIR's ``return_sorted``: results always are.

        Returns:
            Query id -> passage id -> score, best first.

        Raises:
            SettingError: An unknown score function, or an id that is no string.
            EmbeddingError: NaN, infinity, no query or no passage.
        """
        similarity = self._checked(top_k, score_function)
        for what, given in (("query", queries), ("passage", corpus)):
            check_mapping(given, "queries" if what == "query" else "corpus")
            check_ids(given, what)
        if not corpus:  # said before queries are encoded
            raise EmbeddingError("the corpus has no passage")
        asked = Saved(list(queries), self.embed("query", list(queries.values())))
        ids = list(corpus)

        def vectors_of(rows: Sequence[int]) -> FloatMatrix:
            return self.embed("passage", [corpus[ids[row]] for row in rows])

        return self._rank(asked, ids, vectors_of, top_k, similarity)

    def search_from_files(
        self,
        query_embeddings_file: str,
        corpus_embeddings_files: Sequence[str],
        top_k: int,
        score_function: str | None = None,
        **options: Any,
    ) -> Results:
        """Search in files that :meth:`encode` wrote, one at a time.

        ``EvaluateRetrieval.encode_and_retrieve`` does not tell its score function: give it to the
        constructor, or as one more argument there.

        Raises:
            SettingError: An unknown score function.
            DataUnavailableError: A file is missing.
            DataFormatError: A file holds something else, or an id occurs twice.
        """
        similarity = self._checked(top_k, score_function)
        queries = read(Path(query_embeddings_file), "query")
        ids, vectors = read_corpus([Path(name) for name in corpus_embeddings_files], queries)

        def vectors_of(rows: Sequence[int]) -> FloatMatrix:
            return np.stack(list(islice(vectors, len(rows))))  # rows come in order

        return self._rank(queries, ids, vectors_of, top_k, similarity)

    def _checked(self, top_k: int, score_function: str | None) -> Similarity:
        check_depth(top_k)
        return similarity_of(self.score_function if score_function is None else score_function)

    def _rank(
        self,
        queries: Saved,
        ids: list[str],
        vectors_of: Callable[[Sequence[int]], FloatMatrix],
        top_k: int,
        similarity: Similarity,
    ) -> Results:
        """Passages and scores of each query, best first."""
        needed = len(ids) * queries.vectors.shape[1] * 4
        check_room(paths.shard_dir(), needed, "embeddings of the corpus")
        with TemporaryFolder(paths.shard_dir(), TEMPORARY) as place:
            key = ShardKey(
                source="the corpus",
                source_fingerprint="",
                id_prefix="",
                encoder=type(self.model).__name__,
                encoder_fingerprint=uuid4().hex,
                rows=self.corpus_chunk_size,
            )
            folder = ShardFolder(place, key)
            fill_rows(
                folder,
                len(ids),
                lambda rows: [ids[row] for row in rows],
                vectors_of,
                label="encoding corpus",
            )
            depth = min(top_k + self.ignore_identical_ids, len(ids))
            hits = search(queries.vectors, [folder], depth, similarity=similarity)
        results = {}
        found_rows, found_scores = hits.rows.tolist(), hits.scores.tolist()
        for query, rows, scores in zip(queries.ids, found_rows, found_scores, strict=True):
            found = [(ids[row], score) for row, score in zip(rows, scores, strict=True)]
            if self.ignore_identical_ids:
                found = [hit for hit in found if hit[0] != query]
            results[query] = dict(found[:top_k])
        return results
