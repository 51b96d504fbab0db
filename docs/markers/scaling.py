"""Scores against parameters: tables of ``scaling.json``, and effects of methods by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import DISTANCE, MAP, bold_if_significant, signed, tested
from markers.methods import compared_backbones, tested_against
from markers.registry import MarkerError, marker
from markers.results import load, made_by, markdown_table, number, pick

FILE = "scaling"
NDCG = "ndcg_at_10"
# Settings of the table of large models, with short heads.
LARGE = {
    "beir": "BEIR",
    "beir-small": "BEIR, six sets",
    "beir-pl": "BEIR-PL",
    "miracl-hard": "MIRACL, hard negatives",
    "mlqa-mono": "MLQA mono",
    "mlqa-cross": "MLQA cross",
    "mlqa-gap": "mono less cross",
    "belebele-same": "Belebele same",
    "belebele-other": "Belebele other",
}
SIGNS = {"zero-shot": "", "trained": "°", "undeclared": "?"}
OURS = ("muse", "pocket", "gemma3-270m")
OTHERS = ("mono", "cross", "adversarial")


def _measures(setting: str, measure: str = NDCG) -> dict[str, Any]:
    found: dict[str, Any] = pick(load(FILE), f"settings.{setting}.measures.{measure}", FILE)
    return found


def _family(setting: str, family: str, measure: str = NDCG) -> dict[str, Any]:
    """A family in a setting, or ``field``; a name may have dots, so that no path leads there."""
    measures = _measures(setting, measure)
    found = {**measures["families"], "field": measures["field"]}
    if family not in found:
        raise MarkerError(f"docs/results/{FILE}.json has no family {family!r} in {setting}")
    of: dict[str, Any] = found[family]
    return of


def _size(size: float) -> str:
    from hybridir_mteb.scaling.present import billions

    return billions(size)


def _within(ends: list[float], digits: int) -> str:
    return f"[{number(ends[0], digits)}, {number(ends[1], digits)}]"


@marker("scaling-made")
def made() -> str:
    """Where the scores come from, and how the file was made."""
    content = load(FILE)
    return f"*{'; '.join(content['origins'])}.*\n\n{made_by(content)}"


@marker("scaling-value")
def value(setting: str, family: str, path: str, digits: str = "1") -> str:
    """``scaling-value:mlqa-cross F2LLM-v2 law.there``: one number of a family."""
    found = pick(_family(setting, family), path, FILE)
    return number(found, int(digits))


@marker("scaling-score")
def score(setting: str, model: str, measure: str = NDCG) -> str:
    """``scaling-score:mlqa-gap codefuse-ai/F2LLM-v2-14B``: a model's score."""
    found = _measures(setting, measure)
    points = [p for of in found["families"].values() for p in of["points"]]
    for point in (*points, *found["points"]["large"]):
        if point["model"] == model:
            return number(point["score"], 1)
    raise MarkerError(f"docs/results/{FILE}.json has no {model} in {setting}")


@marker("scaling-laws")
def laws(family: str, measure: str = NDCG) -> str:
    """``scaling-laws:F2LLM-v2``: the laws of a family in every setting that has one."""
    rows = []
    for name, entry in load(FILE)["settings"].items():
        of = entry["measures"][measure]["families"].get(family)
        if of is None or of["law"] is None:
            continue
        first, last, law = of["points"][0], of["points"][-1], of["law"]
        rows.append(
            [
                f"`{name}`",
                *(number(point["score"], 1) for point in (first, last)),
                f"{number(law['there'], 1)} {_within(law['there_interval'], 1)}",
                f"{number(law['a'], 1)} {_within(law['a_interval'], 1)}",
                f"{number(law['c'], 2)} {_within(law['c_interval'], 2)}",
                *_pairs(of),
            ]
        )
    if not rows:
        raise MarkerError(f"docs/results/{FILE}.json has no law of {family!r}")
    columns = [
        "setting",
        _size(first["size"]),
        _size(last["size"]),
        f"{_size(law['target'])}, extrapolated",
        "levels off at",
        "c",
        "residual, law / line",
        "error at largest",
        "error over 8 times",
    ]
    return markdown_table(columns, rows)


def _pairs(of: Mapping[str, Any]) -> list[str]:
    """Residuals, then errors at the largest model: of the law and of the line."""
    cells = [f"{number(of['law']['residual'], 1)} / {number(of['line']['residual'], 1)}"]
    for part in ("largest", "far"):
        found = of[part] or {}
        said = [found.get(kind) for kind in ("law", "line")]
        cells.append(" / ".join("–" if one is None else f"{one:+.1f}" for one in said))
    return cells


