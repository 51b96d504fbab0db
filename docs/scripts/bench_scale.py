"""Corpora beyond memory: speed, memory and exactness; ``make bench-scale`` writes the results.

Parts can be run alone: ``python docs/scripts/bench_scale.py --only search --only faiss``. Each
measurement is a process of its own, so that its peak memory is its own. Vectors are random, of the
shape of pocket-base's; nothing here says anything about retrieval quality.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from provenance import RESULTS, provenance

from hybridir_mteb.files import write_text
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey, dense, fill, search
from hybridir_mteb.ranking.shards import pairs as products
from hybridir_mteb.ranking.shards.key import DTYPES

OUTPUT = RESULTS / "bench-scale.json"
DIMENSION, QUERIES, DEPTH = 384, 1000, 100
SIZES = (100_000, 200_000, 500_000, 1_000_000)
MTEB_SIZES = (100_000, 200_000)
REPEATS = 3
RELEVANT = 2.5  # passages of a query, on average
CENTRES = 300
CORPUS, CORPUS_ROWS, CORPUS_LANGUAGE = 1500, 128, "sw"
READER_SIZES = (100_000, 1_000_000)
LIMIT_GB = 2


def peak_mib() -> float:
    """VmHWM, because ru_maxrss of a child starts at its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


# --- what is searched: unit vectors around some centres, like topics


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)


def _vectors(seed: int, n: int) -> np.ndarray:
    """(n, DIMENSION) float32 of length 1."""
    centres = np.random.default_rng(9).standard_normal((CENTRES, DIMENSION), dtype=np.float32)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, DIMENSION), dtype=np.float32)
    return _unit(noise + 0.7 * centres[rng.integers(0, CENTRES, n)])


def folder_for(place: Path, n: int, dtype: str) -> ShardFolder:
    """A folder of n made-up embeddings; made at first use."""
    key = ShardKey(f"random-{n}", str(n), "p:en:", "random", "0", dtype)
    folder = ShardFolder(place, key)
    if folder.known_end is None:
        for number, start in enumerate(range(0, n, key.rows)):
            ids = [f"d{at}" for at in range(start, min(start + key.rows, n))]
            folder.write(number, ids, _vectors(number + 1, len(ids)).astype(dtype))
        folder.finish(n)
    return folder


def _questions(folder: ShardFolder) -> tuple[np.ndarray, Relevance]:
    """Queries, with relevant passages near the top for most."""
    rng = np.random.default_rng(5)
    n = folder.n_passages
    rows = [rng.choice(n, size, replace=False).tolist() for size in rng.poisson(RELEVANT, QUERIES)]
    queries = _vectors(0, QUERIES)
    flat = np.concatenate([np.array(row, np.int64) for row in rows])
    vectors = folder.vectors(flat)
    end = 0
    for at, row in enumerate(rows):
        start, end = end, end + len(row)
        queries[at] += rng.uniform(0, 0.6) * vectors[start:end].sum(axis=0)
    return _unit(queries), Relevance.from_lists(rows)


# --- measurements, each in a process of its own


def measure_make(place: str, n: str, dtype: str) -> dict[str, Any]:
    """Write the shards, so that no measurement does."""
    seconds, _ = timed(lambda: folder_for(Path(place), int(n), dtype))
    return {"seconds": seconds}


def measure_search(place: str, n: str, dtype: str, ranks: str) -> dict[str, Any]:
    """Search, with or without exact ranks of the relevant passages."""
    before = peak_mib()
    folder = folder_for(Path(place), int(n), dtype)
    checking, complete = timed(lambda: folder.complete)
    queries, relevance = _questions(folder)
    asked = relevance if ranks == "ranks" else None
    runs = [
        timed(lambda: search(queries, [folder], DEPTH, relevance=asked)) for _ in range(REPEATS)
    ]
    hits = runs[-1][1]
    found: dict[str, Any] = {
        "seconds": statistics.median(seconds for seconds, _ in runs),
        "checksum_seconds": checking,
        "complete": complete,
        "peak_mib": peak_mib(),
        "peak_mib_of_imports": before,
    }
    if asked is not None:
        of = relevance.query_of_entry
        in_top = (hits.rows[of] == relevance.passages[:, None]).any(axis=1)
        judged = relevance.counts > 0
        by_top, by_ranks = (
            np.bincount(of, inside, QUERIES)[judged] / relevance.counts[judged]
            for inside in (in_top, hits.ranks <= DEPTH)
        )
        found |= {
            "relevant": len(relevance.passages),
            "median_rank": float(np.median(hits.ranks)),
            "recall_at_100_from_top_100": float(by_top.mean()),
            "recall_at_100_from_all_ranks": float(by_ranks.mean()),
            "largest_difference": float(np.abs(by_top - by_ranks).max()),
        }
    return found


