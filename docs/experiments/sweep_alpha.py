"""Experiment: hybrid batches with a share of monolingual ones from none to all, with intervals.

python docs/experiments/sweep_alpha.py [BACKBONE …]

The paper (Elmahdy et al. 2024) shows some values of alpha without intervals. Every value and seed
is trained by the same recipe. Nothing is chosen: the values were fixed beforehand. Encoders and
their results in the store are not made again.
"""

from __future__ import annotations

import sys

from measured import about, measured, row
from provenance import RESULTS, provenance
from side_by_side import named, put_part
from training_runs import Run

OUTPUT = RESULTS / "sweep-alpha.json"
COMMAND = "make sweep-alpha"
ALPHAS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0)
SEEDS = {"muse": range(3)}


def main() -> None:
    """Train, measure, write; backbones that are done on another day stay."""
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
        part = {
            "made_by": made_by,
            "command_of_a_run": " ".join(runs[0].command),
            **about(encoders[0], values[0]),
            "alphas": of_alpha,
        }
        put_part(OUTPUT, backbone, part)
        print(OUTPUT)


if __name__ == "__main__":
    main()
