"""What the hub, or the way to it, does wrong is one line that says what to do."""

import errno
from collections.abc import Callable
from dataclasses import replace

import huggingface_hub
import pytest
from toys.hub import BAD, bad_hub, use_hub

from hybridir_mteb.adapters.mteb.load import load_base
from hybridir_mteb.collections.download import HubFolder, fetch_folder
from hybridir_mteb.encoders.backbones import BACKBONES
from hybridir_mteb.encoders.hub import from_hub, parts_of, to_hub
from hybridir_mteb.encoders.load import load_backbone
from hybridir_mteb.encoders.trained import encoders
from hybridir_mteb.errors import DataUnavailableError
from hybridir_mteb.files.remote import BUSY, CONNECT, ENDPOINT, LOGIN, ONLINE, SERVER
from hybridir_mteb.plugins.specs import Backbone
from hybridir_mteb.training.methods import METHODS
from hybridir_mteb.training.recipe import Hub
from hybridir_mteb.training.sources.hub import read_hub

COMMIT = "0" * 40


def test_every_name_says_which_backbone_and_which_method_it_is_of():
    pairs = [(backbone.name, method.name) for backbone in BACKBONES for method in METHODS]
    assert ("gemma3-270m", "hybrid-adversarial") in pairs
    assert [parts_of(f"hybridir/{'-'.join(pair)}") for pair in pairs] == pairs
    assert parts_of("hybridir/pocket-of-another-plugin") == ("pocket-of-another", "plugin")


FOLDER = HubFolder("me/corpus", COMMIT, "de", 1, "corpus", "hybridir data fetch X")
DATA = Hub(name="me/set", configurations={"en": "english"}, revision=COMMIT)
BACKBONE = Backbone("mine", hub_id="me/bert", revision=COMMIT)
WAYS: dict[str, Callable[[], object]] = {
    "push": lambda: to_hub(encoders()[0], "me/encoder", private=True),
    "pull": lambda: from_hub("hybridir/me5s-hybrid", None),
    "fetch": lambda: fetch_folder(FOLDER),
    "data": lambda: read_hub(DATA),
    "backbone": lambda: load_backbone(replace(BACKBONE, pooling="mean")),
    "whole model": lambda: load_backbone(BACKBONE),
}
REMEDIES = {
    **dict.fromkeys(("401", "403", "404"), LOGIN),
    **dict.fromkeys(("500", "503"), SERVER),
    **dict.fromkeys(("circle", "portal", "compressed"), ENDPOINT),
    "429": BUSY,
}
WITHOUT_SIZE = {"portal", "list", "truncated", "compressed"}


def said(way) -> str:
    with pytest.raises(DataUnavailableError) as caught:
        way()
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 900
    return line.lower()


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("way", WAYS)
def test_whatever_the_hub_answers_is_one_line_with_the_remedy(way, fault, monkeypatch, capfd):
    with bad_hub(BAD[fault]) as address:
        use_hub(address, monkeypatch)
        line = said(WAYS[way])
    expected = REMEDIES.get(fault, CONNECT)
    if fault in WITHOUT_SIZE and way in {"data", "backbone", "whole model"}:
        expected = ENDPOINT
    if (way, fault) == ("fetch", "list"):
        expected = "has the data set been changed"
    assert expected.lower() in line
    assert capfd.readouterr().err.count("thrown while requesting") == 0


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_no_server_is_one_line_with_the_remedy(way, monkeypatch):
    with bad_hub(BAD["500"]) as address:
        pass
    use_hub(address, monkeypatch)
    assert CONNECT in said(WAYS[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_hub_that_is_switched_off_is_one_line_with_the_remedy(way):
    assert ONLINE.lower() in said(WAYS[way]) or CONNECT in said(WAYS[way])


@pytest.mark.parametrize("fault", BAD)
def test_a_base_that_the_hub_does_not_give_is_one_line(fault, monkeypatch, capfd):
    with bad_hub(BAD[fault]) as address:
        use_hub(address, monkeypatch)
        line = said(lambda: load_base("me/bert"))
    assert line.startswith("me/bert cannot be loaded: ")
    if fault in {"401", "404", "429", "503"}:
        assert f"to have it: {REMEDIES[fault].lower()}" in line
    assert capfd.readouterr().err.count("thrown while requesting") == 0


@pytest.mark.parametrize(
    "way",
    [
        lambda: to_hub(encoders()[0], "my encoder/of/mine", private=True),
        lambda: from_hub("hybridir/no--hyphens-hybrid", None),
    ],
    ids=["push", "pull"],
)
def test_a_name_that_the_hub_cannot_have_is_one_line(way):
    assert "give a name as the hub has them" in said(way)


def test_a_full_disk_is_no_matter_of_the_network(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "/cache/model.safetensors")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", full)
    line = said(WAYS["pull"])
    assert "no space left on device: '/cache/model.safetensors'. free space" in line
    assert CONNECT not in line


def test_the_command_prints_one_line(monkeypatch, failure):
    with bad_hub(BAD["503"]) as address:
        use_hub(address, monkeypatch)
        name = encoders()[0].name
        line = failure("models", "push", name, "--to", "me/encoder")
    assert line.startswith("error: me/encoder: the upload failed: ")
    assert line.endswith("Wait until the server is well again\n")
    assert line.count("\n") == 1
