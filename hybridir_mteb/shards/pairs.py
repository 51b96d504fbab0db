"""Float64 scores of pairs, and how far float32 products may be from them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hybridir_mteb.relevance import FloatMatrix, IntArray
from hybridir_mteb.scoring import Similarity

Scores = npt.NDArray[np.float64]

AT_ONCE = 1 << 12  # pairs, of which the float64 vectors are in memory
SMALLEST_NORM = 1e-12  # as torch.nn.functional.normalize


def lengths(vectors: npt.NDArray[np.floating]) -> Scores:
    """(n,) Euclidean norms in float64; the same for a row whatever the others are."""
    wide = vectors.astype(np.float64)
    norms: Scores = np.sqrt(np.add.reduce(wide * wide, axis=1))
    return norms


class PairScorer:
    """The scores that decide: float64, the same whatever block or device a passage comes from.

    Every pair is summed by itself in one fixed order. A matrix product would give other last bits
    in another shape.

    Args:
        queries: (n_queries, dimension) float32.
        similarity: Cosine or dot product.

    Attributes:
        similarity: As given.
        queries: (n_queries, dimension) float64, normalised for cosine.
    """

    def __init__(self, queries: FloatMatrix, similarity: Similarity) -> None:
        self.similarity = similarity
        self.queries = self._wide(queries)

    def scores(self, of: IntArray, vectors: npt.NDArray[np.floating]) -> Scores:
        """Scores of pairs.

        Args:
            of: (n,) numbers of queries.
            vectors: (n, dimension) stored embeddings of the passages.

        Returns:
            (n,) float64.
        """
        found = np.empty(len(of))
        for start in range(0, len(of), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            products = self._wide(vectors[part])
            products *= self.queries[of[part]]
            found[part] = np.add.reduce(products, axis=1)
        return found

    def _wide(self, vectors: npt.NDArray[np.floating]) -> Scores:
        wide: Scores = vectors.astype(np.float64)
        if self.similarity is Similarity.COSINE:
            wide /= np.maximum(lengths(vectors), SMALLEST_NORM)[:, None]
        return wide


def slack(dimension: int) -> float:
    """Largest error of a float32 product of two vectors of length 1, in any order of summation.

    ``(d + 3) u`` to first order in the unit roundoff ``u = 2**-24``: d for products and sum
    (Higham 2002, section 3.1), 1 for the query's rounding and 2 for the passage's. The rest covers
    higher orders, float64's own error and numbers too small for float32.
    """
    return (dimension + 8) * 2.0**-24 * 1.01
