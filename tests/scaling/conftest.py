"""The packaged scores and their study, once for all tests of the room."""

import pytest

from hybridir_mteb.scaling.families import read_families
from hybridir_mteb.scaling.scores import Scores
from hybridir_mteb.scaling.snapshot import read_snapshot
from hybridir_mteb.scaling.study import Options, Study, study


@pytest.fixture(scope="session")
def published() -> Scores:
    return read_snapshot()


@pytest.fixture(scope="session")
def public(published: Scores) -> Study:
    return study(published, read_families(), Options(families=("F2LLM-v2", "multilingual-e5")))
