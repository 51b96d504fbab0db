"""All methods and debiasers on each backbone: tables of ``compare-methods-*.json``, ``tuned.json``.

Beside them stand the figures of Elmahdy et al. 2024 (arXiv 2408.10536), and which seeds ship.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from markers import results
from markers.compare import (
    CLAIMS,
    DISTANCE,
    HELD_OUT,
    MAP,
    TITLES,
    better_sign,
    difference_with_interval,
    held_out_cells,
    scale,
    signed,
    verdict,
    with_interval,
)
from markers.registry import marker
from markers.results import load, made_table, markdown_table, number, pick

BACKBONES = ("pocket", "muse", "gemma3-270m")
REFERENCE = "hybrid"
SHOWN = {
    **{key: f"{key.partition('.')[0]} mAP" for key in MAP},
    DISTANCE: "rank distance",
    "multi.tlr_at_20": "TLR@20",
    "multi.complete_at_100": "complete@100",
    "multi.lang_ndcg_at_10": "Lang-nDCG@10",
}
TESTED = {**MAP, DISTANCE: "rank distance"}
# Backbone and batches -> mono, cross, multi mAP, rank distance.
PAPER = {
    "XQuADR": {
        "XLM-R, `mono`": (0.792, 0.674, 0.548, 410.2),
        "XLM-R, `cross`": (0.755, 0.700, 0.593, 295.4),
        "XLM-R, `hybrid`": (0.798, 0.705, 0.593, 286.6),
        "LaBSE, `mono`": (0.808, 0.752, 0.652, 261.5),
        "LaBSE, `cross`": (0.801, 0.762, 0.679, 225.2),
        "LaBSE, `hybrid`": (0.817, 0.767, 0.682, 221.1),
    },
    "MLQAR": {
        "XLM-R, `mono`": (0.648, 0.584, 0.473, 287.5),
        "XLM-R, `cross`": (0.626, 0.620, 0.508, 226.7),
        "XLM-R, `hybrid`": (0.648, 0.623, 0.512, 227.1),
        "LaBSE, `mono`": (0.681, 0.656, 0.550, 225.3),
        "LaBSE, `cross`": (0.671, 0.677, 0.576, 198.3),
        "LaBSE, `hybrid`": (0.686, 0.681, 0.579, 195.0),
    },
}


# Backbone -> collection, method (None is the best one by held-out documents), measure, and what it
# was to reach; set before anything was measured.
TARGETS: dict[str, tuple[tuple[str, str | None, str, float], ...]] = {
    "pocket": (
        ("XQuADR", None, "multi.map", 0.66),
        ("XQuADR", None, "mono.map", 0.79),
        ("XQuADR", None, DISTANCE, 260),
        ("XQuADR", REFERENCE, "multi.map", 0.61),
    ),
    "gemma3-270m": (("PocketQAR", REFERENCE, "multi.map", 0.45),),
}


def file_of(backbone: str) -> str:
    """The name of a backbone's file of results."""
    return f"compare-methods-{backbone}"


def compared_backbones() -> list[str]:
    """The backbones whose comparison has been made."""
    return [name for name in BACKBONES if (results.RESULTS / f"{file_of(name)}.json").is_file()]


def collection_of(backbone: str, name: str) -> dict[str, Any]:
    """What the comparison found on a collection; blanks of its title may be ``_``."""
    found: dict[str, Any] = pick(load(file_of(backbone)), "collections", file_of(backbone))
    title = name.replace("_", " ")
    return found[title] if title in found else pick(found, title, file_of(backbone))


def _cell(value: float | None, key: str) -> str:
    factor, digits = scale(key)
    return number(value, digits, factor)


@marker("answered-on")
def answered_on() -> str:
    """The backbones that the first page's picture shows, and how many seeds each has."""
    said = []
    for backbone in compared_backbones():
        made, planned = (
            pick(load(file_of(backbone)), f"seeds.{one}", file_of(backbone))
            for one in ("made", "planned")
        )
        seeds = f"{made}" if made == planned else f"{made} of {planned}"
        said.append(f"`{backbone}` ({seeds})")
    return ", ".join(said)


@marker("contenders")
def contenders(backbone: str, name: str) -> str:
    """``contenders:muse XQuADR``: means over seeds with intervals, a row for each contender."""
    return contender_table(backbone, name, lambda _: True)


def contender_table(backbone: str, name: str, shown: Callable[[str], bool]) -> str:
    """The table of those contenders of a collection whose names are ``shown``."""
    rows = []
    for contender, of in collection_of(backbone, name)["contenders"].items():
        if shown(contender):
            cells = [with_interval(of["mean"][key], of["intervals"][key], key) for key in SHOWN]
            rows.append([f"`{contender}`", str(len(of["seeds"][DISTANCE])), *cells])
    return made_table(load(file_of(backbone)), ["method", "seeds", *SHOWN.values()], rows)


@marker("hybrid-against")
def hybrid_against(backbone: str, name: str) -> str:
    """``hybrid-against:muse XQuADR``: ``hybrid`` less every other contender, with intervals."""
    found = collection_of(backbone, name)
    others = [row["methods"][1] for row in found["tests"][DISTANCE]]
    rows = []
    for at, other in enumerate(others):
        cells = [_difference(found["tests"][key][at], key) for key in TESTED]
        rows.append([f"`{other}`", *cells])
    return markdown_table([f"`{REFERENCE}` less", *TESTED.values()], rows)


