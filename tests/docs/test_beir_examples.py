"""The scripts of ``docs/examples/beir``, run as their readers run them."""

import re
import runpy
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.search import dense
from beir.retrieval.search.dense.exact_search import DenseRetrievalExactSearch
from toys import REPOSITORY
from toys.beir import BeirHash, toy_set
from toys.cli import succeed

from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.beir.faiss import FlatIPFaissSearch
from hybridir_mteb.adapters.beir.search import ExactSearch
from hybridir_mteb.export import export_task

EXAMPLES = REPOSITORY / "docs" / "examples" / "beir"
WORDS = 400


def run_alone(script: str, *arguments: str | Path, place: Path) -> dict[str, float]:
    """The measures that a script prints, in a process of its own that works in a folder."""
    return measures(succeed(sys.executable, EXAMPLES / script, *arguments, cwd=place).stdout)


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, float]]:
    """The same in this process, which has imported everything."""

    def run(script: str, *arguments: str | Path) -> dict[str, float]:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return measures(capsys.readouterr().out)

    return run


def measures(printed: str) -> dict[str, float]:
    found = re.findall(r"^((?:NDCG|MAP|Recall|P|MRR)@\d+): (\S+)$", printed, re.MULTILINE)
    return {name: float(value) for name, value in found}


def bag_of_words(folder: Path, place: Path) -> Path:
    """An encoder in a folder, quick enough for the whole of Cranfield: counts of rarer words."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    corpus, _, _ = GenericDataLoader(str(folder)).load("test")
    counts = Counter(word for row in corpus.values() for word in row["text"].split())
    words = sorted(word for word, _ in counts.most_common(WORDS + 100)[100:])
    weights = {word: 1 / counts[word] for word in words}
    model = SentenceTransformer(modules=[BoW(words, word_weights=weights)], device="cpu")
    model.save(str(place))
    return place


@pytest.mark.slow
def test_both_scripts_give_the_same_on_cranfield(data_dir, tmp_path, run_here):
    folder = data_dir / "cranfield-beir"
    encoder = bag_of_words(folder, tmp_path / "encoder")
    (tmp_path / "datasets").mkdir()  # BEIR downloads no archive that is there
    archive = tmp_path / "datasets" / "cranfield-beir"
    shutil.make_archive(str(archive), "zip", data_dir, folder.name)
    address = "https://example.org/cranfield-beir.zip"
    theirs = run_alone("evaluate_dense.py", address, encoder, place=tmp_path)
    assert set(theirs) >= {"NDCG@10", "MAP@1000", "Recall@100", "P@1", "MRR@10"}
    assert 0.1 < theirs["NDCG@10"] < 0.5
    mine = run_here("exact_search.py", folder, tmp_path / "embeddings", encoder)
    for name in ("NDCG@10", "MAP@100", "Recall@100", "MRR@10"):
        assert mine[name] == pytest.approx(theirs[name], abs=2e-3)  # texts tie in a bag of words


@pytest.mark.slow
@pytest.mark.usefixtures("pocket_weights")
def test_an_exported_collection_is_scored_by_the_script(tmp_path, run_here):
    done = export_task("PocketQARMonolingualRetrieval", tmp_path / "set", subsets=["de"])
    found = run_here("evaluate_dense.py", done.folder / "de", "hybridir/pocket-base")
    assert 0.8 < found["NDCG@10"] < 1


class FlatIP(dense.FlatIPFaissSearch):  # type: ignore[misc]
    """BEIR's own, with the two methods that it lacks."""

    encode = search_from_files = None


def test_what_the_page_says_of_beir_is_true():
    """If one of these fails, BEIR has been mended, and the page and our classes can go."""
    corpus, queries, _ = toy_set(n_passages=5)
    encoder = BeirEncoder(BeirHash())
    lowest = [
        min(search.search(corpus, queries, 10, "dot")["0"].values())
        for search in (FlatIP(encoder), FlatIPFaissSearch(encoder))
    ]
    assert lowest[0] < -1e38  # overwrites the score of a passage that it had found
    assert lowest[1] > -2
    untitled = {key: {**row, "title": None} for key, row in corpus.items()}
    with pytest.raises(TypeError):
        DenseRetrievalExactSearch(encoder, show_progress_bar=False).search(
            untitled, queries, 3, "dot"
        )
    for search in (ExactSearch(encoder), FlatIPFaissSearch(encoder)):
        assert len(search.search(untitled, queries, 3, "dot")["1"]) == 3


def test_without_beir_the_message_says_what_to_install(monkeypatch):
    from hybridir_mteb.adapters import beir

    monkeypatch.setitem(sys.modules, "beir.retrieval.search", None)
    for name in ("search", "encoder"):
        monkeypatch.delitem(sys.modules, f"hybridir_mteb.adapters.beir.{name}", raising=False)
    with pytest.raises(ImportError, match=r'pip install "hybridir-mteb\[beir\]"'):
        beir.ExactSearch  # noqa: B018 -- resolved at first use
    assert beir.BeirEncoder.__name__ == "BeirEncoder"
