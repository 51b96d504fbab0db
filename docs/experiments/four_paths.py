"""Experiment: one encoder, one collection, four paths, and why they differ.

python docs/experiments/four_paths.py [COLLECTION ...]   prints what bench_scale.py keeps.

The paths are (a) BEIR's ``EvaluateRetrieval`` over its ``DenseRetrievalExactSearch``; (b) a plain
``AbsTaskRetrieval``, searched and scored by mteb itself; (c) pytrec_eval on the run that ours
writes; (d) ours, from exact ranks. All read the same BEIR folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mteb
import numpy as np
import pytrec_eval
from beir.datasets.data_loader import GenericDataLoader
from beir.retrieval.evaluation import EvaluateRetrieval
from beir.retrieval.search.dense import DenseRetrievalExactSearch
from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval

from hybridir_mteb import paths
from hybridir_mteb.adapters.beir.encoder import BeirEncoder
from hybridir_mteb.adapters.mteb.register import register
from hybridir_mteb.adapters.mteb.task import make_tasks
from hybridir_mteb.collections.readers.beir import read_beir_folder
from hybridir_mteb.collections.readers.trec import read_run
from hybridir_mteb.export import export_task
from hybridir_mteb.plugins.specs import CollectionCard, CollectionSpec
from hybridir_mteb.ranking.trec import write_run

ENCODER = "hybridir/pocket-base"
DEPTH = 1000
MEASURES = ("ndcg_at_10", "mrr_at_10", "map_at_100", "map_at_1000", "recall_at_100")
CUT = 10  # of MRR
CARD = CollectionCard(
    description="A BEIR folder.",
    reference="https://github.com/beir-cellar/beir",
    dataset="local/folder",
    revision="1",
    license="not specified",
    date=("2021-01-01", "2021-01-02"),
    domains=("Written",),
)
Run = dict[str, dict[str, float]]
Qrels = Mapping[str, Mapping[str, int]]


class Folder(NamedTuple):
    """A collection in BEIR's layout."""

    path: Path
    split: str = "test"
    language: str = "en"


def by_beir(model: Any, folder: Folder) -> tuple[dict[str, float], Run]:
    """(a) BEIR: its loader, its exact search, its means. Also its results, in their order."""
    corpus, queries, qrels = GenericDataLoader(str(folder.path)).load(folder.split)
    encoder = BeirEncoder(model, language=folder.language)
    search = DenseRetrievalExactSearch(encoder, batch_size=32, show_progress_bar=False)
    retriever = EvaluateRetrieval(search, k_values=[CUT, 100, DEPTH], score_function="cos_sim")
    results = retriever.retrieve(corpus, queries)
    ndcg, average_precision, recall, _ = retriever.evaluate(qrels, results, retriever.k_values)
    mrr = retriever.evaluate_custom(qrels, results, [CUT], "mrr")
    found = {
        "ndcg_at_10": ndcg["NDCG@10"],
        "mrr_at_10": mrr["MRR@10"],
        "map_at_100": average_precision["MAP@100"],
        "map_at_1000": average_precision["MAP@1000"],
        "recall_at_100": recall["Recall@100"],
    }
    return found, results


def by_mteb(model: Any, folder: Folder) -> dict[str, float]:
    """(b) A plain retrieval task of mteb: its own search and its own measures."""
    corpus, queries, qrels = GenericDataLoader(str(folder.path)).load(folder.split)
    task = _plain_task(folder)
    task.dataset = {
        "default": {
            folder.split: {
                "corpus": Dataset.from_list([{"id": key, **row} for key, row in corpus.items()]),
                "queries": Dataset.from_dict({"id": list(queries), "text": list(queries.values())}),
                "relevant_docs": qrels,
                "top_ranked": None,
            }
        }
    }
    task.data_loaded = True
    scores = task.evaluate(model, split=folder.split, encode_kwargs={"batch_size": 32})["default"]
    return {name: float(scores[name]) for name in MEASURES}


def _plain_task(folder: Folder) -> AbsTaskRetrieval:
    metadata = _task(folder).metadata.model_copy(update={"name": "PlainBeirFolder"})
    return type("PlainBeirFolder", (AbsTaskRetrieval,), {"metadata": metadata})()


def _task(folder: Folder) -> Any:
    spec = CollectionSpec(
        name="BeirFolder",
        languages=(folder.language,),
        load=partial(_read, folder),
        card=CARD,
        split=folder.split,
        parallel=False,
        task="BeirFolder",
    )
    measures = [measure for _, measure in register().measures.items()]
    (made,) = make_tasks(spec, measures)
    return made()


