"""Search over shards against the slow float64 reference: equal to the bit, whatever the sizes."""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import TESTS
from toys.cli import succeed
from toys.shards import folder_of, key

from hybridir_mteb.errors import EmbeddingError, ShardError
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.exact import best_columns, exact_ranks
from hybridir_mteb.ranking.matrices import MatrixScorer
from hybridir_mteb.ranking.ranking import tie_order
from hybridir_mteb.ranking.shards import dense, pairs, search, shard, top
from hybridir_mteb.ranking.shards.folder import ShardFolder
from hybridir_mteb.ranking.shards.request import Hits, SearchOptions

# "cpu:0" takes the path of other devices, on the processor.
DEVICES = ["cpu", "cpu:0"]
BLOCKS = [1, 3000, 64 << 20]


def reference_scores(queries, vectors, similarity=Similarity.COSINE):
    """Every pair by itself, in float64."""

    def unit(rows):
        wide = rows.astype(np.float64)
        if similarity is Similarity.DOT:
            return wide
        return wide / np.maximum(np.sqrt((wide * wide).sum(axis=1)), 1e-12)[:, None]

    return (unit(queries)[:, None] * unit(vectors)[None]).sum(axis=2)


def reference(scores, relevance, pool_ids, depth):
    """Rows, scores and ranks by the rules of hybridir_mteb.ranking.exact."""

    order = tie_order(pool_ids)
    ranks = exact_ranks(MatrixScorer(scores), relevance, order)
    k = min(depth, scores.shape[1])
    rows = np.full((len(scores), depth), -1)
    best = np.full((len(scores), depth), -np.inf)
    for at, row in enumerate(scores) if k else []:
        rows[at, :k] = best_columns(row, order, k)
        best[at, :k] = row[rows[at, :k]]
    return Hits(rows, best, ranks)


def assert_equal(found, expected):
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.ranks, expected.ranks)


def pooled(parent, parts: Sequence[np.ndarray], rows=7, dtype="float32"):
    """One folder for each part, and the prefixed ids of the whole pool."""
    folders, ids = [], []
    for number, part in enumerate(parts):
        own = [f"d{at}" for at in range(len(part))]
        name = key(rows=rows, dtype=dtype, prefix=f"p:{number}:", source=str(number))
        folders.append(folder_of(Path(parent), part, own, name=name))
        ids += [f"p:{number}:{identifier}" for identifier in own]
    return folders, ids


def relevance_for(rng, n_queries, n_passages, most=4):
    most = min(most, n_passages)
    return Relevance.from_lists(
        [
            rng.choice(n_passages, rng.integers(0, most + 1), replace=False).tolist()
            for _ in range(n_queries)
        ]
    )


def values(rng, kind, n, dimension):
    """Vectors that are hard to tell apart in one way or another."""
    if kind == "random":
        return rng.standard_normal((n, dimension)).astype(np.float32)
    if kind == "ties":  # few distinct vectors, zero among them
        return rng.integers(-1, 2, (n, dimension)).astype(np.float32)
    if kind == "identical":
        return np.ones((n, dimension), np.float32)
    if kind == "near":  # scores differ by about 1e-8 and less, below what float32 can tell
        base = rng.standard_normal(dimension)
        return (base + 1e-7 * rng.integers(-2, 3, (n, dimension))).astype(np.float32)
    if kind == "unit":  # so near, and of lengths that float32 can hardly tell from 1
        near = values(rng, "near", n, dimension).astype(np.float64)
        apart = dimension * 2.0**-26 * rng.uniform(-1, 1, n)
        return (near * ((1 + apart) / np.linalg.norm(near, axis=1))[:, None]).astype(np.float32)
    lengths = 10.0 ** rng.integers(-4, 5, (n, 1))  # "lengths"
    return (rng.standard_normal((n, dimension)) * lengths).astype(np.float32)


@pytest.mark.slow
@settings(max_examples=40)
@given(data=st.data())
def test_search_equals_the_float64_reference(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(["random", "ties", "identical", "near", "unit", "lengths"]))
    dimension = data.draw(st.sampled_from([1, 2, 5, 33, 130]))
    sizes = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=3))
    n_queries = data.draw(st.sampled_from([1, 2, 35, 70]))
    depth = data.draw(st.sampled_from([0, 1, 3, 20, 100, 300]))
    dtype = data.draw(st.sampled_from(["float32", "float16"]))
    block_bytes = data.draw(st.sampled_from([1, 500, 3000, 64 << 20]))
    similarity = data.draw(st.sampled_from(list(Similarity)))
    parts = [values(rng, kind, size, dimension) for size in sizes]
    if data.draw(st.booleans()):
        queries = values(rng, kind, n_queries, dimension)
    else:  # so that relevant passages are near the top
        queries = parts[0][rng.integers(0, sizes[0], n_queries)] * np.float32(1.5)
    relevance = relevance_for(rng, n_queries, sum(sizes))
    with TemporaryDirectory() as parent:
        folders, ids = pooled(parent, parts, data.draw(st.sampled_from([1, 7, 64])), dtype)
        found = search(
            queries,
            folders,
            depth,
            relevance=relevance,
            similarity=similarity,
            options=SearchOptions(data.draw(st.sampled_from(DEVICES)), block_bytes),
        )
    stored = np.concatenate(parts).astype(dtype).astype(np.float32)
    scores = reference_scores(queries, stored, similarity)
    assert_equal(found, reference(scores, relevance, ids, depth))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["random", "ties", "identical", "near", "unit"])
