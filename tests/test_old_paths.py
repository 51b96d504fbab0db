"""Modules are still found by the paths that they had up to version 0.1."""

import re
from importlib import import_module
from pathlib import Path

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
    ("debias.encoder", "load_debiased"),
    ("adapters.mteb_streamed", "StreamedSplit"),
)


def old_names() -> dict[str, list[str]]:
    """Module -> its public names up to version 0.1, but for those that are gone for good."""
    table = (Path(__file__).parent / "old_names.txt").read_text(encoding="utf-8")
    lines = re.sub(r"\n  +", " ", table).splitlines()
    return {module: names for module, *names in (line.split() for line in lines if line[0] != "#")}


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


@pytest.mark.filterwarnings("ignore:.* has moved to:DeprecationWarning")
@pytest.mark.parametrize(("old", "names"), old_names().items())
def test_every_name_that_has_a_place_is_found_by_its_old_path(old: str, names: list[str]) -> None:
    module = import_module(f"hybridir_mteb.{old}")
    assert [name for name in names if not hasattr(module, name)] == []


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
