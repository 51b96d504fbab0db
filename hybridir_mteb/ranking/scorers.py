"""Scorers: where the scores that are ranked come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridir_mteb.errors import EmbeddingError, quoted
from hybridir_mteb.ranking.arrays import (
    SMALLEST_NORM,
    FloatArray,
    IntArray,
    Run,
    ScoreBlock,
    ScoreFunction,
    Similarity,
    check_embeddings,
)
from hybridir_mteb.ranking.exact import Scorer
from hybridir_mteb.ranking.given import checked_score

if TYPE_CHECKING:
    import torch


class DenseScorer:
    """Cosine or dot product of embeddings, in float64.

    Float64 keeps the order independent of block size and processor: float32 products of the same
    pair differ in the last bits with the shape of the matrix product. Repeated texts share one row
    of ``passages``, so their scores are equal to the bit and the tie rule decides between them.

    Args:
        queries: (n_queries, dimension).
        passages: (n_distinct, dimension).
        columns: (n_passages,) row of ``passages`` for each candidate; by default each its own.
        similarity: Cosine or dot product.
        device: Where to compute; by default a GPU if there is one.

    Raises:
        EmbeddingError: NaN, infinity, or dimensions that differ.
    """

    def __init__(
        self,
        queries: FloatArray,
        passages: FloatArray,
        columns: IntArray | None = None,
        *,
        similarity: Similarity = Similarity.COSINE,
        device: str | None = None,
    ) -> None:
        import torch

        _check_pair(queries, passages)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._queries = self._prepare(queries, similarity)
        self._passages = self._prepare(passages, similarity)
        own = columns is None or np.array_equal(columns, np.arange(len(passages)))
        self._columns = None if own else columns
        self.n_queries = len(queries)
        self.n_passages = len(passages if columns is None else columns)

    def _prepare(self, vectors: FloatArray, similarity: Similarity) -> torch.Tensor:
        import torch

        tensor = torch.from_numpy(np.array(vectors, np.float64)).to(self._device)
        if similarity is Similarity.COSINE:
            norms = torch.linalg.vector_norm(tensor, dim=1, keepdim=True)
            tensor /= norms.clamp_min_(SMALLEST_NORM)
        return tensor

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) float64 scores."""
        scores: ScoreBlock = (self._queries[start:stop] @ self._passages.T).cpu().numpy()
        return scores if self._columns is None else scores[:, self._columns]


def function_scores(
    function: ScoreFunction, queries: FloatArray, passages: FloatArray
) -> ScoreBlock:
    """(n_queries, n_passages) float64 scores from a model's own similarity function.

    Raises:
        EmbeddingError: The function returns another shape.
    """
    import torch

    scores = torch.as_tensor(function(queries, passages))
    expected = (len(queries), len(passages))
    if tuple(scores.shape) != expected:
        raise EmbeddingError(
            f"the model's similarity returned shape {tuple(scores.shape)}, expected {expected}"
        )
    block: ScoreBlock = scores.detach().double().cpu().numpy()
    return block


class FunctionScorer:
    """Scores from a model's own similarity function.

    Args:
        queries: (n_queries, …) embeddings.
        passages: (n_distinct, …) embeddings.
        columns: (n_passages,) row of ``passages`` for each candidate.
        function: Maps a block of queries and all passages to a matrix of scores.
    """

    def __init__(
        self,
        queries: FloatArray,
        passages: FloatArray,
        columns: IntArray,
        function: ScoreFunction,
    ) -> None:
        self._queries, self._passages = queries, passages
        self._columns, self._function = columns, function
        self.n_queries, self.n_passages = len(queries), len(columns)

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        scores = function_scores(self._function, self._queries[start:stop], self._passages)
        return scores[:, self._columns]


def scorer_of(
    similarity: Similarity | ScoreFunction,
    queries: FloatArray,
    passages: FloatArray,
    columns: IntArray,
) -> Scorer:
    """Scores of embeddings, as of :class:`DenseScorer`, or by a model's own function.

    Raises:
        EmbeddingError: NaN, infinity, or dimensions that differ.
    """
    if isinstance(similarity, Similarity):
        return DenseScorer(queries, passages, columns, similarity=similarity)
    _check_pair(queries, passages)
    return FunctionScorer(queries, passages, columns, function=similarity)


def _check_pair(queries: FloatArray, passages: FloatArray) -> None:
    check_embeddings(queries, "query")
    check_embeddings(passages, "passage", queries.shape[1])


class RunScorer:
    """Scores from a finished search: query id -> passage id -> score.

    Passages that the search did not return rank below all that it did, under the tie rule.
    """

    def __init__(self, run: Run, query_ids: Sequence[str], passage_ids: Sequence[str]) -> None:
        self._run, self._query_ids = run, query_ids
        self._column = {identifier: at for at, identifier in enumerate(passage_ids)}
        self.n_queries, self.n_passages = len(query_ids), len(passage_ids)

    def block(self, start: int, stop: int) -> ScoreBlock:
        """(stop - start, n_passages) scores."""
        scores = np.full((stop - start, self.n_passages), np.nan)
        for row, identifier in enumerate(self._query_ids[start:stop]):
            for passage, score in self._run.get(identifier, {}).items():
                if passage not in self._column:
                    raise EmbeddingError(
                        f"the search returned {quoted(passage, 80)}, not in the pool"
                    )
                scores[row, self._column[passage]] = checked_score(score, identifier, passage)
            missing = np.isnan(scores[row])
            lowest = scores[row].min(initial=0.0, where=~missing)
            scores[row, missing] = min(lowest - 1.0, np.nextafter(lowest, -np.inf))
        return scores
