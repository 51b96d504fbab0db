"""A damaged file of a model is one message, whatever a library makes of it."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file
from toys.training import write_tiny_xlmr

from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.debias.fitted import STATISTICS, read_fitted
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.errors import DataFormatError, DataUnavailableError, HybridIRError
from hybridir_mteb.installed import installed_plugins

DAMAGES = {
    "empty": b"",
    "half": b"{",
    "null": b"null",
    "a number": b"3",
    "a list": b"[]",
    "a text": b'"text"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "deep": b"[" * 100_000,
}
XLMR = next(backbone for backbone in BACKBONES if backbone.name == "xlmr")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pocket_weights):
    return write_tiny_xlmr(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_backbone_with_a_damaged_file(whole, tmp_path, name, damage):
    folder = shutil.copytree(whole, tmp_path / "folder")
    (folder / name).write_bytes(DAMAGES[damage])
    with pytest.raises(HybridIRError, match=str(folder)) as caught:
        load_backbone(XLMR, weights=str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_folder_with_damaged_modules(whole, tmp_path, damage):
    folder = shutil.copytree(whole, tmp_path / "folder")
    (folder / "modules.json").write_bytes(DAMAGES[damage])
    if damage == "a list":  # no modules: nothing embeds
        return
    with pytest.raises(HybridIRError, match=str(folder)) as caught:
        load_base(str(folder))
    assert "\n" not in str(caught.value)


HEADER = {
    "method": "centre",
    "languages": ["de", "en"],
    "options": {},
    "dimension": 4,
    "unit_length": True,
}


def write(folder, header):
    text = header if isinstance(header, str) else json.dumps(header)
    tensors = {f"{role}.means": np.zeros((2, 4), np.float32) for role in ("query", "document")}
    save_file(tensors, folder / STATISTICS, {"hybridir": text})


def test_a_sound_header_is_read(tmp_path):
    write(tmp_path, HEADER)
    assert read_fitted(tmp_path, installed_plugins().debiasers).dimension == 4


@pytest.mark.parametrize(
    "header",
    [
        "{",
        "[]",
        "null",
        "3",
        "[" * 100_000,
        {**HEADER, "options": []},
        {**HEADER, "options": None},
        {**HEADER, "languages": None},
        {**HEADER, "languages": [1, 2]},
        {**HEADER, "method": ["centre"]},
        {**HEADER, "dimension": "4"},
        {**HEADER, "dimension": True},
        {**HEADER, "dimension": -4},
        {**HEADER, "unit_length": "no"},
        {key: value for key, value in HEADER.items() if key != "dimension"},
    ],
)
def test_a_damaged_header_of_a_debiaser(tmp_path, header):
    write(tmp_path, header)
    with pytest.raises(DataFormatError, match=f"{STATISTICS}: not the statistics") as caught:
        read_fitted(tmp_path, installed_plugins().debiasers)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_the_message_says_what_is_wrong(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "folder")
    (folder / "config.json").write_text("null")
    with pytest.raises(DataUnavailableError, match=r"cannot be loaded: .*Check its files"):
        load_backbone(XLMR, weights=str(folder))
