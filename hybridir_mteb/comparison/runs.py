"""Scores by query of runs: MTEB's predictions, and files in TREC's format with judgements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybridir_mteb.bias.predictions import SUFFIX, rankings_of
from hybridir_mteb.collections.readers.trec import read_run
from hybridir_mteb.comparison.systems import Entry, Scores
from hybridir_mteb.errors import SettingError
from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.measure import Measure, RankTable, failing, measure_values
from hybridir_mteb.ranking.arrays import Qrels, Run
from hybridir_mteb.ranking.judgements import judgements_of
from hybridir_mteb.ranking.ranking import rank_run

# Those of language bias that need no languages.
MEASURES = (*EFFECTIVENESS, *(m for m in LANGUAGE_BIAS if m.name in {"rank_distance", "max_rank"}))
ALL = ""  # subset of a run in TREC's format


@dataclass(frozen=True)
class Judged:
    """What is relevant in one subset of a task.

    Attributes:
        qrels: Query -> document -> grade.
        units: Query -> what it asks, where that is known; else each query is a unit of its own.
    """

    qrels: Qrels
    units: Mapping[str, str] = field(default_factory=dict)


# Task and subsets -> main measure, and what is relevant in each subset.
AskTask = Callable[[str, Sequence[str]], tuple[str, Mapping[str, Judged]]]


@dataclass(frozen=True)
class Judges:
    """Where judgements come from.

    Attributes:
        ask: Gives those of a task that MTEB knows; may download its data.
        given: Those that the user gave; needed for runs in TREC's format.
        name: Stands for the task of such runs.
        more: Measures of plugins to compute, too.
    """

    ask: AskTask
    given: Judged | None = None
    name: str = ""
    more: Sequence[Measure] = ()


@dataclass(frozen=True)
class RunSource:
    """A run, or the predictions of one model on several tasks.

    Attributes:
        path: A run in TREC's format, a ``<task>_predictions.json``, or a folder of such.
        judges: What is relevant.
    """

    path: Path
    judges: Judges

    def files(self) -> dict[str, Path]:
        """Task -> its file."""
        if self.path.is_dir():
            found = [*self.path.glob(f"*{SUFFIX}"), *self.path.glob(f"*{SUFFIX}.gz")]
            return {_stem(path): path for path in sorted(found)}
        return {_stem(self.path) or self.judges.name: self.path}

    def tasks(self) -> set[str]:
        """Names of the tasks that can be read."""
        return set(self.files())

    def read(self, task: str) -> Scores:
        """Scores of one of the tasks.

        Raises:
            DataFormatError: A file cannot be read.
            SettingError: Judgements are missing.
        """
        path, given = self.files()[task], self.judges.given
        if _stem(path):
            runs: dict[str, Run] = {**rankings_of(path)}
            if given is None:
                main, judged = self.judges.ask(task, list(runs))
            else:
                main, judged = "", dict.fromkeys(runs, given)
            return scores_of(runs, judged, main, self.judges.more)
        if given is None:
            raise SettingError(f"{path}: a run in TREC's format needs judgements (--qrels QRELS)")
        return scores_of({ALL: read_run(path)}, {ALL: given}, more=self.judges.more)


def _stem(path: Path) -> str:
    """The task of a prediction file; empty for a run in TREC's format."""
    name = path.name.removesuffix(".gz")
    return name.removesuffix(SUFFIX) if name.endswith(SUFFIX) else ""


def scores_of(
    runs: Mapping[str, Run],
    judged: Mapping[str, Judged],
    main: str = "",
    more: Sequence[Measure] = (),
) -> Scores:
    """Scores of every judged query that has something relevant; what a run lacks is not found.

    Args:
        runs: Subset -> query -> document -> score.
        judged: Subset -> what is relevant.
        main: Name of the main measure; by default that of most collections.
        more: Measures of plugins; one that fails, as without languages, has no values.
    """
    measures = (*MEASURES, *more)
    values: dict[str, dict[Entry, float]] = {measure.name: {} for measure in measures}
    units: dict[Entry, str] = {}
    for subset, run in runs.items():
        of = judged[subset]
        qrels = {q: grades for q, grades in of.qrels.items() if any(g > 0 for g in grades.values())}
        table = _table(run, qrels)
        entries = [(subset, query) for query in qrels]
        units |= {entry: of.units.get(entry[1], "\t".join(entry)) for entry in entries}
        failed = failing(more, table)
        for measure in (one for one in measures if one.name not in failed):
            column = measure_values(measure, table)
            known = zip(entries, column.tolist(), strict=True)
            values[measure.name] |= {e: value for e, value in known if not np.isnan(value)}
    return Scores(main or "map", values, units)


def _table(run: Run, qrels: Qrels) -> RankTable:
    """Ranks of what is relevant; the languages play no part."""
    documents = {d: "" for of in (*run.values(), *qrels.values()) for d in of}
    judged = judgements_of(qrels, documents, dict.fromkeys(qrels, ""), None)
    rows = {document: at for at, document in enumerate(documents)}
    ranking = rank_run(run, judged, lambda names: {name: rows[name] for name in names}, 0)
    gains = judged.gains
    return RankTable.build(judged.relevance, ranking.ranks, judged.pool_size, gains)
