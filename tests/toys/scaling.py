"""Made-up models whose scores follow a known law."""

import numpy as np

from hybridir_mteb.scaling.families import Families, Family
from hybridir_mteb.scaling.scores import Cell, Facts, Scores

SIZES = (0.03e9, 0.1e9, 0.3e9, 1e9, 3e9, 10e9)
LANGUAGES = ("ara", "deu", "eng", "hin", "spa", "vie", "zho")
FAMILIES = Families((Family("toy", ("made/up-*",)),))
TASK = "MLQARetrieval"


def law(size: float, a: float, b: float, c: float) -> float:
    return a - b * (size / 1e9) ** -c


def cells_of(model: str, mono: float, cross: float, task: str = TASK) -> list[Cell]:
    """All subsets of MLQA, the same score in each but for a little that adds up to nothing."""
    return [
        Cell(model, "main", task, "test", f"{q}-{p}", score, score)
        for q in LANGUAGES
        for p in LANGUAGES
        for score in [mono if q == p else cross]
    ]


def a_family(
    a: float = 70.0, b: float = 10.0, c: float = 0.4, noise: float = 0.0, seed: int = 0
) -> Scores:
    """Six sizes of one family, in one language by the law, across languages five points less."""
    rng = np.random.default_rng(seed)
    cells: list[Cell] = []
    facts = {}
    for size in SIZES:
        model = f"made/up-{size / 1e6:.0f}M"
        mono = (law(size, a, b, c) + noise * rng.normal()) / 100
        cells += cells_of(model, mono, mono - 0.05)
        facts[model] = Facts(parameters=int(size), trained_on=frozenset())
    return Scores(tuple(cells), facts, ("made up",))
