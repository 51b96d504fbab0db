"""The store of trained encoders, its command line, and what MTEB is told about them."""

import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import mteb
import pytest
import torch
from mteb.models.model_implementations import MODEL_REGISTRY
from safetensors.torch import load_file, save_file
from toys import REPOSITORY
from toys.cli import run
from toys.stored import NAME, OF_BOTH, describe

from hybridir_mteb.adapters.mteb.load import load_encoder
from hybridir_mteb.adapters.mteb.metas import encoder_metas
from hybridir_mteb.adapters.mteb.register import _register_encoders
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.gemma.files import SHA256 as GGUF_SHA256
from hybridir_mteb.encoders.hub import from_hub, to_hub
from hybridir_mteb.encoders.load import load_sentence_transformer
from hybridir_mteb.encoders.muse.files import SHA256, WEIGHTS
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.encoders.trained_record import check_record
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    SettingError,
    UnknownNameError,
)
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.training.methods import METHODS
from hybridir_mteb.training.recipe import read_recipe

SHIPPED = (
    *("mono", "cross", "hybrid", "mixed", "bilingual"),
    *("adversarial", "hybrid-adversarial", "erasure", "consistency"),
)


def fill(folder: Path, value: float = 0.0, **changes: object) -> None:
    """An encoder's folder with a made-up adapter."""
    save_file({"w": torch.full((2, 2), value)}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"lora_alpha": 32}')
    describe(folder, **changes)


def add(value: float = 0.0, **changes: object) -> trained.StoredEncoder:
    with trained.keep(str(changes.get("name", NAME))) as place:
        fill(place.folder, value, **changes)
    assert place.kept is not None
    return place.kept


def test_the_newest_encoder_is_found_unless_a_revision_asks():
    old, new = add(1.0), add(2.0, created="2026-02-01T00:00:00+00:00")
    assert old.fingerprint != new.fingerprint
    assert trained.get(NAME).fingerprint == new.fingerprint
    assert trained.get(NAME, old.fingerprint[:10]).fingerprint == old.fingerprint
    assert [e.fingerprint for e in trained.remove(NAME, old.fingerprint)] == [old.fingerprint]
    assert trained.find(NAME, old.fingerprint) is None
    with pytest.raises(UnknownNameError, match="Did you mean hybridir/xlmr-hybrid"):
        trained.get("hybridir/xlmr-hybird")


def test_nothing_half_written_enters_the_store(tmp_path):
    def fails_at_the_end() -> None:
        with trained.keep(NAME) as place:
            fill(place.folder)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fails_at_the_end()
    with pytest.raises(DataFormatError, match=r"no hybridir\.json"), trained.keep(NAME):
        pass
    with pytest.raises(ChecksumError, match="fingerprint"):
        add(fingerprint="0" * 64)
    assert [encoder for encoder in trained.encoders() if encoder.place == "store"] == []
    with pytest.raises(SettingError, match="named hybridir/"), trained.keep("hybridir/../evil"):
        pass


def test_export_and_import_give_the_same_encoder(tmp_path):
    encoder = add(3.0)
    archive = trained.export(encoder, tmp_path / "encoder.zip")
    with pytest.raises(SettingError, match="exists"):
        trained.export(encoder, archive)
    trained.remove(NAME)
    assert trained.import_encoder(archive).fingerprint == encoder.fingerprint
    folder = trained.get(NAME).path
    copied = tmp_path / "folder"
    folder.rename(copied)
    assert trained.import_encoder(copied).fingerprint == encoder.fingerprint


@pytest.mark.parametrize("name", ["../evil.json", "/evil.json", "weights.bin", "run.py", "a.pkl"])
def test_an_archive_with_other_files_is_refused(tmp_path, name):
    archive = trained.export(add(), tmp_path / "encoder.zip")
    with zipfile.ZipFile(archive, "a") as stream:
        stream.writestr(name, "evil")
    with pytest.raises(DataFormatError, match=r"outside the archive|safetensors only"):
        trained.import_encoder(archive)
    assert not list(tmp_path.rglob("evil*"))


def test_changed_weights_are_never_used(tmp_path):
    encoder = add()
    save_file({"w": torch.ones(2, 2)}, encoder.path / "adapter_model.safetensors")
    with pytest.raises(ChecksumError, match="hybridir models rm"):
        load_encoder(NAME)
    archive = trained.export(encoder, tmp_path / "bad.zip")
    with pytest.raises(ChecksumError):
        trained.import_encoder(archive)
    (tmp_path / "no.zip").write_bytes(b"no archive")
    with pytest.raises(DataFormatError, match="not an exported encoder"):
        trained.import_encoder(tmp_path / "no.zip")


