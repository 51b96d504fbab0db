"""What is imported holds the files of an encoder and nothing else, and a refusal leaves nothing."""

import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from toys.cli import pipe, run
from toys.stored import NAME, fill

from hybridir_mteb.encoders import archive, trained
from hybridir_mteb.errors import ChecksumError, HybridIRError, SettingError
from hybridir_mteb.paths import model_store_dir

FILES = ("README.md", "adapter_model.safetensors", "hybridir.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound encoder's folder."""
    fill(tmp_path / "encoder")
    return tmp_path / "encoder"


def packed(folder: Path, more: Callable[[zipfile.ZipFile], object] = lambda archive: None) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as stream:
        for path in folder.iterdir():
            stream.write(path, path.name)
        more(stream)
    return target


def refused(source: Path, failure: Callable[..., str]) -> str:
    """The one line of a refused import, after which the store is as it was: empty."""
    said = failure("models", "import", str(source))
    assert said.count("\n") == 1
    assert said[:-1].isprintable()
    assert not model_store_dir().exists() or list(model_store_dir().iterdir()) == []
    return said


def test_a_sound_folder_and_archive_are_taken(folder):
    for source in (folder, packed(folder)):
        trained.import_encoder(source)
        assert sorted(path.name for path in trained.get(NAME).path.iterdir()) == sorted(FILES)
        trained.remove(NAME)


UNKNOWN = (
    "notes.txt",
    "evil.json",
    "README.txt",
    "other.safetensors",
    "adapter_config.json/x.json",
    "deep/hybridir.json",
    "model/evil.json",
    "model/.config.json",
    "model/1_Pooling/a/b/config.json",
    "model/1_Pooling/evil/config.json",
    "models/config.json",
    "./hybridir.json",
    "model//config.json",
    "model/./config.json",
    "model/ï»¿config.json",
    "model/\u202econfig.json",
    "model/co\x1b[31mnfig.json",
    "model/con\nfig.json",
    "model/ config.json",
    "model/config.json ",
    "model/a\\config.json",
    "../config.json",
    "/config.json",
    "C:/config.json",
    "model/tokenizer.pkl",
    "model/modeling.py",
    "model/pytorch_model.bin",
)


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_archive_with_another_file_is_refused(name, folder, failure):
    said = refused(packed(folder, lambda stream: stream.writestr(name, "{}")), failure)
    assert "no file of an encoder" in said or "points outside the archive" in said


MODEL = (
    *("model/config.json", "model/modules.json", "model/config_sentence_transformers.json"),
    *("model/sentence_bert_config.json", "model/sentence_xlm-roberta_config.json"),
    *("model/tokenizer.json", "model/tokenizer_config.json", "model/special_tokens_map.json"),
    *("model/sentencepiece.bpe.model", "model/vocab.txt", "model/merges.txt"),
    *("model/model.safetensors", "model/model-00001-of-00002.safetensors"),
    *("model/model.safetensors.index.json", "model/1_Pooling/config.json"),
    *("model/2_Dense/model.safetensors", "model/query_0_Transformer/tokenizer.json"),
    *("model/chat_template.jinja", "model/additional_chat_templates/x.jinja"),
    *("model/router_config.json", "model/README.md", "debiaser.safetensors"),
    "adapter_config.json",
)


def test_the_files_of_whole_models_are_known():
    archive.check_files(list(MODEL), Path("x.zip"))


def test_every_file_of_the_package_is_known():
    for encoder in trained.encoders():
        names = [path.relative_to(encoder.path).as_posix() for path in encoder.path.rglob("*.*")]
        archive.check_files(names, encoder.path)


def linked(kind: int, target: str = "../../secret") -> Callable[[zipfile.ZipFile], object]:
    def add(stream: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("adapter_config.json")
        info.external_attr = (kind | 0o777) << 16
        stream.writestr(info, target)

    return add


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_an_archive_with_a_link_is_refused(kind, folder, failure):
    assert "a link or no file" in refused(packed(folder, linked(kind)), failure)


MAKE: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, secret: path.symlink_to(secret),
    "hard link": lambda path, secret: path.hardlink_to(secret),
    "link to nothing": lambda path, secret: path.symlink_to("nowhere"),
    "pipe": lambda path, secret: os.mkfifo(path),
    "device": lambda path, secret: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", MAKE)
def test_a_folder_with_a_link_is_refused(kind, folder, failure):
    secret = folder.parent / "secret"
    secret.write_text("secret")
    MAKE[kind](folder / "adapter_config.json", secret)
    said = refused(folder, failure)
    assert "'adapter_config.json' is a link or no file" in said


def test_a_linked_folder_is_not_followed(folder, failure):
    (folder.parent / "else").mkdir()
    (folder.parent / "else" / "config.json").write_text("{}")
    (folder / "model").symlink_to(folder.parent / "else")
    assert "'model' is a link" in refused(folder, failure)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["README.md", "readme.MD", "hybridir.json", "HYBRIDIR.json"])
def test_two_files_of_one_name_are_refused(name, folder, failure):
    said = refused(packed(folder, lambda stream: stream.writestr(name, "{}")), failure)
    assert "one file on some machines" in said or "no file of an encoder" in said


def test_two_files_that_differ_in_case_are_refused(folder, failure):
    def add(stream: zipfile.ZipFile) -> None:
        stream.writestr("model/A.jinja", "")
        stream.writestr("model/a.jinja", "")

    assert "one file on some machines" in refused(packed(folder, add), failure)


def test_a_bomb_is_refused_before_it_is_unpacked(folder, failure, monkeypatch):
    def add(stream: zipfile.ZipFile) -> None:
        zeros = bytes(8 << 20)
        stream.writestr("adapter_config.json", zeros, zipfile.ZIP_DEFLATED)

    monkeypatch.setattr(archive.Archive, "copy_to", lambda *arguments: pytest.fail("unpacked"))
    assert "more than 100 times its size" in refused(packed(folder, add), failure)


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("MOST_BYTES", 50, "adapter_model.safetensors is too large"),
        ("MOST_BYTES", 300, "GB in all"),
        ("RECORD_LIMIT", 10, "hybridir.json is too large"),
        ("MOST_TEXT", 5, "README.md is too large"),
        ("MOST_FILES", 2, "more than 2 files"),
    ],
)
def test_limits_of_size_and_number(limit, value, message, folder, failure, monkeypatch):
    monkeypatch.setattr(archive, limit, value)
    for source in (packed(folder), folder):
        assert message in refused(source, failure)


