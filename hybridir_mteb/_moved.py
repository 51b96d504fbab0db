"""Old import paths, kept for one release: each warns and gives the names of its new places."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "hybridir_mteb"
# Module up to version 0.1 -> where its names are now.
PLACES = {
    "adapters.beir_base": "adapters.beir.search",
    "adapters.beir_encoder": "adapters.beir.encoder",
    "adapters.beir_faiss": "adapters.beir.faiss",
    "adapters.beir_files": "adapters.beir.saved",
    "adapters.beir_search": "adapters.beir.search",
    "adapters.beir_texts": "adapters.beir.saved",
    "adapters.ir_bias_measures": "adapters.ir_measures.bias",
    "adapters.mteb_benchmark": "adapters.mteb.benchmark",
    "adapters.mteb_bias": "adapters.mteb.bias",
    "adapters.mteb_debias": "adapters.mteb.debias",
    "adapters.mteb_embed": "adapters.mteb.embed",
    "adapters.mteb_encoder": "adapters.mteb.encoder",
    "adapters.mteb_evaluation": "adapters.mteb.evaluation",
    "adapters.mteb_export": "adapters.mteb.export",
    "adapters.mteb_names": "adapters.mteb.register",
    "adapters.mteb_ranked_task": "adapters.mteb.ranked_task",
    "adapters.mteb_registry": "adapters.mteb.register",
    "adapters.mteb_search": "adapters.mteb.run",
    "adapters.mteb_streamed": "adapters.mteb.streamed",
    "adapters.mteb_streamed_corpus": "adapters.mteb.corpus",
    "adapters.mteb_streamed_evaluation": "adapters.mteb.streamed_evaluation",
    "adapters.mteb_streamed_pool": "adapters.mteb.shards",
    "adapters.mteb_streamed_probe": "adapters.mteb.streamed_probe",
    "adapters.mteb_streamed_search": "adapters.mteb.streamed_search",
    "adapters.mteb_task": "adapters.mteb.task",
    "adapters.st_evaluator": "adapters.sentence_transformers",
    "added": "collections.own",
    "added_records": "collections.own",
    "backbones": "encoders.backbones",
    "benchmarks": "results.benchmarks",
    "bias.applicable": "measures.applicable",
    "bias.evaluation": "measures.evaluate",
    "bias.plot_html": "bias.plot.html",
    "bias.plot_numbers": "bias.plot.numbers",
    "bias.plot_panels": "bias.plot.panels",
    "bias.plot_style": "bias.plot.style",
    "bias.predictions_streamed": "bias.predictions",
    "bias.runs": "ranking.judgements",
    "bias.tables": "ranking.judgements",
    "cli.encoders": "cli.models",
    "cli.export": "cli.data",
    "cli.tables": "cli.console",
    "collection": "collections.collection",
    "debias.apply": "debias.fitted",
    "debias.base": "adapters.mteb.load",
    "debias.builtin": "debias.methods",
    "debias.data": "debias.text",
    "debias.encoder": "adapters.mteb.debiased",
    "debias.languages": "debias.detect",
    "doctor": "cli.doctor",
    "embedding_store": "encoders.cache",
    "encode": "encoders.token_budget",
    "encode_once": "encoders.memory",
    "encoder_files": "encoders.trained_record",
    "export.folder": "collections.export.folder",
    "export.formats": "collections.export.formats",
    "export.subset": "collections.export.formats",
    "fingerprint": "encoders.fingerprint",
    "hookspecs": "plugins.hookspecs",
    "hub_files": "collections.download",
    "languages": "collections.languages",
    "methods": "training.methods",
    "metrics": "measures",
    "metrics.bias_report": "measures.report",
    "metrics.bootstrap": "measures.bootstrap",
    "metrics.builtin": "measures.builtin",
    "metrics.effectiveness": "measures.effectiveness",
    "metrics.language_bias": "measures.language_bias",
    "metrics.languages": "measures.view",
    "metrics.measure": "measures.measure plugins.specs",
    "metrics.peer": "measures.peer",
    "models": "adapters.mteb.pocket",
    "names": "errors encoders.trained",
    "passages": "collections.collection",
    "per_model": "encoders.memory",
    "pocket": "encoders.pocket",
    "pocket.model": "encoders.pocket.model",
    "pocket.tokenizer": "encoders.pocket.tokenizer",
    "pocket.weights": "encoders.pocket.weights",
    "probe": "measures.probe",
    "rank": "ranking.exact",
    "rank_correlation": "ranking.correlation",
    "readers": "collections.readers",
    "readers.beir": "collections.readers.beir",
    "readers.digests": "collections.readers.digests",
    "readers.jsonl": "collections.readers.jsonl",
    "readers.lareqa": "collections.readers.lareqa",
    "readers.miracl": "collections.readers.miracl",
    "readers.passages": "collections.readers.rows collections.download",
    "readers.trec": "collections.readers.trec",
    "readers.verify": "collections.readers.verify",
    "relevance": "ranking.arrays",
    "report": "results.tables",
    "report_ndcg": "results.tables",
    "scoring": "ranking.scorers",
    "search": "ranking.trec adapters.mteb.run",
    "settings": "plugins.settings collections.collection",
    "shard_files": "ranking.shards.listing",
    "shards": "ranking.shards",
    "shards.asked": "ranking.shards.request",
    "shards.blocks": "ranking.shards.blocks",
    "shards.counts": "ranking.shards.counts",
    "shards.dense": "ranking.shards.dense",
    "shards.errors": "errors",
    "shards.fill": "ranking.shards.fill",
    "shards.folder": "ranking.shards.folder",
    "shards.function": "ranking.shards.function",
    "shards.group": "ranking.shards.group",
    "shards.key": "ranking.shards.key",
    "shards.numbered": "ranking.shards.fill",
    "shards.pairs": "ranking.shards.pairs",
    "shards.pools": "ranking.shards.pools",
    "shards.products": "ranking.shards.pairs",
    "shards.search": "ranking.shards.search",
    "shards.shard": "ranking.shards.shard",
    "shards.tiles": "ranking.shards.tiles",
    "shards.top": "ranking.shards.top",
    "shards.unique": "ranking.shards.folder",
    "sources": "collections.download",
    "specs": "plugins.specs ranking.arrays",
    "store": "encoders.trained",
    "streamed": "plugins.specs",
    "training.encoder": "encoders.load",
    "training.losses.gather": "training.losses.terms",
    "training.memory": "training.plan",
    "training.network": "encoders.network encoders.load adapters.mteb.load",
    "training.text": "training.pairs",
}
# Names that have changed since, by module up to version 0.1.
RENAMED = {
    "adapters.mteb_names.task_owner": "owner_of",
    "export.folder.check_folder": "check_target",
    "readers.miracl.MiraclPassages": "miracl_passages",
    "readers.verify.Found": "PartSummary",
    "readers.verify.examine": "read_through",
}


def old_names(module: str, places: str, only: str = "") -> Callable[[str], Any]:
    """A module's ``__getattr__`` that finds names where they are now.

    Args:
        module: Name of the module, without the package's.
        places: Modules that hold the names, separated by blanks.
        only: The names, separated by blanks, of a module that is a package now; else any.
    """

    def find(name: str) -> Any:
        refused = name.startswith("__") or (only and name not in only.split())
        for place in () if refused else places.split():
            found = import_module(f"{PACKAGE}.{place}")
            new = RENAMED.get(f"{module}.{name}", name)
            if hasattr(found, new):
                _warn(f"{module}.{name}", place)
                return getattr(found, new)
        raise AttributeError(f"module {PACKAGE}.{module} has no attribute {name!r}")

    return find


def _warn(old: str, place: str) -> None:
    warnings.warn(
        f"{PACKAGE}.{old} has moved to {PACKAGE}.{place}; the old path goes with version 0.3",
        DeprecationWarning,
        stacklevel=3,
    )


class _Loader(Loader):
    """Makes the module of an old path."""

    def __init__(self, old: str) -> None:
        self._old = old

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty module whose names are found elsewhere."""
        places = PLACES.get(self._old, "")
        module = ModuleType(spec.name, f"Moved to {places}.")
        setattr(module, "__getattr__", old_names(self._old, places))  # noqa: B010 -- mypy
        found = [import_module(f"{PACKAGE}.{place}") for place in places.split()]
        setattr(module, "__dir__", lambda: sorted({n for one in found for n in dir(one)}))  # noqa: B010
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to run."""


def spec_of(name: str) -> ModuleSpec | None:
    """How to import a module by its old path; None for any other name."""
    old = name.removeprefix(f"{PACKAGE}.")
    parent = any(place.startswith(f"{old}.") for place in PLACES)
    if old not in PLACES and not parent:
        return None
    return ModuleSpec(name, _Loader(old), is_package=parent)