def test_mteb_is_told_the_truth_about_a_trained_encoder():
    encoder = add()
    metas = {meta.name: meta for meta in encoder_metas(list(BACKBONES), list(METHODS))}
    meta = metas[NAME]
    assert meta.revision == encoder.fingerprint
    assert meta.training_datasets == {"NTREXBitextMining"}
    assert (meta.embed_dim, meta.n_parameters) == (2, 4)
    assert meta.adapted_from == "FacebookAI/xlm-roberta-base"
    assert metas["hybridir/xlmr-mono"].revision == NOT_HERE
    assert metas["hybridir/llama3.1-70b-hybrid"].adapted_from == "meta-llama/Llama-3.1-70B"
    base = metas["hybridir/xlmr-base"]  # the backbone as it was published
    assert base.adapted_from == "FacebookAI/xlm-roberta-base"
    assert base.revision == MODEL_REGISTRY["FacebookAI/xlm-roberta-base"].revision
    assert metas["hybridir/llama3.1-70b-base"].revision == NOT_HERE
    muse = metas["hybridir/muse-base"]
    assert (muse.revision, muse.n_parameters) == (SHA256[WEIGHTS], 68_927_232)
    assert muse.training_datasets is None
    gemma = metas["hybridir/gemma3-270m-base"]
    assert (gemma.revision, gemma.n_parameters) == (GGUF_SHA256, 268_098_176)
    assert (gemma.license, gemma.adapted_from) == ("gemma", "google/gemma-3-270m")
    assert metas["hybridir/gemma3-270m-mono"].revision == NOT_HERE
    assert "hybridir/decoder-base" not in metas  # it has no weights of its own
    assert metas["hybridir/decoder-mono"].adapted_from is None
    e5 = metas["hybridir/me5s-hybrid"].training_datasets
    assert e5 is not None
    assert "MIRACLRetrieval" in e5


def test_mteb_is_told_the_truth_about_weights_that_were_given():
    facts = {
        "embedding_parameters": 3,
        "longest_input": 64,
        "memory_mb": 7,
        "license": "mit",
        "languages": ["de", "tlh"],
    }
    backbone = {"name": "xlmr", "hub_id": "x/y", "weights": "some/model", "revision": "0" * 40}
    add(name="hybridir/xlmr-one", backbone=backbone, facts=facts)
    add(
        name="hybridir/xlmr-two", backbone={**backbone, "weights": "intfloat/multilingual-e5-small"}
    )
    local = {**backbone, "weights": "/a/b/mine", "revision": "local", "digest": "d"}
    add(name="hybridir/xlmr-three", backbone=local, languages=["fr"])  # of a version without facts
    metas = {meta.name: meta for meta in encoder_metas(list(BACKBONES), list(METHODS))}
    one, two, three = (metas[f"hybridir/xlmr-{name}"] for name in ("one", "two", "three"))
    assert (one.adapted_from, one.license, one.languages) == ("some/model", "mit", ["deu-Latn"])
    assert (one.n_embedding_parameters, one.max_tokens, one.memory_usage_mb) == (3, 64, 7)
    assert one.training_datasets is None  # nobody knows what it has seen
    assert two.adapted_from == "intfloat/multilingual-e5-small"
    assert two.training_datasets is not None
    assert "MIRACLRetrieval" in two.training_datasets
    assert (three.adapted_from, three.languages) == ("local/mine", ["fra-Latn"])
    assert (three.n_embedding_parameters, three.max_tokens, three.license) == (None, None, None)


@pytest.mark.parametrize(
    "facts", [7, {"longest_input": "x"}, {"languages": [{}]}, {"memory_mb": True}]
)
def test_facts_that_are_none_give_no_metadata(facts):
    with pytest.raises(DataFormatError, match="'facts'"):
        check_record({**OF_BOTH, "fingerprint": "f", "facts": facts}, "here")


def test_mteb_is_told_of_leaks_that_were_allowed():
    add(leak_check={"allowed_leaks": ["…"], "leaked_sets": ["XQuADR"]})
    (meta,) = [m for m in encoder_metas(list(BACKBONES), list(METHODS)) if m.name == NAME]
    assert meta.training_datasets is not None
    assert {"XQuADRMultilingualRetrieval", "XQuADRetrieval"} <= meta.training_datasets
    assert not meta.is_zero_shot_on([mteb.get_task("XQuADRMultilingualRetrieval")])


def test_arguments_that_nobody_reads_are_refused():
    with pytest.raises(TypeError, match="alpha"):
        load_encoder(NAME, alpha=0.3)


