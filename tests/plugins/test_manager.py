"""The plugin manager, with plugins made inside the tests."""

from importlib.metadata import entry_points
from types import SimpleNamespace
from typing import Any

import pytest
from toys.plugins import OneMeasure, measure, point

from hybridir_mteb.errors import PluginCollisionError, PluginError, UnknownNameError
from hybridir_mteb.plugins.hookspecs import hookimpl
from hybridir_mteb.plugins.manager import ENTRY_POINT_GROUP, load_plugins
from hybridir_mteb.plugins.specs import TrainingMethod
from hybridir_mteb.tasks.beir_translated import BEIR_TRANSLATED


def test_built_in_parts_come_through_the_public_entry_point_group():
    own = {p.value for p in entry_points(group=ENTRY_POINT_GROUP) if p.dist.name == "hybridir-mteb"}
    assert own == {
        "hybridir_mteb.encoders.backbones",
        "hybridir_mteb.debias.methods",
        "hybridir_mteb.training.methods",
        "hybridir_mteb.measures.builtin",
        "hybridir_mteb.adapters.mteb.metas",
        "hybridir_mteb.tasks",
    }
    plugins = load_plugins([p for p in entry_points(group=ENTRY_POINT_GROUP) if p.value in own])
    assert plugins.problems == []
    translated = {spec.name for spec in BEIR_TRANSLATED}
    others = ["MIRACL", "MLQAR", "PocketQAR", "XQuADR"]
    assert list(plugins.collections) == sorted([*others, *translated])
    assert "map" in plugins.measures
    assert {"base", "hybrid", "adversarial"} < set(plugins.methods)
    assert {"pocket", "xlmr", "llama3.1-70b"} < set(plugins.backbones)
    assert list(plugins.debiasers) == ["centre", "leace", "lir", "shift"]


def test_a_plugin_registers_any_number_of_things_by_every_hook():
    class Many:
        @hookimpl
        def register_measures(self, register: Any) -> None:
            register(measure("a"))
            register(measure("b"))

        @hookimpl
        def register_methods(self, register: Any) -> None:
            register(TrainingMethod("m", "", ""))

        @hookimpl
        def register_models(self, register: Any) -> None:
            register(SimpleNamespace(name="org/model"))

        @hookimpl
        def register_tasks(self, register: Any) -> None:
            register(SimpleNamespace(metadata=SimpleNamespace(name="TaskRetrieval")))

    plugins = load_plugins([point(Many())])
    assert list(plugins.measures) == ["a", "b"]
    assert list(plugins.methods) == ["m"]
    assert list(plugins.models) == ["org/model"]
    assert list(plugins.tasks) == ["TaskRetrieval"]
    assert plugins.measures.owner("a") == "other:plugin"


@pytest.mark.parametrize("failure", [ImportError("no module"), SystemExit(3), RuntimeError("x\ny")])
def test_a_plugin_that_fails_is_one_line_on_stderr_and_stops_no_other(failure, capsys):
    plugins = load_plugins([point(failure, "broken-dist"), point(OneMeasure("fine"), "good")])
    assert list(plugins.measures) == ["fine"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "broken-dist" in lines[0]


def test_a_hook_that_raises_keeps_what_it_registered_before(capsys):
    class Half:
        @hookimpl
        def register_measures(self, register: Any) -> None:
            register(measure("first"))
            raise ValueError("then this")

    plugins = load_plugins([point(Half(), "half-dist")])
    assert list(plugins.measures) == ["first"]
    assert "half-dist" in capsys.readouterr().err


def test_a_collision_names_both_plugins_and_the_first_stays(capsys):
    points = [point(OneMeasure("same"), "one"), point(OneMeasure("same"), "two")]
    plugins = load_plugins(points)
    (problem,) = plugins.problems
    assert "one:plugin" in problem
    assert "two:plugin" in problem
    assert plugins.measures.owner("same") == "one:plugin"
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(PluginCollisionError, match=r"one:plugin.*two:plugin"):
        load_plugins(points, strict=True)


def test_a_thing_of_the_wrong_type_is_refused_alone():
    class Wrong:
        @hookimpl
        def register_measures(self, register: Any) -> None:
            register(1)
            register(measure("right"))

    plugins = load_plugins([point(Wrong())])
    assert list(plugins.measures) == ["right"]
    assert "must be a Measure" in plugins.problems[0]


def test_a_misspelt_hook_is_reported_rather_than_ignored():
    class Misspelt:
        @hookimpl
        def register_mesures(self, register: Any) -> None:
            register(measure("never"))

    plugins = load_plugins([point(Misspelt(), "typo-dist")])
    assert "typo-dist" in plugins.problems[0]
    with pytest.raises(PluginError):
        load_plugins([point(Misspelt())], strict=True)


def test_an_unknown_name_shows_close_ones():
    plugins = load_plugins([point(OneMeasure("ndcg_at_10"))])
    with pytest.raises(UnknownNameError, match="Did you mean ndcg_at_10"):
        plugins.measures["ndcg_at10"]


def test_a_plugin_module_that_is_still_being_imported_is_reported(capsys):
    """Imported before mteb by its own tests, it has no hooks yet when the autoload hook asks."""
    half = SimpleNamespace(__spec__=SimpleNamespace(_initializing=True))
    assert load_plugins([point(half, "early-dist")]).loaded == []
    assert "early-dist" in (line := capsys.readouterr().err)
    assert "import mteb first" in line
