"""What the benchmarks of this package consist of, as MTEB names the tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybridir_mteb.plugins.settings import Setting, task_name

HYBRIDIR = "HybridIR"
PARALLEL = ("XQuADR", "MLQAR")  # the collections of the benchmark HybridIR


@dataclass(frozen=True)
class BenchmarkTasks:
    """A benchmark made of MTEB's own tasks, or of ours.

    Attributes:
        name: What ``mteb run -b`` takes.
        tasks: Names of the tasks.
        splits: Split of the tasks that have several; else ``test``.
        description: What it holds and how it is scored, in one sentence.
        reference: Address of its paper.
        groups: Label -> tasks that have a mean of their own, where there is none of all together.
    """

    name: str
    tasks: tuple[str, ...]
    description: str
    reference: str
    splits: dict[str, str] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def split(self, task: str) -> str:
        """The split that the benchmark scores."""
        return self.splits.get(task, "test")


def _names(names: str) -> tuple[str, ...]:
    return tuple(names.split())


BEIR = BenchmarkTasks(
    name="HybridIR-BEIR",
    tasks=_names(
        "MSMARCO TRECCOVID NFCorpus NQ HotpotQA FiQA2018 ArguAna Touche2020 CQADupstackRetrieval "
        "QuoraRetrieval DBPedia SCIDOCS FEVER ClimateFEVER SciFact"
    ),
    description="The 15 public sets of BEIR, MS MARCO by its dev split; nDCG@10.",
    reference="https://arxiv.org/abs/2104.08663",
    splits={"MSMARCO": "dev"},
)
BEIR_PL = BenchmarkTasks(
    name="HybridIR-BEIR-PL",
    tasks=_names(
        "MSMARCO-PL TRECCOVID-PL NFCorpus-PL NQ-PL HotpotQA-PL FiQA-PL ArguAna-PL Touche2020-PL "
        "CQADupstackRetrieval-PL Quora-PL DBPedia-PL SCIDOCS-PL SciFact-PL"
    ),
    description="BEIR in Polish, machine-translated: 13 sets, their test splits; nDCG@10.",
    reference="https://arxiv.org/abs/2305.19840",
)
MIRACL = BenchmarkTasks(
    name="HybridIR-MIRACL",
    tasks=("MIRACLMonolingualRetrieval",),
    description="MIRACL, its 18 languages with the full corpora, dev split; nDCG@10.",
    reference="https://aclanthology.org/2023.tacl-1.63",
    splits={"MIRACLMonolingualRetrieval": "dev"},
)
TRANSLATED = tuple(  # collections of English and a translation
    f"{name}En{code}"
    for code in ("Pl", "Nl")
    for name in _names("SciFact NFCorpus SCIDOCS FiQA TRECCOVID Touche2020")
)
_BY_SETTING = {
    setting.value: tuple(task_name(name, setting) for name in TRANSLATED) for setting in Setting
}
BEIR_ACROSS = BenchmarkTasks(
    name="HybridIR-BEIR-CrossLingual",
    tasks=tuple(task for tasks in _BY_SETTING.values() for task in tasks),
    description=(
        "Six sets of BEIR in English beside BEIR-PL, and beside BEIR-NL, in three settings whose "
        "means are reported apart; nDCG@10."
    ),
    reference="https://arxiv.org/abs/2104.08663",
    groups=_BY_SETTING,
)
BENCHMARKS: dict[str, BenchmarkTasks] = {
    one.name: one for one in (BEIR, BEIR_PL, MIRACL, BEIR_ACROSS)
}

# MTEB scores CQADupStack as the mean of its forums, and keeps no other measure of that mean.
FORUMS = _names(
    "Android English Gaming Gis Mathematica Physics Programmers Stats Tex Unix Webmasters Wordpress"
)
AGGREGATES: dict[str, tuple[str, ...]] = {
    "CQADupstackRetrieval": tuple(f"CQADupstack{forum}Retrieval" for forum in FORUMS),
    "CQADupstackRetrieval-PL": tuple(f"CQADupstack-{forum}-PL" for forum in FORUMS),
}
