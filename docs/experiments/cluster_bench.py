"""Experiment: what a cluster costs on one machine; ``make cluster-bench``.

Throughput of two workers of one thread beside one process of two; memory of the driver with ten
times the passages; the time of a command that has nothing left to do. Parts that are done at this
commit are not done again unless they are named: ``--only memory``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_scale import rounded
from provenance import RESULTS, provenance
from scale_measurements import CORPUS_LANGUAGE, DIMENSION, peak_mib, timed
from side_by_side import alone, put_part

from hybridir_mteb import paths
from hybridir_mteb.adapters.mteb.ids import check_passage_ids
from hybridir_mteb.adapters.ray.cluster import ClusterOptions, connected
from hybridir_mteb.adapters.ray.encode import fill_with
from hybridir_mteb.collections.readers.rows import FileSource
from hybridir_mteb.files import replacing
from hybridir_mteb.ranking.shards import ShardFolder, ShardKey
from hybridir_mteb.ranking.shards.fill import of_texts
from hybridir_mteb.ranking.shards.maker import Made, ShardMaker

OUTPUT = RESULTS / "cluster.json"
TASK, ENCODER = "MIRACLMonolingualRetrieval", "hybridir/muse-base"
ROWS, WORKERS = 8192, 2
SHARDS = (2, 10)  # of the two corpora whose difference is the throughput
SIZES = (100_000, 1_000_000)
GOAL = 0.9


# --- throughput: the command itself, with a real encoder


def encode(place: Path, corpus: Path, *options: str) -> float:
    """Seconds of ``hybridir encode`` on a made-up corpus in MIRACL's format."""
    threads = {} if options else {"OMP_NUM_THREADS": str(WORKERS)}
    rest = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    places = {
        paths.DATA_DIR_VARIABLE: str(corpus),
        paths.CACHE_DIR_VARIABLE: str(place / "cache"),
        paths.SHARD_DIR_VARIABLE: str(place / ("cluster" if options else "one")),
    }
    what = ["encode", TASK, "--encoder", ENCODER, "--subset", CORPUS_LANGUAGE]
    command = [sys.executable, "-m", "hybridir_mteb", *what, *options]
    began = time.perf_counter()
    done = subprocess.run(
        command, env={**rest, **threads, **places}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def part_throughput(place: Path) -> dict[str, Any]:
    """Passages a second, from the difference of two corpora, and what comes before the first."""
    from miracl_corpus import make_corpus

    ways = {"one": (), "cluster": ("--ray", "--workers", str(WORKERS), "--threads", "1")}
    few = place / "corpus-few"
    make_corpus(few, CORPUS_LANGUAGE, 64)
    encode(place, few)  # whatever is unpacked at first use
    found: dict[str, Any] = {"encoder": ENCODER, "workers": WORKERS, "goal": GOAL}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for shards in SHARDS:
        corpus = place / f"corpus-{shards}"
        make_corpus(corpus, CORPUS_LANGUAGE, shards * ROWS)
        for name, options in ways.items():
            seconds[name].append(encode(place, corpus, *options))
    passages = [shards * ROWS for shards in SHARDS]
    for name, (small, large) in seconds.items():
        rate = (passages[1] - passages[0]) / (large - small)
        found[name] = {
            "passages": passages,
            "seconds": [small, large],
            "passages_per_second": rate,
            "seconds_before": small - passages[0] / rate,
        }
    rates = [found[name]["passages_per_second"] for name in ways]
    found["share_of_one_process"] = rates[1] / rates[0]
    found["seconds_with_nothing_to_do"] = encode(place, corpus, *ways["cluster"])
    return found


# --- memory of the driver and the end of a command that has nothing to do: vectors at no cost


@dataclass(frozen=True)
class MadeUp:
    """Shards of random vectors, as a worker makes them.

    Attributes:
        place: Folder of corpora and shards.
        n: Number of passages.
    """

    place: Path
    n: int

    @property
    def source(self) -> FileSource:
        """The passages, written at first use."""
        file = self.place / f"made-up-{self.n}.jsonl.gz"
        if not file.exists():
            with replacing(file) as temporary, gzip.open(temporary, "wt", 1) as lines:
                lines.writelines(
                    f'{{"docid": "{at // 10}#{at % 10}", "title": "", "text": "word {at}"}}\n'
                    for at in range(self.n)
                )
        return FileSource(f"made-up {self.n}", (file,), self.n)

    @property
    def folder(self) -> ShardFolder:
        """Where the shards are."""
        source = self.source
        key = ShardKey(source.name, source.fingerprint, "p:sw:", "random", "0")
        return ShardFolder(self.place / "shards", key)

    def __call__(self) -> Callable[[int], Made]:
        """What makes a shard."""
        return ShardMaker(self.folder, of_texts(self.source, _vectors))


def _vectors(texts: Sequence[str]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    rng = np.random.default_rng(zlib.crc32(texts[0].encode()))
    yield range(len(texts)), rng.standard_normal((len(texts), DIMENSION), dtype=np.float32)


def measure_driver(place: str, n: str) -> dict[str, Any]:
    """Have all shards made, as the driver of a cluster."""
    made = MadeUp(Path(place), int(n))
    folder = made.folder
    before = peak_mib()
    looking, _ = timed(lambda: check_passage_ids(made.source))
    with connected(ClusterOptions(workers=WORKERS, threads=1)) as crew:
        filling, _ = timed(lambda: fill_with(crew, made, folder))
    return {
        "passages": folder.n_passages,
        "seconds_of_ids": looking,
        "seconds": filling,
        "peak_mib_of_imports": before,
        "peak_mib": peak_mib(),
    }


def measure_resume(place: str, n: str) -> dict[str, Any]:
    """Find that all is there, in a process that knows nothing of it."""
    made = MadeUp(Path(place), int(n))
    reads: list[int] = []
    FileSource.passages = lambda *_: reads.append(1) or iter(())  # type: ignore[method-assign]
    seconds, complete = timed(lambda: made.folder.complete)
    if not complete:
        raise SystemExit("the shards are not complete")
    folder = made.folder
    n_bytes = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
    return {
        "passages": folder.n_passages,
        "gb": n_bytes / 1e9,
        "seconds": seconds,
        "times_the_corpus_was_read": len(reads),
    }


def measure(name: str, place: Path, n: int) -> dict[str, Any]:
    """One measurement in a process of its own."""
    own = {paths.CACHE_DIR_VARIABLE: str(place / "cache")}
    found: dict[str, Any] = alone(__file__, "--measure", name, str(place), str(n), **own)
    return found


def part_driver(place: Path) -> dict[str, Any]:
    """Peak memory of the driver, and how it grows; then the command again."""
    runs = {}
    for n in SIZES:
        MadeUp(place, n).source  # noqa: B018 -- written before anything is measured
        runs[str(n)] = measure("driver", place, n)
    small, large = runs.values()
    resumed = measure("resume", place, SIZES[-1])
    return {
        **runs,
        "dimension": DIMENSION,
        "peak_mib_added": large["peak_mib"] - small["peak_mib"],
        "resume": resumed,
    }


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "throughput": part_throughput,
    "driver": part_driver,
}
MEASUREMENTS = {"driver": measure_driver, "resume": measure_resume}


def main() -> None:
    """Run the parts that are not done, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--json", type=Path, default=OUTPUT)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        name, place, n = given.measure
        print(json.dumps(MEASUREMENTS[name](place, n)))
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    report = json.loads(given.json.read_text()) if given.json.is_file() else {}
    made = provenance("make cluster-bench", ["ray"])
    for part in given.only or PARTS:
        old = report.get(part, {}).get("made_by", {}).get("commit")
        if not given.only and old == made["commit"]:
            continue
        with tempfile.TemporaryDirectory(prefix="cluster-bench-") as place:
            found = rounded(PARTS[part](Path(place)))
        put_part(given.json, part, {"made_by": made, **found})
        print(part, json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
