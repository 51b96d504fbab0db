"""Files of ``docs/results``: reading them, writing tables, and the scores of ``mteb run``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from markers.registry import MarkerError, marker

RESULTS = Path(__file__).parent.parent / "results"
SETTINGS = {"mono": "monolingual", "cross": "cross-lingual", "multi": "multilingual"}
# Files with a target of their own in the Makefile; `make xquad` makes the others.
TARGETS = ("bench", "bench-scale", "budget", "debias-pocket")
TARGETS += ("compare-batches", "compare-data", "faults", "scaling", "sweep-alpha", "train-pocket")
TARGETS += ("bench-growth", "bench-training", "cluster-faults", "gpu-check", "gpu-rehearsal")
OTHERS = {"backbones": "bench-backbones", "tuned": "tune"}
OTHERS["cluster"] = "cluster-bench"
OTHERS["fsdp"] = "fsdp-check"
# How the names begin of files of which each backbone has one.
EACH = {"compare-methods-": "compare-methods", "beir-english-": "bench-beir"}

Rows = list[list[str]]
Table = tuple[list[str], Rows]  # columns, rows


def load(name: str) -> dict[str, Any]:
    """One file of ``docs/results``."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        target = name if name in TARGETS else OTHERS.get(name, "xquad")
        for start, of_backbones in EACH.items():
            target = of_backbones if name.startswith(start) else target
        raise MarkerError(f"docs/results/{path.name} is missing; make {target} writes it")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def pick(content: Mapping[str, Any], path: str, name: str) -> Any:
    """The value at a dotted path of the results file of a name."""
    found: Any = content
    for key in path.split("."):
        if not isinstance(found, Mapping) or key not in found:
            raise MarkerError(f"docs/results/{name}.json has no {path!r}; run again what makes it")
        found = found[key]
    return found


def number(value: float | None, digits: int, factor: float = 1) -> str:
    """A number times a factor, or a dash where there is none."""
    return "–" if value is None else f"{factor * value:.{digits}f}"


def plain(value: float) -> str:
    """A measurement, with six digits where it is not whole."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def markdown_table(columns: Sequence[str], rows: Rows, *, left: int = 1) -> str:
    """A table whose first columns are text and the others numbers."""
    rule = ["---" if at < left else "--:" for at in range(len(columns))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, rule, *rows])


def made_by(content: Mapping[str, Any]) -> str:
    """How a file was made: the command, and folded away the rest."""
    made = content["made_by"]
    return (
        f'<details class="made"><summary>Made by <code>{made["command"]}</code></summary>'
        f"{made_on(content)}</details>"
    )


def made_on(content: Mapping[str, Any]) -> str:
    """When, from what, where and with what a file was made, and where else what it is made of."""
    made = content["made_by"]
    machine = made["machine"]
    versions = ", ".join(f"{package} {number}" for package, number in made["versions"].items())
    others = {_machine(one["machine"]) for one in content.get("members_made_by", ())}
    elsewhere = sorted(others - {_machine(machine)})
    return (
        f"on {made['date']}, commit {made['commit']}: "
        f"{_machine(machine)}, {machine['memory_gb']} GB, "
        f"{machine['platform']}, Python {machine['python']}; {versions}"
        + (f"; encoders also on {'; '.join(elsewhere)}" if elsewhere else "")
    )


def _machine(machine: Mapping[str, Any]) -> str:
    """Processor, cores, and GPU if there is one."""
    named = [machine["gpu"]] if "gpu" in machine else []
    return ", ".join([machine["processor"], f"{machine['cores']} cores", *named])


def made_table(content: Mapping[str, Any], columns: list[str], rows: Rows, *, left: int = 1) -> str:
    """A table and, below it, how its numbers were made."""
    return f"{markdown_table(columns, rows, left=left)}\n\n{made_by(content)}"


def result_table(*names: str) -> str:
    """The table that ``hybridir report`` prints, a row for each results file, as Markdown."""
    from hybridir_mteb.results.tables import COLUMNS, ResultRow

    rows = []
    for name in names:
        content = load(name)
        means = pick(content, "settings", name)
        scores = {key: list(found.values()) for key, found in content["scores"].items()}
        rows.append(ResultRow(content["collection"], content["encoder"], means, scores).cells())
    return markdown_table(COLUMNS, rows, left=2)


@marker("table")
def table(*names: str) -> str:
    """The result table, and how its files were made."""
    return "\n\n".join([result_table(*names), *dict.fromkeys(made_by(load(n)) for n in names)])


@marker("value")
def value(name: str, path: str) -> str:
    """``value:xquad-r settings.cross.subsets``: one value of a results file."""
    return str(pick(load(name), path, name))


@marker("settings")
def settings(name: str) -> str:
    """Means of each setting."""
    content = load(name)
    effectiveness = ["map", "mrr", "ndcg_at_10", "recall_at_1", "recall_at_100"]
    rows = []
    for key, label in SETTINGS.items():
        means = pick(content, f"settings.{key}", name)
        row = [label, str(means["subsets"])]
        row += [number(means[measure], 1, 100) for measure in effectiveness]
        row.append(number(means.get("rank_distance"), 1))
        rows.append([*row, number(means.get("rank_distance_norm"), 3)])
    measures = [*effectiveness, "rank_distance", "rank_distance_norm"]
    return made_table(content, ["setting", "subsets", *(f"`{m}`" for m in measures)], rows)


@marker("languages")
def languages(name: str) -> str:
    """Scores of each language; the cross-lingual ones as means over the other languages."""
    from hybridir_mteb.collections.languages import LANGUAGES

    content = load(name)
    scores = content["scores"]
    pairs = {pair: score["map"] for pair, score in scores["cross"].items()}
    rows = []
    for code, multi in scores["multi"].items():
        asked = fmean(value for pair, value in pairs.items() if pair.startswith(f"{code}-"))
        found = fmean(value for pair, value in pairs.items() if pair.endswith(f"-{code}"))
        effectiveness = (scores["mono"][code]["map"], asked, found, multi["map"])
        row = [f"{LANGUAGES[code].name} (`{code}`)"]
        row += [number(average_precision, 1, 100) for average_precision in effectiveness]
        row.append(number(multi["rank_distance"], 1))
        rows.append([*row, number(multi["rank_distance_norm"], 3)])
    columns = ["language", "mono", "cross, as query", "cross, as passage", "multi"]
    return made_table(content, [*columns, "rank distance", "normalised"], rows)
