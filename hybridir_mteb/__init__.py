"""Multilingual dense retrieval inside MTEB: encoders, collections, language bias.

Importing the package loads neither torch nor mteb and touches no network; the names below are
resolved at first use.
"""

# Runs at every interpreter start, through the autoload hook: nothing is imported that is not
# loaded anyway, not even typing or pathlib.
import sys
from os.path import dirname, isdir, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hybridir_mteb._bootstrap import install as install_autoload
    from hybridir_mteb.adapters.mteb.fit import fit_debiaser as fit_debiaser
    from hybridir_mteb.collections.collection import CollectionPart as CollectionPart
    from hybridir_mteb.collections.collection import LanguagePart as LanguagePart
    from hybridir_mteb.collections.collection import ParallelCollection as ParallelCollection
    from hybridir_mteb.collections.collection import Passage as Passage
    from hybridir_mteb.collections.collection import Query as Query
    from hybridir_mteb.collections.collection import StreamedPart as StreamedPart
    from hybridir_mteb.collections.collection import StreamedPassage as StreamedPassage
    from hybridir_mteb.collections.readers.beir import read_beir_folder as read_beir_folder
    from hybridir_mteb.collections.readers.jsonl import read_jsonl as read_jsonl
    from hybridir_mteb.debias.sentence_transformer import (
        DebiasedSentenceTransformer as DebiasedSentenceTransformer,
    )
    from hybridir_mteb.debias.sentence_transformer import load_debiaser as load_debiaser
    from hybridir_mteb.encoders.pocket.model import load_pocket as load_pocket
    from hybridir_mteb.measures.measure import RankTable as RankTable
    from hybridir_mteb.plugins.debias_specs import DebiasData as DebiasData
    from hybridir_mteb.plugins.debias_specs import Debiaser as Debiaser
    from hybridir_mteb.plugins.hookspecs import hookimpl as hookimpl
    from hybridir_mteb.plugins.settings import Setting as Setting
    from hybridir_mteb.plugins.specs import Backbone as Backbone
    from hybridir_mteb.plugins.specs import CollectionCard as CollectionCard
    from hybridir_mteb.plugins.specs import CollectionSpec as CollectionSpec
    from hybridir_mteb.plugins.specs import Family as Family
    from hybridir_mteb.plugins.specs import Measure as Measure
    from hybridir_mteb.plugins.specs import StreamedSpec as StreamedSpec
    from hybridir_mteb.plugins.specs import TrainingMethod as TrainingMethod

__version__ = "0.2.0"

_PUBLIC = {
    "Backbone": "hybridir_mteb.plugins.specs",
    "CollectionCard": "hybridir_mteb.plugins.specs",
    "CollectionPart": "hybridir_mteb.collections.collection",
    "CollectionSpec": "hybridir_mteb.plugins.specs",
    "DebiasData": "hybridir_mteb.plugins.debias_specs",
    "DebiasedSentenceTransformer": "hybridir_mteb.debias.sentence_transformer",
    "Debiaser": "hybridir_mteb.plugins.debias_specs",
    "Family": "hybridir_mteb.plugins.specs",
    "LanguagePart": "hybridir_mteb.collections.collection",
    "Measure": "hybridir_mteb.plugins.specs",
    "ParallelCollection": "hybridir_mteb.collections.collection",
    "Passage": "hybridir_mteb.collections.collection",
    "Query": "hybridir_mteb.collections.collection",
    "RankTable": "hybridir_mteb.measures.measure",
    "Setting": "hybridir_mteb.plugins.settings",
    "StreamedPart": "hybridir_mteb.collections.collection",
    "StreamedPassage": "hybridir_mteb.collections.collection",
    "StreamedSpec": "hybridir_mteb.plugins.specs",
    "TrainingMethod": "hybridir_mteb.plugins.specs",
    "fit_debiaser": "hybridir_mteb.adapters.mteb.fit",
    "hookimpl": "hybridir_mteb.plugins.hookspecs",
    "install_autoload": "hybridir_mteb._bootstrap",
    "load_debiaser": "hybridir_mteb.debias.sentence_transformer",
    "load_pocket": "hybridir_mteb.encoders.pocket.model",
    "read_beir_folder": "hybridir_mteb.collections.readers.beir",
    "read_jsonl": "hybridir_mteb.collections.readers.jsonl",
}
_RENAMED = {"install_autoload": "install"}

__all__ = list(_PUBLIC)

if not isdir(join(dirname(__file__), "tasks")):
    # In a checkout tasks/ lies beside the package, in a wheel inside it.
    __path__.append(dirname(dirname(__file__)))


class _OldPaths:
    """Finds modules by the paths that they had up to version 0.1, when nobody else finds them."""

    @staticmethod
    def find_spec(name: "str", path: "Any" = None, target: "Any" = None) -> "Any":
        if not name.startswith("hybridir_mteb."):
            return None
        from hybridir_mteb._moved import spec_of

        return spec_of(name)


sys.meta_path.append(_OldPaths)


def __getattr__(name: "str") -> "Any":
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), _RENAMED.get(name, name))


def __dir__() -> "list[str]":
    return sorted([*globals(), *__all__])