def _read(folder: Folder, _code: str) -> Any:
    return read_beir_folder(folder.path, folder.split, folder.language)


class Ours(NamedTuple):
    """(d) Our search: measures from exact ranks, and the run, one passage deeper than others."""

    scores: dict[str, float]
    run: Run
    qrels: Qrels

    @classmethod
    def of(cls, model: Any, folder: Folder) -> Ours:
        """Search a folder."""
        task = _task(folder)
        task.load_data()
        found = task.search_subset(model, "default", DEPTH + 1, {"batch_size": 32})
        run = {query: dict(ranking) for query, ranking in found.run.items()}
        cut = {name: from_run(run, found.qrels, name) for name in ("map_at_100", "map_at_1000")}
        exact = {name: float(found.scores[name]) for name in MEASURES if name not in cut}
        return cls({**exact, **cut, "map": float(found.scores["map"])}, run, found.qrels)


def by_pytrec_eval(ours: Ours) -> dict[str, float]:
    """(c) pytrec_eval on our run, written to a file and read again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trec"
        write_run(path, {query: _first(hits, DEPTH) for query, hits in ours.run.items()}, "ours")
        run = read_run(path)
    asked = {"ndcg_cut.10", "map_cut.100,1000", "recall.100"}
    qrels = {query: dict(grades) for query, grades in ours.qrels.items()}
    per_query = pytrec_eval.RelevanceEvaluator(qrels, asked).evaluate(run)
    top = {query: _first(hits, CUT) for query, hits in run.items()}
    reciprocal = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top)

    def mean(found: Mapping[str, Mapping[str, float]], name: str) -> float:
        return float(np.mean([found[query][name] for query in qrels]))

    return {
        "ndcg_at_10": mean(per_query, "ndcg_cut_10"),
        "mrr_at_10": mean(reciprocal, "recip_rank"),
        "map_at_100": mean(per_query, "map_cut_100"),
        "map_at_1000": mean(per_query, "map_cut_1000"),
        "recall_at_100": mean(per_query, "recall_100"),
    }


def _first(hits: Mapping[str, float], depth: int) -> dict[str, float]:
    return dict(list(hits.items())[:depth])


def from_run(run: Run, qrels: Qrels, measure: str, *, drop_identical: bool = False) -> float:
    """A measure by its definition, from the order of a run: what the paths are checked against.

    Args:
        run: Query -> passage -> score, best first.
        qrels: Query -> passage -> grade; the mean is over these queries.
        measure: One of ``MEASURES``.
        drop_identical: Leave out the passage whose id is the query's, as BEIR does.
    """
    name, _, cut = measure.rpartition("_at_")
    values = []
    for query, grades in qrels.items():
        ranking = [p for p in run.get(query, {}) if not drop_identical or p != query]
        gains = np.array([max(grades.get(passage, 0), 0) for passage in ranking[: int(cut)]])
        relevant = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
        values.append(_OF_QUERY[name](gains, relevant, int(cut)) if relevant else 0.0)
    return float(np.mean(values))


def _ndcg(gains: np.ndarray, relevant: list[int], cut: int) -> float:
    ideal = np.array(relevant[:cut])
    discount = np.log2(np.arange(2, cut + 2))
    return float((gains / discount[: len(gains)]).sum() / (ideal / discount[: len(ideal)]).sum())


def _mrr(gains: np.ndarray, relevant: list[int], cut: int) -> float:
    places = np.flatnonzero(gains)
    return 1 / (places[0] + 1) if len(places) else 0.0


def _map(gains: np.ndarray, relevant: list[int], cut: int) -> float:
    places = np.flatnonzero(gains) + 1
    return float((np.arange(1, len(places) + 1) / places).sum() / len(relevant))


def _recall(gains: np.ndarray, relevant: list[int], cut: int) -> float:
    return float(np.count_nonzero(gains) / len(relevant))


_OF_QUERY: dict[str, Callable[[np.ndarray, list[int], int], float]] = {
    "ndcg": _ndcg,
    "mrr": _mrr,
    "map": _map,
    "recall": _recall,
}


def as_trec_eval(run: Run) -> Run:
    """A run with its ties broken as trec_eval does it: float32 scores, the greater id first."""
    return {
        query: dict(
            sorted(hits.items(), key=lambda hit: (np.float32(hit[1]), hit[0]), reverse=True)
        )
        for query, hits in run.items()
    }


def cut_ties(run: Run) -> int:
    """Queries whose passages at ``DEPTH`` and below it tie, of a run that is one deeper.

    Which of these BEIR and mteb keep is up to ``torch.topk``; trec_eval then ranks the greater ids
    first, also above the cut, so no order of our run gives their measures.
    """
    scores = (list(hits.values())[DEPTH - 1 : DEPTH + 1] for hits in run.values())
    return sum(len(two) == 2 and bool(np.float32(two[0]) == np.float32(two[1])) for two in scores)


def largest(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """The largest difference of a measure."""
    return max(abs(first[name] - second[name]) for name in MEASURES)


def compare(model: Any, folder: Folder) -> dict[str, Any]:
    """All four paths, side by side, and each known difference with what explains it."""
    ours = Ours.of(model, folder)
    beir, results = by_beir(model, folder)
    mteb_scores, trec = by_mteb(model, folder), by_pytrec_eval(ours)
    dropped = {name: from_run(ours.run, ours.qrels, name, drop_identical=True) for name in MEASURES}
    retied = {name: from_run(as_trec_eval(ours.run), ours.qrels, name) for name in MEASURES}
    reversed_results = {q: dict(reversed(hits.items())) for q, hits in results.items()}
    corpus, _, all_qrels = GenericDataLoader(str(folder.path)).load(folder.split)
    mrr = partial(EvaluateRetrieval.evaluate_custom, k_values=[CUT], metric="mrr")
    return {
        "queries": len(ours.qrels),
        "passages": len(corpus),
        "paths": {
            "beir": beir,
            "mteb": mteb_scores,
            "pytrec_eval": trec,
            "ours": {name: ours.scores[name] for name in MEASURES},
        },
        "largest_difference": {
            "mteb_from_ours": largest(mteb_scores, ours.scores),
            "pytrec_eval_from_ours": largest(trec, ours.scores),
            "beir_from_ours": largest(beir, ours.scores),
        },
        "explained": {
            "identical_ids": {
                "queries_whose_id_is_a_passage_id": sum(query in corpus for query in ours.qrels),
                "of_which_judged_relevant": sum(
                    grades.get(query, 0) > 0 for query, grades in ours.qrels.items()
                ),
                "ours_without_them": dropped,
                "largest_difference_of_beir": largest(beir, dropped),
            },
            "ties": {
                "ours_with_ties_of_trec_eval": retied,
                "largest_difference_of_mteb": largest(mteb_scores, retied),
                "queries_whose_ties_cross_the_depth": cut_ties(ours.run),
                "mrr_of_beir": beir["mrr_at_10"],
                "mrr_of_beir_with_its_results_reversed": mrr(all_qrels, reversed_results)["MRR@10"],
                "mrr_of_ours_without_identical_ids": dropped["mrr_at_10"],
            },
            "depth": {
                "map_full": ours.scores["map"],
                "map_at_1000": ours.scores["map_at_1000"],
                "map_at_100": ours.scores["map_at_100"],
            },
            "queries_in_the_mean": {"beir_and_mteb": len(all_qrels), "ours": len(ours.qrels)},
            "digits_of_beir": 5,
        },
    }


EXPORTED = {
    "pocketqa-r-multilingual-de": ("PocketQARMultilingualRetrieval", "de"),
    "xquad-r-monolingual-en": ("XQuADRMonolingualRetrieval", "en"),
}
COLLECTIONS = ("cranfield", *EXPORTED)


def run(collections: Sequence[str] = COLLECTIONS, encoder: str = ENCODER) -> dict[str, Any]:
    """The comparison on collections, for ``docs/results``: Cranfield, and tasks of ours, exported.

    Every path encodes by itself: with 2 cores a minute or two for each of the three passes over
    Cranfield, and less for the others.
    """
    register()
    model = mteb.get_model(encoder)
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name in collections:
            found[name] = compare(model, _folder(name, Path(place)))
    return {"encoder": encoder, "depth": DEPTH, "collections": found}


def _folder(name: str, place: Path) -> Folder:
    if name in EXPORTED:
        task, subset = EXPORTED[name]
        done = export_task(task, place / name, subsets=[subset])
        (exported,) = done.subsets
        return Folder(done.folder / exported.folder, exported.split, subset)
    mirror = paths.mirror_dir()
    if mirror is None or name != "cranfield":
        raise SystemExit(
            f"{name}: choose from {', '.join(COLLECTIONS)}; for cranfield set HYBRIDIR_DATA_DIR to "
            "the mirror that has cranfield-beir"
        )
    return Folder(mirror / "cranfield-beir")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(sys.argv[1:] or COLLECTIONS), indent=1) + "\n")
