"""One encoder gives the same measures through BEIR, mteb, pytrec_eval and ours, or it is known why.

The paths are those of ``docs/experiments/four_paths.py``, here on a small folder where ids of
queries and passages collide and texts repeat.
"""

from pathlib import Path
from typing import Any

import four_paths as script
import numpy as np
import pytest
from beir.retrieval.evaluation import EvaluateRetrieval
from toys.beir import BeirHash, toy_set, write_folder

from hybridir_mteb.export import export_task

CLOSE = 1e-5  # BEIR and mteb round to five digits


def compare(folder: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = script.compare(BeirHash(), script.Folder(folder, *arguments))
    return found


def test_all_paths_agree_where_no_ids_collide(tmp_path):
    data = toy_set(prefix="d", distinct=True)
    found = compare(write_folder(tmp_path / "toy", *data))
    assert (found["queries"], found["passages"]) == (15, 120)
    assert max(found["largest_difference"].values()) < CLOSE
    assert found["explained"]["identical_ids"]["queries_whose_id_is_a_passage_id"] == 0
    assert 0 < found["paths"]["ours"]["ndcg_at_10"] < 1


def test_identical_ids_are_all_that_parts_beir_from_the_others(tmp_path):
    data = toy_set(distinct=True)
    found = compare(write_folder(tmp_path / "toy", *data))
    difference, known = found["largest_difference"], found["explained"]["identical_ids"]
    assert difference["mteb_from_ours"] < CLOSE
    assert difference["pytrec_eval_from_ours"] < CLOSE
    assert known["queries_whose_id_is_a_passage_id"] == 15
    assert difference["beir_from_ours"] > 100 * CLOSE
    assert known["largest_difference_of_beir"] < CLOSE


def test_an_exported_task_gives_the_same_everywhere(tmp_path):
    done = export_task("PocketQARMultilingualRetrieval", tmp_path / "pocketqa-r", subsets=["de"])
    found = compare(done.folder / "de", "test", "de")
    assert (found["queries"], found["passages"]) == (48, 1584)
    assert max(found["largest_difference"].values()) < CLOSE


def test_ties_part_them_and_beirs_mrr_depends_on_the_order_of_a_dict():
    """Two passages tie: BEIR takes the first of the dict, trec_eval the greater id, ours a hash."""
    qrels = {"q": {"a": 1}}
    mrr = [
        EvaluateRetrieval.evaluate_custom(qrels, {"q": results}, [10], "mrr")["MRR@10"]
        for results in ({"a": 1.0, "b": 1.0}, {"b": 1.0, "a": 1.0})
    ]
    assert mrr == [1.0, 0.5]
    assert script.from_run({"q": {"a": 1.0, "b": 1.0}}, qrels, "mrr_at_10") == 1.0


def test_repeated_texts_change_measures_by_ties_alone(tmp_path):
    """With pytrec_eval the run's order is kept, so it agrees with ours whatever the ties."""
    corpus, queries, qrels = toy_set(prefix="d", distinct=True)
    rows = list(corpus.values())
    corpus = {key: rows[at // 2] for at, key in enumerate(corpus)}  # each text twice
    found = compare(write_folder(tmp_path / "toy", corpus, queries, qrels))
    assert found["largest_difference"]["pytrec_eval_from_ours"] < CLOSE
    assert found["largest_difference"]["mteb_from_ours"] > 100 * CLOSE
    ties = found["explained"]["ties"]
    assert ties["largest_difference_of_mteb"] < CLOSE
    assert ties["mrr_of_beir"] != ties["mrr_of_beir_with_its_results_reversed"]
    assert ties["queries_whose_ties_cross_the_depth"] == 0


def test_ties_that_cross_the_depth_are_told(tmp_path):
    """Each text 13 times: ranks 989 to 1001 tie, and BEIR and mteb keep any twelve of them."""
    corpus, queries, qrels = toy_set(n_passages=1300, n_queries=3, prefix="d", distinct=True)
    rows = list(corpus.values())
    corpus = {key: rows[at % 100] for at, key in enumerate(corpus)}
    found = compare(write_folder(tmp_path / "toy", corpus, queries, qrels))
    assert found["explained"]["ties"]["queries_whose_ties_cross_the_depth"] == 3
    assert found["largest_difference"]["pytrec_eval_from_ours"] < CLOSE


def test_depth_changes_map_alone(tmp_path):
    data = toy_set(n_passages=1300, n_queries=6, prefix="d", distinct=True)
    found = compare(write_folder(tmp_path / "toy", *data))
    depth = found["explained"]["depth"]
    assert depth["map_at_100"] < depth["map_at_1000"] < depth["map_full"]
    assert max(found["largest_difference"].values()) < CLOSE


def test_queries_that_are_judged_but_not_answered_count_in_their_means_only(tmp_path):
    """A query whose grades are all 0 counts in BEIR's and mteb's means; ours leaves it out."""
    corpus, queries, qrels = toy_set(prefix="d", distinct=True)
    qrels["1"] = dict.fromkeys(qrels["1"], 0)
    found = compare(write_folder(tmp_path / "toy", corpus, queries, qrels))
    in_mean = found["explained"]["queries_in_the_mean"]
    assert in_mean == {"beir_and_mteb": 15, "ours": 14}
    for path in ("beir", "mteb"):
        for name, value in found["paths"][path].items():
            assert value * 15 / 14 == pytest.approx(found["paths"]["ours"][name], abs=2 * CLOSE)


def test_a_measure_of_a_run_by_hand():
    """Relevant at 2 (grade 2) and 4 (grade 1), one more not found."""
    run = {"q": {"x": 4.0, "a": 3.0, "q": 2.0, "b": 1.0}}
    qrels = {"q": {"a": 2, "b": 1, "c": 1, "x": 0}}
    ndcg = (2 / np.log2(3) + 1 / np.log2(5)) / (2 + 1 / np.log2(3) + 1 / np.log2(4))
    wanted = {
        "ndcg_at_10": ndcg,
        "mrr_at_10": 1 / 2,
        "map_at_100": (1 / 2 + 2 / 4) / 3,
        "recall_at_100": 2 / 3,
    }
    for name, value in wanted.items():
        assert script.from_run(run, qrels, name) == pytest.approx(value)
    without = script.from_run(run, qrels, "map_at_100", drop_identical=True)
    assert without == pytest.approx((1 / 2 + 2 / 3) / 3)
