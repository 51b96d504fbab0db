"""Experiment: speed and memory, side by side in one run; ``make bench`` writes the results.

Parts can be run alone: ``python docs/experiments/bench.py startup rank``. Needs the XQuAD-R data.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ceiling import engine, of_peak, padding
from provenance import RESULTS, provenance
from side_by_side import put_part, python
from starts import bench_startup

from hybridir_mteb import paths

OUTPUT = RESULTS / "bench.json"
SAMPLE_PER_LANGUAGE = 60
TREC_QUERIES = 40
OVERHEAD_REPEATS = 2  # minutes of the clock vary by some percent
# VmHWM, because ru_maxrss of a child starts at its parent's.
PEAK = (
    "import re\n"
    "status = lambda: open('/proc/self/status').read()\n"
    "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', status())[1]) / 1024\n"
)


def bench_load() -> dict[str, Any]:
    """Time and memory to load pocket-base, above what the imports take."""
    code = (
        "import json, time\n"
        "from hybridir_mteb.encoders.pocket import model\n"
        f"{PEAK}"
        "before, start = peak(), time.perf_counter()\n"
        "model.load_pocket()\n"
        "print(json.dumps([time.perf_counter() - start, before, peak()]))\n"
    )
    seconds, before, after = json.loads(python("-c", code).stdout)
    return {
        "seconds": round(seconds, 2),
        "peak_mib_of_imports": round(before),
        "peak_mib_added": round(after - before),
        "limits": {"seconds": 10, "gb": 1.2},
    }


def _xquad() -> Any:
    from hybridir_mteb.tasks.xquad_r import XQUAD_R

    return XQUAD_R.load(XQUAD_R.languages)


def _texts() -> tuple[list[str], list[str]]:
    """Distinct queries and passages of XQuAD-R."""
    collection = _xquad()
    parts = [collection.part(code) for code in collection.languages]
    queries = list(dict.fromkeys(query.text for part in parts for query in part.queries))
    passages = list(dict.fromkeys(p.text.strip() for part in parts for p in part.passages))
    return queries, passages


def _sample() -> list[str]:
    """Passages of XQuAD-R, evenly spread."""
    collection = _xquad()
    parts = [collection.part(code).passages for code in collection.languages]
    return [p.text for part in parts for p in part[:: len(part) // SAMPLE_PER_LANGUAGE]]


def bench_encode() -> dict[str, Any]:
    """Throughput against SentenceTransformer.encode and the processor's peak, by turns."""
    import numpy as np

    from hybridir_mteb.encoders.openvino import OpenVinoEncoder
    from hybridir_mteb.encoders.pocket.model import PROMPTS, load_pocket
    from hybridir_mteb.encoders.products import said
    from hybridir_mteb.encoders.token_budget import Precision

    texts = _sample()
    model = load_pocket()
    prompt = PROMPTS["document"]
    fp32, bf16 = (engine(model, precision) for precision in Precision)  # measures the processor
    openvino = {one: OpenVinoEncoder(model, precision=one) for one in Precision}
    ways: dict[str, Callable[[], Any]] = {
        "ours_fp32": lambda: fp32.encode(texts, prompt),
        "ours_bf16": lambda: bf16.encode(texts, prompt),
        "openvino_fp32": lambda: openvino[Precision.FP32].encode(texts, prompt),
        "openvino_bf16": lambda: openvino[Precision.BF16].encode(texts, prompt),
        "sentence_transformers_batch_32": lambda: model.encode(texts, prompt=prompt, batch_size=32),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    vectors: dict[str, Any] = {}
    for _ in range(3):
        for way, encode in ways.items():
            start = time.perf_counter()
            vectors[way] = encode()
            seconds[way].append(time.perf_counter() - start)
    best = {way: statistics.median(times) for way, times in seconds.items()}
    stock = "sentence_transformers_batch_32"
    reference = vectors[stock]
    return {
        "texts": len(texts),
        "median_seconds": {way: round(value, 2) for way, value in best.items()},
        "times_as_fast_as_batch_32": {
            way: round(best[stock] / value, 2) for way, value in best.items() if way != stock
        },
        **{
            f"largest_difference{of}_fp32": float(np.abs(vectors[way] - reference).max())
            for of, way in (("", "ours_fp32"), ("_openvino", "openvino_fp32"))
        },
        "smallest_cosine_bf16": float((vectors["ours_bf16"] * reference).sum(axis=1).min()),
        "products_in_fp32": said(),
        "padded_over_real_tokens": padding(model, ways["ours_fp32"], ways[stock]),
        **of_peak(model, texts, prompt, best),
        "limits": {"times_as_fast": 2.0, "largest_difference": 1e-5, "share_of_peak": 0.85},
    }


# Random embeddings of XQuAD-R's shape, relevant passages near the top as with a real encoder.
POOL_CODE = """
import json, sys, time
import numpy as np
from hybridir_mteb.collections.collection import judged_queries
from hybridir_mteb.plugins.settings import Setting, subsets
from hybridir_mteb.tasks import XQUAD_R

collection = XQUAD_R.load(XQUAD_R.languages)
pool = [collection.part(c).passage_id(i) for c in collection.languages
        for i in range(len(collection.part(c).passages))]
column = {identifier: at for at, identifier in enumerate(pool)}
asked = [(subset.query_language, at, [column[p] for p in relevant])
         for subset in subsets(collection.languages, Setting.MULTILINGUAL)
         for at, relevant in judged_queries(collection, subset)]
rows = [relevant for *_, relevant in asked]
rng = np.random.default_rng(0)
passages = rng.standard_normal((len(pool), 384)).astype(np.float32)
queries = rng.standard_normal((len(rows), 384)).astype(np.float32)
for at, row in enumerate(rows):
    queries[at] += 0.15 * passages[row].sum(axis=0)
"""

RANK_CODE = """
from hybridir_mteb.measures.effectiveness import EFFECTIVENESS
from hybridir_mteb.measures.language_bias import LANGUAGE_BIAS
from hybridir_mteb.measures.measure import RankTable, evaluate_measures
from hybridir_mteb.ranking.exact import exact_ranks
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.scorers import DenseScorer

class TimedScorer(DenseScorer):
    spent = 0.0

    def block(self, start, stop):
        began = time.perf_counter()
        scores = super().block(start, stop)
        TimedScorer.spent += time.perf_counter() - began
        return scores

start = time.perf_counter()
relevance = Relevance.from_lists(rows)
ranks = exact_ranks(TimedScorer(queries, passages), relevance, tie_order(pool))
table = RankTable.build(relevance, ranks, len(pool))
scores = evaluate_measures((*EFFECTIVENESS, *LANGUAGE_BIAS), table, Setting.MULTILINGUAL)
seconds = time.perf_counter() - start
memory = peak()

import pytrec_eval  # the same rankings, a sample of the queries
sample = rng.choice(len(rows), int(sys.argv[1]), replace=False)
scorer = DenseScorer(queries, passages)
qrels = {str(at): {pool[c]: 1 for c in rows[at]} for at in sample}
matrix = {at: scorer.block(at, at + 1)[0] for at in sample}
start = time.perf_counter()
run = {str(at): dict(zip(pool, row.tolist())) for at, row in matrix.items()}
building = (time.perf_counter() - start) / len(sample) * len(rows)
names = {"map", "recip_rank", "ndcg_cut.10", "recall.1,5,10,20,100"}
evaluator = pytrec_eval.RelevanceEvaluator(qrels, names)
start = time.perf_counter()
theirs = evaluator.evaluate(run)
trec = (time.perf_counter() - start) / len(sample) * len(rows)
ours = [float(v) for v in EFFECTIVENESS[0].compute(table)[sample]]
gap = max(abs(a - theirs[str(at)]["map"]) for a, at in zip(ours, sample))
print(json.dumps({"seconds": seconds, "scores": TimedScorer.spent, "peak": memory,
                  "trec": trec, "building": building, "gap": gap,
                  "queries": len(rows), "passages": len(pool), "map": scores["map"]}))
"""


def bench_rank() -> dict[str, Any]:
    """Exact ranks and all measures of the whole XQuAD-R pool, against pytrec_eval."""
    found = json.loads(python("-c", PEAK + POOL_CODE + RANK_CODE, str(TREC_QUERIES)).stdout)
    ranking = found["seconds"] - found["scores"]
    return {
        "queries": found["queries"],
        "passages": found["passages"],
        "seconds": round(found["seconds"], 2),
        "peak_mib": round(found["peak"]),
        "seconds_of_which_scores": round(found["scores"], 2),
        "pytrec_eval_seconds_extrapolated": round(found["trec"], 1),
        "pytrec_eval_input_seconds_extrapolated": round(found["building"], 1),
        "pytrec_eval_sampled_queries": TREC_QUERIES,
        "times_as_fast_as_pytrec_eval": round(found["trec"] / ranking, 1),
        "times_as_fast_with_scores_in_ours_alone": round(found["trec"] / found["seconds"], 1),
        "largest_difference_of_average_precision": found["gap"],
        "note": "from the same scores to the measures; building pytrec_eval's input is left out",
        "limits": {"times_as_fast": 20, "gb": 1.5},
    }


BIAS_CODE = """
from hybridir_mteb import language_bias

start = time.perf_counter()
report = language_bias.of_embeddings(
    queries, passages, rows,
    [code for code, *_ in asked],
    [c for c in collection.languages for _ in collection.part(c).passages],
    passage_ids=pool,
    items=[collection.part(code).queries[at].parallel_id for code, at, _ in asked],
)
print(json.dumps({"seconds": time.perf_counter() - start, "peak": peak(),
                  "queries": len(rows), "passages": len(pool), "means": dict(report.means)}))
"""


def bench_bias() -> dict[str, Any]:
    """All measures of language bias on the whole XQuAD-R pool, with intervals and matrices."""
    found = json.loads(python("-c", PEAK + POOL_CODE + BIAS_CODE).stdout)
    return {
        "queries": found["queries"],
        "passages": found["passages"],
        "measures": len(found["means"]),
        "seconds": round(found["seconds"], 1),
        "peak_mib": round(found["peak"]),
        "limits": {"seconds": 60, "gb": 2},
    }


def bench_overhead() -> dict[str, Any]:
    """``mteb.evaluate`` of all three XQuAD-R tasks against one encoding pass, by turns."""
    import mteb

    from hybridir_mteb.encoders.pocket.model import PROMPTS

    queries, passages = _texts()
    os.environ.setdefault(paths.DATA_DIR_VARIABLE, str(paths.data_cache_dir()))
    names = [f"XQuADR{s}Retrieval" for s in ("Monolingual", "CrossLingual", "Multilingual")]
    passed, whole = [], []
    for _ in range(OVERHEAD_REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["HYBRIDIR_CACHE_DIR"] = str(Path(folder) / "cache")
            model = mteb.get_model("hybridir/pocket-base")  # a new one remembers nothing
            start = time.perf_counter()
            model.engine.encode(queries, PROMPTS["query"])
            model.engine.encode(passages, PROMPTS["document"])
            passed.append(time.perf_counter() - start)
            start = time.perf_counter()
            result = mteb.evaluate(
                model,
                mteb.get_tasks(tasks=names),
                cache=mteb.ResultCache(Path(folder) / "results"),
                co2_tracker=False,
            )
            whole.append(time.perf_counter() - start)
    stock = sum(
        score["n_queries"] + score["n_passages"]
        for task in result.task_results
        for score in task.scores["validation"]
    )
    distinct = len(queries) + len(passages)
    return {
        "distinct_texts": distinct,
        "one_pass_seconds": round(min(passed), 1),
        "three_tasks_seconds": round(min(whole), 1),
        "three_tasks_over_one_pass": round(min(whole) / min(passed), 3),
        "all_seconds": {
            "one_pass": [round(one, 1) for one in passed],
            "three_tasks": [round(one, 1) for one in whole],
        },
        "texts_stock_mteb_would_encode": stock,
        "stock_over_ours": round(stock / distinct, 1),
        "limits": {"three_tasks_over_one_pass": 1.05},
    }


def bench_bf16() -> dict[str, Any]:
    """Effect of ``precision="bf16"`` on the XQuAD-R scores."""
    import mteb

    committed = json.loads((RESULTS / "xquad-r.json").read_text())["settings"]
    settings = {"mono": "Monolingual", "cross": "CrossLingual", "multi": "Multilingual"}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HYBRIDIR_CACHE_DIR"] = str(Path(folder) / "cache")
        model = mteb.get_model("hybridir/pocket-base", precision="bf16")
        for key, setting in settings.items():
            (task,) = mteb.evaluate(
                model,
                mteb.get_tasks(tasks=[f"XQuADR{setting}Retrieval"]),
                cache=mteb.ResultCache(Path(folder) / "results"),
                co2_tracker=False,
            ).task_results
            scores = task.scores["validation"]
            for measure in ("map", "rank_distance"):
                if measure in scores[0]:
                    mean = statistics.fmean(score[measure] for score in scores)
                    found[f"{key}_{measure}"] = {
                        "fp32": round(committed[key][measure], 4),
                        "bf16": round(mean, 4),
                    }
    return found


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "startup": bench_startup,
    "load": bench_load,
    "encode": bench_encode,
    "rank": bench_rank,
    "bias": bench_bias,
    "overhead": bench_overhead,
    "bf16": bench_bf16,
}


def main() -> None:
    """Run the parts named on the command line, or all."""
    chosen = sys.argv[1:] or list(PARTS)
    for part in chosen:
        print(f"{part} …", flush=True)
        found = {"made_by": provenance("make bench", ["openvino"]), **PARTS[part]()}
        put_part(OUTPUT, part, found)
        print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
