"""Approximate search by an index beside the shards: what it finds is scored and ordered exactly."""

import logging
import sys
from typing import Any

import numpy as np
import pytest
from toys.shards import folder_of, key

from hybridir_mteb.errors import EmbeddingError, MissingExtraError, SettingError, ShardError
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.ranking import NOT_RETRIEVED
from hybridir_mteb.ranking.shards import index, search
from hybridir_mteb.ranking.shards.approximate import (
    KIND,
    RECALL,
    ApproximateSearch,
    recall_of,
    sampled,
)
from hybridir_mteb.ranking.shards.folder import ShardFolder

KINDS = pytest.mark.parametrize("kind", index.KINDS)


@pytest.fixture(scope="module")
def pools(tmp_path_factory) -> list[ShardFolder]:
    """Vectors around centres, in two folders: one large enough for an index, and a small one."""
    rng, parent = np.random.default_rng(0), tmp_path_factory.mktemp("pools")
    centres = rng.standard_normal((40, 16))
    found = []
    for source, n in (("a", 2500), ("b", 60)):
        vectors = centres[rng.integers(0, 40, n)] + 0.5 * rng.standard_normal((n, 16))
        ids, name = [f"d{at}" for at in range(n)], key(512, prefix=f"p:{source}:", source=source)
        found.append(folder_of(parent, vectors.astype(np.float32), ids, name=name))
    return found


@pytest.fixture(scope="module")
def queries(pools) -> np.ndarray:
    near = pools[0].vectors(np.arange(0, 2500, 100))
    return near + 0.3 * np.random.default_rng(1).standard_normal(near.shape).astype(np.float32)


@KINDS
@pytest.mark.parametrize("similarity", list(Similarity))
def test_what_is_found_has_its_exact_scores_and_places(pools, queries, kind, similarity):
    lists = [[100 * at, at, 2500 + at] for at in range(len(queries))]
    relevance = Relevance.from_lists(lists)
    found = ApproximateSearch(kind, sample=len(queries))(
        queries, pools, 20, relevance=relevance, similarity=similarity
    )
    whole = search(queries, pools, 2560, relevance=relevance, similarity=similarity)
    exact = dict(zip_pairs(whole.rows, whole.scores))
    assert all(exact[pair] == score for pair, score in zip_pairs(found.rows, found.scores))
    assert (np.diff(found.scores, axis=1) <= 0).all()
    wanted = [
        len(np.intersect1d(a, b)) for a, b in zip(found.rows, whole.rows[:, :20], strict=True)
    ]
    assert np.mean(wanted) > 20 * 0.9
    assert found.notes[KIND] == kind
    assert 0.5 < found.notes[RECALL] <= 1
    at = iter(found.ranks.tolist())
    for query, rows in enumerate(lists):
        for row, rank in zip(rows, at, strict=False):
            place = np.flatnonzero(found.rows[query] == row)
            assert (rank == place[0] + 1) if len(place) else rank > 20
    assert (found.ranks == NOT_RETRIEVED).any()


def zip_pairs(rows: np.ndarray, scores: np.ndarray) -> Any:
    for query, (of, values) in enumerate(zip(rows.tolist(), scores.tolist(), strict=True)):
        yield from (((query, row), value) for row, value in zip(of, values, strict=True))


@KINDS
def test_the_recall_is_that_of_the_exact_search_on_the_sample(pools, queries, kind, monkeypatch):
    monkeypatch.setattr(index, "PROBES", 1)
    asked: list[int] = []

    def exact(some: np.ndarray, *rest: Any, **how: Any) -> Any:
        asked.append(len(some))
        return search(some, *rest, **how)

    found = ApproximateSearch(kind, 7, exact)(queries, pools, 100)
    at = sampled(len(queries), 7)
    best = search(queries[at], pools, 100).rows
    by_hand = [
        len({*a} & {*b}) / 100 for a, b in zip(found.rows[at].tolist(), best.tolist(), strict=True)
    ]
    assert found.notes[RECALL] == pytest.approx(np.mean(by_hand))
    assert (found.notes[RECALL] < 1) == (kind == "ivfpq")  # of which one list was looked at
    assert asked == [7]
    assert RECALL not in ApproximateSearch(kind, 0, exact)(queries, pools, 100).notes
    assert asked == [7]


def test_a_sample_is_spread_over_the_queries():
    assert sampled(5, 100).tolist() == [0, 1, 2, 3, 4]
    assert sampled(1, 1).tolist() == [0]
    assert sampled(101, 3).tolist() == [0, 50, 100]
    found, exact = np.array([[3, 1, -1], [5, 6, 7]]), np.array([[1, 2, -1], [7, 6, 5]])
    assert recall_of(found, exact) == 4 / 5


