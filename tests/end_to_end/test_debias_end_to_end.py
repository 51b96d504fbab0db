"""A debiased encoder as a user makes and evaluates it: ``hybridir``, then the stock ``mteb``."""

import json
from pathlib import Path

import mteb
import pytest
from toys.cli import HYBRIDIR, MTEB, Workplace, succeed

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.cache import store_files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pocket_weights")]

NAME = "hybridir/pocket-base+centre"
TASK = "PocketQARMultilingualRetrieval"
FIT = ("debias", "fit", "--model", "hybridir/pocket-base", "--method", "centre")
SMALL = ("--languages", "de,en,ar", "--lines", "30")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Workplace:
    """A store with ``pocket-base+centre``, and the results of both encoders."""
    made = Workplace(tmp_path_factory.mktemp("debias"))
    variables = {**made.variables, "HYBRIDIR_DATA_DIR": str(data_dir)}
    variables["HYBRIDIR_MODEL_STORE"] = str(made.folder / "encoders")
    for _ in range(2):  # the second run finds all embeddings in the store
        done = succeed(HYBRIDIR, *FIT, *SMALL, cwd=made.folder, **variables)
        assert done.stdout.startswith(f"{NAME} ")
    assert "char/s" not in done.stderr
    for name in (NAME, "hybridir/pocket-base"):
        command = (MTEB, "run", "-m", name, "-t", TASK, "-l", "deu")
        made.run(*command, **variables)
    return made


def test_results_are_filed_under_name_and_fingerprint(place, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(place.folder / "encoders"))
    encoder = trained.get(NAME)
    assert encoder.place == "store"
    folder = place.output / "results" / "hybridir__pocket-base+centre" / encoder.fingerprint
    meta = json.loads((folder / "model_meta.json").read_text())
    assert (meta["name"], meta["revision"]) == (NAME, encoder.fingerprint)
    assert meta["adapted_from"] == "hybridir/pocket-base"
    assert meta["loader"] == "load_debiased"
    assert "NTREXBitextMining" in meta["training_datasets"]
    result = mteb.results.TaskResult.from_disk(folder / f"{TASK}.json")
    assert result.task_name == TASK
    cache = mteb.ResultCache(place.output)
    loaded = cache.load_results(models=[NAME], tasks=[TASK])
    (model_result,) = loaded.model_results
    assert (model_result.model_name, model_result.model_revision) == (NAME, encoder.fingerprint)


def test_the_base_and_the_debiased_encoder_share_their_embeddings(place):
    (file,) = store_files(place.store)
    assert file.label == "hybridir/pocket-base"


def test_centring_helps_among_passages_of_all_languages(place):
    found = {}
    for name in ("pocket-base", "pocket-base+centre"):
        folder = place.output / "results" / f"hybridir__{name}"
        (file,) = folder.rglob(f"{TASK}.json")
        (split,) = json.loads(file.read_text())["scores"].values()
        found[name] = {score["hf_subset"]: score for score in split}
    before, after = (found[name]["de"] for name in ("pocket-base", "pocket-base+centre"))
    assert after["map"] > before["map"]
    assert after["rank_distance"] < before["rank_distance"]
