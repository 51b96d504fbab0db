"""Experiment: what the comparison's encoders are worth in English alone, on SciFact and Cranfield.

python docs/experiments/english_beir.py [--seeds N] [--methods NAME …] [--backbones NAME …]

The backbone and the encoders of the first seeds of every method, trained where the store has none,
through the package's adapter for BEIR: exact, and with every passage, whatever its id. ``hybrid``
is tested against the others over questions and seeds. The data are scifact-beir and cranfield-beir
in the folder that HYBRIDIR_DATA_DIR names. Results of one encoder, by the same code on the same
data, are kept in the cache, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from compare_methods import CAMPAIGNS, REFERENCE
from embedder import code_hash
from measured import CODE, Questions, interval
from members import BASE
from provenance import RESULTS, provenance
from side_by_side import kept, named, on_every_core
from significance import all_against
from training_runs import train_all

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.files import sha256_of, write_text

COMMAND = "make bench-beir"
COLLECTIONS = {"SciFact": "scifact-beir", "Cranfield": "cranfield-beir"}
SPLIT, CUT = "test", 10
FILES = ("corpus.jsonl", "queries.jsonl", f"qrels/{SPLIT}.tsv")
# Backbone -> what its weights were made from, where MTEB's results have that.
PUBLISHED = {"pocket": "intfloat__multilingual-e5-small"}
MEASURES = ("ndcg_at_10", "mrr_at_10")
USED = (*CODE, "hybridir_mteb/adapters/**/*.py", "docs/experiments/english_beir.py")


@dataclass(frozen=True)
class Contender:
    """One encoder.

    Attributes:
        method: Its name in tables.
        model: Its name, without the owner.
        revision: Its fingerprint; None is the one that there is.
    """

    method: str
    model: str
    revision: str | None = None


def data() -> Path:
    """The mirror of the data."""
    mirror = paths.mirror_dir()
    if mirror is None:
        raise SystemExit(
            f"{COMMAND}: set {paths.DATA_DIR_VARIABLE} to the folder that has "
            f"{', '.join(COLLECTIONS.values())} and mteb-results"
        )
    return mirror


def checksums() -> dict[str, dict[str, str]]:
    """Collection -> file -> sha256."""
    return {
        name: {file: sha256_of(data() / folder / file) for file in FILES}
        for name, folder in COLLECTIONS.items()
    }


def published(model: str) -> dict[str, Any]:
    """What MTEB's results have of a model on SciFact."""
    with gzip.open(data() / "mteb-results" / "retrieval.csv.gz", "rt", newline="") as file:
        (row,) = (
            row
            for row in csv.DictReader(file)
            if (row["model"], row["task"], row["split"]) == (model, "SciFact", SPLIT)
        )
    named = {name: row[name] for name in ("model", "revision", "mteb_version")}
    return {**named, **{measure: float(row[measure]) for measure in MEASURES}}


def contenders(backbone: str, seeds: int, methods: Sequence[str] = ()) -> list[Contender]:
    """The backbone, then the first seeds of its comparison's methods, by default of all."""
    runs = CAMPAIGNS[backbone].runs(backbone)
    found = train_all(run for name in named(methods, tuple(runs)) for run in runs[name][:seeds])
    return [
        Contender(BASE, f"{backbone}-{BASE}"),
        *(
            Contender(run.method, encoder.name.partition("/")[2], encoder.fingerprint)
            for run, encoder in found.items()
        ),
    ]


def evaluated(one: Contender, precision: str, used: str) -> dict[str, Any]:
    """Revision and values of one encoder, from the cache or computed.

    Args:
        one: The encoder.
        precision: ``fp32`` or ``bf16``.
        used: Digest of code and data.
    """
    import mteb

    from hybridir_mteb.adapters.mteb.register import register

    register()
    name = f"{trained.OWNER}/{one.model}"
    revision = one.revision or mteb.get_model_meta(name).revision
    key = hashlib.sha256(f"{revision} {precision} {used}".encode()).hexdigest()[:16]
    cache = paths.cache_dir() / "english-beir" / f"{one.model}-{key}.json"
    found = kept(cache, partial(evaluate, name, one.revision, precision))
    return {"revision": revision, "questions": found}


def evaluate(name: str, revision: str | None, precision: str) -> dict[str, Questions]:
    """Collection -> measure -> question -> value, of one encoder."""
    from beir.datasets.data_loader import GenericDataLoader

    from hybridir_mteb.adapters.beir import BeirEncoder, ExactSearch
    from hybridir_mteb.adapters.mteb.load import load_base

    # MTEB's own way knows the newest seed alone.
    loaded = load_base(name, revision=revision, precision=precision, device="cpu")
    search = ExactSearch(BeirEncoder(loaded, language="en"), ignore_identical_ids=False)
    found = {}
    for title, folder in COLLECTIONS.items():
        corpus, queries, qrels = GenericDataLoader(str(data() / folder)).load(SPLIT)
        found[title] = values_of(search, corpus, queries, qrels)
        print(name, title, means_of(found[title]), flush=True)
    return found