def test_the_command_line_lists_shows_exports_imports_and_removes(tmp_path):
    encoder, archive = add(), str(tmp_path / "e.zip")
    assert "# the card" in run("models", "show", NAME)
    run("models", "export", NAME, archive)
    assert not encoder.path.exists() or "removed" in run("models", "rm", NAME)
    assert encoder.fingerprint in run("models", "import", archive).replace("\n", "")
    assert trained.get(NAME).fingerprint == encoder.fingerprint


def test_an_encoder_that_is_nowhere_says_how_to_get_it():
    with pytest.raises(
        DataUnavailableError, match="hybridir train --backbone xlmr --method hybrid"
    ):
        load_encoder(NAME)


def test_an_encoder_of_the_hub_enters_the_store_only_if_it_is_the_one_asked_for(
    tmp_path, monkeypatch
):
    """A local folder stands for what the hub would send."""
    hub = tmp_path / "snapshot"
    hub.mkdir()
    fill(hub, 4.0)
    asked = []

    def snapshot_download(name: str, **options: object) -> str:
        asked.append((name, options))
        return str(hub)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    expected = trained.read_encoder(hub).fingerprint
    with pytest.raises(DataUnavailableError, match=f"has the revision {expected}"):
        from_hub(NAME, "0" * 64)
    assert trained.find(NAME) is None
    assert from_hub(NAME, expected).fingerprint == expected
    assert trained.get(NAME).place == "store"
    name, options = asked[0]
    assert name == NAME
    assert "*.safetensors" in options["allow_patterns"]
    assert not [pattern for pattern in options["allow_patterns"] if "bin" in pattern]
    save_file({"w": torch.ones(2, 2)}, hub / "adapter_model.safetensors")
    with pytest.raises(ChecksumError):
        from_hub(NAME, None)


def test_an_encoder_is_pushed_whole_and_only_if_sound(monkeypatch):
    done = []

    class Api:
        def create_repo(self, repository: str, **options: object) -> None:
            done.append((repository, options))

        def upload_folder(self, **options: object) -> str:
            done.append(options)
            return "https://hub/commit"

    encoder = add(5.0)
    with pytest.raises(DataUnavailableError, match="Unset HF_HUB_OFFLINE"):
        to_hub(encoder, "me/encoder", private=True)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    assert to_hub(encoder, "me/encoder", private=True) == "https://hub/commit"
    assert done == [
        ("me/encoder", {"private": True, "exist_ok": True}),
        {"repo_id": "me/encoder", "folder_path": encoder.path},
    ]
    save_file({"w": torch.ones(2, 2)}, encoder.path / "adapter_model.safetensors")
    with pytest.raises(ChecksumError):
        to_hub(encoder, "me/encoder", private=True)


def packaged() -> list[trained.StoredEncoder]:
    """Trained ones: debiased encoders have tests of their own."""
    return [
        encoder
        for encoder in trained.encoders()
        if encoder.place == "package" and "debiaser" not in encoder.record
    ]


def test_the_package_ships_nine_small_sound_encoders_of_its_own_recipes():
    methods = {encoder.record["method"] for encoder in packaged()}
    assert methods == set(SHIPPED)
    sizes = []
    for encoder in packaged():
        trained.verify(encoder)
        assert encoder.is_adapter
        assert "terms" not in encoder.record["backbone"]  # those of others' models do not ship
        sizes.append(sum(path.stat().st_size for path in encoder.path.iterdir()))
        weights = load_file(encoder.path / "adapter_model.safetensors")
        assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
        assert encoder.record["leak_check"]["not_at_hand"] == []
        assert encoder.record["leak_check"]["allowed_leaks"] == []
        seed, method = encoder.record["recipe"]["seed"], encoder.record["method"]
        recipe = read_recipe(Path(f"pocket-{method}"), seed=seed)
        assert encoder.record["recipe"] == recipe.model_dump(mode="json")
    assert max(sizes) < 3e6
    assert sum(sizes) < 15e6


