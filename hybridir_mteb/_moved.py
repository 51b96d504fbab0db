"""Old import paths, kept for one release: each warns and gives the names of its new places."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

PACKAGE = "hybridir_mteb"
# Package up to version 0.1 -> where its modules are now, by the same names but for those below.
PACKAGES = {
    "export": "collections.export",
    "metrics": "measures",
    "pocket": "encoders.pocket",
    "readers": "collections.readers",
    "shards": "ranking.shards",
}
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
    "adapters.mteb_bias": "adapters.mteb.facts",
    "adapters.mteb_debias": "adapters.mteb.models adapters.mteb.fit",
    "adapters.mteb_embed": "adapters.mteb.encoder adapters.mteb.models",
    "adapters.mteb_encoder": "adapters.mteb.models",
    "adapters.mteb_evaluation": "adapters.mteb.evaluation",
    "adapters.mteb_export": "adapters.mteb.export",
    "adapters.mteb_names": "adapters.mteb.register",
    "adapters.mteb_ranked_task": (
        "adapters.mteb.task adapters.mteb.metadata adapters.mteb.evaluation"
    ),
    "adapters.mteb_registry": "adapters.mteb.register",
    "adapters.mteb_search": "adapters.mteb.run",
    "adapters.mteb_streamed": "adapters.mteb.task plugins.settings",
    "adapters.mteb_streamed_corpus": "adapters.mteb.corpus",
    "adapters.mteb_streamed_evaluation": "adapters.mteb.evaluation",
    "adapters.mteb_streamed_pool": "adapters.mteb.shards collections.collection",
    "adapters.mteb_streamed_probe": "adapters.mteb.facts",
    "adapters.mteb_streamed_search": "adapters.mteb.evaluation",
    "adapters.mteb_task": "adapters.mteb.task plugins.settings",
    "adapters.st_evaluator": "adapters.sentence_transformers",
    "added": "collections.own",
    "added_records": "collections.own_records collections.own",
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
    "bias.tables": "ranking.judgements ranking.matrices measures.evaluate",
    "cli.encoders": "cli.models cli.console",
    "cli.export": "cli.data cli.console",
    "cli.tables": "cli.console",
    "collection": "collections.collection",
    "debias.apply": "debias.fitted",
    "debias.base": "adapters.mteb.load",
    "debias.builtin": "debias.methods",
    "debias.data": "debias.text",
    "debias.languages": "debias.detect",
    "doctor": "cli.doctor",
    "embedding_store": "encoders.cache",
    "encode": "encoders.token_budget",
    "encode_once": "encoders.memory",
    "encoder_files": "encoders.trained_record encoders.archive",
    "export.subset": "collections.export.formats",
    "fingerprint": "encoders.fingerprint encoders.values",
    "hookspecs": "plugins.hookspecs",
    "hub_files": "collections.download",
    "languages": "collections.languages",
    "methods": "training.methods",
    "metrics.bias_report": "measures.report",
    "metrics.languages": "measures.view",
    "metrics.measure": "measures.measure plugins.specs",
    "models": "adapters.mteb.metas adapters.mteb.load",
    "names": "errors encoders.trained",
    "passages": "collections.collection",
    "per_model": "encoders.memory",
    "probe": "measures.probe",
    "rank": "ranking.ranking ranking.exact files",
    "rank_correlation": "ranking.correlation",
    "readers.passages": "collections.readers.rows collections.download",
    "relevance": "ranking.arrays",
    "report": "results.tables",
    "report_ndcg": "results.tables",
    "scoring": "ranking.scorers ranking.arrays",
    "search": "ranking.trec adapters.mteb.run",
    "settings": "plugins.settings collections.collection",
    "shard_files": "ranking.shards.listing",
    "shards.asked": "ranking.shards.request",
    "shards.errors": "errors",
    "shards.numbered": "ranking.shards.fill",
    "shards.products": "ranking.shards.pairs",
    "shards.shard": "ranking.shards.shard files.temporary",
    "shards.unique": "ranking.shards.folder",
    "sources": "collections.download",
    "specs": "plugins.specs ranking.arrays",
    "store": "encoders.trained",
    "streamed": "plugins.specs collections.collection",
    "training.encoder": "encoders.load",
    "training.losses.gather": "training.losses.terms",
    "training.memory": "planning.dry_run",
    "training.network": "encoders.network encoders.load adapters.mteb.load",
    "training.text": "training.pairs",
}
# Names that have changed since, by module up to version 0.1.
RENAMED = {
    "adapters.mteb_names.task_owner": "owner_of",
    "adapters.mteb_ranked_task.RankedTask": "CollectionTask",
    "adapters.mteb_streamed.StreamedSplit": "LazySplit",
    "adapters.mteb_streamed.StreamedTask": "CollectionTask",
    "adapters.mteb_streamed.make_streamed_tasks": "make_tasks",
    "debias.languages.language_of": "macrolanguage",
    "export.folder.check_folder": "check_target",
    "plugins.AnyCollection": "CollectionSpec",
    "readers.miracl.MiraclPassages": "miracl_passages",
    "readers.verify.Found": "PartSummary",
    "readers.verify.examine": "read_through",
    "shards.counts.Counted": "RankCounter",
    "shards.counts.Many": "QueryCounter",
    "shards.counts.Round": "RoundCounter",
    "shards.counts.counted": "counters_for",
    "shards.group.Group": "QueryGroup",
    "shards.pairs.Scores": "Values",
}


def places_of(old: str) -> str:
    """Where the names of a module are now, separated by blanks; empty for one that never was."""
    head, _, rest = old.partition(".")
    if old in PLACES or head not in PACKAGES:
        return PLACES.get(old, "")
    place = ".".join(part for part in (PACKAGES[head], rest) if part)
    return place if find_spec(f"{PACKAGE}.{place}") else ""


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
        places = places_of(self._old)
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
    if old == "export" or not places_of(old):
        return None
    return ModuleSpec(name, _Loader(old), is_package=old in PACKAGES)