def values_of(search: Any, corpus: Any, queries: Any, qrels: Any) -> Questions:
    """Measure -> question -> value; the mean is what BEIR's own evaluation says."""
    import pytrec_eval
    from beir.retrieval.evaluation import EvaluateRetrieval

    retriever = EvaluateRetrieval(search, k_values=[CUT], score_function="cos_sim")
    ranked = retriever.retrieve(corpus, queries)
    by_query = pytrec_eval.RelevanceEvaluator(qrels, {f"ndcg_cut.{CUT}"}).evaluate(ranked)
    gains = {query: of[f"ndcg_cut_{CUT}"] for query, of in by_query.items()}
    first = {query: reciprocal_rank(qrels[query], ranked[query]) for query in gains}
    found = dict(zip(MEASURES, (gains, first), strict=True))
    ndcg, *_ = retriever.evaluate(qrels, ranked, [CUT], ignore_identical_ids=False)
    mrr = retriever.evaluate_custom(qrels, ranked, [CUT], "mrr")
    said = (ndcg[f"NDCG@{CUT}"], mrr[f"MRR@{CUT}"])
    for measure, value in zip(MEASURES, said, strict=True):
        assert abs(means_of(found)[measure] - value) < 2e-5, (measure, value)  # BEIR's has 5 digits
    return found


def reciprocal_rank(grades: Mapping[str, int], scores: Mapping[str, float]) -> float:
    """One over the rank of the first relevant passage among the best ``CUT``; else 0."""
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:CUT]
    return next((1 / at for at, one in enumerate(best, 1) if grades.get(one, 0) > 0), 0.0)


def means_of(questions: Questions) -> dict[str, float]:
    """Measure -> mean over questions."""
    return {key: round(float(np.mean(list(of.values()))), 5) for key, of in questions.items()}


def summary(by_method: Mapping[str, list[Questions]]) -> dict[str, Any]:
    """Means of every method on one collection, and tests of ``hybrid`` against the others."""
    return {
        "contenders": {
            name: {key: interval([of[key] for of in seeds]) for key in MEASURES}
            for name, seeds in by_method.items()
        },
        "tests": all_against(by_method, MEASURES, REFERENCE),
    }


def report(backbone: str, seeds: int, methods: Sequence[str] = ()) -> dict[str, Any]:
    """What the file of a backbone holds."""
    precision = CAMPAIGNS[backbone].precision.value
    command = f"{COMMAND} BACKBONES={backbone} SEEDS={seeds}"
    command += f" METHODS='{' '.join(methods)}'" if methods else ""
    made_by = provenance(command, ["beir"])
    sums, asked = checksums(), contenders(backbone, seeds, methods)
    used = f"{code_hash(USED)} {json.dumps(sums, sort_keys=True)}"
    found = on_every_core(partial(evaluated, precision=precision, used=used), asked)
    by_method: dict[str, list[dict[str, Any]]] = {}
    for one, of in zip(asked, found, strict=True):
        by_method.setdefault(one.method, []).append(of)
    result = {
        "made_by": made_by,
        "seeds": seeds,
        "precision": precision,
        "data": sums,
        "revisions": {name: [of["revision"] for of in rows] for name, rows in by_method.items()},
        "collections": {
            title: summary(
                {name: [of["questions"][title] for of in rows] for name, rows in by_method.items()}
            )
            for title in COLLECTIONS
        },
    }
    if backbone in PUBLISHED:
        known = published(PUBLISHED[backbone])
        base = result["collections"]["SciFact"]["contenders"][BASE]
        result["published"] = known
        result["base_less_published"] = {
            measure: round(base[measure]["mean"] - known[measure], 5) for measure in MEASURES
        }
    return result


def main() -> None:
    """Evaluate, test, compare with what is published, write: a file for each backbone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backbones", nargs="*", metavar="NAME", help=" ".join(CAMPAIGNS))
    parser.add_argument("--seeds", type=int, default=3, help="of each method")
    parser.add_argument("--methods", nargs="*", default=(), metavar="NAME", help="with hybrid")
    asked = parser.parse_args()
    for backbone in named(asked.backbones, tuple(CAMPAIGNS)):
        path = RESULTS / f"beir-english-{backbone}.json"
        found = report(backbone, asked.seeds, asked.methods)
        write_text(path, json.dumps(found, indent=1) + "\n")
        print(path)


if __name__ == "__main__":
    main()
