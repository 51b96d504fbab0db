"""Fixtures of the training tests."""

from pathlib import Path

import pytest

from hybridir_mteb.training.leak import EvaluationTexts, evaluation_texts


@pytest.fixture(scope="session")
def known(data_dir: Path) -> EvaluationTexts:
    """The texts of all evaluation sets of the mirror, read once; tests only look at them."""
    return evaluation_texts()