@marker("scaling-gaps")
def gaps(setting: str) -> str:
    """``scaling-gaps:mlqa-gap``: the smallest to the largest of every family of three or more."""
    rows = []
    for name, of in _measures(setting)["families"].items():
        if len({point["size"] for point in of["points"]}) > 2:
            points = [f"{_size(p['size'])} {number(p['score'], 1)}" for p in of["points"]]
            rows.append([name, ", ".join(points)])
    return markdown_table(["family", "points, by size"], rows, left=2)


@marker("scaling-large")
def large() -> str:
    """Every model from 7B in every setting; ``°`` was trained on a task, ``?`` does not say."""
    models: dict[str, dict[str, Any]] = {}
    for setting in LARGE:
        for point in _measures(setting)["points"]["large"]:
            models.setdefault(point["model"], {"size": point["size"]})[setting] = point
    rows = [
        [
            name,
            _size(of["size"]),
            *(
                f"{number(of[s]['score'], 1)}{SIGNS[of[s]['status']]}" if s in of else "–"
                for s in LARGE
            ),
        ]
        for name, of in sorted(models.items(), key=lambda item: (item[1]["size"], item[0]))
    ]
    return markdown_table(["model", "parameters", *LARGE.values()], rows)


@marker("scaling-count")
def count(setting: str, what: str) -> str:
    """``scaling-count:mlqa-cross large``: models, large ones, or those of a status."""
    points = _measures(setting)["points"]
    if what == "large":
        return str(len(points["large"]))
    return str(points["models"] if what == "models" else points["status"].get(what, 0))


@marker("scaling-broken")
def broken() -> str:
    """Broken cells by model and task, with what gave the first of each away."""
    rows = [
        [
            model,
            _breakable(task),
            f"{cells}{' (MRR@10 alone)' if lost != 'all' else ''}",
            _breakable(why),
        ]
        for model, task, cells, lost, why in load(FILE)["broken"]
    ]
    return markdown_table(["model", "task", "cells", "first of them, and why"], rows, left=4)


def _breakable(names: str) -> str:
    """Names of tasks, with a place where a narrow column may break them."""
    return names.replace("HardNegatives", "<wbr>HardNegatives")


@marker("effects-by-size")
def effects() -> str:
    """``hybrid`` less other methods on XQuAD-R, or on held-out questions, for each backbone."""
    sizes, notes = load("backbones"), []
    rows = []
    for backbone in OURS:
        label = [f"`{backbone}`", _size(sizes[backbone]["parameters"])]
        before = len(rows)
        for other in OTHERS:
            found = {key: _effect(backbone, key, other) for key in (*MAP, DISTANCE)}
            if all(one is not None for one in found.values()):
                rows.append([*label, f"`{other}`", *found.values()])
        if len(rows) == before:
            held_out, questions = _held_out_effects(backbone)
            rows += [[*label, f"`{other}` *", *cells] for other, cells in held_out.items()]
            notes.append(
                f"\\* `{backbone}` has not been compared on XQuAD-R yet: on the {questions} "
                "held-out questions of the training data, one seed, not tested."
            )
    columns = ["backbone", "parameters", "`hybrid` less", *MAP.values(), "rank distance"]
    return "\n\n".join([markdown_table(columns, rows, left=3), *notes])


def _held_out_effects(backbone: str) -> tuple[dict[str, list[str]], int]:
    """Differences of one seed on held-out questions, and how many questions there are."""
    methods = load("compare-data")[backbone]["methods"]
    scores = {name: of["all"]["scores"]["all"] for name, of in methods.items() if "all" in of}
    keys = {key: key.replace(".", "_") for key in MAP}
    keys[DISTANCE] = "rank_distance"
    ours = scores["hybrid"]
    found = {
        other: [signed(ours[of] - scores[other][of], key) for key, of in keys.items()]
        for other in OTHERS
        if other in scores
    }
    return found, ours["questions"]


def _effect(backbone: str, key: str, other: str) -> str | None:
    """A difference, bold where it is significant; None where nobody compared the two."""
    try:
        if backbone in compared_backbones():
            row = tested_against(backbone, "XQuADR", key, other)
            away, p = row["difference"], row["p_holm"]
        else:
            away, p = tested(load("compare-batches")[backbone], key, "hybrid", other)
    except KeyError:
        return None
    return bold_if_significant(away, p, key)
