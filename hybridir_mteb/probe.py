"""How well a linear classifier reads the language of a text from its embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hybridir_mteb.relevance import FloatMatrix

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
        ValueError: Fewer than two languages, or fewer items than folds.
    """
    if len(set(languages)) < 2:
        raise ValueError("a language probe needs texts in at least two languages")
    if len(set(items)) < folds:
        raise ValueError(f"a language probe needs at least {folds} items, got {len(set(items))}")
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    scores = cross_val_score(
        probe, embeddings, np.asarray(languages), groups=list(items), cv=GroupKFold(folds)
    )
    return float(scores.mean())
