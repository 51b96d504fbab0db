"""How well a linear classifier reads the language of a text from its embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hybridir_mteb.ranking.arrays import FloatMatrix, IntArray, Relevance

FOLDS = 3
ITERATIONS = 200


def language_probe_accuracy(
    embeddings: FloatMatrix, languages: Sequence[str], items: Sequence[str], *, folds: int = FOLDS
) -> float:
    """Cross-validated accuracy of logistic regression; chance is 1 / number of languages.

    Args:
        embeddings: (n, dimension).
        languages: (n,) language of each text.
        items: (n,) what a text is about: translations share it and never straddle folds.
        folds: Parts of the cross-validation.

    Raises:
        ValueError: It cannot be trained: see :func:`why_no_probe`.
    """
    probe, truth, how = _checked(languages, items, folds)
    return float(cross_val_score(probe, embeddings, truth, **how).mean())


def probe_by_language(
    embeddings: FloatMatrix, languages: Sequence[str], items: Sequence[str], *, folds: int = FOLDS
) -> dict[str, float]:
    """As :func:`language_probe_accuracy`, but on the texts of each language.

    Raises:
        ValueError: It cannot be trained: see :func:`why_no_probe`.
    """
    probe, truth, how = _checked(languages, items, folds)
    told = cross_val_predict(probe, embeddings, truth, **how)
    return {code: float((told == code)[truth == code].mean()) for code in sorted(set(languages))}


def relevant_items(relevance: Relevance, items: IntArray) -> tuple[IntArray, IntArray]:
    """Relevant passages and what each is about, for a probe.

    Passages that are relevant to translations of one query are translations of each other, and so
    are those of two queries that share a passage.

    Args:
        relevance: Relevant passages of each query.
        items: (n_queries,) what a query asks, from 0; translations share a number.

    Returns:
        (n,) columns of the pool, ascending, and (n,) item numbers.
    """
    columns, nodes = np.unique(relevance.passages, return_inverse=True)
    n_items = int(items.max()) + 1 if len(items) else 0
    asked = items[relevance.query_of_entry]
    size = n_items + len(columns)
    links = coo_array((np.ones(len(nodes)), (asked, n_items + nodes)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    return columns, component[n_items:].astype(np.int64)


def why_no_probe(languages: Sequence[str], items: Sequence[str], *, folds: int = FOLDS) -> str:
    """Why no probe can be trained on texts of (n,) languages and items; empty if one can."""
    if len(set(languages)) < 2:
        return "a language probe needs texts in at least two languages"
    if len(set(items)) < folds:
        return f"a language probe needs at least {folds} items, got {len(set(items))}"
    truth, texts = np.asarray(languages), np.zeros(len(languages))
    for train, _ in GroupKFold(folds).split(texts, truth, groups=list(items)):
        if len(set(truth[train])) < 2:
            return "a language probe cannot be trained: too few items have texts in two languages"
    return ""


def _checked(
    languages: Sequence[str], items: Sequence[str], folds: int
) -> tuple[Any, npt.NDArray[np.str_], dict[str, Any]]:
    """A probe that can be trained, what it is to tell, and how it is validated."""
    if reason := why_no_probe(languages, items, folds=folds):
        raise ValueError(reason)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    return probe, np.asarray(languages), {"groups": list(items), "cv": GroupKFold(folds)}
