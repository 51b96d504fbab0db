"""What an encoder's files hold is what its fingerprint and its record say."""

import json
import logging
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from toys.stored import describe

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.contents import OFFICIAL, backbone_digest, official, official_entry
from hybridir_mteb.encoders.load import load_sentence_transformer
from hybridir_mteb.errors import (
    ChecksumError,
    DataFormatError,
    DataUnavailableError,
    SettingError,
    TrainingError,
    UnknownNameError,
)
from hybridir_mteb.training.plan import BACKBONE, check_backbone, digest_of_weights

NAME, SHIPPED = "hybridir/xlmr-hybrid", trained.PACKAGED / "pocket-hybrid"
OF_0_1 = Path(__file__).parent / "of_0_1" / "pocket-hybrid"  # as version 0.1 had it in its package
FILES = {
    "adapter_config.json": '{"lora_alpha": 32}',
    "model/modules.json": "[]",
    "model/config.json": '{"num_attention_heads": 2}',
    "model/tokenizer.json": "{}",
    "model/1_Pooling/config.json": '{"pooling_mode": "mean"}',
    "model/sentence_bert_config.json": "{}",
    "model/vocab.txt": "a\n",
}


def store(**changes: Any) -> trained.StoredEncoder:
    """An encoder of made-up files in the store."""
    with trained.keep(NAME) as place:
        for name, text in FILES.items():
            path = place.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        save_file({"w": torch.zeros(2, 2)}, place.folder / "adapter_model.safetensors")
        describe(place.folder, "the card\n", **{"data": [], **changes})
    return place.kept


@pytest.mark.parametrize("name", [*FILES, "adapter_model.safetensors"])
def test_every_file_that_loading_reads_is_checked(name):
    encoder = store()
    trained.verify(encoder)
    path = encoder.path / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ChecksumError, match=f"{path} was changed.*hybridir models rm {NAME}"):
        trained.verify(encoder)
    path.unlink()
    with pytest.raises((ChecksumError, DataFormatError), match=r"is missing|no weights"):
        trained.verify(encoder)
    assert store().path == encoder.path  # mended in its place
    trained.verify(trained.get(NAME))


ODD: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to a folder": lambda path: path.symlink_to(path.parent.parent),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "model/1_Pooling/config.json"])
@pytest.mark.parametrize("of_0_1", [False, True])
def test_what_is_no_file_is_refused_and_not_waited_for(name, kind, of_0_1):
    encoder = store()
    path = encoder.path / name
    path.unlink()
    ODD[kind](path)
    record = {key: encoder.record[key] for key in encoder.record if key != "files" or not of_0_1}
    with pytest.raises(DataFormatError, match=re.escape(f"{path}: a link to a folder")):
        trained.verify(replace(encoder, record=record))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("vocab.txt", kind) for kind in ODD),  # one too many
        *(("adapter_config.json", kind) for kind in (*ODD, "a folder")),
    ],
)
def test_storing_an_encoder_again_mends_what_is_no_file(name, kind):
    encoder = store()
    path = encoder.path / name
    path.unlink(missing_ok=True)
    {**ODD, "a folder": Path.mkdir}[kind](path)
    with pytest.raises((DataFormatError, ChecksumError)):
        trained.verify(encoder)
    assert store().path == encoder.path
    trained.verify(trained.get(NAME))


@pytest.mark.parametrize("kind", ODD)
def test_a_backbone_with_what_is_no_file_is_refused(tmp_path, kind):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    plain = backbone_digest(tmp_path / "model")
    (tmp_path / "model" / "notes.log").symlink_to("/dev/zero")  # not read
    (tmp_path / "model" / "of.json").mkdir()
    assert backbone_digest(tmp_path / "model") == plain
    ODD[kind](tmp_path / "model" / "modules.json")
    with pytest.raises(DataFormatError, match=r"modules\.json: a link to a folder"):
        backbone_digest(tmp_path / "model")


def test_a_file_more_is_refused():
    encoder = store()
    (encoder.path / "model/special_tokens_map.json").write_text("{}")
    with pytest.raises(ChecksumError, match=r"special_tokens_map\.json is not of this encoder"):
        trained.verify(encoder)


