"""Multilingual dense retrieval inside MTEB: encoders, collections, language bias.

Importing the package loads neither torch nor mteb and touches no network; the names below are
resolved at first use.
"""

# Runs at every interpreter start, through the autoload hook: nothing is imported that is not
# loaded anyway, not even typing or pathlib.
from os.path import dirname, isdir, join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hybridir_mteb._bootstrap import install as install_autoload
    from hybridir_mteb.collection import LanguagePart, ParallelCollection, Passage, Query
    from hybridir_mteb.debias.sentence_transformer import (
        DebiasedSentenceTransformer,
        fit_debiaser,
        load_debiaser,
    )
    from hybridir_mteb.hookspecs import hookimpl
    from hybridir_mteb.metrics.measure import Measure, RankTable
    from hybridir_mteb.passages import StreamedPassage
    from hybridir_mteb.pocket.model import load_pocket
    from hybridir_mteb.readers.beir import read_beir_folder
    from hybridir_mteb.readers.jsonl import read_jsonl
    from hybridir_mteb.settings import Setting
    from hybridir_mteb.specs import (
        Backbone,
        CollectionCard,
        CollectionSpec,
        DebiasData,
        Debiaser,
        TrainingMethod,
    )
    from hybridir_mteb.streamed import StreamedPart, StreamedSpec

__version__ = "0.1.0"

_PUBLIC = {
    "CollectionCard": "hybridir_mteb.specs",
    "CollectionSpec": "hybridir_mteb.specs",
    "DebiasData": "hybridir_mteb.specs",
    "DebiasedSentenceTransformer": "hybridir_mteb.debias.sentence_transformer",
    "Debiaser": "hybridir_mteb.specs",
    "LanguagePart": "hybridir_mteb.collection",
    "Measure": "hybridir_mteb.metrics.measure",
    "ParallelCollection": "hybridir_mteb.collection",
    "Passage": "hybridir_mteb.collection",
    "Query": "hybridir_mteb.collection",
    "RankTable": "hybridir_mteb.metrics.measure",
    "Setting": "hybridir_mteb.settings",
    "StreamedPart": "hybridir_mteb.streamed",
    "StreamedPassage": "hybridir_mteb.passages",
    "StreamedSpec": "hybridir_mteb.streamed",
    "Backbone": "hybridir_mteb.specs",
    "TrainingMethod": "hybridir_mteb.specs",
    "fit_debiaser": "hybridir_mteb.debias.sentence_transformer",
    "hookimpl": "hybridir_mteb.hookspecs",
    "install_autoload": "hybridir_mteb._bootstrap",
    "load_debiaser": "hybridir_mteb.debias.sentence_transformer",
    "load_pocket": "hybridir_mteb.pocket.model",
    "read_beir_folder": "hybridir_mteb.readers.beir",
    "read_jsonl": "hybridir_mteb.readers.jsonl",
}
_RENAMED = {"install_autoload": "install"}

__all__ = [
    "Backbone",
    "CollectionCard",
    "CollectionSpec",
    "DebiasData",
    "DebiasedSentenceTransformer",
    "Debiaser",
    "LanguagePart",
    "Measure",
    "ParallelCollection",
    "Passage",
    "Query",
    "RankTable",
    "Setting",
    "StreamedPart",
    "StreamedPassage",
    "StreamedSpec",
    "TrainingMethod",
    "fit_debiaser",
    "hookimpl",
    "install_autoload",
    "load_debiaser",
    "load_pocket",
    "read_beir_folder",
    "read_jsonl",
]

if not isdir(join(dirname(__file__), "tasks")):
    # In a checkout tasks/ lies beside the package, in a wheel inside it.
    __path__.append(dirname(dirname(__file__)))


def __getattr__(name: "str") -> "Any":
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), _RENAMED.get(name, name))


def __dir__() -> "list[str]":
    return sorted([*globals(), *__all__])