def _matrix(folder: ShardFolder) -> np.ndarray:
    matrix = np.empty((folder.n_passages, DIMENSION), np.float32)
    for number in range(folder.n_shards):
        shard = folder.shard(number)
        matrix[shard.start : shard.stop] = shard.vectors()
    return matrix


def measure_faiss(place: str, n: str) -> dict[str, Any]:
    """Ours, from the disk, and faiss, from memory, in turn."""
    import faiss

    folder = folder_for(Path(place), int(n), "float32")
    folder.complete  # noqa: B018 -- checksums are compared before, as in a run that encoded
    queries, _ = _questions(folder)
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(_matrix(folder))
    seconds: dict[str, list[float]] = {"ours": [], "ours_with_numpy": [], "faiss": []}
    for _ in range(REPEATS):
        spent, hits = timed(lambda: search(queries, [folder], DEPTH))
        seconds["ours"].append(spent)
        with mock.patch.object(dense, "quickest_product", return_value=products.numpy_product):
            spent, _ = timed(lambda: search(queries, [folder], DEPTH))
        seconds["ours_with_numpy"].append(spent)
        spent, (scores, rows) = timed(lambda: index.search(queries, DEPTH))
        seconds["faiss"].append(spent)
    same = (np.sort(hits.rows, axis=1) == np.sort(rows, axis=1)).all(axis=1)
    return {
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "threads": faiss.omp_get_max_threads(),
        "product": products.quickest_product().__name__,
        "queries_with_the_same_passages": int(same.sum()),
        "largest_difference_of_scores": float(np.abs(hits.scores - scores).max()),
    }


class _Stored:
    """An MTEB encoder that hands out stored vectors, chunk by chunk, at no cost."""

    def __init__(self, queries: np.ndarray, passages: np.ndarray) -> None:
        import mteb

        self.mteb_model_meta = mteb.get_model_meta("mteb/baseline-random-encoder")
        self._queries, self._passages, self._at = queries, passages, 0

    def encode(self, inputs: Any, *, prompt_type: Any = None, **_: Any) -> np.ndarray:
        if prompt_type.value == "query":
            return self._queries
        start, self._at = self._at, self._at + len(inputs.dataset)
        return self._passages[start : self._at]

    def similarity(self, queries: Any, passages: Any) -> Any:
        from mteb.similarity_functions import cos_sim

        return cos_sim(queries, passages)


def measure_mteb(place: str, n: str) -> dict[str, Any]:
    """Ours and MTEB's SearchEncoderWrapper on the same vectors."""
    import mteb
    from datasets import Dataset
    from mteb.models.search_wrappers import SearchEncoderWrapper

    folder = folder_for(Path(place), int(n), "float32")
    folder.complete  # noqa: B018
    queries, _ = _questions(folder)
    ours, hits = timed(lambda: search(queries, [folder], DEPTH))
    ids = [f"d{at}" for at in range(int(n))]
    wrapper = SearchEncoderWrapper(_Stored(queries, _matrix(folder)))
    options: dict[str, Any] = {
        "task_metadata": mteb.get_task("NanoNFCorpusRetrieval").metadata,
        "hf_split": "test",
        "hf_subset": "default",
        "encode_kwargs": {"batch_size": 32},
    }
    asked = Dataset.from_dict({"id": [f"q{at}" for at in range(QUERIES)], "text": ["?"] * QUERIES})
    wrapper.index(Dataset.from_dict({"id": ids, "text": ids}), **options)
    theirs, run = timed(lambda: wrapper.search(asked, top_k=DEPTH, **options))
    same = sum(
        set(run[f"q{at}"]) == {ids[row] for row in rows} for at, rows in enumerate(hits.rows)
    )
    return {"seconds": {"ours": ours, "mteb": theirs}, "queries_with_the_same_passages": same}


