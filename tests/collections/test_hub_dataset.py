"""Data sets of the hub, kept as BEIR folders: by a folder in the hub's layout, and a bad hub."""

from pathlib import Path

import pytest
from mteb.abstasks.retrieval_dataset_loaders import RetrievalDatasetLoader
from toys.beir import write
from toys.hub import BAD, bad_hub, use_hub

from hybridir_mteb.collections.download import fetch, locate
from hybridir_mteb.collections.hub import HubDataset
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.paths import data_cache_dir

NAME = "owner/name"  # also a folder: the hub's library takes one for a data set
DATASET = HubDataset(NAME, "0" * 40, "pl")
CARD = """---
configs:
- config_name: corpus
  data_files: [{split: corpus, path: c.jsonl}]
- config_name: queries
  data_files: [{split: queries, path: q.jsonl}]
- config_name: default
  data_files: [{split: dev, path: r/dev.jsonl}, {split: test, path: r/test.jsonl}]
---
"""
CORPUS = [
    {"_id": "d1", "title": "Koty", "text": "Kot śpi.", "metadata": {"url": "x"}},
    {"_id": "d2", "title": "", "text": "Pies biega.", "metadata": {"url": "y"}},
]
QUERIES = [{"_id": "q1", "text": "śpiące"}, {"_id": "q2", "text": "tylko w dev"}]
QRELS = [
    {"query-id": "q1", "corpus-id": "d1", "score": 2},
    {"query-id": "q1", "corpus-id": "d2", "score": 0},
]


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set as MTEB's are, instead of the hub's; there is no mirror."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    place = tmp_path / NAME
    rows = {
        "c.jsonl": CORPUS,
        "q.jsonl": QUERIES,
        "r/test.jsonl": QRELS,
        "r/dev.jsonl": [{**QRELS[0], "query-id": "q2"}],
    }
    for name, content in rows.items():
        write(place / name, content)
    (place / "README.md").write_text(CARD)
    return place


def test_what_is_fetched_is_what_mtebs_loader_gives(upstream):
    assert locate(DATASET) is None
    folder = fetch(DATASET)
    assert folder == data_cache_dir() / "beir" / NAME
    found = read_beir_folder(folder, "test", "pl")
    theirs = RetrievalDatasetLoader(NAME, DATASET.revision).load()
    assert found.qrels == theirs["relevant_docs"] == {"q1": {"d1": 2, "d2": 0}}
    assert list(found.queries) == theirs["queries"]["id"] == ["q1"]
    passages = [(p.id, p.title, p.text) for p in found.passages.passages()]
    corpus = theirs["corpus"]
    assert passages == list(zip(corpus["id"], corpus["title"], corpus["text"], strict=True))


def test_a_folder_is_fetched_once_and_again_if_it_is_damaged_or_of_another_commit(upstream):
    folder = fetch(DATASET)
    (upstream / "README.md").unlink()
    assert fetch(DATASET) == locate(DATASET) == folder
    other = HubDataset(NAME, "1" * 40, "pl")
    assert locate(other) is None
    file = folder / "corpus.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?")
    assert locate(DATASET) is None
    file.write_bytes(content)
    assert locate(DATASET) == folder
    file.unlink()
    assert locate(DATASET) is None
    (upstream / "README.md").write_text(CARD)
    fetch(DATASET)
    assert file.is_file()


def test_a_mirrors_folder_comes_first(upstream, tmp_path, monkeypatch):
    fetch(DATASET)
    monkeypatch.setenv("HYBRIDIR_DATA_DIR", str(tmp_path / "mirror"))
    assert locate(DATASET) == data_cache_dir() / "beir" / NAME
    mirrored = tmp_path / "mirror" / "beir" / NAME
    write(mirrored / "qrels" / "test.tsv", [("q1", "d1", 1)])
    assert locate(DATASET) == fetch(DATASET) == mirrored


def test_a_data_set_without_judgements_says_what_it_has(upstream):
    (upstream / "README.md").write_text(CARD.replace("default", "other"))
    with pytest.raises(DataUnavailableError, match="no default or qrels with the split test: it"):
        fetch(DATASET)


@pytest.mark.parametrize("fault", ["401", "404", "500", "portal", "nothing"])
def test_a_hub_that_fails_is_one_line_with_both_ways_out(fault, tmp_path, monkeypatch):
    monkeypatch.delenv("HYBRIDIR_DATA_DIR", raising=False)
    with bad_hub(BAD[fault]) as address:
        use_hub(address, monkeypatch)
        with pytest.raises(DataUnavailableError) as caught:
            fetch(HubDataset("mteb/scifact", "0" * 40, "en"))
    said = str(caught.value)
    assert "\n" not in said
    assert "beir/mteb/scifact is needed and not here: HYBRIDIR_DATA_DIR is not set" in said
    assert "or put it as a folder in BEIR's layout at <folder>/beir/mteb/scifact" in said