def test_many_passages_in_several_tiles_and_blocks(tmp_path, kind, device):
    rng = np.random.default_rng(1)
    vectors = values(rng, kind, 3000, 24)
    assert pairs.are_unit(vectors) == (kind == "unit")
    queries = np.concatenate([values(rng, kind, 30, 24), vectors[:10]])
    relevance = relevance_for(rng, 40, 3000)
    folders, ids = pooled(tmp_path, [vectors[:1000], vectors[1000:]], rows=700)
    expected = reference(reference_scores(queries, vectors), relevance, ids, 40)
    for block_bytes in (12 * 24 * 800, 64 << 20):
        found = search(
            queries, folders, 40, relevance=relevance, options=SearchOptions(device, block_bytes)
        )
        assert_equal(found, expected)


def test_passages_that_get_better_and_better(tmp_path):
    """Every passage is a candidate when it comes: the places are filled again and again."""
    angles = np.linspace(1.5, 0, 2000)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    queries = np.array([[1, 0], [1, 0.001]], np.float32)
    relevance = Relevance.from_lists([[1999, 0], [1000]])
    folders, ids = pooled(tmp_path, [vectors], rows=300)
    found = search(
        queries, folders, 5, relevance=relevance, options=SearchOptions(block_bytes=5000)
    )
    assert_equal(found, reference(reference_scores(queries, vectors), relevance, ids, 5))
    assert found.rows[0].tolist() == [1999, 1998, 1997, 1996, 1995]
    assert found.ranks.tolist()[:2] == [1, 2000]


def test_scores_that_float32_cannot_tell_apart_are_told_apart(tmp_path):
    """Cosines 1 - 5e-9 and 1 - 1.1e-8 are both 1 in float32."""
    vectors = np.array([[1, 1.5e-4], [1, 1e-4], [1, 0], [-1, 0]], np.float32)
    folders, _ = pooled(tmp_path, [vectors])
    found = search(
        np.array([[1, 0]], np.float32), folders, 3, relevance=Relevance.from_lists([[0, 1, 2, 3]])
    )
    assert len(set(found.scores[0].astype(np.float32))) == 1
    assert found.rows.tolist() == [[2, 1, 0]]
    assert found.ranks.tolist() == [3, 2, 1, 4]


def test_equal_scores_are_ordered_by_hash_and_not_by_row(tmp_path):
    folders, ids = pooled(tmp_path, [np.ones((40, 3), np.float32)] * 2)
    expected = np.argsort(tie_order(ids))
    found = search(
        np.ones((1, 3), np.float32), folders, 80, relevance=Relevance.from_lists([range(80)])
    )
    assert found.rows[0].tolist() == expected.tolist()
    assert found.ranks.tolist() == (np.argsort(expected) + 1).tolist()


def test_deeper_than_the_pool(tmp_path):
    folders, _ = pooled(tmp_path, [np.eye(3, dtype=np.float32)])
    found = search(np.array([[3, 2, 1]], np.float32), folders, 5)
    assert found.rows.tolist() == [[0, 1, 2, -1, -1]]
    assert found.scores[0, 3:].tolist() == [-np.inf, -np.inf]
    assert found.ranks.shape == (0,)


@pytest.mark.parametrize("device", DEVICES)
def test_ranks_alone(tmp_path, device):
    folders, _ = pooled(tmp_path, [np.eye(3, dtype=np.float32)])
    relevance = Relevance.from_lists([[2, 0]])
    found = search(
        np.array([[3, 2, 1]], np.float32),
        folders,
        0,
        relevance=relevance,
        options=SearchOptions(device),
    )
    assert found.rows.shape == (1, 0)
    assert found.ranks.tolist() == [3, 1]


