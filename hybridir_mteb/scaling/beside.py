"""Public models beside those of a result folder: only where both were scored in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hybridir_mteb.results.benchmarks import BEIR
from hybridir_mteb.results.html.content import Public
from hybridir_mteb.scaling.families import read_families
from hybridir_mteb.scaling.scores import Scores
from hybridir_mteb.scaling.settings import SETTINGS, TASKS, Part
from hybridir_mteb.scaling.study import points_in

_PERCENT = 100.0


def comparable(names: Sequence[str]) -> dict[str, Part]:
    """Those of some tasks and benchmarks that public results hold, and what they consist of.

    Tasks of this package are not among them, even where the data are the same: candidates, depth or
    the order of ties are others.

    Args:
        names: Of tasks, or of benchmarks whose mean is shown.
    """
    found = {name: Part((name,)) for name in names if name in TASKS}
    return found | {name: SETTINGS["beir"].part for name in names if name == BEIR.name}


def public_beside(names: Iterable[str], scores: Scores) -> Public:
    """What others published on some tasks, by nDCG@10.

    Args:
        names: Of tasks and benchmarks, as rows of results have them.
        scores: The public ones.
    """
    parts = comparable(list(dict.fromkeys(names)))
    if not parts:
        return Public()
    found = points_in(scores, read_families(), parts)
    rows = {
        name: [(p.model, p.size, p.score / _PERCENT, p.status.value) for p in points]
        for name, points in found.items()
    }
    return Public({name: of for name, of in rows.items() if of}, "; ".join(scores.origins))
