"""Experiment: a backbone in the languages of XQuAD-R that it does not know, trained and untrained.

python docs/experiments/unseen_languages.py [BACKBONE …]

Its own vocabulary hardly covers them, so they are no part of any other comparison. Each group of
languages is a pool of its own. What is in the store is neither trained nor measured again.
"""

from __future__ import annotations

import sys
from typing import Any

from measured import COLLECTION, LEVEL, TESTED, Job, interval, measure_all
from provenance import RESULTS, provenance
from side_by_side import named, put_part
from training_runs import Run, train_all

from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.installed import installed_plugins

OUTPUT = RESULTS / "unseen-languages.json"
COMMAND = "make unseen-languages"
SEEDS = {"muse": range(3)}
METHOD = "hybrid"


def main() -> None:
    """Train, measure, write; backbones that are done on another day stay."""
    for backbone in named(sys.argv[1:], tuple(SEEDS)):
        made_by = provenance(COMMAND)
        runs = [Run(f"{backbone}-{METHOD}", METHOD, seed) for seed in SEEDS[backbone]]
        encoders = list(train_all(runs).values())
        folders = [None, *(encoder.path for encoder in encoders)]
        known = encoders[0].record["languages"]
        every = installed_plugins().collections[COLLECTION].languages
        groups = {
            "known": tuple(code for code in every if code in known),
            "unseen": tuple(code for code in every if code not in known),
        }
        jobs = [
            Job(backbone, folder, COLLECTION, languages, Precision.FP32)
            for languages in groups.values()
            for folder in folders
        ]
        found = iter(measure_all(jobs))
        rows: dict[str, Any] = {}
        for name, languages in groups.items():
            base, *trained = [next(found)["questions"] for _ in folders]
            rows[name] = {"languages": languages} | {
                encoder: {key: interval([of[key] for of in values]) for key in TESTED}
                for encoder, values in (("base", [base]), (METHOD, trained))
            }
        put_part(OUTPUT, backbone, {"made_by": made_by, "level": LEVEL, "groups": rows})
        print(OUTPUT)


if __name__ == "__main__":
    main()