def _corpus(folder: str) -> Any:
    from hybridir_mteb.collections.readers.rows import FileSource

    files = tuple(sorted(Path(folder).rglob("docs-*.jsonl.gz")))
    return FileSource(f"MIRACL {CORPUS_LANGUAGE}", files)


def _shards(place: str, folder: str) -> ShardFolder:
    name = _corpus(folder).fingerprint
    key = ShardKey("MIRACL", name, "p:sw:", "pocket-base", "0", rows=CORPUS_ROWS)
    return ShardFolder(Path(place), key)


def measure_encode(place: str, corpus: str) -> dict[str, Any]:
    """Encode with pocket-base what is missing."""
    from hybridir_mteb.encoders.pocket.model import PROMPTS, load_pocket
    from hybridir_mteb.encoders.token_budget import TokenBudgetEncoder

    engine, encoded = TokenBudgetEncoder(load_pocket()), 0
    before = peak_mib()

    def encode(texts: Sequence[str]) -> Iterator[Any]:
        nonlocal encoded
        for positions, vectors in engine.batches(texts, PROMPTS["document"]):
            encoded += len(positions)
            yield positions, vectors

    seconds, _ = timed(lambda: fill(_shards(place, corpus), _corpus(corpus), encode))
    return {
        "seconds": seconds,
        "texts": encoded,
        "peak_mib": peak_mib(),
        "peak_mib_of_model": before,
    }


def measure_reader(corpus: str) -> dict[str, Any]:
    """Read gzip JSON lines to the end."""
    source, before = _corpus(corpus), peak_mib()
    seconds, n = timed(lambda: sum(1 for _ in source.passages()))
    megabytes = sum(path.stat().st_size for path in source.files) / 1e6
    return {
        "passages": n,
        "compressed_mb": megabytes,
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "peak_mib_of_imports": before,
    }


MEASUREMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "make": measure_make,
    "search": measure_search,
    "faiss": measure_faiss,
    "mteb": measure_mteb,
    "encode": measure_encode,
    "reader": measure_reader,
}


def measure(name: str, *arguments: object) -> dict[str, Any]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} {arguments} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rounded(value: Any) -> Any:
    """Three decimals below 100, else one."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float) and not 0 < abs(value) < 0.001:
        return round(value, 3 if abs(value) < 100 else 1)
    return value


# --- parts of the report


def part_search(place: Path) -> dict[str, Any]:
    """Seconds, memory and how they grow from the smallest pool to the largest."""
    found: dict[str, Any] = {"queries": QUERIES, "depth": DEPTH, "dimension": DIMENSION}
    for dtype in DTYPES:
        runs = {}
        for n in SIZES:
            measure("make", place, n, dtype)
            runs[str(n)] = measure("search", place, n, dtype, "top")
        small, large = runs[str(SIZES[0])], runs[str(SIZES[-1])]
        found[dtype] = runs | {
            "times_the_passages": SIZES[-1] / SIZES[0],
            "times_the_seconds": large["seconds"] / small["seconds"],
            "peak_mib_added": large["peak_mib"] - small["peak_mib"],
            "gb_of_vectors": SIZES[-1] * DIMENSION * DTYPES[dtype].itemsize / 1e9,
        }
    return found | {"limits": {"peak_gb": LIMIT_GB}}


def part_faiss(place: Path) -> dict[str, Any]:
    """IndexFlatIP on the same matrix: it lies in memory, ours on the disk."""
    found: dict[str, Any] = {"faiss_cpu": version("faiss-cpu"), "repeats": REPEATS}
    for n in (SIZES[1], SIZES[-1]):
        measure("make", place, n, "float32")
        run = measure("faiss", place, n)
        found[str(n)] = run | {
            "times_as_fast_as_faiss": run["seconds"]["faiss"] / run["seconds"]["ours"]
        }
    return found | {"limits": {"times_as_fast_as_faiss": 1}}


def part_mteb(place: Path) -> dict[str, Any]:
    """MTEB's own search on the same vectors, encoding left out."""
    found: dict[str, Any] = {}
    for n in MTEB_SIZES:
        measure("make", place, n, "float32")
        run = measure("mteb", place, n)
        found[str(n)] = run | {
            "times_as_fast_as_mteb": run["seconds"]["mteb"] / run["seconds"]["ours"]
        }
    return found


