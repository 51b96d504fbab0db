"""Speed and memory: tables of ``bench.json``, with the limits that are set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from markers.registry import MarkerError, marker
from markers.results import SETTINGS, load, made_table, pick, plain

AT_MOST, AT_LEAST = "at most", "at least"
MIB = 1e9 / 2**20  # of a GB


class Limit(NamedTuple):
    """What a measured value is held against.

    Attributes:
        direction: ``AT_MOST`` or ``AT_LEAST``.
        path: Where the limit is in its part of the file.
        factor: From the limit's unit to the measured value's.
    """

    direction: str
    path: str
    factor: float = 1


# Part of the file -> path of a value in it -> what a page calls it.
BENCH = {
    "startup": {
        "startup_ms_by_importtime": "hook at interpreter start, ms",
        "registration_ms_within_import_mteb": "registration, timed inside the process, ms",
        "import_mteb_ms_with_plugin": "`import mteb` with the plugin, ms of the processor",
        "import_mteb_ms_without_plugin": (
            "`import mteb` with `HYBRIDIR_AUTOLOAD=0`, ms of the processor"
        ),
        "import_mteb_ms_added": "difference of the two, over several depths of calls, ms",
    },
    "load": {
        "seconds": "time to load, s",
        "peak_mib_of_imports": "peak memory of the imports, MiB",
        "peak_mib_added": "peak memory added by the model, MiB",
    },
    "encode": {
        "texts": "texts",
        "median_seconds.sentence_transformers_batch_32": (
            "`SentenceTransformer.encode`, batches of 32, s"
        ),
        "median_seconds.ours_fp32": "token budget, fp32, s",
        "median_seconds.ours_bf16": "token budget, bf16, s",
        "times_as_fast_as_batch_32.ours_fp32": "times as fast, fp32",
        "times_as_fast_as_batch_32.ours_bf16": "times as fast, bf16",
        "largest_difference_fp32": "largest difference of a component, fp32",
        "smallest_cosine_bf16": "smallest cosine between bf16 and fp32",
    },
    "rank": {
        "queries": "queries",
        "passages": "passages in the pool",
        "seconds": "scores, exact ranks and all measures, s",
        "seconds_of_which_scores": "of which scores (matrix products), s",
        "peak_mib": "peak memory, MiB",
        "pytrec_eval_seconds_extrapolated": "pytrec_eval, extrapolated from a sample, s",
        "pytrec_eval_input_seconds_extrapolated": (
            "building its input from the scores, extrapolated, s"
        ),
        "times_as_fast_as_pytrec_eval": "times as fast, from scores to measures",
        "times_as_fast_with_scores_in_ours_alone": (
            "times as fast, with the scores in our time alone"
        ),
        "largest_difference_of_average_precision": "largest difference of average precision",
    },
    "bias": {
        "queries": "queries",
        "passages": "passages in the pool",
        "measures": "measures, `mrc` at full depth among them",
        "seconds": "from embeddings to the report, s",
        "peak_mib": "peak memory, MiB",
    },
    "overhead": {
        "distinct_texts": "distinct texts",
        "one_pass_seconds": "one encoding pass, s",
        "three_tasks_seconds": "`mteb.evaluate` of the three tasks, s",
        "three_tasks_over_one_pass": "three tasks over one pass",
        "texts_stock_mteb_would_encode": "texts if each subset were encoded on its own",
        "stock_over_ours": "that over the distinct texts",
    },
}
WAYS = {
    "sentence_transformers_batch_32": "`SentenceTransformer.encode`, batches of 32",
    "ours_fp32": "token budget, fp32",
    "ours_bf16": "token budget, bf16",
    "openvino_fp32": "token budget, OpenVINO, fp32",
    "openvino_bf16": "token budget, OpenVINO, bf16",
}
LIMITS = {
    "startup": {
        "startup_ms_by_importtime": Limit(AT_MOST, "limits_ms.startup"),
        "import_mteb_ms_added": Limit(AT_MOST, "limits_ms.import_mteb"),
    },
    "load": {
        "seconds": Limit(AT_MOST, "limits.seconds"),
        "peak_mib_added": Limit(AT_MOST, "limits.gb", MIB),
    },
    "encode": {
        "times_as_fast_as_batch_32.ours_fp32": Limit(AT_LEAST, "limits.times_as_fast"),
        "largest_difference_fp32": Limit(AT_MOST, "limits.largest_difference"),
    },
    "rank": {
        "peak_mib": Limit(AT_MOST, "limits.gb", MIB),
        "times_as_fast_as_pytrec_eval": Limit(AT_LEAST, "limits.times_as_fast"),
    },
    "bias": {
        "seconds": Limit(AT_MOST, "limits.seconds"),
        "peak_mib": Limit(AT_MOST, "limits.gb", MIB),
    },
    "overhead": {
        "three_tasks_over_one_pass": Limit(AT_MOST, "limits.three_tasks_over_one_pass"),
    },
}


@marker("bench")
def speed(part: str) -> str:
    """``bench:rank``: quantities of one part, and whether they keep to their limits."""
    found = _part(part)
    if part not in BENCH:
        raise MarkerError(f"docs/markers/bench.py does not know how to show the part {part!r}")
    rows = []
    for path, label in BENCH[part].items():
        value, limit = pick(found, path, "bench"), LIMITS[part].get(path)
        rows.append([label, plain(value), _target(value, limit, found) if limit else ""])
    return made_table(found, ["quantity", "measured", "target"], rows)


@marker("bench-precision")
def precision() -> str:
    """Effect of bf16 on the scores."""
    found = _part("bf16")
    rows = []
    for key, means in found.items():
        if key != "made_by":
            setting, measure = key.split("_", 1)
            values = [f"{means[name]:.4f}" for name in ("fp32", "bf16")]
            difference = f"{means['bf16'] - means['fp32']:+.4f}"
            rows.append([f"{SETTINGS[setting]} `{measure}`", *values, difference])
    return made_table(found, ["mean", "fp32", "bf16", "difference"], rows)


@marker("bench-ceiling")
def ceiling() -> str:
    """Each way of encoding beside what the processor can do at most."""
    found = _part("encode")
    bound = pick(found, "limits.share_of_peak", "bench")
    rows = []
    for way, label in WAYS.items():
        rate, share = (
            pick(found, f"{of}.{way}", "bench") for of in ("tokens_per_second", "share_of_peak")
        )
        arithmetic = "bf16" if way.endswith("bf16") else "fp32"
        peak = pick(found, f"peak_gflops.{arithmetic}", "bench")
        rows.append([label, f"{rate:,}", f"{peak:.0f} in {arithmetic}", f"{share:.2f}"])
    best = max(share for share in found["share_of_peak"].values())
    met = "met" if best >= bound else "**missed**"
    heads = ["", "tokens/s", "peak, GFLOP/s", f"share of it (goal {bound:g}: {met})"]
    return made_table(found, heads, rows)


def _part(part: str) -> dict[str, Any]:
    report = load("bench")
    if part not in report:
        raise MarkerError(
            f"docs/results/bench.json has no part {part!r}: "
            f"python docs/experiments/bench.py {part} measures it"
        )
    found: dict[str, Any] = report[part]
    return found


def _target(value: float, limit: Limit, found: Mapping[str, Any]) -> str:
    """A limit and whether a value of the same part of the file keeps to it."""
    bound = pick(found, limit.path, "bench") * limit.factor
    met = value <= bound if limit.direction == AT_MOST else value >= bound
    return f"{limit.direction} {bound:.4g}: {'met' if met else '**missed**'}"
