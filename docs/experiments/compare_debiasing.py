"""Experiment: does training beat subtraction? Every encoder and debiaser on XQuAD-R and MLQA-R.

make compare-debiasing, which hides the user's own store.

The encoders and statistics of the package, in bf16, through the code that ``mteb run`` uses.
Results of one encoder, by the same code, are kept in the cache, so an interrupted run goes on where
it was.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

import numpy as np
from debias_pocket import DEBIASERS, ENCODERS, statistics
from embedder import Vectors, code_hash, debias, embed_all
from measured import scores_of
from per_query import TESTED, values_of
from provenance import RESULTS, provenance
from side_by_side import kept
from significance import pairwise_tests

from hybridir_mteb import language_bias, paths
from hybridir_mteb.collections.collection import ParallelCollection, judged_queries
from hybridir_mteb.debias.sentence_transformer import load_debiaser
from hybridir_mteb.encoders import trained
from hybridir_mteb.files import write_text
from hybridir_mteb.installed import installed_plugins
from hybridir_mteb.plugins.settings import Setting, subsets

COLLECTIONS = ("XQuADR", "MLQAR")
COMMAND = "make compare-debiasing"
NONE = "none"
# What the tests compare: the untrained encoder, as it is and debiased, and the trained ones, as
# they are and with the two debiasers that did best on held-out documents.
CONTENDERS = (
    *(("pocket-base", debiaser) for debiaser in (NONE, *DEBIASERS)),
    *((model, debiaser) for model in ENCODERS[1:] for debiaser in (NONE, "centre", "leace")),
)


def bias_of(collection: ParallelCollection, queries: Vectors, passages: Vectors) -> dict[str, Any]:
    """All measures of language bias, with intervals."""
    codes = collection.languages
    members = [(code, at) for code in codes for at in range(len(passages[code]))]
    ids = [collection.part(code).passage_id(at) for code, at in members]
    column = {identifier: at for at, identifier in enumerate(ids)}
    asked = [
        (subset.query_language, at, [column[p] for p in relevant])
        for subset in subsets(codes, Setting.MULTILINGUAL)
        for at, relevant in judged_queries(collection, subset)
    ]
    report = language_bias.of_embeddings(
        np.stack([queries[code][at] for code, at, _ in asked]),
        np.concatenate([passages[code] for code in codes]),
        [relevant for *_, relevant in asked],
        [code for code, *_ in asked],
        [code for code, _ in members],
        passage_ids=ids,
        items=[collection.part(code).queries[at].parallel_id for code, at, _ in asked],
    )
    return {"means": dict(report.means), "intervals": dict(report.intervals)}


def fingerprints(model: str) -> dict[str, str]:
    """Debiaser -> fingerprint of statistics and encoder, checked against the files."""
    found = {}
    for debiaser in DEBIASERS:
        encoder = trained.read_encoder(statistics(model, debiaser))
        trained.verify(encoder)
        found[debiaser] = encoder.fingerprint
    return found


def evaluated(model: str) -> dict[str, Any]:
    """Debiaser -> collection -> scores of one encoder, from the cache or computed."""
    used = "".join(fingerprints(model).values())
    key = hashlib.sha256(f"{code_hash()}{used}".encode()).hexdigest()[:16]
    cache = paths.cache_dir() / "compared" / f"{model}-{key}.json"
    return kept(cache, partial(evaluate, model))


def evaluate(model: str) -> dict[str, Any]:
    """Debiaser -> collection -> scores of one encoder."""
    import mteb

    from hybridir_mteb.adapters.mteb.encoder import EncodeCall, of_mteb

    encoder = mteb.get_model(f"{trained.OWNER}/{model}", precision="bf16", device="cpu")
    call = EncodeCall(mteb.get_task("XQuADRMultilingualRetrieval").metadata, "", "", {})
    encoder = of_mteb(encoder, call)
    found: dict[str, Any] = {debiaser: {} for debiaser in (NONE, *DEBIASERS)}
    for name in COLLECTIONS:
        spec = installed_plugins().collections[name]
        collection = spec.load(spec.languages)
        raw = embed_all(collection, lambda texts, role, _: encoder.embed(texts, role).matrix)
        for debiaser, by_collection in found.items():
            sides = raw
            if debiaser != NONE:
                sides = debias(load_debiaser(statistics(model, debiaser)), raw)
            values = values_of(collection, *sides, f"{name} {model}+{debiaser}")
            by_collection[name] = {**scores_of(values), "bias": bias_of(collection, *sides)}
    return found


def summary(name: str, results: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Scores of every encoder and debiaser, and tests between the contenders."""
    encoders = {
        model: {
            debiaser: {
                "means": scores[name]["means"],
                "bias": _rounded(scores[name]["bias"]["means"]),
                "intervals": _rounded(scores[name]["bias"]["intervals"]),
            }
            for debiaser, scores in by_debiaser.items()
        }
        for model, by_debiaser in results.items()
    }
    tests = {
        key: pairwise_tests(
            {
                f"{model}+{debiaser}".removesuffix(f"+{NONE}"): [
                    results[model][debiaser][name]["questions"][key]
                ]
                for model, debiaser in CONTENDERS
            }
        )
        for key in TESTED
    }
    return {"encoders": encoders, "tests": tests}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value


def main() -> None:
    """Evaluate everything, test differences, write the result file."""
    made_by = provenance(COMMAND)
    results = {model: evaluated(model) for model in ENCODERS}
    result = {
        "made_by": made_by,
        "precision": "bf16",
        "fingerprints": {model: fingerprints(model) for model in ENCODERS},
        "collections": {name: summary(name, results) for name in COLLECTIONS},
    }
    write_text(RESULTS / "compare-debiasing.json", json.dumps(result, indent=1) + "\n")
    print(RESULTS / "compare-debiasing.json")


if __name__ == "__main__":
    main()
