"""Modules are still found by the paths that they had up to version 0.1."""

from importlib import import_module

import pytest

from hybridir_mteb._moved import PACKAGES, PLACES, places_of

WRITTEN = (  # as docs pages and users' scripts had it
    ("rank", "tie_order"),
    ("metrics.effectiveness", "average_precision"),
    ("adapters.st_evaluator", "LanguageBiasEvaluator"),
    ("plugins", "load_plugins"),
    ("plugins", "installed_plugins"),
    ("encoders", "load_encoder"),
    ("names", "NOT_HERE"),
    ("settings", "passage_text"),
    ("bias.plot", "write_plot"),
)


OLD = sorted(
    {*PLACES, *(p for p in PACKAGES if p != "export"), "readers.trec", "shards.top", "pocket.model"}
)


@pytest.mark.parametrize("old", OLD)
def test_an_old_path_gives_a_module_with_the_names_of_its_new_places(old):
    module = import_module(f"hybridir_mteb.{old}")
    own = [name for name in dir(module) if not name.startswith("_")]
    assert own or old in PACKAGES
    for place in places_of(old).split():
        assert import_module(f"hybridir_mteb.{place}")


@pytest.mark.parametrize(("old", "name"), WRITTEN)
def test_a_name_by_its_old_path_warns_and_works(old, name):
    module = import_module(f"hybridir_mteb.{old}")
    with pytest.warns(DeprecationWarning, match="has moved to"):
        assert getattr(module, name) is not None


def test_names_that_never_were_are_still_missing():
    with pytest.raises(ImportError):
        import_module("hybridir_mteb.no_such_module")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = import_module("hybridir_mteb.rank").nothing
