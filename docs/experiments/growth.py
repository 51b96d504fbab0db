"""Experiment: how time and memory grow with size; ``make bench-growth`` writes results, picture.

python docs/experiments/growth.py [PART …]

Encoding, searching, evaluating and training at three sizes each, every one in a process of its own,
so that its peak memory is its own; what the imports and the model take is not counted. The exponent
is the slope of the line through the logarithms: 1 is proportional to size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_training import trained
from provenance import RESULTS, provenance
from scale_measurements import DEPTH, QUERIES, folder_for, peak_mib, timed
from side_by_side import alone, put_part

OUTPUT = RESULTS / "bench-growth.json"
COMMAND = "make bench-growth"
DIMENSION, RELEVANT, LANGUAGES = 384, 3, 3
Found = tuple[float, float]  # seconds, and MiB that were added


def encode(texts: int) -> Found:
    """Encode passages of XQuAD-R with pocket."""
    from ceiling import engine

    from hybridir_mteb.encoders.pocket.model import PROMPTS, load_pocket
    from hybridir_mteb.encoders.token_budget import Precision
    from hybridir_mteb.tasks.xquad_r import XQUAD_R

    collection = XQUAD_R.load(XQUAD_R.languages)
    every = [p.text for code in collection.languages for p in collection.part(code).passages]
    chosen = [every[at] for at in np.linspace(0, len(every) - 1, texts).astype(int)]
    encoder = engine(load_pocket(), Precision.FP32)
    encoder.encode(chosen[:64], PROMPTS["document"])
    before = peak_mib()
    seconds, _ = timed(lambda: encoder.encode(chosen, PROMPTS["document"]))
    return seconds, peak_mib() - before


def search(passages: int) -> Found:
    """Find the best passages of made-up embeddings on disk, for a thousand queries."""
    from hybridir_mteb.ranking.shards import search as exact

    rng = np.random.default_rng(0)
    queries = rng.standard_normal((QUERIES, DIMENSION), dtype=np.float32)
    with tempfile.TemporaryDirectory() as place:
        made = [sys.executable, __file__, "--make", str(passages), place]
        subprocess.run(made, check=True)
        folder = folder_for(Path(place), passages, "float32")
        folder.complete  # noqa: B018 -- checksums are compared before, as in a run that encoded
        before = peak_mib()
        seconds, _ = timed(lambda: exact(queries, [folder], DEPTH))
    return seconds, peak_mib() - before


def evaluate(passages: int) -> Found:
    """All measures of language bias, a query for each three passages, each in three languages."""
    from hybridir_mteb import language_bias

    rng = np.random.default_rng(0)
    items, codes = passages // RELEVANT, ["de", "en", "ru"][:LANGUAGES]
    pool = rng.standard_normal((items * RELEVANT, DIMENSION), dtype=np.float32)
    rows = [[item * RELEVANT + at for at in range(RELEVANT)] for item in range(items)]
    queries = rng.standard_normal((items, DIMENSION), dtype=np.float32)
    queries += 0.5 * pool.reshape(items, RELEVANT, DIMENSION).sum(axis=1)
    spoken = [codes[item % LANGUAGES] for item in range(items)]
    before = peak_mib()
    seconds, _ = timed(
        lambda: language_bias.of_embeddings(
            queries,
            pool,
            rows,
            spoken,
            codes * items,
            items=[str(item // LANGUAGES) for item in range(items)],
        )
    )
    return seconds, peak_mib() - before


def train(pairs: int) -> Found:
    """One step of LoRA adapters of pocket, in fp32."""
    found = trained("ours_fp32", pairs)
    return found["seconds_a_step"], found["peak_mib_added_by_training"]


@dataclass(frozen=True)
class Part:
    """What grows.

    Attributes:
        measure: One size.
        what: What there are so many of.
        sizes: Three of them, ascending.
    """

    measure: Callable[[int], Found]
    what: str
    sizes: Sequence[int]


PARTS = {
    "encode": Part(encode, "texts", (300, 1000, 3000)),
    "search": Part(search, "passages", (20_000, 80_000, 320_000)),
    "evaluate": Part(evaluate, "passages", (3000, 9000, 27_000)),
    "train": Part(train, "pairs of a batch", (8, 16, 32)),
}


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float | None:
    """Slope of the logarithm of values against that of sizes; None if nothing was added."""
    if min(values) <= 0:
        return None
    return round(float(np.polyfit(np.log(sizes), np.log(values), 1)[0]), 2)


def measured(name: str) -> dict[str, Any]:
    """Three sizes of a part, and how it grows."""
    part = PARTS[name]
    found: list[Found] = [alone(__file__, "--one", name, str(size)) for size in part.sizes]
    seconds, memory = ([round(of[at], 3) for of in found] for at in range(2))
    return {
        "what": part.what,
        "sizes": list(part.sizes),
        "seconds": seconds,
        "mib": memory,
        "exponent_of_time": exponent(part.sizes, seconds),
        "exponent_of_memory": exponent(part.sizes, memory),
    }


def main() -> None:
    """Measure the parts that are named, or all, and draw them."""
    if sys.argv[1:2] == ["--make"]:
        folder_for(Path(sys.argv[3]), int(sys.argv[2]), "float32")
        return
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(PARTS[sys.argv[2]].measure(int(sys.argv[3]))))
        return
    for name in sys.argv[1:] or PARTS:
        print(f"{name} …", flush=True)
        part = {"made_by": provenance(COMMAND), **measured(name)}
        put_part(OUTPUT, name, part)
        print(json.dumps(part), flush=True)


if __name__ == "__main__":
    main()
