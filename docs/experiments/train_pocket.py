"""Experiment: pocket encoders with several seeds; each method's median seed is the package's.

python docs/experiments/train_pocket.py [METHOD …]

A core trains one encoder: side by side that is faster than one encoder on all cores. Seeds that are
in the store already, trained by the same recipe, are not trained again. The median is by the
criterion on held-out documents; no evaluation set decides anything.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from provenance import RESULTS, provenance

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text
from hybridir_mteb.training.recipe import read_recipe

METHODS = ("mono", "cross", "hybrid", "mixed", "adversarial")
SEEDS = (0, 1, 2)
COMMAND = "make train-pocket"


def stored(method: str, seed: int) -> trained.StoredEncoder | None:
    """The stored encoder of exactly this recipe and seed."""
    wanted = read_recipe(Path(f"pocket-{method}"), seed=seed).model_dump(mode="json")
    for encoder in trained.encoders():
        if encoder.place == "store" and encoder.record["recipe"] == wanted:
            return encoder
    return None


def train_all(methods: tuple[str, ...]) -> dict[str, dict[int, trained.StoredEncoder]]:
    """Every method with every seed; the same seed of all methods before the next seed."""
    runs = [(method, seed) for seed in SEEDS for method in methods]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(train_one, runs))
    found: dict[str, dict[int, trained.StoredEncoder]] = {method: {} for method in methods}
    for method, seed in runs:
        encoder = stored(method, seed)
        if encoder is None:
            sys.exit(f"pocket-{method}, seed {seed}: trained, but not found in the store")
        found[method][seed] = encoder
    return found


def train_one(run: tuple[str, int]) -> None:
    """Train in a process of its own, unless the store has the encoder; the log goes to a file."""
    method, seed = run
    if stored(method, seed) is not None:
        return
    log = paths.model_store_dir() / ".logs" / f"pocket-{method}-{seed}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    print(f"pocket-{method}, seed {seed}: tail -f {log}", flush=True)
    command = [Path(sys.executable).parent / "hybridir", "train", f"pocket-{method}"]
    with log.open("w") as stream:
        subprocess.run(
            [*command, "--seed", str(seed)],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=stream,
            stderr=stream,
        )


def criterion(encoder: trained.StoredEncoder) -> float:
    """Mean of the three mAPs on held-out documents."""
    return float(encoder.record["selection"]["encoder"]["criterion"])


def main() -> None:
    """Train, choose, copy, and record what was chosen from."""
    methods = tuple(sys.argv[1:]) or METHODS
    made_by = provenance(COMMAND)  # before the package changes
    found = train_all(methods)
    shipped = {}
    for method, by_seed in found.items():
        order = sorted(by_seed, key=lambda seed: criterion(by_seed[seed]))
        chosen = by_seed[order[len(order) // 2]]
        target = trained.PACKAGED / f"pocket-{method}"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(chosen.path, target)
        shipped[method] = {
            "shipped_seed": order[len(order) // 2],
            "fingerprint": chosen.fingerprint,
            "held_out": {
                str(seed): encoder.record["selection"]["encoder"]
                for seed, encoder in by_seed.items()
            },
        }
    record = next(iter(found[methods[0]].values())).record
    rows = {row["source"]: row for row in record["data"]}
    asked = [rows[name] for name in ("train", "held-out", "passages") if name in rows]
    data = {
        "items": rows["NTREX-128"]["items"],
        "questions": sum(row["items"] for row in asked),
        "held_out_questions": sum(row["held_out_items"] for row in asked),
    }
    path = RESULTS / "train-pocket.json"
    if path.is_file():  # methods trained on another day stay
        shipped = {**json.loads(path.read_text())["methods"], **shipped}
    result = {
        "made_by": made_by,
        "data": data,
        "backbone": record["selection"]["backbone"],
        "methods": shipped,
    }
    write_text(path, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
