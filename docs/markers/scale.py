"""Corpora beyond memory, and one search in four ways: tables of ``bench-scale.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markers.registry import MarkerError, marker
from markers.results import load, made_table, number, pick, plain

NAME = "bench-scale"
FORMATS = ("float32", "float16")
LINES = {
    "ranks": {
        "passages": "passages in the pool",
        "relevant": "relevant passages, all ranked exactly",
        "seconds": "seconds",
        "peak_mib": "peak memory, MiB",
        "median_rank": "median of their ranks",
        "recall_at_100_from_top_100": "Recall@100 from the top 100",
        "recall_at_100_from_all_ranks": "Recall@100 from all ranks",
        "largest_difference": "largest difference of a query",
    },
    "encode": {
        "passages": "passages",
        "shards": "shards",
        "shards_kept_after_kill_9": "complete when the process was killed (SIGKILL)",
        "texts_encoded_after_resuming": "texts encoded by the second run",
        "texts_encoded_again_of_kept_shards": "of them in shards that were complete",
        "texts_per_second": "texts per second",
        "peak_mib_of_model": "peak memory with the model loaded, MiB",
        "peak_mib": "peak memory, MiB",
    },
}


def _sizes(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Number of passages, as a page shows it, and what was measured; the smallest first."""
    sizes = sorted(int(key) for key in found if key.isdigit())
    return [(f"{size:,}", found[str(size)]) for size in sizes]


@marker("scale-search")
def search() -> str:
    """Time and memory of the search of growing pools."""
    found = pick(load(NAME), "search", NAME)
    by_format = [found[name] for name in FORMATS]
    rows = []
    for (size, one), (_, other) in zip(*map(_sizes, by_format), strict=True):
        cells = (number(run[key], 1) for run in (one, other) for key in ("seconds", "peak_mib"))
        rows.append([size, *cells])
    growth = [f"x {by_format[0]['times_the_passages']:.0f}"]
    for runs in by_format:
        growth += [f"x {runs['times_the_seconds']:.1f}", f"{runs['peak_mib_added']:+.1f}"]
    heads = (f"{name}, {unit}" for name in FORMATS for unit in ("s", "peak MiB"))
    return made_table(found, ["passages", *heads], [*rows, growth])


@marker("scale-versus")
def versus(other: str) -> str:
    """``scale-versus:faiss``: our search beside another on the same vectors."""
    found = pick(load(NAME), other, NAME)
    rows = []
    for size, run in _sizes(found):
        times = [*run["seconds"].values(), run[f"times_as_fast_as_{other}"]]
        same = str(run["queries_with_the_same_passages"])
        rows.append([size, *(number(value, 2) for value in times), same])
    sides = (f"{side.replace('_', ' ')}, s" for side in _sizes(found)[0][1]["seconds"])
    heads = [*sides, f"times as fast as {other}", "queries with the same top 100"]
    return made_table(found, ["passages", *heads], rows)


@marker("scale-others")
def others() -> str:
    """Our search beside those of others on the same vectors, and the libraries behind them."""
    found = pick(load(NAME), "others", NAME)
    names = found["versions"]
    labels = {"faiss": f"FAISS {names['faiss-cpu']}", "torch": f"PyTorch {names['torch']}"}
    labels["usearch"] = f"usearch {names['usearch']}"
    rows = []
    for size, run in _sizes(found):
        times = [number(run["seconds"][side], 2) for side in ("ours", "ours_with_numpy")]
        for name in labels:
            times.append(number(run["seconds"][name], 2))
            times.append(number(run[f"times_as_fast_as_{name}"], 2))
        least = min(run["queries_with_the_same_passages"].values())
        rows.append([size, *times, str(least)])
    heads = [
        part
        for label in labels.values()
        for part in (f"{label}, s", f"{label.split()[0]} over ours")
    ]
    columns = ["passages", "ours, s", "ours by NumPy, s", *heads, "queries with the same top 100"]
    return made_table(found, columns, rows)


@marker("scale-libraries")
def libraries() -> str:
    """The libraries of linear algebra in the process of that comparison."""
    found = _sizes(pick(load(NAME), "others", NAME))[-1][1]
    blas = sorted({one for one in found["libraries"] if not one.startswith("openmp")})
    names = ", ".join(
        f"{name} {number} ({kernels} kernels)" for name, number, kernels in map(_library, blas)
    )
    return f"{found['product'].removesuffix('_product')} for our products; in the process, {names}"


def _library(said: str) -> tuple[str, str, str]:
    name, version, kernels, *_ = said.split()
    return name, version, kernels


@marker("scale-reader")
def reader() -> str:
    """Time and memory of reading corpora from gzip files."""
    found = pick(load(NAME), "reader", NAME)
    keys = ("compressed_mb", "seconds", "passages_per_second", "peak_mib")
    rows = [[size, *(number(run[key], 1) for key in keys)] for size, run in _sizes(found)]
    return made_table(found, ["passages", "gzip MB", "s", "passages/s", "peak MiB"], rows)


@marker("scale-lines")
def lines(part: str) -> str:
    """``scale-lines:ranks``: quantities of one measurement, a line for each."""
    if part not in LINES:
        raise MarkerError(f"docs/markers/scale.py does not know how to show the part {part!r}")
    found = pick(load(NAME), part, NAME)
    rows = [[label, plain(found[key])] for key, label in LINES[part].items()]
    return made_table(found, ["quantity", "measured"], rows)


@marker("paths")
def paths(collection: str, *, explained: bool = False) -> str:
    """``paths:cranfield``: the scores of one encoder by four ways of searching."""
    four = pick(load(NAME), "four_paths", NAME)
    found = pick(four, f"collections.{collection}", NAME)
    by_path = dict(found["paths"])
    if explained:
        without = found["explained"]["identical_ids"]["ours_without_them"]
        by_path["ours, identical ids dropped"] = without
    measures = list(by_path["ours"])
    rows = [[way, *(number(scores[m], 5) for m in measures)] for way, scores in by_path.items()]
    return made_table(four, ["path", *(f"`{measure}`" for measure in measures)], rows)


@marker("paths-explained")
def paths_explained(collection: str) -> str:
    """The same, and ours as BEIR searches, which drops a passage with the query's own id."""
    return paths(collection, explained=True)