def test_other_files_and_another_backbone_are_another_revision():
    first = store()
    local = {**first.record["backbone"], "revision": "local", "weights": "/a", "digest": "0"}
    there = {**local, "weights": "/b"}
    other = {**local, "digest": "1"}
    prints = [first.fingerprint, *(store(backbone=b).fingerprint for b in (local, there, other))]
    assert prints[1] == prints[2]  # the same files in another place
    assert len(set(prints)) == 3


def changed(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}, indent=1))


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("adapter_config.json", {"lora_alpha": 64}),
        ("hybridir.json", {"dimension": 2}),
        ("hybridir.json", {"created": "2026-11-25T00:00:00+00:00", "dimension": 2}),
        ("hybridir.json", {"data": []}),
    ],
)
def test_no_official_encoder_is_replaced_under_its_revision(tmp_path, name, values, kind):
    copy = tmp_path / "copy"
    shutil.copytree(OF_0_1, copy)
    changed(copy, name, **values)
    source = copy
    if kind == "archive":
        source = tmp_path / "copy.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in copy.iterdir():
                archive.write(path, path.name)
    with pytest.raises((ChecksumError, DataFormatError), match=name):
        trained.import_encoder(source, over_shipped=True)
    found = trained.get("hybridir/pocket-hybrid")
    assert found.place == "package"
    trained.verify(found)


def test_what_is_published_is_what_the_package_of_0_1_held():
    """Some of it, the debiased backbone, still ships."""
    folders = [OF_0_1, *trained.PACKAGED.glob("pocket-base+*")]
    prints = {trained.read_encoder(folder).fingerprint: folder for folder in folders}
    assert len(prints) == 5
    found = official()
    assert len(found) == 5 + 6 * 4  # trained ones; each of them and the base with each debiaser
    for key, folder in prints.items():
        assert found[key] == official_entry(folder)
    assert OFFICIAL.parent == trained.PACKAGED


def test_an_encoder_that_version_0_1_had_in_its_package_is_imported_as_it_was(tmp_path):
    """It has the name of one that ships now, under its own revision."""
    old = trained.read_encoder(OF_0_1)
    with pytest.raises(SettingError, match="pocket-hybrid"):
        trained.import_encoder(OF_0_1)
    kept = trained.import_encoder(OF_0_1, over_shipped=True)
    assert kept.fingerprint == old.fingerprint != trained.read_encoder(SHIPPED).fingerprint
    trained.verify(kept)
    assert trained.get("hybridir/pocket-hybrid", old.fingerprint).place == "store"


