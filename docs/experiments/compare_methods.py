"""Experiment: every training method and debiaser, several seeds, on three backbones.

python docs/experiments/compare_methods.py [BACKBONE …]

Trains what the store lacks, measures every encoder on the collections, question by question, and
tests ``hybrid`` against all others over questions and seeds. Everything is kept, encoders,
embeddings and values, so that an interrupted run goes on where it was, on another day too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from debiased import DebiasedJob
from measured import Job, Scores, interval, measure_all
from provenance import RESULTS, provenance
from significance import against
from training_runs import Run, median, train_all

from hybridir_mteb.encoders import trained
from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.files import write_text
from hybridir_mteb.installed import installed_plugins

COMMAND = "make compare-methods"
BASE, REFERENCE = "base", "hybrid"
COLLECTIONS = ("XQuADR", "MLQAR", "PocketQAR")
UNSEEN = "XQuADR in unseen languages"
DEBIASERS = ("centre", "lir", "leace", "shift", "shift alpha=auto")
METHODS = (
    "mono",
    "cross",
    "hybrid",
    "mixed",
    "bilingual",
    "adversarial",
    "hybrid-adversarial",
    "erasure",
    "consistency",
)
TESTED = (
    "mono.map",
    "cross.map",
    "multi.map",
    "multi.rank_distance",
    "multi.tlr_at_20",
    "multi.complete_at_100",
    "multi.lang_ndcg_at_10",
)


@dataclass(frozen=True)
class Campaign:
    """What is done with one backbone.

    Attributes:
        seeds: Number of seeds of each method.
        methods: Their names.
        collections: Names of the collections.
        precision: Arithmetic of the evaluation.
    """

    seeds: int
    methods: tuple[str, ...] = METHODS
    collections: tuple[str, ...] = COLLECTIONS
    precision: Precision = Precision.FP32

    def runs(self, backbone: str) -> dict[str, list[Run]]:
        """Method -> its runs, the first seeds first."""
        return {
            method: [Run(f"{backbone}-{method}", method, seed) for seed in range(self.seeds)]
            for method in self.methods
        }


CAMPAIGNS = {
    "muse": Campaign(10),
    "pocket": Campaign(5, precision=Precision.BF16),
    "gemma3-270m": Campaign(3, ("mono", "cross", "hybrid", "adversarial"), ("PocketQAR", "XQuADR")),
}


def rooms(backbone: str, known: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Title, collection and languages of all that a backbone is measured on.

    Args:
        backbone: Its name.
        known: Languages that its encoders were trained in; others are measured apart.
    """
    specs = installed_plugins().collections
    for name in CAMPAIGNS[backbone].collections:
        yield name, name, tuple(code for code in specs[name].languages if code in known)
    unseen = tuple(code for code in specs["XQuADR"].languages if code not in known)
    if unseen:
        yield UNSEEN, "XQuADR", unseen


def contenders(
    backbone: str, encoders: Mapping[str, list[trained.StoredEncoder]]
) -> dict[str, list[tuple[trained.StoredEncoder | None, str]]]:
    """Name in tables -> (encoder, debiaser) of each seed; of the base, and debiased, one.

    Training-free debiasing stands beside the untrained backbone, and on top of the median seed of
    ``hybrid``.
    """
    found: dict[str, list[tuple[trained.StoredEncoder | None, str]]] = {BASE: [(None, "")]}
    found |= {f"{BASE}+{debiaser}": [(None, debiaser)] for debiaser in DEBIASERS}
    found |= {method: [(one, "") for one in of] for method, of in encoders.items()}
    middle = median(encoders[REFERENCE])
    found |= {f"{REFERENCE}+{debiaser}": [(middle, debiaser)] for debiaser in DEBIASERS}
    return found


def measure(
    backbone: str, encoders: Mapping[str, list[trained.StoredEncoder]]
) -> dict[str, dict[str, list[Scores]]]:
    """Title of a collection -> contender -> scores of each seed."""
    known = tuple(encoders[REFERENCE][0].record["languages"])
    precision = CAMPAIGNS[backbone].precision
    who = contenders(backbone, encoders)
    jobs: dict[tuple[str, str, int], Job] = {}
    for title, collection, languages in rooms(backbone, known):
        for name, seeds in who.items():
            for at, (encoder, debiaser) in enumerate(seeds):
                folder = None if encoder is None else encoder.path
                of = (backbone, folder, collection, languages, precision)
                job = DebiasedJob(*of, debiaser, known) if debiaser else Job(*of)
                if not (debiaser and title == UNSEEN):  # no statistics of these languages
                    jobs[title, name, at] = job
    found: dict[str, dict[str, list[Scores]]] = {}
    for (title, name, _), scores in zip(jobs, measure_all(list(jobs.values())), strict=True):
        found.setdefault(title, {}).setdefault(name, []).append(scores)
    return found


def summary(scores: Mapping[str, list[Scores]]) -> dict[str, Any]:
    """Means of every contender on one collection, and tests of ``hybrid`` against the others."""
    rows = {}
    for name, seeds in scores.items():
        means = {key: [of["means"][key] for of in seeds] for key in seeds[0]["means"]}
        rows[name] = {
            "mean": {key: round(float(np.mean(column)), 6) for key, column in means.items()},
            "seeds": means,
            "intervals": {
                key: interval([of["questions"][key] for of in seeds])["interval"] for key in TESTED
            },
        }
    others = [name for name in scores if name != REFERENCE]
    tests = {
        key: against(
            {name: [of["questions"][key] for of in seeds] for name, seeds in scores.items()},
            REFERENCE,
            others,
        )
        for key in TESTED
    }
    return {"contenders": rows, "tests": tests}


def main() -> None:
    """Train, measure, test, write: a file for each backbone."""
    for backbone in sys.argv[1:] or CAMPAIGNS:
        made_by = provenance(COMMAND)
        runs = CAMPAIGNS[backbone].runs(backbone)
        found = train_all(run for of_method in runs.values() for run in of_method)
        encoders = {method: [found[run] for run in of] for method, of in runs.items()}
        report = {
            "made_by": made_by,
            "precision": CAMPAIGNS[backbone].precision.value,
            "commands": {method: " ".join(of[0].command) for method, of in runs.items()},
            "fingerprints": {m: [one.fingerprint for one in of] for m, of in encoders.items()},
            "held_out": {
                method: [one.record["selection"]["encoder"] for one in of]
                for method, of in encoders.items()
            },
            "backbone": encoders[REFERENCE][0].record["selection"]["backbone"],
            "collections": {
                title: summary(scores) for title, scores in measure(backbone, encoders).items()
            },
        }
        path = RESULTS / f"compare-methods-{backbone}.json"
        write_text(path, json.dumps(report, indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
