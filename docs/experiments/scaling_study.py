"""Research code: ``docs/results/scaling.json`` and its picture, from the packaged public scores."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plots
from provenance import RESULTS, provenance

from hybridir_mteb.bias.plot.style import drawing
from hybridir_mteb.scaling.families import read_families
from hybridir_mteb.scaling.plot import figure_of, looks_of
from hybridir_mteb.scaling.present import as_dict, broken_rows
from hybridir_mteb.scaling.snapshot import read_snapshot
from hybridir_mteb.scaling.study import TARGET, Point, Result, Study, study

LARGE = 6.5e9  # what is sold as 7B


def content(found: Study) -> dict[str, Any]:
    """What pages show: laws, families, large models, counts; the points of others are left out."""
    whole = as_dict(found)
    for result in found.results:
        entry = whole["settings"][result.setting.name]["measures"][result.measure]
        entry["points"] = {
            "models": len(result.points),
            "status": Counter(str(point.status) for point in result.points),
            "large": [_short(point) for point in result.points if point.size >= LARGE],
        }
        for trend in result.trends:
            family = entry["families"].pop(trend.name)
            if trend.line is not None:  # three sizes
                del family["models"]
                points = [_short(point) for point in trend.points]
                entry["families"][trend.name] = {**family, "points": points}
    whole["broken"] = broken_rows(found.broken)
    return whole


def _short(point: Point) -> dict[str, Any]:
    whole = asdict(point)
    return {name: whole[name] for name in ("model", "size", "score", "status")}


def draw(folder: Path, found: Study | None = None) -> Path:
    """Draw nDCG@10 of four settings; of what ``make scaling`` found, or of the same done again."""
    found = found or study(read_snapshot(), read_families())
    by_name: dict[str, Result] = {
        result.setting.name: result for result in found.results if result.measure == "ndcg_at_10"
    }
    with drawing():
        figure = figure_of(
            [by_name[name] for name in plots.SCALING], looks_of(found.results), TARGET
        )
        return plots.save(figure, "scaling", folder)


def main() -> None:
    """Write the numbers, then draw."""
    found = study(read_snapshot(), read_families())
    made = {"made_by": provenance("make scaling", ("scipy",)), **content(found)}
    text = json.dumps(made, ensure_ascii=False, allow_nan=False)
    text = text.replace('{"title"', '\n{"title"')  # a line for each setting
    (RESULTS / "scaling.json").write_text(text + "\n", encoding="utf-8")
    draw(plots.IMAGES, found)


if __name__ == "__main__":
    main()
