"""Experiment: every training method and debiaser, several seeds, on three backbones.

python docs/experiments/compare_methods.py [--report] [BACKBONE …]

Trains every encoder, measures it on the collections, question by question, and tests ``hybrid``
against all others over questions and seeds. What was measured is kept in the repository, so that an
interrupted run goes on where it was, on another day and another machine too. With ``--report``
nothing is trained: the results are those of the seeds that are there for all methods.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from measured import Scores, interval
from members import Member, Room, make_all
from provenance import RESULTS, provenance
from side_by_side import named
from significance import all_against
from training_runs import Run

from hybridir_mteb.encoders.token_budget import Precision
from hybridir_mteb.files import write_text
from hybridir_mteb.installed import installed_plugins

COMMAND = "make compare-methods"
REFERENCE = "hybrid"
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
    "gemma3-270m": Campaign(
        3, ("mono", "cross", "hybrid", "adversarial"), precision=Precision.BF16
    ),
}


def rooms(backbone: str, known: tuple[str, ...]) -> tuple[Room, ...]:
    """What a backbone is measured on.

    Args:
        backbone: Its name.
        known: Languages that its encoders were trained in; others are measured apart.
    """
    specs = installed_plugins().collections
    found = [
        Room(name, name, tuple(code for code in specs[name].languages if code in known))
        for name in CAMPAIGNS[backbone].collections
    ]
    unseen = tuple(code for code in specs["XQuADR"].languages if code not in known)
    if unseen:
        found.append(Room(UNSEEN, "XQuADR", unseen, debiased=False))
    return tuple(found)


def members(backbone: str) -> list[Member]:
    """The backbone, then all encoders, the first seed of all methods first.

    Training-free debiasing stands beside the untrained backbone, and on top of ``hybrid``.
    """
    campaign = CAMPAIGNS[backbone]
    runs = campaign.runs(backbone)
    known = runs[REFERENCE][0].wanted.languages
    asked = rooms(backbone, known)
    command = f"{COMMAND} BACKBONES={backbone}"
    ordered = [runs[method][seed] for seed in range(campaign.seeds) for method in campaign.methods]
    return [
        Member(
            backbone,
            run,
            asked,
            DEBIASERS if run is None or run.method == REFERENCE else (),
            known,
            campaign.precision,
            TESTED,
            command,
        )
        for run in (None, *ordered)
    ]


def finished(backbone: str) -> list[dict[str, Any]]:
    """Records of the backbone and of the seeds that are there for all methods, in order."""
    found = []
    for member in members(backbone):
        record = member.kept()
        if record is None:
            break
        found.append({**record, "method": member.method, "seed": member.seed})
    whole = (len(found) - 1) // len(CAMPAIGNS[backbone].methods)
    if whole < 1:
        sys.exit(f"{backbone}: no seed is there for all methods yet; {COMMAND} makes them")
    return found[: 1 + whole * len(CAMPAIGNS[backbone].methods)]


def by_title(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[Scores]]]:
    """Title of a collection -> contender -> scores of each seed; debiased ones last."""
    found: dict[str, dict[str, list[Scores]]] = {}
    for debiased in (False, True):
        for record in records:
            for title, scores in record["scores"].items():
                for debiaser, of in scores.items():
                    if bool(debiaser) == debiased:
                        name = record["method"] + (f"+{debiaser}" if debiaser else "")
                        found.setdefault(title, {}).setdefault(name, []).append(of)
    return found


def summary(scores: Mapping[str, list[Scores]]) -> dict[str, Any]:
    """Means of every contender on one collection, and tests of ``hybrid`` against the others."""
    rows = {}
    for name, seeds in scores.items():
        means = {key: [of["means"][key] for of in seeds] for key in seeds[0]["means"]}
        mean = {key: round(float(np.mean(column)), 6) for key, column in means.items()}
        rows[name] = {
            "mean": mean,
            "seeds": means,
            "intervals": {
                key: around(mean[key], [of["questions"][key] for of in seeds]) for key in TESTED
            },
        }
    questions = {name: [of["questions"] for of in seeds] for name, seeds in scores.items()}
    return {"contenders": rows, "tests": all_against(questions, TESTED, REFERENCE)}


def around(mean: float, values: Sequence[Mapping[str, float]]) -> list[float]:
    """The interval of the mean over questions, moved to the mean over subsets that tasks report.

    A question that few languages have counts as much as others in the former, not in the latter.

    Args:
        mean: Over subsets and seeds.
        values: Question -> value, of each seed.
    """
    of_questions = interval(values)
    return [round(end + mean - of_questions["mean"], 5) for end in of_questions["interval"]]


def report(backbone: str) -> dict[str, Any]:
    """What the file of a backbone holds."""
    records = finished(backbone)
    trained: dict[str, list[dict[str, Any]]] = {}
    for record in records[1:]:
        trained.setdefault(record["method"], []).append(record)
    campaign = CAMPAIGNS[backbone]
    made_by = provenance(f"{COMMAND} BACKBONES={backbone}")
    machines = {json.dumps(record["made_by"], sort_keys=True): None for record in records}
    return {
        "made_by": made_by,
        "members_made_by": [json.loads(one) for one in machines],
        "seeds": {"planned": campaign.seeds, "made": len(trained[REFERENCE])},
        "precision": campaign.precision.value,
        "commands": {method: of[0]["command"] for method, of in trained.items()},
        "fingerprints": {m: [one["fingerprint"] for one in of] for m, of in trained.items()},
        "held_out": {
            method: [one["selection"]["encoder"] for one in of] for method, of in trained.items()
        },
        "backbone": trained[REFERENCE][0]["selection"]["backbone"],
        "collections": {title: summary(scores) for title, scores in by_title(records).items()},
    }


def main() -> None:
    """Train, measure, test, write: a file for each backbone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("backbones", nargs="*", metavar="BACKBONE", help=" ".join(CAMPAIGNS))
    parser.add_argument("--report", action="store_true", help="of what is there; train nothing")
    asked = parser.parse_args()
    for backbone in named(asked.backbones, tuple(CAMPAIGNS)):
        if not asked.report:
            make_all(members(backbone))
        path = RESULTS / f"compare-methods-{backbone}.json"
        write_text(path, json.dumps(report(backbone), indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
