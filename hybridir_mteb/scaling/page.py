"""A study as a web page of its own: a picture for each setting, with its numbers as tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hybridir_mteb.bias.plot.draw import inline_svg
from hybridir_mteb.bias.plot.html import Section, document, reasons, section_of
from hybridir_mteb.bias.plot.style import drawing
from hybridir_mteb.results.html.page import safe_text
from hybridir_mteb.scaling.plot import figure_of, looks_of
from hybridir_mteb.scaling.present import broken_rows, sheet, words
from hybridir_mteb.scaling.scores import MEASURES
from hybridir_mteb.scaling.study import Result, Study

TITLE = "Scores against parameters"
READING = (
    "One mark for each model. Filled: zero-shot; hollow: trained on one of the tasks; half-filled: "
    "the maker does not say. Lines: the saturating law; dashed, with its interval: extrapolation."
)


def page(study: Study) -> str:
    """The page; to be written to a file."""
    looks = looks_of(study.results)
    names = dict.fromkeys(result.setting.name for result in study.results)
    groups = [[r for r in study.results if r.setting.name == name] for name in names]
    with drawing():
        sections = [_section(group, study, looks) for group in groups]
    told = [f"<p>{safe_text(line)}</p>" for line in words(study)]
    return document(TITLE, [*told, *map(section_of, sections), _broken(study)])


def _section(group: Sequence[Result], study: Study, looks: dict[str, tuple[str, str]]) -> Section:
    setting = group[0].setting
    figure = figure_of(group, looks, study.options.target, columns=len(group))
    sheets = [sheet(result, study.options.target) for result in group]
    table = {
        f"{cells[0]}, {MEASURES[result.measure]}": cells[1:]
        for result, found in zip(group, sheets, strict=True)
        for cells in found.rows
    }
    return Section(
        heading=setting.title,
        reading=READING,
        picture=inline_svg(figure, setting.name, setting.title),
        note=_note(group),
        columns=sheets[0].columns[1:],
        rows=table,
        of="family and measure",
    )


def _note(group: Iterable[Result]) -> str:
    """Tasks, models without a point, and what else differs within families."""
    first, *_ = group = list(group)
    left_out = ", ".join(f"{n} {why}" for why, n in first.left_out.items())
    notes = [f"{trend.name}: {trend.note}" for trend in first.trends if trend.note]
    return ". ".join(
        [
            f"Tasks: {', '.join(first.setting.tasks)}",
            f"{len(first.points)} models have {MEASURES[first.measure]}"
            + (f"; left out: {left_out}" if left_out else ""),
            *notes,
        ]
    )


def _broken(study: Study) -> str:
    """What was found broken, a line for each model and task."""
    found = broken_rows(study.broken)
    return reasons(
        "Cells that were left out as broken",
        {f"{model}, {task} ({lost})": f"{n}; {why}" for model, task, n, lost, why in found},
    )