@pytest.mark.parametrize("block_bytes", BLOCKS)
@pytest.mark.parametrize("depth", [0, 15, 100])
def test_scores_of_a_function_are_used_as_they_are(tmp_path, block_bytes, depth):
    rng = np.random.default_rng(2)
    vectors, queries = values(rng, "random", 60, 6), values(rng, "random", 9, 6)
    relevance = relevance_for(rng, 9, 60)
    folders, ids = pooled(tmp_path, [vectors[:25], vectors[25:]])

    def nearest(of, passages):  # whole numbers: many ties, and the same in every shape
        far = np.abs(of[:, None] - passages[None]).sum(axis=2)
        return torch.from_numpy(-np.round(far))

    found = search(
        queries,
        folders,
        depth,
        relevance=relevance,
        similarity=nearest,
        options=SearchOptions(block_bytes=block_bytes),
    )
    scores = nearest(queries, vectors).double().numpy()
    assert_equal(found, reference(scores, relevance, ids, depth))


def test_a_function_that_depends_on_its_block_still_gives_consistent_ranks(tmp_path):
    """Last bits may differ from shape to shape: a passage must not rank above itself."""
    rng = np.random.default_rng(3)
    vectors, queries = values(rng, "random", 50, 6), values(rng, "random", 4, 6)
    folders, _ = pooled(tmp_path, [vectors])
    relevance = Relevance.from_lists([range(50)] * 4)

    def shaky(of, passages):
        return (of @ passages.T).astype(np.float64) + 1e-6 * len(passages)

    found = search(
        queries,
        folders,
        50,
        relevance=relevance,
        similarity=shaky,
        options=SearchOptions(block_bytes=12 * 6 * 15),
    )
    for at in range(4):
        ranks = found.ranks[at * 50 : at * 50 + 50]
        assert sorted(ranks) == list(range(1, 51))
        assert np.argsort(ranks).tolist() == found.rows[at].tolist()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (lambda q, p: np.zeros((len(q), len(p) + 1)), r"returned shape \(2, 4\), expected \(2, 3"),
        (lambda q, p: np.full((len(q), len(p)), np.nan), "NaN or infinite"),
    ],
)
def test_a_function_that_is_broken_is_refused(tmp_path, scores, message):
    folders, _ = pooled(tmp_path, [np.eye(3, dtype=np.float32)])
    with pytest.raises(EmbeddingError, match=message):
        search(np.ones((2, 3), np.float32), folders, 2, similarity=scores)


@pytest.mark.parametrize(("dimension", "scale"), [(2, 1), (384, 1), (384, 1e-3), (1024, 100)])
def test_float32_products_are_within_the_bound(dimension, scale):
    """The bound holds, and is not far above what happens when all errors add up."""
    rng = np.random.default_rng(4)
    queries = np.abs(rng.standard_normal((64, dimension))).astype(np.float32)
    passages = np.abs(rng.standard_normal((500, dimension))).astype(np.float32) * np.float32(scale)
    scorer = pairs.PairScorer(queries, Similarity.COSINE)
    norms = pairs.lengths(passages)
    unit = passages * (1 / norms).astype(np.float32)[:, None]
    fast = scorer.queries.astype(np.float32) @ unit.T
    error = np.abs(fast - reference_scores(queries, passages)).max()
    assert error < pairs.slack(dimension)
    # Partial sums in order, as slow code would do it, stay within as well.
    slow = np.cumsum(scorer.queries.astype(np.float32)[0] * unit, axis=1, dtype=np.float32)[:, -1]
    assert np.abs(slow - reference_scores(queries[:1], passages)[0]).max() < pairs.slack(dimension)


def test_results_do_not_hang_on_a_lucky_bound(tmp_path, monkeypatch):
    """With no slack at all float32 would decide, and get near-ties wrong."""
    rng = np.random.default_rng(5)
    vectors = values(rng, "near", 900, 40)
    queries = vectors[:20]
    folders, ids = pooled(tmp_path, [vectors], rows=512)
    relevance = relevance_for(rng, 20, 900)
    expected = reference(reference_scores(queries, vectors), relevance, ids, 10)
    assert_equal(search(queries, folders, 10, relevance=relevance), expected)
    monkeypatch.setattr(dense, "slack", lambda _: 0.0)
    wrong = search(queries, folders, 10, relevance=relevance)
    assert (wrong.ranks != expected.ranks).any()


def test_few_places_make_no_difference(tmp_path, monkeypatch):
    """Ties that overflow the places are settled at once."""
    monkeypatch.setattr(top, "SLACK", 1)
    monkeypatch.setattr(top, "PAIRS_AT_ONCE", 5)
    rng = np.random.default_rng(6)
    vectors = values(rng, "ties", 800, 3)
    queries = values(rng, "ties", 40, 3)
    folders, ids = pooled(tmp_path, [vectors], rows=100)
    none = Relevance.from_lists([[]] * 40)
    expected = reference(reference_scores(queries, vectors), none, ids, 6)
    for device in DEVICES:
        assert_equal(search(queries, folders, 6, options=SearchOptions(device, 9000)), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["random", "ties", "near"])
