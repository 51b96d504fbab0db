"""BEIR itself, or a message on how to install it."""

from __future__ import annotations

from hybridir_mteb.errors import SettingError
from hybridir_mteb.scoring import Similarity

try:
    from beir.retrieval.search import BaseSearch
except ImportError as error:
    raise ImportError(
        'the searches for BEIR need its package: pip install "hybridir-mteb[beir]"'
    ) from error

__all__ = ["SCORE_FUNCTIONS", "BaseSearch", "similarity_of"]

SCORE_FUNCTIONS = {"cos_sim": Similarity.COSINE, "dot": Similarity.DOT}


def similarity_of(score_function: str) -> Similarity:
    """BEIR's name of a similarity as ours.

    Raises:
        SettingError: There is none of the name.
    """
    if score_function not in SCORE_FUNCTIONS:
        raise SettingError(
            f"score_function {score_function!r}: choose from {', '.join(SCORE_FUNCTIONS)}"
        )
    return SCORE_FUNCTIONS[score_function]
