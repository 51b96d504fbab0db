"""Broken runs are found and named; weak models are not among them."""

from dataclasses import replace

import pytest
from toys.scaling import FAMILIES, a_family, cells_of

from hybridir_mteb.scaling.broken import without_broken
from hybridir_mteb.scaling.families import Families
from hybridir_mteb.scaling.scores import Cell, Scores

WEAK = Scores(
    tuple(
        Cell("weak/english", "main", "MIRACLRetrieval", "dev", subset, score, score)
        for subset, score in {"en": 0.4, "fr": 0.1, "fi": 0.05, "te": 0.0, "th": 0.0}.items()
    )
)


def found_in(cells, families=FAMILIES, facts=None):
    return without_broken(Scores(tuple(cells), facts or {}), families)


def test_nothing_is_wrong_with_a_family_or_a_weak_model():
    sound, broken = without_broken(a_family(noise=2.0) + WEAK, FAMILIES)
    assert broken == []
    assert set(WEAK.cells) < set(sound.cells)


def test_a_cell_far_below_the_smaller_sibling_is_found():
    scores = a_family()
    bad = next(c for c in scores.cells if c.model == "made/up-3000M" and c.subset == "ara-deu")
    cells = [replace(c, ndcg_at_10=0.1) if c is bad else c for c in scores.cells]
    sound, (broken,) = found_in(cells, facts=scores.facts)
    assert (broken.cell.model, broken.cell.subset) == (bad.model, bad.subset)
    assert broken.why == "0.100 where the smaller made/up-1000M has 0.550"
    assert len(sound.cells) == len(cells) - 1
    assert (
        found_in(cells, Families(()), scores.facts)[1] == []
    )  # nobody says that it should be more


def test_the_smallest_of_a_family_has_no_sibling_to_fall_below():
    scores = a_family(a=70, b=18, c=0.3)
    assert without_broken(scores, FAMILIES)[1] == []


@pytest.mark.parametrize(
    ("other", "witness"),
    [
        ({"revision": "other"}, "revision other"),
        ({"task": "MIRACLRetrievalHardNegatives"}, "MIRACLRetrievalHardNegatives"),
        ({"task": "MIRACLRetrievalHardNegatives.v2"}, "MIRACLRetrievalHardNegatives.v2"),
    ],
)
def test_another_revision_and_another_pool_are_witnesses(other, witness):
    cell = Cell("m/m", "main", "MIRACLRetrieval", "dev", "ko", 0.2, 0.2)
    good = replace(cell, ndcg_at_10=0.7, mrr_at_10=0.7, **other)
    _, (broken,) = found_in([cell, good])
    assert broken.cell == cell
    assert broken.why == f"0.200 where {witness} has 0.700"
    assert found_in([cell, replace(good, subset="ru")])[1] == []
    assert found_in([replace(cell, ndcg_at_10=0.4), good])[1] == []  # weaker, but no wreck


def test_a_zero_among_good_scores_is_found():
    cells = cells_of("m/m", 0.6, 0.5)
    cells[3] = replace(cells[3], ndcg_at_10=0.0, mrr_at_10=0.0)
    _, (broken,) = found_in(cells)
    assert broken.why == "0.000 where the worst of 48 other subsets has 0.500"


def test_an_old_file_loses_its_mrr_alone():
    cell = Cell("m/m", "main", "NQ", "test", "default", 0.5, 0.0)
    sound, (broken,) = found_in([cell])
    assert broken.only_mrr
    assert sound.cells == (replace(cell, mrr_at_10=None),)
    nothing_found = replace(cell, ndcg_at_10=0.0)
    assert found_in([nothing_found])[1] == []


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 57.3])
def test_what_is_no_score_is_found(score):
    sound, (broken,) = found_in([Cell("m/m", "main", "NQ", "test", "default", score, None)])
    assert sound.cells == ()
    assert "no score from 0 to 1" in broken.why


def test_the_known_wrecks_of_the_public_results_are_found_and_weak_models_kept(published, public):
    broken = public.broken
    lost = {(b.cell.model, b.cell.task, b.cell.subset) for b in broken if not b.only_mrr}
    hard = "MIRACLRetrievalHardNegatives"
    assert {
        ("Qwen/Qwen3-Embedding-8B", "XQuADRetrieval", "th"),
        ("nvidia/llama-embed-nemotron-8b", "MIRACLRetrieval", "ko"),
        ("Alibaba-NLP/gte-Qwen2-1.5B-instruct", "MIRACLRetrieval", "th"),
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", f"{hard}.v2", "th"),
    } <= lost
    assert not [key for key in lost if key[0].startswith("GritLM/")]
    # English models in Bengali, and a vocabulary that was cut to Russian.
    for kept in (("Snowflake/snowflake-arctic-embed-m", "bn"), ("deepvk/USER-bge-m3", "fa")):
        assert (kept[0], hard, kept[1]) not in lost
        zero = {
            c.ndcg_at_10
            for c in published.cells
            if (c.model, c.task, c.subset) == (kept[0], hard, kept[1])
        }
        assert zero == {0.0}
    assert {b.cell.model for b in broken if b.only_mrr} == {
        "nvidia/NV-Embed-v1",
        "nvidia/NV-Embed-v2",
    }
    assert len(lost) < 0.002 * len(published.cells)
