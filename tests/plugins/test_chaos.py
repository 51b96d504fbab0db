"""Plugins that do everything that they should not; each is one line, and the others work."""

import asyncio
import importlib.metadata
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toys.hostile import EVERYTHING, TEXT, Unreadable
from toys.plugins import OneMeasure, measure, point

from hybridir_mteb.errors import type_of
from hybridir_mteb.plugins import manager as plugin_manager
from hybridir_mteb.plugins.hookspecs import hookimpl
from hybridir_mteb.plugins.manager import load_plugins
from hybridir_mteb.plugins.specs import Backbone, CollectionCard, CollectionSpec, Measure

HOOKS = [
    "models",
    "collections",
    "tasks",
    "measures",
    "methods",
    "backbones",
    "debiasers",
    "families",
]


class Good(OneMeasure):
    """Registers one measure."""

    def __init__(self) -> None:
        super().__init__("good")


def plugin(hook: str, act: Callable[..., Any]) -> Any:
    """A plugin of one hook."""
    return SimpleNamespace(**{f"register_{hook}": hookimpl(act)})


def loaded(bad: Any, capsys: Any) -> str:
    """The one line about a bad plugin, beside which a good one is loaded."""
    plugins = load_plugins([point(bad, "a-bad"), point(Good(), "good")])
    assert list(plugins.measures) == ["good"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("hybridir-mteb: plugin a-bad:plugin")
    assert line.isprintable()
    assert len(line) < 1100
    assert plugins.problems == [line.removeprefix("hybridir-mteb: ")]
    return line


@pytest.mark.parametrize("error", EVERYTHING, ids=type_of)
def test_whatever_an_import_raises_is_one_line(error, capsys):
    assert type_of(error) in loaded(error, capsys)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", EVERYTHING, ids=type_of)
def test_whatever_a_hook_raises_is_one_line(hook, error, capsys):
    def act(register: Any) -> None:
        raise error

    said = loaded(plugin(hook, act), capsys)
    assert f"register_{hook} failed: {type_of(error)}" in said


@pytest.mark.parametrize("hook", HOOKS)
def test_whatever_is_registered_is_refused_in_one_line(hook, capsys):
    for item in (Unreadable(), 1, None, TEXT, SimpleNamespace(name=TEXT), SimpleNamespace(name=7)):
        loaded(plugin(hook, lambda register, item=item: register(item)), capsys)


def test_an_interrupt_stops_the_loading():
    def act(register: Any) -> None:
        raise KeyboardInterrupt

    for bad in (KeyboardInterrupt(), plugin("measures", act)):
        with pytest.raises(KeyboardInterrupt):
            load_plugins([point(bad)])


def test_hooks_that_are_no_plain_functions_are_told(capsys):
    async def later(register: Any) -> None:
        register(measure("never"))

    def generator(register: Any) -> Any:
        yield register(measure("never"))

    for act in (later, generator):
        assert "no plain function" in loaded(plugin("measures", act), capsys)


def test_a_thing_that_is_registered_twice_is_told_once(capsys):
    def act(register: Any) -> None:
        for _ in range(3):
            register(measure("good"))

    plugins = load_plugins([point(plugin("measures", act), "twice")])
    assert list(plugins.measures) == ["good"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "registered twice by 'twice:plugin'" in line


def test_a_spec_whose_attributes_raise_is_refused(capsys):
    class Raising(Measure):
        def __getattribute__(self, name: str) -> Any:
            if name == "name":
                raise asyncio.CancelledError(name)
            return super().__getattribute__(name)

    bad = Raising.__new__(Raising)
    said = loaded(plugin("measures", lambda register: register(bad)), capsys)
    assert "CancelledError" in said


def test_names_of_distributions_and_points_are_text(capsys):
    bad = [point(ValueError("x"), f"dist{TEXT}", f"name{TEXT}"), point(ValueError("y"), None)]
    plugins = load_plugins([*bad, point(Good())])
    assert list(plugins.measures) == ["good"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_a_damaged_distribution_takes_no_plugin_away(tmp_path: Path, monkeypatch, capsys):
    """Python's own listing fails as a whole if one file of any distribution is not UTF-8."""
    import mteb  # noqa: F401 -- a part of it asks for entry points when it is imported

    info = tmp_path / "damaged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(b"[hybridir_mteb]\nx = \xff\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnicodeDecodeError):
        importlib.metadata.entry_points(group="hybridir_mteb")
    plugins = load_plugins()
    assert {"map", "lpr"} <= set(plugins.measures)
    assert len(plugins.loaded) == 6
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path) in line


def test_a_plugin_that_hangs_is_named_and_ours_are_not(monkeypatch, capsys):
    seen: list[str] = []

    def watched(what: str, remedy: str) -> Any:
        seen.append(what)
        return nullcontext()

    monkeypatch.setattr(plugin_manager, "watched", watched)
    load_plugins([point(Good(), "good"), point(Good(), "hybridir-mteb")])
    assert seen == ["plugin good:plugin: its import", "plugin good:plugin: register_measures"]


CARD = CollectionCard("d", "https://x.org", "x/y", "1", "mit", ("2020-01-01", "2020-01-01"), ())


def collection(**changes: Any) -> CollectionSpec:
    given: dict[str, Any] = {
        "name": "Odd",
        "languages": ("de", "en"),
        "load": lambda codes: None,
        "card": CARD,
        **changes,
    }
    return CollectionSpec(**given)


ODD: dict[str, dict[str, Any]] = {
    "languages": {"languages": ("xx\x1b",)},
    "no languages": {"languages": 7},
    "settings": {"settings": ("mono",)},
    "card": {"card": None},
    "score": {"main_score": TEXT},
    "split": {"split": 7},
    "task": {"task": f"x{TEXT}", "languages": ("de",), "parallel": False},
    "raises": {"languages": Unreadable()},
}


@pytest.mark.parametrize("odd", ODD)
def test_a_collection_that_makes_no_tasks_is_one_line(odd, capsys):
    from hybridir_mteb.adapters.mteb.register import _tasks_of

    plugins = load_plugins([])
    plugins.measures.add("map", measure("map"), "x:y")
    spec = collection(**ODD[odd])
    assert _tasks_of("Odd", spec, plugins, "a-bad:plugin") == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "a-bad:plugin: collection 'Odd'" in line
    assert line.isprintable()


def test_a_backbone_that_gives_no_metadata_takes_no_encoder_away(capsys):
    from hybridir_mteb.adapters.mteb.register import _register_encoders

    plugins = load_plugins()
    plugins.backbones.add("odd", Backbone("odd", {"not": "a name"}), "a-bad:plugin")  # type: ignore[arg-type]
    _register_encoders(plugins)
    assert {"hybridir/pocket-hybrid", "hybridir/xlmr-mono"} <= set(plugins.models)
    assert not [name for name in plugins.models if "odd" in name]
    (line,) = capsys.readouterr().err.splitlines()
    assert "backbone odd is skipped" in line


def test_models_that_are_none_are_dropped_and_ours_stay(capsys):
    import mteb
    from mteb.models.model_meta import ModelMeta

    from hybridir_mteb.adapters.mteb.register import _register_encoders, _register_models

    empty = ModelMeta.model_construct(name="org/empty")
    other = mteb.get_model_meta("intfloat/multilingual-e5-small").model_copy(
        update={"name": "hybridir/pocket-hybrid"}
    )
    plugins = load_plugins()
    for name, model in (
        ("org/none", Unreadable()),
        ("org/empty", empty),
        ("hybridir/pocket-hybrid", other),
    ):
        plugins.models.add(name, model, "a-bad:plugin")
    _register_encoders(plugins)
    _register_models(plugins)
    assert plugins.models.owner("hybridir/pocket-hybrid") == "hybridir-mteb:encoders"
    assert "org/none" not in plugins.models
    assert "org/empty" not in plugins.models
    ours = [line for line in plugins.problems if "a-bad" in line]
    assert len(ours) == 3
    assert all(line.isprintable() for line in capsys.readouterr().err.splitlines())
    assert mteb.get_model_metas(frameworks=["PyTorch"])
