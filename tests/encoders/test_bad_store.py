"""One bad folder in the store takes no encoder away, is named once, and can be removed."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from toys.cli import pipe, rows, run
from toys.hostile import FILE_NAME
from toys.stored import NAME, put

from hybridir_mteb.adapters.mteb.register import _register_encoders
from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.card import card
from hybridir_mteb.errors import UnknownNameError
from hybridir_mteb.files import RECORD_LIMIT
from hybridir_mteb.paths import model_store_dir
from hybridir_mteb.plugins.manager import load_plugins

HOME = "xlmr-bad"


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Something else in place of the record."""

    def act(record: Path) -> object:
        record.unlink()
        return make(record)

    return act


def renamed(name: object) -> Callable[[Path], object]:
    def act(record: Path) -> object:
        content = json.loads(record.read_text())
        return record.write_text(json.dumps({**content, "name": name}))

    return act


def sparse(record: Path) -> None:
    with record.open("wb") as stream:
        stream.truncate(RECORD_LIMIT + 1)


FAULTS: dict[str, Callable[[Path], object]] = {
    "another name": renamed("hybridir/pocket-hybrid"),
    "the base's name": renamed("hybridir/pocket-base"),
    "no name": renamed(""),
    "a number as name": renamed(7),
    "a list as name": renamed(["hybridir/xlmr-bad"]),
    "out of the store": renamed("hybridir/../../xlmr-bad"),
    "escapes": renamed("hybridir/xlmr\x1b[31m"),
    "deep": lambda record: record.write_text("[" * 100_000),
    "deep objects": lambda record: record.write_text('{"a":' * 100_000),
    "no JSON": lambda record: record.write_text("{"),
    "no object": lambda record: record.write_text("[1]"),
    "no UTF-8": lambda record: record.write_bytes(b'{"name": "\xff"}'),
    "half a character": lambda record: record.write_text('{"name": "\\ud800"}'),
    "many digits": lambda record: record.write_text('{"name": ' + "9" * 5000 + "}"),
    "empty": lambda record: record.write_text(""),
    "huge": sparse,
    "a folder": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a device": replaced(lambda record: record.symlink_to("/dev/zero")),
    "a link to nothing": replaced(lambda record: record.symlink_to("nowhere")),
    "a link to itself": replaced(lambda record: record.symlink_to(record)),
    "missing": Path.unlink,
}


@pytest.fixture(autouse=True)
def _piped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_one_bad_record_is_one_line_and_every_other_encoder_is_there(fault, capsys):
    good = len(trained.encoders())
    folder = put(HOME, "0123", name=f"hybridir/{HOME}")
    FAULTS[fault](folder / trained.RECORD)
    plugins = load_plugins()
    _register_encoders(plugins)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"hybridir-mteb: encoder in {folder} is skipped: ")
    assert line.endswith(f"remove it: hybridir models rm hybridir/{HOME} --revision 0123")
    assert len(trained.encoders()) == good
    assert {"hybridir/pocket-hybrid", "hybridir/pocket-base+centre"} <= set(plugins.models)
    assert (
        plugins.models["hybridir/pocket-hybrid"].revision
        == trained.get("hybridir/pocket-hybrid").fingerprint
    )
    assert trained.find(f"hybridir/{HOME}") is None
    assert run("models", "rm", f"hybridir/{HOME}").startswith("removed ")
    assert not folder.parent.exists()
    with pytest.raises(UnknownNameError):
        trained.remove(f"hybridir/{HOME}")


def test_a_folder_of_any_name_is_skipped_and_removed():
    folder = put(HOME, FILE_NAME.replace("/", "|"))
    other = put(FILE_NAME.replace("/", "|"), "0123")
    said: list[str] = []
    trained.encoders(said.append)
    assert len(said) == 2
    shown = [run("models", "rm", f"hybridir/{path.parent.name}") for path in (folder, other)]
    assert all(line.startswith("removed ") for line in shown)
    assert all(text.replace("\n", "").isprintable() for text in shown)
    assert list(model_store_dir().iterdir()) == []


