"""Experiment: the measurements of ``bench_scale.py``, each in a process of its own.

So its peak memory is its own. Vectors are random, of the shape of pocket-base's; nothing here says
anything about retrieval quality.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.shards import dense, fill, pairs, search
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.key import ShardKey

DIMENSION, QUERIES, DEPTH = 384, 1000, 100
REPEATS = 5
PAUSE_S = 0.3  # before each of several libraries: threads of the last one wait busily for a moment
AT_ONCE = 100  # queries of which usearch has the distances in memory
BLOCK = 16_384  # passages of which PyTorch has the scores in memory
RELEVANT = 2.5  # passages of a query, on average
CENTRES = 300
CORPUS_ROWS, CORPUS_LANGUAGE = 128, "sw"


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


def measure_others(place: str, n: str) -> dict[str, Any]:
    """Ours, from the disk, and others, from memory, in turn."""
    import faiss

    folder = folder_for(Path(place), int(n), "float32")
    folder.complete  # noqa: B018 -- checksums are compared before, as in a run that encoded
    queries, _ = _questions(folder)
    matrix = _matrix(folder)
    index = faiss.IndexFlatIP(DIMENSION)
    index.add(matrix)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: search(queries, [folder], DEPTH),
        "ours_with_numpy": lambda: _with_numpy(queries, folder),
        "faiss": lambda: index.search(queries, DEPTH),
        "torch": lambda: _torch_top(queries, matrix),
        "usearch": lambda: _usearch_top(queries, matrix),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Any] = {}
    for _ in range(REPEATS):
        for name, work in ways.items():
            time.sleep(PAUSE_S)
            spent, found[name] = timed(work)
            seconds[name].append(spent)
    hits, (scores, rows) = found["ours"], found["faiss"]
    ours = np.sort(hits.rows, axis=1)
    passages = {"faiss": rows, "torch": found["torch"], "usearch": found["usearch"]}
    return {
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "threads": faiss.omp_get_max_threads(),
        "product": pairs.quickest_product().name,
        "queries_with_the_same_passages": {
            name: int((ours == np.sort(np.asarray(found, np.int64), axis=1)).all(axis=1).sum())
            for name, found in passages.items()
        },
        "largest_difference_of_scores": float(np.abs(hits.scores - scores).max()),
        "libraries": _libraries(),
    }


def _with_numpy(queries: np.ndarray, folder: ShardFolder) -> Any:
    with mock.patch.object(dense, "quickest_product", return_value=pairs.Product()):
        return search(queries, [folder], DEPTH)


def _torch_top(queries: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(QUERIES, DEPTH) rows by PyTorch's product and top-k, a block of passages at a time."""
    import torch

    asked, passages = torch.from_numpy(queries), torch.from_numpy(matrix)
    best = torch.empty(len(asked), 0), torch.empty(len(asked), 0, dtype=torch.int64)
    for start in range(0, len(passages), BLOCK):
        scores, at = (asked @ passages[start : start + BLOCK].T).topk(DEPTH)
        both = torch.cat([best[0], scores], dim=1), torch.cat([best[1], at + start], dim=1)
        scores, kept = both[0].topk(DEPTH)
        best = scores, both[1].gather(1, kept)
    return best[1].numpy()


def _usearch_top(queries: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(QUERIES, DEPTH) rows by usearch, which holds all distances of what it is asked at once."""
    from usearch.index import MetricKind, search

    parts = [
        search(matrix, queries[start : start + AT_ONCE], DEPTH, MetricKind.IP, exact=True).keys
        for start in range(0, len(queries), AT_ONCE)
    ]
    return np.concatenate(parts)


def _libraries() -> list[str]:
    """Libraries of linear algebra and threads in this process, with the kernels that they chose."""
    keys = ("internal_api", "version", "architecture", "num_threads")
    found = [
        " ".join([str(one.get(key)) for key in keys] + [Path(one["filepath"]).name])
        for one in threadpool_info()
    ]
    return sorted(found)


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


def shards_of(place: str, folder: str) -> ShardFolder:
    """Where the passages of a made-up corpus are encoded to."""
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

    seconds, _ = timed(lambda: fill(shards_of(place, corpus), _corpus(corpus), encode))
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
    "others": measure_others,
    "mteb": measure_mteb,
    "encode": measure_encode,
    "reader": measure_reader,
}


def command_for(name: str, *arguments: object) -> list[str]:
    """The command line of one measurement."""
    return [sys.executable, __file__, name, *map(str, arguments)]


def measure(name: str, *arguments: object) -> dict[str, Any]:
    """One measurement in a process of its own."""
    done = subprocess.run(
        command_for(name, *arguments), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name} {arguments} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    print(json.dumps(MEASUREMENTS[sys.argv[1]](*sys.argv[2:])))
