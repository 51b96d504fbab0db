"""The benchmarks: ``HybridIR``, its settings kept apart, and BEIR, its translations and MIRACL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from hybridir_mteb.adapters.mteb.metadata import bibtex
from hybridir_mteb.plugins.settings import Setting, task_name
from hybridir_mteb.results.benchmarks import BENCHMARKS, HYBRIDIR, PARALLEL, BenchmarkTasks

_ATTRIBUTE = "HYBRIDIR_MTEB_BENCHMARK"

CITATION = r"""
@article{elmahdy2024synergistic,
  author = {Elmahdy, Adel and Lin, Sheng-Chieh and Ahmad, Amin},
  journal = {arXiv preprint arXiv:2408.10536},
  title = {Synergistic Approach for Simultaneous Optimization of Monolingual, Cross-lingual, and
           Multilingual Information Retrieval},
  year = {2024},
}
"""


def build_benchmark() -> Any:
    """The ``mteb.Benchmark`` object of the parallel collections."""
    from mteb.benchmarks.benchmark import Benchmark
    from mteb.get_tasks import get_task

    groups = {
        setting.value.capitalize(): [get_task(task_name(name, setting)) for name in PARALLEL]
        for setting in Setting
    }
    return Benchmark(
        name=HYBRIDIR,
        display_name=HYBRIDIR,
        tasks=[task for tasks in groups.values() for task in tasks],
        description=(
            "Multilingual answer retrieval on XQuAD-R and MLQA-R in three settings, mAP "
            "over the full ranking. The means of the three settings are reported apart."
        ),
        reference="https://arxiv.org/abs/2408.10536",
        citation=bibtex(CITATION),
        aggregations=_by_setting(groups),
    )


def _by_setting(groups: Mapping[str, Sequence[Any]]) -> tuple[Any, ...]:
    """MTEB's mean of all tasks, and one of each setting's."""
    from mteb.benchmarks.benchmark import BenchmarkAggregation, CustomGroup, CustomGrouping

    settings = tuple(CustomGroup(label, list(tasks)) for label, tasks in groups.items())
    return BenchmarkAggregation.MEAN_TASK, CustomGrouping(name="Setting", groups=settings)


def build_others() -> list[Any]:
    """The benchmarks of other people's sets; one whose tasks MTEB does not have is left out."""
    from mteb.benchmarks.benchmark import Benchmark

    built = []
    for one in BENCHMARKS.values():
        tasks = _tasks(one)
        if tasks:
            named = {task.metadata.name: task for task in tasks}
            groups = {
                label.capitalize(): [named[task] for task in names]
                for label, names in one.groups.items()
            }
            more: Any = {"aggregations": _by_setting(groups)} if groups else {}
            built.append(
                Benchmark(
                    name=one.name,
                    display_name=one.name,
                    tasks=tasks,
                    description=one.description,
                    reference=one.reference,
                    citation=None,
                    **more,
                )
            )
    return built


def _tasks(benchmark: BenchmarkTasks) -> list[Any]:
    """The benchmark's tasks, each with its split; none if MTEB lacks one of them."""
    from mteb.get_tasks import get_task

    try:
        return [get_task(name, eval_splits=[benchmark.split(name)]) for name in benchmark.tasks]
    except KeyError:  # a task that another version of MTEB, or a broken plugin, does not have
        return []


def add_benchmarks() -> None:
    """Put the benchmarks where mteb scans for them; called when mteb's own are loaded."""
    module = import_module("mteb.benchmarks.benchmarks")
    if not hasattr(module, _ATTRIBUTE):
        setattr(module, _ATTRIBUTE, build_benchmark())
        for at, benchmark in enumerate(build_others()):
            setattr(module, f"{_ATTRIBUTE}_{at}", benchmark)
    lookup: Any = import_module("mteb.benchmarks.get_benchmark")
    lookup._build_registry.cache_clear()
    lookup._build_aliases_registry.cache_clear()