def part_ranks(place: Path) -> dict[str, Any]:
    """Exact ranks over the whole pool in the same pass; Recall@100 from them and from the top."""
    measure("make", place, SIZES[-1], "float32")
    return {"passages": SIZES[-1], **measure("search", place, SIZES[-1], "float32", "ranks")}


def part_encode(place: Path) -> dict[str, Any]:
    """Encode a MIRACL-format corpus, killed in the middle and resumed."""
    corpus = _made_corpus(place, CORPUS)
    shards = _shards(str(place), corpus)
    wanted = CORPUS // CORPUS_ROWS // 2
    command = [sys.executable, __file__, "--measure", "encode", str(place), corpus]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while len(shards.present()) < wanted and run.poll() is None:
            time.sleep(0.5)
        time.sleep(2)  # into the next shard
        run.send_signal(signal.SIGKILL)
    kept = len(shards.present())
    resumed = measure("encode", place, corpus)
    return {
        "passages": CORPUS,
        "passages_per_shard": CORPUS_ROWS,
        "shards": shards.n_shards,
        "shards_kept_after_kill_9": kept,
        "texts_encoded_after_resuming": resumed["texts"],
        "texts_encoded_again_of_kept_shards": resumed["texts"] - (CORPUS - kept * CORPUS_ROWS),
        "texts_per_second": resumed["texts"] / resumed["seconds"],
        "peak_mib": resumed["peak_mib"],
        "peak_mib_of_model": resumed["peak_mib_of_model"],
        "complete": shards.complete,
    }


def _made_corpus(place: Path, n: int) -> str:
    from miracl_corpus import make_corpus

    folder = place / f"corpus-{n}"
    make_corpus(folder, CORPUS_LANGUAGE, n)
    return str(folder)


def part_reader(place: Path) -> dict[str, Any]:
    """Read corpora in MIRACL's format, gzip JSON lines."""
    found: dict[str, Any] = {}
    for n in READER_SIZES:
        run = measure("reader", _made_corpus(place, n))
        found[str(n)] = run | {"passages_per_second": run["passages"] / run["seconds"]}
    small, large = (found[str(n)]["peak_mib"] for n in (READER_SIZES[0], READER_SIZES[-1]))
    return found | {"peak_mib_added": large - small}


def part_four_paths(_: Path) -> dict[str, Any]:
    """The scores of one encoder through BEIR, MTEB, pytrec_eval and ours."""
    import four_paths

    return four_paths.run()


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "search": part_search,
    "faiss": part_faiss,
    "mteb": part_mteb,
    "ranks": part_ranks,
    "encode": part_encode,
    "reader": part_reader,
    "four_paths": part_four_paths,
}
SCORES = {"four_paths"}  # to the last digit, as differences are small


def main() -> None:
    """Run all parts or some; with ``--measure`` a single measurement, for the parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--folder", type=Path, help="for shards and corpora, 10 GB; kept")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        name, *arguments = given.measure
        print(json.dumps(MEASUREMENTS[name](*arguments)))
        return
    report = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as temporary:
        place = given.folder or Path(temporary)
        for part in given.only or PARTS:
            print(f"{part} …", flush=True)
            found = PARTS[part](place)
            found = found if part in SCORES else rounded(found)
            report[part] = {"made_by": provenance("make bench-scale"), **found}
            write_text(OUTPUT, json.dumps(report, indent=1) + "\n")
            print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
