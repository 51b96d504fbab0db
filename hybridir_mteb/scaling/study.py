"""Scores of models against their sizes in every setting, and the laws of families and of all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import fmean

import numpy as np

from hybridir_mteb.scaling.broken import Broken, without_broken
from hybridir_mteb.scaling.families import Families
from hybridir_mteb.scaling.fit import (
    FAR,
    LEAST_FOR_LINE,
    LEAST_SIZES,
    Curve,
    Fitted,
    HeldOut,
    Law,
    Line,
    held_out,
    line,
)
from hybridir_mteb.scaling.scores import MEASURES, Cell, Facts, Scores, Size
from hybridir_mteb.scaling.settings import SETTINGS, Part, Setting, split_of

NDCG = "ndcg_at_10"
TARGET = 70e9  # what laws are asked for
FIELD = "all models"
FIELD_FROM = 10e6  # below are tables of tokens without a network
CURVE_POINTS = 60


class Status(StrEnum):
    """Whether a model has seen the data of a setting's tasks."""

    ZERO_SHOT = "zero-shot"
    TRAINED = "trained"
    UNDECLARED = "undeclared"


@dataclass(frozen=True)
class Point:
    """One model in one setting.

    Attributes:
        model: Its name.
        size: Number of parameters, as they are counted.
        score: In percent, or a difference in points.
        status: Whether it is zero-shot.
        trained_on: The tasks of the setting that it was trained on.
        family: Name of its family; empty if it has none.
        released: Date; None if unknown.
        own: Whether it was run here.
    """

    model: str
    size: int
    score: float
    status: Status
    trained_on: tuple[str, ...] = ()
    family: str = ""
    released: str | None = None
    own: bool = False


@dataclass(frozen=True)
class Trend:
    """What laws say of a family, or of all models.

    Attributes:
        name: Of the family, or ``all models``.
        points: From the smallest.
        law: The saturating law; None if there are fewer than five sizes.
        line: The log-linear law; None if there are fewer than three.
        largest: Errors at the largest model, of laws that have not seen it.
        far: The same of laws that have only seen models of at most an eighth of its size.
        curve: The saturating law from the smallest size to the target.
        note: What else differs between the models; may be empty.
    """

    name: str
    points: tuple[Point, ...]
    law: Law | None = None
    line: Line | None = None
    largest: HeldOut | None = None
    far: HeldOut | None = None
    curve: Curve | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """One setting and measure.

    Attributes:
        setting: What is compared.
        measure: One of ``MEASURES``.
        points: All models that have a score and a size, from the smallest.
        field: The laws of all of them.
        trends: Those of families of at least two sizes.
        left_out: Why models have no point -> how many.
    """

    setting: Setting
    measure: str
    points: tuple[Point, ...]
    field: Trend
    trends: tuple[Trend, ...]
    left_out: Mapping[str, int]

    @property
    def frontier(self) -> list[Point]:
        """Models that no smaller one, or one of the same size, beats."""
        best: list[Point] = []
        for point in sorted(self.points, key=lambda p: (p.size, -p.score)):
            if not best or point.score > best[-1].score:
                best.append(point)
        return best


@dataclass(frozen=True)
class Options:
    """What to compare, and how.

    Attributes:
        settings: Names of settings.
        size: Which parameters are counted.
        families: Names of families to show; empty shows all.
        zero_shot_only: Whether models are left out that were trained on a task, or do not say.
        target: Number of parameters that laws are asked for.
    """

    settings: tuple[str, ...] = tuple(SETTINGS)
    size: Size = Size.TOTAL
    families: tuple[str, ...] = ()
    zero_shot_only: bool = False
    target: float = TARGET


@dataclass(frozen=True)
class Study:
    """All that was asked for.

    Attributes:
        results: By setting, then measure.
        broken: Cells that were left out.
        origins: Where the scores come from.
        options: What was asked.
    """

    results: tuple[Result, ...]
    broken: tuple[Broken, ...]
    origins: tuple[str, ...]
    options: Options = field(default_factory=Options)


def study(scores: Scores, families: Families, options: Options | None = None) -> Study:
    """Leave out what is broken, compute all settings, unless told which, and fit the laws.

    Raises:
        UnknownNameError: There is no such family.
    """
    options = options or Options()
    families.named(options.families)
    sound, broken = without_broken(scores, families)
    cells = _Cells(sound)
    results = [
        _result(SETTINGS[name], measure, cells, families, options)
        for name in options.settings
        for measure in MEASURES
    ]
    return Study(tuple(results), tuple(broken), scores.origins, options)