def test_an_encoder_that_version_0_1_trained_is_found(tmp_path):
    """Its record has no seal, and its fingerprint is of weights and the backbone's revision."""
    home = tmp_path / "old"
    shutil.copytree(OF_0_1, home)
    save_file({"w": torch.ones(2, 2)}, home / "adapter_model.safetensors")
    revision = json.loads((home / "hybridir.json").read_text())["backbone"]["revision"]
    changed(home, "hybridir.json", fingerprint=trained.weights_fingerprint(home, revision))
    kept = trained.import_encoder(home, over_shipped=True)
    assert kept.fingerprint == trained.weights_fingerprint(home, revision)
    assert trained.get("hybridir/pocket-hybrid").place == "store"


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def tried(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """The record, or what is wrong with it."""
    try:
        return trained.read_encoder(folder).record, ""
    except DataFormatError as error:
        return None, str(error)


def test_a_flipped_bit_anywhere_in_a_record_is_seen_and_stops_no_other():
    encoder, other = store(), "hybridir/pocket-mono"
    path = encoder.path / trained.RECORD
    sound, before = path.read_bytes(), encoder.record
    problems = []
    for at in range(0, len(sound), 3):
        path.write_bytes(flipped(sound, at))
        found, problem = tried(encoder.path)
        assert problem or found == before  # a blank between values
        problems += [problem] if problem else []
    assert len(problems) > len(sound) / 4
    assert all(str(path) in text and "import the encoder again" in text for text in problems)
    path.write_bytes(flipped(sound, sound.index(b'"dimension": 2') + 13))
    names = {found.name for found in trained.encoders()}
    assert NAME not in names
    assert other in names


@pytest.mark.parametrize("shipped", [SHIPPED, OF_0_1], ids=["now", "by 0.1"])
def test_a_flipped_bit_in_a_shipped_record_is_seen(shipped, tmp_path):
    copy = tmp_path / "pocket-hybrid"
    shutil.copytree(shipped, copy)
    path, sound = copy / trained.RECORD, (shipped / trained.RECORD).read_bytes()
    before = trained.read_encoder(shipped).record
    unprotected = sound.index(b'"created"'), sound.index(b'"backbone"')  # who it says it is
    for at in [*range(0, unprotected[0], 7), *range(unprotected[1], len(sound), 97)]:
        path.write_bytes(flipped(sound, at))
        found, problem = tried(copy)
        if not problem and found != before:
            with pytest.raises(ChecksumError):
                trained.verify(trained.read_encoder(copy))


# Backbones in a folder ---------------------------------------------------------------------------


def write_backbone(folder: Path) -> Path:
    names = ("config.json", "tokenizer.json", "1_Pooling/config.json", "modeling.py")
    for name in (*names, "2_Dense/pytorch_model.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    save_file({"w": torch.zeros(2, 2)}, folder / "model.safetensors")
    (folder / "README.md").write_text("about")
    return folder


@pytest.mark.parametrize(
    "name",
    [
        *("config.json", "tokenizer.json", "1_Pooling/config.json", "model.safetensors"),
        "2_Dense/pytorch_model.bin",  # modules of sentence-transformers read it where it is alone
    ],
)
def test_a_backbone_is_known_by_what_loading_reads(tmp_path, name):
    folder = write_backbone(tmp_path / "backbone")
    before = backbone_digest(folder)
    (folder / "README.md").write_text("other words")
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert backbone_digest(tmp_path / "elsewhere") == before
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert backbone_digest(folder) != before


def on_backbone(folder: Path, **known: str) -> trained.StoredEncoder:
    backbone = {"name": "xlmr", "hub_id": "x/y", "weights": str(folder), "revision": "local"}
    return store(backbone={**backbone, **known})


def nothing(name: str) -> Any:
    raise UnknownNameError(name)  # what comes after the check


def test_an_adapter_is_not_put_on_other_weights_than_its_own(tmp_path, caplog):
    shutil.rmtree(tmp_path / "b", ignore_errors=True)
    folder = write_backbone(tmp_path / "b")
    encoder = on_backbone(folder, digest=backbone_digest(folder))
    old = on_backbone(folder)
    for one in (encoder, old):
        shutil.rmtree(one.path / trained.MODEL)  # an adapter alone
    with pytest.raises(UnknownNameError), caplog.at_level(logging.WARNING):
        load_sentence_transformer(encoder, nothing)
    assert caplog.text == ""
    with pytest.raises(UnknownNameError):
        load_sentence_transformer(old, nothing)
    assert "trained by version 0.1" in caplog.text
    save_file({"w": torch.ones(2, 2)}, folder / "model.safetensors")
    with pytest.raises(ChecksumError, match=f"{folder} is not the backbone.*train {NAME} again"):
        load_sentence_transformer(encoder, nothing)
    shutil.rmtree(folder)
    with pytest.raises(DataUnavailableError, match="is gone"):
        load_sentence_transformer(encoder, nothing)


def test_a_run_is_not_resumed_on_other_weights(tmp_path, caplog):
    folder = write_backbone(tmp_path / "backbone")

    def plan() -> Any:
        recipe = SimpleNamespace(weights=str(folder))
        return SimpleNamespace(recipe=recipe, digest=digest_of_weights(str(folder)))

    run = tmp_path / "run"
    run.mkdir()
    check_backbone(plan(), run)
    check_backbone(plan(), run)
    made_before = plan()
    save_file({"w": torch.ones(2, 2)}, folder / "model.safetensors")
    for later in (plan(), made_before):
        with pytest.raises(TrainingError, match=f"remove {run} to train anew"):
            check_backbone(later, run)
    (run / BACKBONE).unlink()
    (run / "checkpoint-5").mkdir()
    check_backbone(plan(), run)
    assert "begun by version 0.1" in caplog.text
    assert digest_of_weights("intfloat/multilingual-e5-small") is None