def test_queries_with_many_relevant_passages(tmp_path, kind, device):
    rng = np.random.default_rng(7)
    vectors, queries = values(rng, kind, 900, 12), values(rng, kind, 40, 12)
    lists = [rng.choice(900, rng.integers(0, 4), replace=False).tolist() for _ in range(40)]
    lists[3], lists[17] = list(range(900)), rng.permutation(900)[:200].tolist()
    relevance = Relevance.from_lists(lists)
    folders, ids = pooled(tmp_path, [vectors], rows=512)
    expected = reference(reference_scores(queries, vectors), relevance, ids, 10)
    for block_bytes in (12 * 12 * 300, 64 << 20):
        found = search(
            queries, folders, 10, relevance=relevance, options=SearchOptions(device, block_bytes)
        )
        assert_equal(found, expected)


def test_no_queries_find_nothing(tmp_path):
    folders, _ = pooled(tmp_path, [np.eye(3, dtype=np.float32)])
    found = search(np.empty((0, 3), np.float32), folders, 2)
    assert found.rows.shape == found.scores.shape == (0, 2)


# --- refusals


def test_sizes_that_do_not_fit_are_refused(tmp_path):
    folders, _ = pooled(tmp_path, [np.eye(3, dtype=np.float32)])
    wide, _ = pooled(tmp_path, [np.eye(4, dtype=np.float32)] * 2, rows=8)
    one = np.ones((1, 3), np.float32)
    with pytest.raises(EmbeddingError, match=r"embeddings of width 4, .* width 3"):
        search(np.ones((1, 4), np.float32), folders, 1)
    with pytest.raises(EmbeddingError, match=r"widths \[3, 4\]"):
        search(one, [folders[0], wide[1]], 1)
    with pytest.raises(EmbeddingError, match="pool of passages is empty"):
        search(one, [], 1)
    with pytest.raises(EmbeddingError, match="outside the pool of 3"):
        search(one, folders, 1, relevance=Relevance.from_lists([[3]]))
    with pytest.raises(EmbeddingError, match="1 queries, but relevance is given for 2"):
        search(one, folders, 1, relevance=Relevance.from_lists([[1], [2]]))
    with pytest.raises(EmbeddingError, match="depth -1"):
        search(one, folders, -1)
    with pytest.raises(EmbeddingError, match="query number 0 holds NaN"):
        search(one * np.nan, folders, 1)


def test_dot_products_that_overflow_are_refused(tmp_path):
    huge = np.full((2, 3), 1e30, np.float32)
    folders, _ = pooled(tmp_path, [huge])
    with pytest.raises(EmbeddingError, match="overflow float32"):
        search(huge, folders, 1, similarity=Similarity.DOT)
    assert search(huge, folders, 1).scores[0, 0] == pytest.approx(1)


def test_folders_that_are_not_complete_or_damaged_are_refused(tmp_path):
    folder = ShardFolder(tmp_path, key(rows=2))
    folder.write(0, ["a", "b"], np.eye(2, 3, dtype=np.float32))
    with pytest.raises(ShardError, match="not complete"):
        search(np.ones((1, 3), np.float32), [folder], 1)
    folder.finish(2)
    path = folder.path / "00000000" / "vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    shard._SOUND.clear()
    with pytest.raises(ShardError, match=r"damaged embeddings: .*vectors\.npy"):
        search(np.ones((1, 3), np.float32), [ShardFolder(tmp_path, folder.key)], 1)


# --- memory

MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from toys.shards import key
from hybridir_mteb.ranking.arrays import Relevance
from hybridir_mteb.ranking.shards import SearchOptions, ShardFolder, search

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

n = int(sys.argv[2])
rng = np.random.default_rng(0)
folder = ShardFolder(Path(sys.argv[1]), key(rows=5000, source=str(n)))
for number in range(n // 5000):
    ids = [f"d{at}" for at in range(number * 5000, number * 5000 + 5000)]
    folder.write(number, ids, rng.standard_normal((5000, 64), dtype=np.float32))
folder.finish(n)
relevance = Relevance.from_lists(rng.integers(0, n, (50, 2)).tolist())
search(rng.standard_normal((50, 64), dtype=np.float32), [folder], 20, relevance=relevance,
       options=SearchOptions("cpu", 4 << 20))
print(peak())
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
def test_memory_does_not_grow_with_the_number_of_passages(tmp_path):
    """Vectors of 200,000 passages take 51 MB, 38 MB more than those of 50,000."""
    peaks = []
    for n in (50_000, 200_000):
        done = succeed(sys.executable, "-c", MEMORY, tmp_path, n, cwd=TESTS)
        peaks.append(float(done.stdout))
    assert peaks[1] - peaks[0] < 8
