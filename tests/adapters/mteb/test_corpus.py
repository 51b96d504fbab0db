"""Tables of passages on disk: whatever is damaged, the same passages come out."""

import logging
from collections.abc import Callable

import pytest
from toys.damage import unseen
from toys.streamed import toy_part

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.corpus import Corpora
from hybridir_mteb.collections.collection import CollectionPart

PARTS = {code: toy_part(code, n_passages=12, n_queries=2) for code in ("sw", "yo")}
PREFIXES = {"sw": "p:sw:", "yo": "p:yo:"}


def corpora(parts: dict[str, CollectionPart] = PARTS) -> Corpora:
    return Corpora(parts, PREFIXES)


@pytest.fixture
def quiet() -> Callable[[], None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_a_table_is_built_once() -> None:
    first = corpora().table("sw").to_list()
    before = {path: path.stat().st_ino for path in paths.corpora_dir().iterdir()}
    assert corpora().table("sw").to_list() == first
    assert {path: path.stat().st_ino for path in paths.corpora_dir().iterdir()} == before
    assert len(before) == 2


@pytest.mark.parametrize(("ending", "step"), [(".arrow", 97), (".arrow.json", 37)])
def test_no_damage_to_a_table_or_its_record_changes_passages(
    quiet: None, ending: str, step: int
) -> None:
    right = corpora().table("sw").to_list()
    (file,) = (path for path in paths.corpora_dir().iterdir() if path.name.endswith(ending))
    tried, wrong = unseen(file, lambda: corpora().table("sw").to_list(), right, step)
    assert tried > 30
    assert wrong == []


def test_a_table_of_another_language_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    right = corpora().table("sw").to_list()
    (sw,) = paths.corpora_dir().glob("*.arrow")
    corpora().table("yo")
    (yo,) = set(paths.corpora_dir().glob("*.arrow")) - {sw}
    for suffix in ("", ".json"):
        sw.with_name(sw.name + suffix).write_bytes(yo.with_name(yo.name + suffix).read_bytes())
    assert corpora().table("sw").to_list() == right
    assert f"{sw} is not what its record says" in caplog.text


def test_a_table_without_a_record_is_built_again() -> None:
    """Version 0.1 wrote none."""
    right = corpora().table("sw").to_list()
    (table,) = paths.corpora_dir().glob("*.arrow")
    table.write_bytes(table.read_bytes()[::-1])
    table.with_name(f"{table.name}.json").unlink()
    assert corpora().table("sw").to_list() == right


@pytest.mark.parametrize("ending", [".arrow", ".arrow.json"])
def test_a_folder_in_the_place_of_either_file_is_replaced(ending: str) -> None:
    right = corpora().table("sw").to_list()
    (file,) = (path for path in paths.corpora_dir().iterdir() if path.name.endswith(ending))
    file.unlink()
    file.mkdir()
    assert corpora().table("sw").to_list() == right
    assert file.is_file()