def test_the_shipped_seed_is_the_median_by_the_held_out_criterion():
    results = REPOSITORY / "docs/results/train-pocket.json"
    methods = json.loads(results.read_text())["methods"]
    assert list(methods) == list(SHIPPED)
    for method, found in methods.items():
        encoder = trained.get(f"hybridir/pocket-{method}")
        order = sorted(found["held_out"], key=lambda s: found["held_out"][s]["criterion"])
        assert len(order) == 5
        assert int(order[len(order) // 2]) == found["shipped_seed"]
        assert encoder.record["recipe"]["seed"] == found["shipped_seed"]
        assert encoder.fingerprint == found["fingerprint"]
        assert (
            encoder.record["selection"]["encoder"] == found["held_out"][str(found["shipped_seed"])]
        )


def test_a_packaged_encoder_cannot_be_removed_and_gives_way_to_one_in_the_store():
    (shipped,) = [e for e in packaged() if e.name == "hybridir/pocket-hybrid"]
    with pytest.raises(UnknownNameError, match="holds no"):
        trained.remove(shipped.name)
    imported = trained.import_encoder(shipped.path)
    assert imported.fingerprint == shipped.fingerprint
    assert trained.get(shipped.name).place == "store"


def test_equal_encoders_from_many_threads_are_never_missing_or_broken():
    """The second keeps the files of the first and says who made it last."""
    first = add()
    weights = first.path / "adapter_model.safetensors"
    inode = weights.stat().st_ino
    stop = threading.Event()

    def read() -> int:
        seen = 0
        while not stop.is_set() or not seen:
            trained.verify(trained.get(NAME, first.fingerprint))
            seen += 1
        return seen

    with ThreadPoolExecutor(10) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        made = [
            pool.submit(add, created=f"2026-02-{1 + at % 28:02}T00:00:00+00:00") for at in range(60)
        ]
        fingerprints = {future.result().fingerprint for future in made}
        stop.set()
        assert all(reader.result() for reader in readers)
    assert fingerprints == {first.fingerprint}
    assert weights.stat().st_ino == inode
    assert trained.get(NAME).record["created"].startswith("2026-02")
    assert [path.name for path in first.path.parent.iterdir()] == [first.fingerprint]
    assert not list(first.path.glob(".*"))


def test_equal_encoders_that_arrive_at_once_both_enter(monkeypatch):
    barrier = threading.Barrier(6)
    take_place = trained.take_place

    def together(*arguments: Any) -> None:
        barrier.wait(timeout=60)
        take_place(*arguments)

    monkeypatch.setattr(trained, "take_place", together)
    with ThreadPoolExecutor(6) as pool:
        made = [future.result() for future in [pool.submit(add, 7.0) for _ in range(6)]]
    assert len({encoder.path for encoder in made}) == 1
    trained.verify(made[0])


def test_a_damaged_encoder_is_repaired_in_its_place():
    encoder = add()
    save_file({"w": torch.ones(2, 2)}, encoder.path / "adapter_model.safetensors")
    save_file({"w": torch.ones(2, 2)}, encoder.path / "other.safetensors")
    assert add().path == encoder.path
    trained.verify(trained.get(NAME))


BAD_RECORDS: list[tuple[dict[str, object], str]] = [
    ({"created": 3}, "created"),
    ({"created": "yesterday"}, "created"),
    ({"dimension": "many"}, "dimension"),
    ({"parameters": None}, "parameters"),
    ({"data": {}}, "data"),
    ({"data": [{"source": "x"}]}, "source and origin"),
    ({"backbone": {"revision": "rev", "name": "xlmr"}}, "backbone.weights"),
    ({"backbone": {"revision": "rev"}}, "backbone.name"),
    ({"leak_check": {"leaked_sets": "XQuADR"}}, "leaked_sets"),
    ({"debiaser": {}, "similarity": "cosine"}, "backbone.model_revision"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_RECORDS)
def test_one_bad_record_takes_no_other_encoder_away_and_is_not_imported(changes, message, tmp_path):
    encoder = add(**changes)
    plugins = load_plugins()
    _register_encoders(plugins)
    (problem,) = (line for line in plugins.problems if NAME in line)
    assert "is skipped" in problem
    assert message in problem
    assert NAME not in plugins.models
    assert {"hybridir/pocket-mono", "hybridir/pocket-base+centre"} <= set(plugins.models)
    archive = trained.export(encoder, tmp_path / "encoder.zip")
    folder = tmp_path / "folder"
    encoder.path.rename(folder)
    for source in (archive, folder):
        with pytest.raises(DataFormatError, match=message):
            trained.import_encoder(source)
    assert trained.find(NAME) is None


def test_every_encoder_of_the_package_has_a_usable_record():
    found = [encoder for encoder in trained.encoders() if encoder.place == "package"]
    folders = {path.name for path in trained.PACKAGED.iterdir() if path.is_dir()}
    assert {encoder.path.name for encoder in found} == folders
    assert len(found) == 9 + 6 * 4  # trained ones; five of them and the base with each debiaser
    for encoder in found:
        check_record(encoder.record, encoder.path)


def test_other_embedded_weights_than_the_encoder_was_trained_from_are_refused():
    encoder = trained.get("hybridir/pocket-hybrid")

    def of_next_version(name):
        return replace(installed_plugins().backbones[name], sha256="f" * 64)

    with pytest.raises(ChecksumError, match=r"was trained from other weights of pocket than .*fff"):
        load_sentence_transformer(encoder, of_next_version)