def test_a_link_in_place_of_a_folder_is_removed_and_not_what_it_points_to(tmp_path):
    put(HOME, "0123", name=f"hybridir/{HOME}").rename(tmp_path / "elsewhere")
    for target in (tmp_path / "elsewhere", tmp_path / "nowhere"):
        (model_store_dir() / HOME).mkdir(exist_ok=True)
        (model_store_dir() / HOME / "linked").symlink_to(target)
        trained.remove(f"hybridir/{HOME}")
    assert (tmp_path / "elsewhere" / trained.RECORD).is_file()
    (model_store_dir() / HOME).symlink_to(tmp_path / "nowhere")
    said: list[str] = []
    trained.encoders(said.append)
    assert len(said) == 1
    trained.remove(f"hybridir/{HOME}")
    assert not (model_store_dir() / HOME).is_symlink()


@pytest.mark.parametrize(
    "name", ["hybridir/", "hybridir/..", "..", "hybridir/a/b", "hybridir/.runs"]
)
def test_nothing_else_than_an_encoder_is_removed(name):
    put("a", "b")
    (model_store_dir() / ".runs" / "x").mkdir(parents=True)
    with pytest.raises(UnknownNameError, match="holds no"):
        trained.remove(name)
    assert (model_store_dir() / ".runs" / "x").is_dir()
    assert (model_store_dir() / "a" / "b").is_dir()


def test_a_bad_encoder_gives_way_to_a_sound_one_of_its_name():
    """It is newer, and in the store, which comes before the package."""
    put("pocket-hybrid", "0123", name="hybridir/pocket-hybrid", created=7)
    assert trained.get("hybridir/pocket-hybrid").place == "package"
    put("xlmr-hybrid", "0123", created="2027", data=None)
    put("xlmr-hybrid", "4567", created="2026-01-01")
    assert trained.get(NAME).path.name == "4567"


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to(path)])
def test_a_store_that_is_no_folder_leaves_the_encoders_of_the_package(make, tmp_path, monkeypatch):
    monkeypatch.setenv("HYBRIDIR_MODEL_STORE", str(tmp_path / "store"))
    make(tmp_path / "store")
    assert trained.get("hybridir/pocket-hybrid").place == "package"


def test_the_card_is_text_whatever_it_holds(capsys):
    folder = put("xlmr-hybrid", "0123")
    (folder / trained.CARD).write_bytes(b"# [/] card\n\x1b[31m red \xff\n")
    assert run("models", "show", NAME).splitlines()[1:] == ["# [/] card", "\\x1b[31m red \\xff"]


def test_models_list_shows_the_others(tmp_path):
    put(HOME, "0123", name=7)
    listed = [row[0] for row in rows(run("models", "list"))]
    assert "hybridir/pocket-hybrid" in listed
    assert f"hybridir/{HOME}" not in listed


def test_show_says_what_is_wrong_with_a_damaged_one(failure):
    folder = put(HOME, "0123", name=f"hybridir/{HOME}")
    (folder / trained.RECORD).write_text("{")
    said = failure("models", "show", f"hybridir/{HOME}")
    assert str(folder / trained.RECORD) in said
    assert "not valid JSON" in said


def test_no_encoder_is_its_own_base():
    """Loading it would never end."""
    debiaser = {"debiaser": {"method": "centre"}, "similarity": None}
    for base, good in (("hybridir/a+centre", False), ("hybridir/b", False), ("hybridir/a", True)):
        backbone = {"name": base, "revision": "rev", "model_revision": None}
        put("a+centre", "0123", name="hybridir/a+centre", backbone=backbone, **debiaser)
        plugins = load_plugins()
        _register_encoders(plugins)
        assert ("hybridir/a+centre" in plugins.models) is good


def test_a_card_is_one_line_each(tmp_path):
    record = {"languages": ["de"], "name": NAME}
    text = card(record, "/a: b\n- x: \x1b[31m", "by `x\ny`", ["- from\nthere\x9b"], "it")
    assert all(line.isprintable() for line in text.splitlines())
    assert '\nbase_model: "/a: b\\n- x: \\u001b[31m"\n' in text
    plain = card(record, "intfloat/multilingual-e5-small", "s", [], "it")
    assert "\nbase_model: intfloat/multilingual-e5-small\n" in plain
