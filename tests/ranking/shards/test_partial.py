"""Search by parts: equal to one search to the last bit, for any split and any order."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys.shards import folder_of, key

from hybridir_mteb.errors import ShardError
from hybridir_mteb.ranking.arrays import Relevance, Similarity
from hybridir_mteb.ranking.shards import search
from hybridir_mteb.ranking.shards.partial import (
    Asked,
    known_in,
    merge,
    merge_known,
    search_part,
    split,
)
from hybridir_mteb.ranking.shards.request import SearchOptions


def pool(parent, rng, sizes, rows, dimension, kind):
    """Folders of vectors, many of which score alike in one way or another."""
    folders = []
    for number, size in enumerate(sizes):
        vectors = rng.standard_normal((size, dimension))
        if kind == "ties":
            vectors = rng.integers(-1, 2, (size, dimension))
        elif kind == "near":
            vectors = 1 + 1e-7 * rng.integers(-2, 3, (size, dimension))
        name = key(rows=rows, prefix=f"p:{number}:", source=str(number))
        ids = [f"d{at}" for at in range(size)]
        folders.append(folder_of(Path(parent), vectors.astype(np.float32), ids, name=name))
    return folders


@pytest.mark.slow
@settings(max_examples=12)
@given(data=st.data())
def test_any_split_gives_what_one_search_gives(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=3))
    n_queries, total = data.draw(st.sampled_from([1, 3, 40])), sum(sizes)
    kind = data.draw(st.sampled_from(["random", "ties", "near"]))
    queries = rng.integers(-1, 2, (n_queries, 5)).astype(np.float32)
    most = min(20, total)
    relevance = Relevance.from_lists(
        [rng.choice(total, rng.integers(0, most), replace=False).tolist() for _ in queries]
    )
    with TemporaryDirectory() as parent:
        folders = pool(parent, rng, sizes, data.draw(st.sampled_from([3, 7, 64])), 5, kind)
        asked = Asked(
            queries,
            folders,
            data.draw(st.sampled_from([0, 1, 3, 20, 300])),
            relevance,
            data.draw(st.sampled_from(list(Similarity))),
            SearchOptions("cpu", data.draw(st.sampled_from([1, 3000, 64 << 20]))),
        )
        n_shards = sum(folder.n_shards for folder in folders)
        cuts = sorted(data.draw(st.sets(st.integers(1, n_shards), max_size=4)) | {0, n_shards})
        parts = data.draw(st.permutations([range(a, b) for a, b in pairwise(cuts)]))
        known = merge_known((known_in(asked, part) for part in parts), asked)
        found = merge((search_part(asked, known, part) for part in parts), asked)
        whole = search(
            queries,
            folders,
            asked.depth,
            relevance=relevance,
            similarity=asked.similarity,
            options=asked.options,
        )
    for name in ("rows", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))


@pytest.mark.parametrize("n_parts", [1, 2, 5, 100])
def test_parts_make_up_the_pool(tmp_path, n_parts):
    folders = pool(tmp_path, np.random.default_rng(0), [30, 25, 3], 10, 4, "random")
    parts = split(folders, n_parts)
    assert [number for part in parts for number in part] == list(range(7))
    assert len(parts) == min(n_parts, 7)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_a_part_that_is_left_out_is_seen(tmp_path):
    folders = pool(tmp_path, np.random.default_rng(0), [30], 10, 4, "random")
    relevance = Relevance.from_lists([[25]])
    ones = np.ones((1, 4), np.float32)
    asked = Asked(ones, folders, 3, relevance, Similarity.COSINE, SearchOptions("cpu"))
    with pytest.raises(ShardError, match="in no part of the pool"):
        merge_known([known_in(asked, range(2))], asked)


def test_a_part_reads_its_own_shards_only(tmp_path):
    folders = pool(tmp_path, np.random.default_rng(0), [30], 10, 4, "random")
    ones = np.ones((1, 4), np.float32)
    relevance = Relevance.from_lists([[5]])
    asked = Asked(ones, folders, 3, relevance, Similarity.COSINE, SearchOptions("cpu"))
    known = known_in(asked, range(1))
    (folders[0].path / "00000001" / "vectors.npy").unlink()
    found = search_part(asked, known, range(2, 3))
    assert (found.rows >= 20).all()