@KINDS
def test_few_passages_are_all_looked_at(tmp_path, kind):
    rng = np.random.default_rng(3)
    vectors = rng.integers(-1, 2, (300, 4)).astype(np.float32)  # many ties
    folder = folder_of(tmp_path, vectors, [f"d{at}" for at in range(300)], name=key(100))
    asked = rng.standard_normal((9, 4)).astype(np.float32)
    relevance = Relevance.from_lists([[at] for at in range(9)])
    found = ApproximateSearch(kind)(asked, [folder], 300, relevance=relevance)
    whole = search(asked, [folder], 300, relevance=relevance)
    for name in ("rows", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert found.notes[RECALL] == 1


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *(("hnsw", damage) for damage in ("none", "flip", "record", "folder")),
        *(("ivfpq", damage) for damage in ("none", "cut", "gone")),
    ],
)
def test_an_index_is_built_once_and_again_if_it_is_damaged(
    tmp_path, queries, kind, damage, monkeypatch, caplog
):
    vectors = np.random.default_rng(4).standard_normal((1100, 16)).astype(np.float32)
    folder = folder_of(tmp_path, vectors, [f"d{at}" for at in range(1100)], name=key(550))
    before = {path.name for path in folder.path.iterdir()}
    first = ApproximateSearch(kind, 0)(queries, [folder], 10)
    made = sorted({path.name for path in folder.path.iterdir()} - before)
    assert len(made) == 2
    assert made[0].startswith(f"{kind}-")
    assert made[1] == f"{made[0]}.json"
    path, record = (folder.path / name for name in made)
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif damage == "cut":
        path.write_bytes(content[:99])
    elif damage == "record":
        record.write_text(record.read_text().replace('"identity"', '"identitat"'))
    elif damage in {"gone", "folder"}:
        path.unlink()
        if damage == "folder":
            path.mkdir()
    built = []
    build = index.Index._build
    monkeypatch.setattr(index.Index, "_build", lambda one: built.append(kind) or build(one))
    with caplog.at_level(logging.WARNING):
        again = ApproximateSearch(kind, 0)(queries, [folder], 10)
    assert built == ([] if damage == "none" else [kind])
    assert bool(caplog.messages) == (damage in {"flip", "cut", "record"})
    if kind == "ivfpq" or damage == "none":  # a graph depends on which thread is first
        np.testing.assert_array_equal(again.rows, first.rows)
    assert sorted({one.name for one in folder.path.iterdir()} - before) == made
    dot = ApproximateSearch(kind, 0)(queries, [folder], 10, similarity=Similarity.DOT)
    assert len({one.name for one in folder.path.iterdir()} - before) == 4
    assert (dot.rows != again.rows).any()


def test_an_index_that_is_not_finished_leaves_nothing(tmp_path, queries, monkeypatch):
    vectors = np.random.default_rng(5).standard_normal((1100, 16)).astype(np.float32)
    folder = folder_of(tmp_path, vectors, [f"d{at}" for at in range(1100)], name=key(550))
    before = sorted(folder.path.rglob("*"))
    theirs = index.read_blocks

    def stopped(*arguments: Any) -> Any:
        yield next(theirs(*arguments))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(index, "BLOCK_ROWS", 100)
        patch.setattr(index, "read_blocks", stopped)
        with pytest.raises(KeyboardInterrupt):
            ApproximateSearch("hnsw", 0)(queries, [folder], 10)
    assert sorted(folder.path.rglob("*")) == before
    assert (ApproximateSearch("hnsw", 0)(queries, [folder], 10).rows >= 0).all()


def test_an_index_that_faiss_does_not_read_is_named(tmp_path, queries, monkeypatch):
    vectors = np.random.default_rng(6).standard_normal((50, 16)).astype(np.float32)
    folder = folder_of(tmp_path, vectors, [f"d{at}" for at in range(50)], name=key(50))
    monkeypatch.setattr(index.Index, "_write", lambda one, place: place.write_bytes(b"Ix99" * 9))
    with pytest.raises(ShardError, match=r"cannot read .*hnsw-.*faiss: .* Remove it: it is built"):
        ApproximateSearch("hnsw")(queries, [folder], 10)


def test_what_cannot_be_searched_in_this_way_is_said(pools, queries, monkeypatch):
    with pytest.raises(
        SettingError, match=r"approximate='flat' \(--approximate\): give hnsw or iv"
    ):
        ApproximateSearch("flat")
    quick = ApproximateSearch("hnsw")
    with pytest.raises(SettingError, match=r"similarity of its own: leave out approximate"):
        quick(queries, pools, 10, similarity=lambda a, b: a @ b.T)
    with pytest.raises(EmbeddingError, match="not from one encoder"):
        quick(queries[:, :8], pools, 10)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r'faiss: pip install "hybridir-mteb\[approximate'):
        ApproximateSearch("hnsw")
