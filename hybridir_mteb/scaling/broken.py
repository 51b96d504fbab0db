"""Cells of broken runs, told from weak models by what else is known of the same cell.

A cell is broken if it is no number from 0 to 1; or if it is less than half of a witness and at
least 20 points below it. Witnesses are the same subset in another revision of the model, in another
version of the task (the same queries in a smaller or larger pool) and of the next smaller model of
the family, and for a zero the worst of the model's other subsets. A weak model is weak in all.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from hybridir_mteb.scaling.families import Families
from hybridir_mteb.scaling.scores import Cell, Scores

FACTOR = 0.5
POINTS = 0.2
_VERSION = re.compile(r"(HardNegatives)?(\.v\d+)?$")


@dataclass(frozen=True)
class Broken:
    """A cell that is left out, or whose MRR is.

    Attributes:
        cell: As it was published.
        why: What gives it away.
        only_mrr: Whether nDCG@10 is sound.
    """

    cell: Cell
    why: str
    only_mrr: bool = False


def without_broken(scores: Scores, families: Families) -> tuple[Scores, list[Broken]]:
    """The sound cells, and what was wrong with the others; smaller members are witnesses."""
    found = _Witnesses(scores, families)
    kept, broken = [], []
    for cell in scores.cells:
        why = found.against(cell)
        if why is not None:
            broken.append(Broken(cell, why))
        elif cell.mrr_at_10 is not None and _no_mrr(cell.mrr_at_10, cell.ndcg_at_10):
            why = f"MRR@10 is {cell.mrr_at_10:g} where nDCG@10 is {cell.ndcg_at_10:.3f}"
            broken.append(Broken(cell, why, only_mrr=True))
            kept.append(replace(cell, mrr_at_10=None))
        else:
            kept.append(cell)
    return replace(scores, cells=tuple(kept)), broken


def _no_mrr(mrr: float, ndcg: float) -> bool:
    """Both are 0 or neither, but for what rounding does."""
    return not _is_score(mrr) or (mrr == 0 and ndcg > 1e-3)


def _is_score(value: float) -> bool:
    return math.isfinite(value) and 0 <= value <= 1


class _Witnesses:
    def __init__(self, scores: Scores, families: Families) -> None:
        self.facts = scores.facts
        self.by_place: dict[tuple[str, str, str, str], list[Cell]] = defaultdict(list)
        self.by_task: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
        for cell in scores.cells:
            if _is_score(cell.ndcg_at_10):
                self.by_place[cell.model, _stem(cell.task), cell.split, cell.subset].append(cell)
                self.by_task[cell.model, cell.revision, cell.task].append(cell)
        self.smaller = self._smaller({cell.model for cell in scores.cells}, families)

    def _smaller(self, models: Iterable[str], families: Families) -> dict[str, Sequence[str]]:
        """Model -> the smaller ones of its family, the largest of them first."""
        members: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for model in models:
            family = families.of(model)
            known = self.facts.get(model)
            if family is not None and known is not None and known.parameters:
                members[family.name].append((known.parameters, model))
        return {
            model: [name for n, name in sorted(group, reverse=True) if n < size]
            for group in members.values()
            for size, model in group
        }

    def against(self, cell: Cell) -> str | None:
        """What gives a cell away; None if nothing does."""
        if not _is_score(cell.ndcg_at_10):
            return f"{cell.ndcg_at_10:g} is no score from 0 to 1"
        for witness, what in self._of(cell):
            if cell.ndcg_at_10 < FACTOR * witness and witness - cell.ndcg_at_10 >= POINTS:
                return f"{cell.ndcg_at_10:.3f} where {what} has {witness:.3f}"
        return None

    def _of(self, cell: Cell) -> Iterator[tuple[float, str]]:
        for other in self.by_place[cell.model, _stem(cell.task), cell.split, cell.subset]:
            if other.task != cell.task:
                yield other.ndcg_at_10, other.task
            elif other.revision != cell.revision:
                yield other.ndcg_at_10, f"revision {other.revision[:8]}"
        for model in self.smaller.get(cell.model, ()):
            beside = self.by_place.get((model, _stem(cell.task), cell.split, cell.subset), ())
            same = [other for other in beside if other.task == cell.task]
            if same:
                yield max(other.ndcg_at_10 for other in same), f"the smaller {model}"
                break
        others = self.by_task[cell.model, cell.revision, cell.task] if not cell.ndcg_at_10 else []
        if len(others) > 2:
            least = sorted(other.ndcg_at_10 for other in others)[1]  # the first is the cell itself
            yield least, f"the worst of {len(others) - 1} other subsets"


@cache
def _stem(task: str) -> str:
    """A task without what says that its pool is another: ``NQ`` of ``NQHardNegatives.v2``."""
    return _VERSION.sub("", task)