def test_a_size_that_lies_is_found_while_unpacking(folder):
    with archive.opened(packed(folder), trained.RECORD) as found:
        lying = archive.Archive(
            found.source,
            tuple(archive.Entry(e.name, e.size - 1, e.packed) for e in found.entries),
            found.open,
        )
        with pytest.raises(HybridIRError, match="larger than it says"):
            lying.copy_to(folder.parent / "out")


def damaged(source: Path, at: int) -> Path:
    content = bytearray(source.read_bytes())
    content[at] ^= 0xFF
    source.write_bytes(content)
    return source


def test_damaged_archives_are_one_line_each(folder, failure):
    whole = packed(folder).read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        source = folder.with_suffix(".zip")
        source.write_bytes(whole)
        with suppress(HybridIRError):  # or the byte is one that nobody reads
            trained.import_encoder(damaged(source, at))
        shutil.rmtree(model_store_dir(), ignore_errors=True)
    for end in (0, 10, len(whole) // 2, len(whole) - 1):
        source.write_bytes(whole[:end])
        assert "not an exported encoder" in refused(source, failure)


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "[]", "", '{"name": "\\ud800"}', "NaN"])
def test_an_archive_with_a_bad_record_is_one_line(content, folder, failure):
    (folder / trained.RECORD).write_text(content)
    for source in (folder, packed(folder)):
        refused(source, failure)


BAD_NAMES = ("hybridir/pocket-base", "hybridir/Pocket-Base", "hybridir/a b", "hybridir/../x", "x/y")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_an_archive_of_another_name_is_refused(name, folder, failure):
    content = json.loads((folder / trained.RECORD).read_text())
    (folder / trained.RECORD).write_text(json.dumps({**content, "name": name}))
    for source in (folder, packed(folder)):
        assert name.partition("/")[2] in refused(source, failure)


@pytest.mark.parametrize("source", ["nowhere.zip", "pipe"])
def test_what_is_no_archive_is_refused(source, tmp_path, failure):
    os.mkfifo(tmp_path / "pipe")
    assert "not an exported encoder" in refused(tmp_path / source, failure)


def test_an_encoder_of_the_package_cannot_be_replaced_under_its_fingerprint(tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained.get("hybridir/pocket-hybrid").path, folder)
    config = folder / "adapter_config.json"
    changed = json.loads(config.read_text())
    config.write_text(json.dumps({**changed, "lora_alpha": 2 * changed["lora_alpha"]}))
    for over in (False, True):
        with pytest.raises(ChecksumError):
            trained.import_encoder(folder, over_shipped=over)
    assert trained.get("hybridir/pocket-hybrid").place == "package"


def test_another_encoder_hides_one_of_the_package_only_if_asked(tmp_path, monkeypatch):
    pipe(monkeypatch)
    folder, name = tmp_path / "other", "hybridir/pocket-hybrid"
    fill(folder, 1.0, name=name)
    with pytest.raises(SettingError, match="--over-shipped"):
        trained.import_encoder(folder)
    assert trained.get(name).place == "package"
    run("models", "import", str(folder), "--over-shipped")
    found = trained.get(name)
    assert found.place == "store"
    assert found.fingerprint == trained.read_encoder(folder).fingerprint


def test_two_names_that_are_one_on_some_machines_are_refused(folder, tmp_path):
    trained.import_encoder(folder)
    other = tmp_path / "other"
    fill(other, 1.0, name="hybridir/XLMR-hybrid")
    with pytest.raises(SettingError, match="one name on some machines"):
        trained.import_encoder(other)
    fill(other, 1.0, name="hybridir/Pocket-Hybrid")
    with pytest.raises(SettingError, match="comes with this package"):
        trained.import_encoder(other, over_shipped=True)
