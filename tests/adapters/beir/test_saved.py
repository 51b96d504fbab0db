"""Files of saved embeddings: damage and mixed files are seen, those of version 0.1 are used."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from toys.beir import BeirHash, toy_set
from toys.damage import unseen

from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.beir.search import ExactSearch, Results
from hybridir_mteb.adapters.beir.stored import read
from hybridir_mteb.errors import DataFormatError

CORPUS, QUERIES, _ = toy_set()
CORPUS, QUERIES = dict(list(CORPUS.items())[:12]), dict(list(QUERIES.items())[:2])


@pytest.fixture
def search() -> ExactSearch:
    return ExactSearch(BeirEncoder(BeirHash()), corpus_chunk_size=5, show_progress_bar=False)


@pytest.fixture
def folder(search: ExactSearch, tmp_path: Path) -> Path:
    search.encode(CORPUS, QUERIES, str(tmp_path / "saved"))
    return tmp_path / "saved"


def found(search: ExactSearch, folder: Path) -> Results:
    files = [str(path) for path in folder.glob("corpus.*.pkl")]
    return search.search_from_files(str(folder / "queries.pkl"), files, 5)


def as_of_0_1(path: Path) -> None:
    with np.load(path) as file:
        parts = {name: file[name] for name in ("ids", "embeddings", "key")}
    with path.open("wb") as stream:
        np.savez(stream, **parts)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["now", "0.1"])
@pytest.mark.parametrize("name", ["queries.pkl", "corpus.1.pkl"])
def test_no_damage_changes_what_is_found(
    search: ExactSearch, folder: Path, version: str, name: str
) -> None:
    right = found(search, folder)
    if version == "0.1":
        as_of_0_1(folder / name)
    tried, wrong = unseen(folder / name, lambda: found(search, folder), right, step=41)
    assert tried > 200
    assert wrong == []


@pytest.mark.parametrize("name", ["queries.pkl", "corpus.0.pkl", "corpus.2.pkl"])
def test_files_of_0_1_are_found_and_sealed(search: ExactSearch, folder: Path, name: str) -> None:
    right = found(search, folder)
    as_of_0_1(folder / name)
    assert read(folder / name).about is None
    assert found(search, folder) == right
    search.embed = None  # nothing is encoded
    search.encode(CORPUS, QUERIES, str(folder))
    assert read(folder / name).about is not None
    assert found(search, folder) == right


def test_a_part_of_the_files_is_refused(search: ExactSearch, folder: Path) -> None:
    (folder / "corpus.1.pkl").unlink()
    with pytest.raises(DataFormatError, match="one of 3 files of its corpus, and 2 are given"):
        found(search, folder)


def test_a_corpus_that_grew_keeps_what_was_encoded(search: ExactSearch, folder: Path) -> None:
    shorter = dict(list(CORPUS.items())[:10])
    search.encode(shorter, QUERIES, str(folder), overwrite=True)
    encoded, embed = [], search.embed
    search.embed = lambda what, rows: encoded.extend(rows) or embed(what, rows)
    search.encode(CORPUS, QUERIES, str(folder))
    assert len(encoded) == 2
    assert found(search, folder) == search.search(CORPUS, QUERIES, 5, "cos_sim")


def test_files_of_another_encoder_or_role_are_refused(
    search: ExactSearch, folder: Path, tmp_path: Path
) -> None:
    class Other(BeirHash):
        """Of the same width."""

    other, there = ExactSearch(BeirEncoder(Other()), corpus_chunk_size=5), tmp_path / "other"
    other.model.embedding_key = lambda role: f"other {role}"
    search.model.embedding_key = lambda role: f"one {role}"
    for each, place in ((search, folder), (other, there)):
        each.encode(CORPUS, QUERIES, str(place), overwrite=True)
    for name in ("corpus.1.pkl", "queries.pkl"):
        shutil.copy(folder / name, tmp_path / "kept")
        shutil.copy(there / name, folder / name)
        with pytest.raises(DataFormatError, match="of another encoder"):
            found(search, folder)
        shutil.copy(tmp_path / "kept", folder / name)
    shutil.copy(folder / "corpus.1.pkl", folder / "queries.pkl")
    with pytest.raises(DataFormatError, match="holds embeddings of passage texts, not query"):
        found(search, folder)
