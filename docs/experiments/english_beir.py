"""Experiment: encoders in English alone, on BEIR's SciFact and on Cranfield.

make bench-beir, or python docs/experiments/english_beir.py [--precision bf16] [ENCODER ...]

By default pocket-base and the trained pocket encoders; any other encoder that the package or the
store has can be named, a debiased one, too. The data are scifact-beir and cranfield-beir in the
folder that HYBRIDIR_DATA_DIR names, through the package's adapter for BEIR, exact and with every
passage, whatever its id. Results of one encoder, by the same code on the same data, are kept in the
cache, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from embedder import code_hash
from provenance import RESULTS, provenance
from side_by_side import kept, on_every_core
from train_pocket import METHODS

from hybridir_mteb import paths
from hybridir_mteb.encoders import trained
from hybridir_mteb.files import sha256_of, write_text

COMMAND = "make bench-beir"
COLLECTIONS = {"SciFact": "scifact-beir", "Cranfield": "cranfield-beir"}
SPLIT, CUT = "test", 10
FILES = ("corpus.jsonl", "queries.jsonl", f"qrels/{SPLIT}.tsv")
BASE = "pocket-base"
# What pocket-base was made from: its weights in four bits.
PUBLISHED = "intfloat__multilingual-e5-small"
MEASURES = ("ndcg_at_10", "mrr_at_10")


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


def published() -> dict[str, Any]:
    """What MTEB's results have of the model behind pocket-base on SciFact."""
    with gzip.open(data() / "mteb-results" / "retrieval.csv.gz", "rt", newline="") as file:
        (row,) = (
            row
            for row in csv.DictReader(file)
            if (row["model"], row["task"], row["split"]) == (PUBLISHED, "SciFact", SPLIT)
        )
    named = {name: row[name] for name in ("model", "revision", "mteb_version")}
    return {**named, **{measure: float(row[measure]) for measure in MEASURES}}


def evaluated(model: str, precision: str, used: str) -> dict[str, Any]:
    """Revision and scores of one encoder, from the cache or computed.

    Args:
        model: Its name, without the owner.
        precision: ``fp32`` or ``bf16``.
        used: Digest of code and data.
    """
    import mteb

    from hybridir_mteb.adapters.mteb.register import register

    register()
    revision = mteb.get_model_meta(f"{trained.OWNER}/{model}").revision
    key = hashlib.sha256(f"{revision} {precision} {used}".encode()).hexdigest()[:16]
    cache = paths.cache_dir() / "english-beir" / f"{model}-{key}.json"
    found = kept(cache, partial(evaluate, model, precision))
    return {"revision": revision, "scores": found}


def evaluate(model: str, precision: str) -> dict[str, dict[str, float]]:
    """Collection -> measure -> value, of one encoder."""
    import mteb
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval.evaluation import EvaluateRetrieval

    from hybridir_mteb.adapters.beir import BeirEncoder, ExactSearch

    loaded = mteb.get_model(f"{trained.OWNER}/{model}", precision=precision, device="cpu")
    search = ExactSearch(BeirEncoder(loaded, language="en"), ignore_identical_ids=False)
    retriever = EvaluateRetrieval(search, k_values=[CUT], score_function="cos_sim")
    scores = {}
    for name, folder in COLLECTIONS.items():
        corpus, queries, qrels = GenericDataLoader(str(data() / folder)).load(SPLIT)
        found = retriever.retrieve(corpus, queries)
        ndcg, *_ = retriever.evaluate(qrels, found, [CUT], ignore_identical_ids=False)
        mrr = retriever.evaluate_custom(qrels, found, [CUT], "mrr")
        scores[name] = {"ndcg_at_10": ndcg[f"NDCG@{CUT}"], "mrr_at_10": mrr[f"MRR@{CUT}"]}
        print(model, name, scores[name], flush=True)
    return scores


def main() -> None:
    """Evaluate, compare with what is published, write the result file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    usual = (BASE, *(f"pocket-{method}" for method in METHODS))
    parser.add_argument(
        "encoders", nargs="*", metavar="ENCODER", help=f"default: {' '.join(usual)}"
    )
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    asked = parser.parse_args()
    command = f"{COMMAND} PRECISION={asked.precision}"
    if asked.encoders:
        command += f" ENCODERS='{' '.join(asked.encoders)}'"
    made_by = provenance(command, ["beir"])
    encoders = list(dict.fromkeys(asked.encoders or usual))
    sums = checksums()
    used = f"{code_hash()} {json.dumps(sums, sort_keys=True)}"
    work = partial(evaluated, precision=asked.precision, used=used)
    results = dict(zip(encoders, on_every_core(work, encoders), strict=True))
    known = published()
    result = {
        "made_by": made_by,
        "precision": asked.precision,
        "data": sums,
        "published": known,
        "encoders": results,
    }
    if BASE in results:
        scores = results[BASE]["scores"]["SciFact"]
        less = {measure: round(scores[measure] - known[measure], 5) for measure in MEASURES}
        result["base_less_published"] = less
    write_text(RESULTS / "beir-english.json", json.dumps(result, indent=1) + "\n")
    print(RESULTS / "beir-english.json")


if __name__ == "__main__":
    main()