def _difference(row: Mapping[str, Any], key: str) -> str:
    """Difference, its interval, effect size; bold where significant."""
    return f"{difference_with_interval(row, key)}, d {number(row['d'], 2)}"


def tested_against(backbone: str, name: str, key: str, other: str) -> dict[str, Any]:
    """The test of ``hybrid`` against another contender by one measure."""
    for row in collection_of(backbone, name)["tests"][key]:
        if row["methods"] == [REFERENCE, other]:
            found: dict[str, Any] = row
            return found
    raise KeyError(f"{file_of(backbone)}: no test against {other}")


@marker("claims-on")
def claims_on(which: str, name: str) -> str:
    """``claims-on:paper XQuADR``: each claim with a verdict on every backbone that was compared."""
    rows = []
    for claim in CLAIMS[which]:
        cells = []
        for backbone in compared_backbones():
            row = tested_against(backbone, name, claim.key, claim.other)
            found, p = row["difference"], row["p_holm"]
            said = verdict(better_sign(found, p, claim.key), at_least=claim.at_least)
            cells.append(f"{said}: {signed(found, claim.key)} (p = {p:.2g})")
        rows.append([claim.sentence(), *cells])
    return markdown_table(
        [f"`{REFERENCE}` is", *(f"`{one}`" for one in compared_backbones())], rows
    )


@marker("beside-the-paper")
def beside_the_paper(name: str) -> str:
    """``beside-the-paper:XQuADR``: the paper's figures, and ours of the same kinds of batches."""
    rows = []
    for label, values in PAPER[name].items():
        cells = (_cell(value, key) for value, key in zip(values, TESTED, strict=True))
        rows.append(["paper", label, *cells])
    for backbone in compared_backbones():
        found = collection_of(backbone, name)["contenders"]
        for method in ("mono", "cross", REFERENCE):
            cells = (_cell(found[method]["mean"][key], key) for key in TESTED)
            rows.append(["here", f"{backbone}, `{method}`", *cells])
    return markdown_table(["", "encoder", *TESTED.values()], rows, left=2)


@marker("targets")
def targets() -> str:
    """What was to be reached, and what was, on every backbone that was compared."""
    rows = []
    for backbone in compared_backbones():
        for name, method, key, bound in TARGETS.get(backbone, ()):
            found = collection_of(backbone, name)["contenders"]
            chosen = method or _best(backbone)
            mean = found[chosen]["mean"][key]
            reached = mean <= bound if key == DISTANCE else mean >= bound
            asked = f"at {'most' if key == DISTANCE else 'least'} {_cell(bound, key)}"
            who = f"`{chosen}`" + ("" if method else ", best by held-out text")
            label = f"{TITLES[name]}, {TESTED[key]}"
            cells = [asked, _cell(mean, key), "yes" if reached else "no"]
            rows.append([f"`{backbone}`", who, label, *cells])
    heads = ["backbone", "method", "measure", "target", "reached", "met"]
    return markdown_table(heads, rows, left=3)


def _best(backbone: str) -> str:
    """The method whose seeds held-out documents like best; no evaluation set has a say in it."""
    held_out = pick(load(file_of(backbone)), "held_out", file_of(backbone))
    return max(held_out, key=lambda name: fmean(of["criterion"] for of in held_out[name]))


@marker("tuned")
def tuned(backbone: str) -> str:
    """``tuned:muse``: every trial of both methods with its held-out criterion."""
    found = pick(load("tuned"), backbone, "tuned")
    rows = []
    for method, of in found["methods"].items():
        for trial in of["trials"]:
            settings = {key: trial[key] for key in of["chosen"]}
            held = trial["held_out"]
            said = ", ".join(f"{key} {value:g}" for key, value in settings.items())
            score = (
                f"{number(held['criterion'], 1, 100)} ± {number(held['standard_error'], 1, 100)}"
            )
            probe = number(held.get("language_probe"), 1, 100)
            chosen = "yes" if settings == of["chosen"] else ""
            rows.append([f"`{method}`", said, score, probe, chosen])
    heads = ["method", "settings", "criterion", "language probe", "chosen"]
    return made_table(found, heads, rows, left=2)


@marker("budget")
def budget(backbone: str) -> str:
    """``budget:pocket``: held-out scores of ``hybrid`` with more steps or larger batches."""
    found = pick(load("budget"), backbone, "budget")
    rows = []
    for trial in found["trials"]:
        settings = [f"{value:g}" for value in trial["settings"].values()]
        rows.append([*settings, *held_out_cells(trial["held_out"])])
    heads = [*(name.replace("_", " ") for name in found["trials"][0]["settings"]), *HELD_OUT]
    return made_table(found, heads, rows, left=0)


@marker("shipped-seeds")
def shipped_seeds() -> str:
    """Held-out scores of every seed of ``pocket``, and which one ships."""
    content = load("train-pocket")
    rows = [["`base`", "", *held_out_cells(content["backbone"]), ""]]
    for method, of in content["methods"].items():
        for seed, scores in of["held_out"].items():
            ships = "yes" if int(seed) == of["shipped_seed"] else ""
            rows.append([f"`{method}`", seed, *held_out_cells(scores), ships])
    return made_table(content, ["method", "seed", *HELD_OUT, "ships"], rows)
