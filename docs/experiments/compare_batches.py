"""Experiment: the paper's kinds of batches beside those that version 0.1 called by their names.

python docs/experiments/compare_batches.py [BACKBONE …]

``cross`` and ``hybrid`` as they are now, against one ordered pair of languages for a whole batch
(``bilingual``) and hybrid batches made of that. Encoders and their results in the store are not
made again.
"""

from __future__ import annotations

import sys

from measured import TESTED, about, measured, row
from provenance import RESULTS, provenance
from side_by_side import named, put_part
from significance import pairwise_tests
from training_runs import Run

OUTPUT = RESULTS / "compare-batches.json"
COMMAND = "make compare-batches"
SEEDS = {"muse": range(3)}
OLD = (("mixes", "mono,bilingual"),)
# Name in tables -> method and its options.
KINDS = {
    "mono": ("mono", ()),
    "bilingual": ("bilingual", ()),
    "cross": ("cross", ()),
    "hybrid of 0.1": ("hybrid", OLD),
    "hybrid": ("hybrid", ()),
    "mixed": ("mixed", ()),
}


def main() -> None:
    """Train, measure, test, write; backbones that are done on another day stay."""
    for backbone in named(sys.argv[1:], tuple(SEEDS)):
        made_by = provenance(COMMAND)
        runs = {
            kind: [Run(f"{backbone}-{method}", method, seed, options) for seed in SEEDS[backbone]]
            for kind, (method, options) in KINDS.items()
        }
        encoders, values = measured([run for of_kind in runs.values() for run in of_kind])
        seeds = len(SEEDS[backbone])
        parts = {kind: slice(at * seeds, (at + 1) * seeds) for at, kind in enumerate(runs)}
        part = {
            "made_by": made_by,
            **about(encoders[0], values[0]),
            "commands": {kind: " ".join(of_kind[0].command) for kind, of_kind in runs.items()},
            "kinds": {kind: row(encoders[part], values[part]) for kind, part in parts.items()},
            "tests": {
                measure: pairwise_tests(
                    {kind: [of[measure] for of in values[part]] for kind, part in parts.items()}
                )
                for measure in TESTED
            },
        }
        put_part(OUTPUT, backbone, part)
        print(OUTPUT)


if __name__ == "__main__":
    main()
