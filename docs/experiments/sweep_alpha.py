"""Experiment: hybrid batches with a share of monolingual ones from none to all, with intervals.

python docs/experiments/sweep_alpha.py [BACKBONE …]

The paper (Elmahdy et al. 2024) shows some values of alpha without intervals. Every value and seed
is trained by the same recipe. Nothing is chosen: the values were fixed beforehand. Encoders and
their results in the store are not made again.
"""

from __future__ import annotations

import json
import sys

from measured import about, measured, row
from provenance import RESULTS, provenance
from side_by_side import named
from training_runs import Run

from hybridir_mteb.files import write_text

OUTPUT = RESULTS / "sweep-alpha.json"
COMMAND = "make sweep-alpha"
ALPHAS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
SEEDS = {"muse": range(3)}


def main() -> None:
    """Train, measure, write; backbones that are done on another day stay."""
    report = json.loads(OUTPUT.read_text()) if OUTPUT.is_file() else {}
    for backbone in named(sys.argv[1:], tuple(SEEDS)):
        made_by = provenance(COMMAND)
        seeds = SEEDS[backbone]
        runs = [
            Run(f"{backbone}-hybrid", "hybrid", seed, (("alpha", str(alpha)),))
            for alpha in ALPHAS
            for seed in seeds
        ]
        encoders, values = measured(runs)
        of_alpha = {
            str(alpha): row(encoders[at : at + len(seeds)], values[at : at + len(seeds)])
            for alpha, at in zip(ALPHAS, range(0, len(runs), len(seeds)), strict=True)
        }
        report[backbone] = {
            "made_by": made_by,
            "command_of_a_run": " ".join(runs[0].command),
            **about(encoders[0], values[0]),
            "alphas": of_alpha,
        }
        write_text(OUTPUT, json.dumps(report, indent=1) + "\n")
        print(OUTPUT)


if __name__ == "__main__":
    main()