def points_in(
    scores: Scores, families: Families, parts: Mapping[str, Part]
) -> dict[str, list[Point]]:
    """Name -> nDCG@10 of the models that have it and a size; what is broken is left out.

    Args:
        scores: All that are known.
        families: Their smaller members tell what is broken.
        parts: Name -> what is averaged.
    """
    cells = _Cells(without_broken(scores, families)[0])
    found: dict[str, list[Point]] = {}
    for name, part in parts.items():
        made = (_point(m, Setting(name, name, part), NDCG, cells, Options()) for m in cells.models)
        found[name] = [point for point in made if isinstance(point, Point)]
    return found


class _Cells:
    """The cells of each model and task, of the revision that has most of them."""

    def __init__(self, scores: Scores) -> None:
        self.facts, self.own = scores.facts, scores.own
        self.models = sorted({cell.model for cell in scores.cells})
        found: dict[tuple[str, str], dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
        for cell in scores.cells:
            if cell.split == split_of(cell.task):
                found[cell.model, cell.task][cell.revision].append(cell)
        self.of = {
            (model, task): max(
                revisions.items(),
                key=lambda item: (len(item[1]), item[0] == self._registered(model), item[0]),
            )[1]
            for (model, task), revisions in found.items()
        }

    def _registered(self, model: str) -> str | None:
        return self.facts.get(model, Facts()).revision

    def score(self, model: str, part: Part, measure: str) -> float | None:
        """Mean over tasks of the means over subsets, in percent; None if anything is missing."""
        means = []
        for task in part.scored_by(measure):
            cells = self.of.get((model, task), ())
            taken = [cell.value(measure) for cell in cells if part.languages.takes(cell.subset)]
            values = [value for value in taken if value is not None]
            if len(values) != part.subsets:
                return None
            means.append(fmean(values))
        return 100 * fmean(means)


def _result(
    setting: Setting, measure: str, cells: _Cells, families: Families, options: Options
) -> Result:
    points, left_out = [], Counter[str]()
    for model in cells.models:
        made = _point(model, setting, measure, cells, options)
        if isinstance(made, str):
            left_out[made] += any((model, task) in cells.of for task in setting.tasks)
            continue
        family = families.of(model)
        points.append(made if family is None else replace(made, family=family.name))
    points.sort(key=lambda point: (point.size, point.model))
    shown = families.named(options.families) if options.families else families.known
    grouped: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        grouped[point.family].append(point)
    trends = [
        _trend(family.name, grouped[family.name], options.target, family.note)
        for family in shown
        if len({point.size for point in grouped[family.name]}) > 1
    ]
    whole = _trend(FIELD, [p for p in points if p.size >= FIELD_FROM], options.target)
    return Result(setting, measure, tuple(points), whole, tuple(trends), dict(+left_out))


def _point(
    model: str, setting: Setting, measure: str, cells: _Cells, options: Options
) -> Point | str:
    """A model's point, or why it has none."""
    facts = cells.facts.get(model, Facts())
    score = cells.score(model, setting.part, measure)
    minus = 0.0 if setting.minus is None else cells.score(model, setting.minus, measure)
    if score is None or minus is None:
        return "not all subsets, or not sound"
    size = options.size.of(facts)
    if not size:
        return "number of parameters unknown"
    if facts.kind != "dense":
        return "not a dense encoder"
    seen = tuple(task for task in setting.tasks if task in (facts.trained_on or ()))
    status = Status.TRAINED if seen else Status.ZERO_SHOT
    status = Status.UNDECLARED if facts.trained_on is None else status
    if options.zero_shot_only and status is not Status.ZERO_SHOT:
        return f"not zero-shot: {status}"
    own = model in cells.own
    return Point(model, size, score - minus, status, seen, released=facts.released, own=own)


def _trend(name: str, points: Sequence[Point], target: float, note: str = "") -> Trend:
    sizes, scores = [float(p.size) for p in points], [p.score for p in points]
    n = len(set(sizes))
    law = curve = None
    if n >= LEAST_SIZES:
        fitted = Fitted(sizes, scores)
        law = fitted.law(target)
        curve = fitted.curve(np.geomspace(min(sizes), max(target, *sizes), CURVE_POINTS))
    return Trend(
        name,
        tuple(points),
        law,
        line(sizes, scores, target) if n >= LEAST_FOR_LINE else None,
        held_out(sizes, scores),
        held_out(sizes, scores, 1 / FAR),
        curve,
        note,
    )


def drawn_families(results: Iterable[Result], most: int) -> list[str]:
    """The families of most sizes, then the largest ones: those that pictures have colours for."""
    rank: dict[str, tuple[int, int]] = {}
    for trend in (trend for result in results for trend in result.trends):
        sizes = {point.size for point in trend.points}
        rank[trend.name] = max(rank.get(trend.name, (0, 0)), (len(sizes), max(sizes)))
    return sorted(rank, key=lambda name: rank[name], reverse=True)[:most]
