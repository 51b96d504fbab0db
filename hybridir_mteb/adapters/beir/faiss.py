"""BEIR's FAISS searches, which version 2.2.0 left abstract, so that they run again.

They have BEIR's names and arguments: only the import line of a script changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hybridir_mteb.adapters.beir.saved import (
    Row,
    Saved,
    SavesEmbeddings,
    normalised,
    read,
    read_corpus,
)
from hybridir_mteb.adapters.beir.search import similarity_of
from hybridir_mteb.errors import SettingError, from_extra
from hybridir_mteb.ranking.arrays import FloatMatrix

with from_extra("beir", "search with FAISS"):
    import faiss  # noqa: F401 -- BEIR does without it until a search begins
    from beir.retrieval.search import dense


class _Runnable(SavesEmbeddings):
    """What BEIR's FAISS searches lack: saved embeddings, and a search that ends well.

    Stands before one of them among the base classes.
    """

    show_progress_bar = False
    results: dict[str, dict[str, float]]

    def search(
        self,
        corpus: Mapping[str, Row],
        queries: Mapping[str, str],
        top_k: int,
        score_function: str = "cos_sim",
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """Index the corpus, unless an index is loaded, and search.

        Args:
            corpus: Passage id -> row with ``text`` and perhaps ``title``.
            queries: Query id -> text.
            top_k: How many passages; at most the corpus is returned. BEIR asks FAISS for more and
                fails.
            score_function: ``cos_sim`` or ``dot``.
            **options: Passed on to BEIR's search.

        Returns:
            Query id -> passage id -> score, best first.

        Raises:
            SettingError: The index is one of other passages, or an unknown score function.
        """
        similarity_of(score_function)
        this: Any = self
        rows = {key: {**row, "title": row.get("title") or ""} for key, row in corpus.items()}
        if not this.faiss_index:
            this.index(rows, score_function)
        elif set(rows) != set(this.mapping):
            raise SettingError(
                f"the index of this {type(self).__name__} holds other passages than the corpus; "
                "make a new one for another corpus"
            )
        this.results = {}
        search = super().search  # type: ignore[misc]  # of BEIR's class
        found: dict[str, dict[str, float]] = search(
            rows, dict(queries), min(top_k, len(rows)), score_function, **options
        )
        return found

    def search_from_files(
        self,
        query_embeddings_file: str,
        corpus_embeddings_files: Sequence[str],
        top_k: int,
        score_function: str = "cos_sim",
        **options: Any,
    ) -> dict[str, dict[str, float]]:
        """Index and search embeddings that :meth:`encode` wrote."""
        queries = read(Path(query_embeddings_file), "query")
        ids, vectors = read_corpus([Path(name) for name in corpus_embeddings_files], queries)
        model, self.model = self.model, _Precomputed(queries, np.stack(list(vectors)))
        try:
            corpus = {key: {"text": "", "row": at} for at, key in enumerate(ids)}
            texts = dict.fromkeys(queries.ids, "")
            return self.search(corpus, texts, top_k, score_function, **options)
        finally:
            self.model = model


class _Precomputed:
    """A model for BEIR whose embeddings are there already."""

    def __init__(self, queries: Saved, passages: FloatMatrix) -> None:
        self._queries, self._passages = queries, passages

    def encode_queries(self, queries: Sequence[str], **options: Any) -> FloatMatrix:
        return normalised(self._queries.vectors, options)

    def encode_corpus(self, corpus: Sequence[Row], **options: Any) -> FloatMatrix:
        return normalised(self._passages[[row["row"] for row in corpus]], options)


class FlatIPFaissSearch(_Runnable, dense.FlatIPFaissSearch):  # type: ignore[misc]
    """Exact inner product by FAISS."""


class HNSWFaissSearch(_Runnable, dense.HNSWFaissSearch):  # type: ignore[misc]
    """Approximate search in a graph."""


class PQFaissSearch(_Runnable, dense.PQFaissSearch):  # type: ignore[misc]
    """Product quantisation; needs 2 ** ``code_size`` passages or more to train on."""


class SQFaissSearch(_Runnable, dense.SQFaissSearch):  # type: ignore[misc]
    """Scalar quantisation."""
