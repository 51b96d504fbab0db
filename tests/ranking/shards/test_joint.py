"""Searches that share a pass find, to the last bit, what each finds alone."""

import tracemalloc

import numpy as np
import pytest
from toys.shards import folder_of, key

from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.shards import dense, search
from hybridir_mteb.ranking.shards.joint import Wanted, search_jointly
from hybridir_mteb.ranking.shards.request import SearchOptions


def searches(rng, n_passages: int, sizes=(3, 1, 40), dimension: int = 6) -> list[Wanted]:
    """With relevant passages for some of the queries, of which the middle one has none at all."""
    return [
        Wanted(
            rng.integers(-1, 2, (size, dimension)).astype(np.float32),
            Relevance.from_lists(
                [
                    rng.choice(n_passages, rng.integers(0, 5), replace=False).tolist()
                    if size > 1
                    else []
                    for _ in range(size)
                ]
            ),
        )
        for size in sizes
    ]


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # the latter takes the path of a GPU
@pytest.mark.parametrize("similarity", list(Similarity))
@pytest.mark.parametrize("depth", [0, 300])
@pytest.mark.parametrize("kind", ["ties", "near"])
def test_each_finds_what_it_finds_alone_and_the_shards_are_read_once(
    tmp_path, monkeypatch, kind, depth, similarity, device
):
    rng = np.random.default_rng(depth)
    passages = rng.integers(-1, 2, (95, 6))
    if kind == "near":
        passages = 1 + 1e-7 * rng.integers(-2, 3, (95, 6))
    pools = [folder_of(tmp_path, passages.astype(np.float32), [f"d{at}" for at in range(95)])]
    wanted = searches(rng, 95)
    how = {"similarity": similarity, "options": SearchOptions(device, 3000)}
    alone = [search(one.queries, pools, depth, relevance=one.relevance, **how) for one in wanted]
    reads = []
    theirs = dense.read_blocks
    monkeypatch.setattr(dense, "read_blocks", lambda *a: reads.append(a) or theirs(*a))
    found = search_jointly(wanted, pools, depth, **how)
    assert len(reads) == 1
    for ours, expected in zip(found, alone, strict=True):
        for field in ("rows", "scores", "ranks"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(expected, field))


@pytest.mark.parametrize(("dimension", "depth"), [(8, 300), (512, 10)])
def test_the_memory_of_queries_is_foreseen(tmp_path, dimension, depth, monkeypatch):
    monkeypatch.setattr(dense, "TILE_QUERIES", 64)
    monkeypatch.setattr(dense, "cores", lambda: 1)  # threads take more when they fall together
    rng = np.random.default_rng(0)
    passages = rng.standard_normal((700, dimension)).astype(np.float32)
    pools = [folder_of(tmp_path, passages, [f"d{at}" for at in range(700)], name=key(rows=700))]
    peaks = []
    for n in (300, 600):  # more than the queries of all tiles, which take what they take
        queries = rng.standard_normal((n, dimension)).astype(np.float32)
        wanted = Wanted(queries, Relevance.from_lists([[at % 700] for at in range(n)]))
        tracemalloc.start()
        search_jointly([wanted], pools, depth, options=SearchOptions("cpu", 1 << 20))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    foreseen = wanted.bytes_at(depth) / 2
    assert foreseen / 4 < peaks[1] - peaks[0] < foreseen


def test_a_search_is_told_from_any_other(tmp_path):
    rng = np.random.default_rng(0)
    passages = rng.standard_normal((9, 4)).astype(np.float32)
    ids = [f"d{at}" for at in range(9)]
    first, second = (folder_of(tmp_path, passages, ids, name=key(source=source)) for source in "ab")
    queries = rng.standard_normal((2, 4)).astype(np.float32)
    relevance = Relevance.from_lists([[0], [1]])
    one = Wanted(queries, relevance)
    other = (
        Wanted(queries[::-1].copy(), relevance),
        Wanted(queries, Relevance.from_lists([[0, 1], []])),
    )
    cosine = Similarity.COSINE
    digests = {
        one.digest([first], 3, cosine),
        one.digest([second], 3, cosine),
        one.digest([first, second], 3, cosine),
        one.digest([first], 4, cosine),
        one.digest([first], 3, Similarity.DOT),
        *(changed.digest([first], 3, cosine) for changed in other),
    }
    assert len(digests) == 7
    again = Wanted(queries.copy(), Relevance.from_lists([[0], [1]]))
    assert again.digest([first], 3, cosine) in digests
