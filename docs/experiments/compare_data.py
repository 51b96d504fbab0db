"""Experiment: what the encyclopaedic passages bring, beside the questions about news alone.

python docs/experiments/compare_data.py [BACKBONE …]

One seed of five methods on each backbone, trained with all data and with NTREX-128 alone, the same
number of steps; both scored on the same held-out passages and questions, all and by their source.
Encoders in the store are not trained again, and scores of an encoder are kept beside it, so that an
interrupted run goes on where it was.
"""

from __future__ import annotations

import hashlib
import sys
from functools import partial
from pathlib import Path
from typing import Any

from embedder import Embedder, code_hash, fingerprint, load
from provenance import RESULTS, provenance
from side_by_side import kept, named, on_every_core, put_part
from training_runs import Run, train_all

from hybridir_mteb import paths
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.training.held_out import HeldOut
from hybridir_mteb.training.pairs import Source
from hybridir_mteb.training.plan import Plan, content_hash, make_plan
from hybridir_mteb.training.recipe import read_recipe
from hybridir_mteb.training.sources.ntrex import ORIGIN

OUTPUT = RESULTS / "compare-data.json"
COMMAND = "make compare-data"
BACKBONES = ("muse", "pocket", "gemma3-270m")
METHODS = ("mono", "cross", "bilingual", "hybrid", "mixed")
DATA = {"all": "{}", "ntrex": "{}-ntrex"}  # names of the recipes


def scores(backbone: str, folder: Path | None) -> dict[str, Any]:
    """Held-out scores of an encoder, or of the backbone itself, from the cache or computed."""
    recipe = read_recipe(Path(backbone), method="mono")
    plan = make_plan(recipe, leak_check=False)
    decides = (
        fingerprint(backbone, folder),
        code_hash(),
        recipe.model_dump_json(),
        *map(content_hash, plan.held_out),
    )
    key = hashlib.sha256("\n".join(decides).encode()).hexdigest()[:32]
    cache = paths.model_store_dir() / ".held-out" / f"{key}.json"
    return kept(cache, partial(evaluate, backbone, folder, plan))


def evaluate(backbone: str, folder: Path | None, plan: Plan) -> dict[str, Any]:
    """Held-out scores on everything and by source."""
    recipe = plan.recipe
    embed = Embedder(load(backbone, folder), Precision.FP32, fingerprint(backbone, folder))
    found = {}
    for name, questions in kinds(plan.held_out).items():
        held_out = HeldOut(questions, recipe.held_out_items, recipe.held_out_pool)
        found[name] = held_out.evaluate(partial(embed, label=name)).as_dict()
    return found


def kinds(held_out: tuple[Source, ...]) -> dict[str, list[Source]]:
    """All held-out parts, those of NTREX-128, and the encyclopaedia alone."""
    news = [source for source in held_out if ORIGIN in source.origin]
    other = [source for source in held_out if source not in news]
    return {"all": list(held_out), "news": news, "encyclopaedia": other}


def main() -> None:
    """Train, score, write; backbones that are done on another day stay."""
    for backbone in named(sys.argv[1:], BACKBONES):
        made_by = provenance(COMMAND)
        runs = {
            (data, method): Run(name.format(backbone), method)
            for method in METHODS
            for data, name in DATA.items()
        }
        encoders = train_all(runs.values())
        folders = [None, *(encoders[run].path for run in runs.values())]
        found = on_every_core(scores, [backbone] * len(folders), folders)
        rows: dict[str, dict[str, Any]] = {"base": {"scores": found[0]}}
        for ((data, method), run), of_run in zip(runs.items(), found[1:], strict=True):
            encoder = encoders[run]
            rows.setdefault(method, {})[data] = {
                "command": " ".join(run.command),
                "fingerprint": encoder.fingerprint,
                "items": {row["source"]: row["items"] for row in encoder.record["data"]},
                "seconds": encoder.record["machine"]["seconds"],
                "scores": of_run,
            }
        put_part(OUTPUT, backbone, {"made_by": made_by, "methods": rows})
        print(OUTPUT)


if __name__ == "__main__":
    main()
