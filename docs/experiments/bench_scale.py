"""Experiment: corpora beyond memory, their speed, memory and exactness; ``make bench-scale``.

Parts can be run alone: ``python docs/experiments/bench_scale.py --only search --only others``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from provenance import RESULTS, provenance
from scale_measurements import (
    CORPUS_LANGUAGE,
    CORPUS_ROWS,
    DEPTH,
    DIMENSION,
    QUERIES,
    REPEATS,
    command_for,
    measure,
    shards_of,
)
from side_by_side import put_part

from hybridir_mteb.ranking.shards.key import DTYPES

OUTPUT = RESULTS / "bench-scale.json"
SIZES = (100_000, 200_000, 500_000, 1_000_000)
MTEB_SIZES = (100_000, 200_000)
OTHER_SIZES, OTHERS = (10_000, 100_000, 200_000, 1_000_000), ("faiss", "torch", "usearch")
CORPUS = 1500
READER_SIZES = (100_000, 1_000_000)
LIMIT_GB = 2


def rounded(value: Any) -> Any:
    """Three decimals below 100, else one."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, float) and not 0 < abs(value) < 0.001:
        return round(value, 3 if abs(value) < 100 else 1)
    return value


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


def versus(name: str, place: Path, sizes: Sequence[int], others: Sequence[str]) -> dict[str, Any]:
    """Ours and other searches on the same vectors, for some sizes of the pool."""
    found = {}
    for n in sizes:
        measure("make", place, n, "float32")
        run = measure(name, place, n)
        ours = run["seconds"]["ours"]
        times = {f"times_as_fast_as_{one}": run["seconds"][one] / ours for one in others}
        found[str(n)] = run | times
    return found


def part_others(place: Path) -> dict[str, Any]:
    """Exact searches of others on the same matrix: it lies in memory, ours on the disk."""
    names = ("faiss-cpu", "usearch", "torch", "numpy")
    found: dict[str, Any] = {"versions": {name: version(name) for name in names}}
    found |= {"repeats": REPEATS} | versus("others", place, OTHER_SIZES, OTHERS)
    return found | {"limits": {"times_as_fast_as_faiss": 1}}


def part_mteb(place: Path) -> dict[str, Any]:
    """MTEB's own search on the same vectors, encoding left out."""
    return versus("mteb", place, MTEB_SIZES, ["mteb"])


def part_ranks(place: Path) -> dict[str, Any]:
    """Exact ranks over the whole pool in the same pass; Recall@100 from them and from the top."""
    measure("make", place, SIZES[-1], "float32")
    return {"passages": SIZES[-1], **measure("search", place, SIZES[-1], "float32", "ranks")}


def part_encode(place: Path) -> dict[str, Any]:
    """Encode a MIRACL-format corpus, killed in the middle and resumed."""
    corpus = _made_corpus(place, CORPUS)
    shards = shards_of(str(place), corpus)
    wanted = CORPUS // CORPUS_ROWS // 2
    command = command_for("encode", place, corpus)
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
    "others": part_others,
    "mteb": part_mteb,
    "ranks": part_ranks,
    "encode": part_encode,
    "reader": part_reader,
    "four_paths": part_four_paths,
}
SCORES = {"four_paths"}  # to the last digit, as differences are small


def main() -> None:
    """Run all parts or some."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--folder", type=Path, help="for shards and corpora, 10 GB; kept")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with tempfile.TemporaryDirectory() as temporary:
        place = given.folder or Path(temporary)
        for part in given.only or PARTS:
            print(f"{part} …", flush=True)
            found = PARTS[part](place)
            found = found if part in SCORES else rounded(found)
            put_part(OUTPUT, part, {"made_by": provenance("make bench-scale"), **found})
            print(json.dumps(found, indent=1), flush=True)


if __name__ == "__main__":
    main()
